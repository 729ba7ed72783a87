// Folders that the server scans again and again: by the command line, by webhooks, over a kill.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { api, type ScheduleView } from '@keyward/contract'
import { eventually } from './support/eventually.ts'
import { statusOfLarge } from './support/large-request.ts'
import { newPaymentsKey } from './support/leaky-project.ts'
import { codeOf, type Reply, type RunningServer, startServer } from './support/server.ts'
import { approve, ended, oneKeyProject, pendingApproval } from './support/steps.ts'

const repository = 'team/shop'

function pushOf(secret: string, id: string, content: object = {}) {
  const body = JSON.stringify({ repository: { full_name: repository }, ...content })
  const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  const headers = { 'x-github-event': 'push', 'x-github-delivery': id, 'x-hub-signature-256': signature }
  return { body, headers: { ...headers, 'content-type': 'application/json' }, token: null }
}

const only = async (server: RunningServer): Promise<ScheduleView> => {
  const [schedule] = (await server.call(api.schedules.list, {})).items
  assert.ok(schedule)
  return schedule
}

const scannedBy = (server: RunningServer, runs: number): Promise<ScheduleView> =>
  eventually(async () => {
    const schedule = await only(server)
    return schedule.runs >= runs && schedule.last?.state !== 'running' && schedule
  }, `scan ${runs} of the schedule`)

const answer = (reply: Reply): [number, string] => [reply.status, codeOf(reply)]

test('DISC-7: a push to a registered repository leads to a proposal, and an approval to the vault', async (t) => {
  const server = await startServer(t)
  const project = oneKeyProject(t)
  const args = ['scan', 'schedule', 'add', project.folder, '--push', 'github', '--repository', repository]
  const added = await server.keyward([...args, '--json'])
  assert.equal(added.code, 0, added.stderr)
  const { hook, secret } = JSON.parse(added.stdout) as { hook: string; secret: string }

  const refused: [what: string, reply: Promise<Reply>, wanted: [number, string]][] = [
    ['nothing', server.ask('POST', hook, { token: null }), [401, 'push.refused']],
    ['another secret', server.ask('POST', hook, pushOf('x', 'delivery-1')), [401, 'push.refused']],
    ['a session in its place', server.ask('POST', hook, { body: '{}' }), [401, 'push.refused']],
    ['nobody', server.ask('POST', `${hook}x`, pushOf(secret, 'delivery-1')), [401, 'push.refused']],
    ['by GET', server.ask('GET', hook, { token: null }), [404, 'request.not_found']],
  ]
  for (const [what, reply, wanted] of refused) assert.deepEqual(answer(await reply), wanted, what)
  assert.equal(await statusOfLarge(`${server.address}${hook}`, 6_000_000), 413)
  assert.equal((await only(server)).runs, 0)

  const accepted = await server.ask('POST', hook, pushOf(secret, 'delivery-1'))
  assert.deepEqual([accepted.status, accepted.body], [202, { accepted: true }])
  const again = await server.ask('POST', hook, pushOf(secret, 'delivery-1'))
  assert.deepEqual(answer(again), [409, 'push.repeated'])
  const schedule = await scannedBy(server, 1)
  assert.deepEqual([schedule.last?.opened, schedule.runs], [1, 1])

  const run = await eventually(async () => (await server.call(api.runs.list, {})).items[0], 'the proposal')
  const question = await pendingApproval(server, run.id)
  assert.equal(question.requestedBy, 'system:schedule')
  assert.match(
    readFileSync(project.file, 'utf8'),
    new RegExp(project.value),
    'nothing happens without a person',
  )
  await approve(server, run.id)
  assert.equal((await ended(server, run.id)).state, 'Succeeded')
  assert.match(readFileSync(project.file, 'utf8'), /keyward:\/\//)
  assert.ok(!server.output().includes(secret))
  const metrics = String((await server.ask('GET', '/metrics')).body)
  assert.match(metrics, /^keyward_scan_schedules 1$/m)
  assert.match(metrics, /^keyward_scan_schedule_runs 1$/m)
  assert.match(metrics, /^keyward_scan_schedule_last_duration_seconds [\d.]+$/m)
})

test('DISC-7, WORK-2: schedules outlive a killed server, and none of their scans or runs is made twice', async (t) => {
  const first = await startServer(t)
  const project = oneKeyProject(t)
  const { id } = await first.call(api.schedules.create, {
    path: project.folder,
    cron: '0 3 * * *',
    watch: true,
  })
  await first.call(api.schedules.run, { scheduleId: id }).catch(() => undefined)
  const before = await scannedBy(first, 1)
  await eventually(async () => (await first.call(api.runs.list, {})).items[0], 'the proposal')
  const { id: scheduleId } = await first.call(api.runSchedules.create, {
    flow: 'diagnose',
    input: { service: 'shop' },
    cron: '0 3 1 1 *',
  })
  await first.call(api.runSchedules.run, { scheduleId })
  await first.stop('SIGKILL')
  writeFileSync(join(project.folder, 'later.env'), `STRIPE_KEY=${newPaymentsKey()}\n`)

  const second = await startServer(t, { dataDir: first.dataDir, token: first.token })
  // The watched folder is scanned once to find what changed while nobody watched; no time of the clock has come.
  await eventually(
    async () =>
      (await second.call(api.findings.list, { state: 'open', path: 'later.env' })).items.length === 1,
    'what changed meanwhile',
  )
  const after = await only(second)
  assert.equal(after.nextAt, before.nextAt)
  const runs = await eventually(async () => {
    const items = (await second.call(api.runs.list, {})).items.filter(({ flow }) => flow === 'leaked-key')
    return items.length === 2 && items.every(({ state }) => state === 'AwaitingApproval') && items
  }, 'the second proposal')
  assert.equal(new Set(runs.map(({ id: runId }) => runId)).size, 2)
  const fired = await eventually(async () => {
    const { firings } = await second.call(api.runSchedules.read, { scheduleId })
    return firings[0]?.runState === 'Succeeded' && firings
  }, 'the run that was asked for before the kill')
  const diagnoses = (await second.call(api.runs.list, {})).items.filter(({ flow }) => flow === 'diagnose')
  assert.deepEqual(
    fired.map(({ runId }) => runId),
    diagnoses.map(({ id: runId }) => runId),
  )
  const metrics = String((await second.ask('GET', '/metrics')).body)
  assert.match(metrics, /^keyward_run_schedule_times\{outcome="started"\} 1$/m)
  const wrote = await second.keyward(['scan', 'schedule', 'list'])
  assert.match(wrote.stdout, new RegExp(`${id}.*0 3 \\* \\* \\*`))
})

test('DISC-7: who is not signed in learns and changes nothing', async (t) => {
  const server = await startServer(t)
  for (const [method, path] of [
    ['GET', '/api/v1/schedules'],
    ['POST', '/api/v1/schedules'],
    ['PUT', '/api/v1/schedules/sch_1'],
    ['DELETE', '/api/v1/schedules/sch_1'],
    ['POST', '/api/v1/schedules/sch_1/run'],
    ['POST', '/api/v1/schedules/sch_1/secret'],
    ['GET', '/api/v1/run-schedules'],
    ['GET', '/api/v1/run-schedule-times?cron=0+7+*+*+*'],
    ['POST', '/api/v1/run-schedules'],
    ['GET', '/api/v1/run-schedules/sch_1'],
    ['PUT', '/api/v1/run-schedules/sch_1'],
    ['DELETE', '/api/v1/run-schedules/sch_1'],
    ['POST', '/api/v1/run-schedules/sch_1/run'],
  ] as const) {
    const reply = await server.ask(method, path, { token: null })
    assert.deepEqual(answer(reply), [401, 'session.required'], `${method} ${path}`)
  }
})
