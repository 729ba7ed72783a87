// Schedules and the triage of findings at the command line.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, type RunFiring, type RunScheduleView, type ScheduleView } from '@keyward/contract'
import { openContractServer } from '../../test/support/contract-server.ts'
import { openShell } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'

const at = '2026-01-02T03:04:05.000Z'
const schedule: ScheduleView = {
  id: 'sch_1',
  path: '/srv/shop',
  cron: '30 3 * * *',
  timeZone: 'Europe/Zurich',
  history: 'new',
  watch: false,
  propose: true,
  push: null,
  hook: null,
  hookReady: false,
  paused: false,
  createdBy: 'person:olga',
  createdAt: at,
  nextAt: at,
  watching: null,
  runs: 2,
  failures: 1,
  last: {
    scanId: null,
    state: 'failed',
    startedAt: at,
    finishedAt: at,
    opened: 0,
    fixed: 0,
    problem: 'it is gone',
  },
}

test('DISC-7: a schedule is added, listed, changed, paused and removed at the command line', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.schedules.create, () => schedule)
  server.answer(api.schedules.list, () => ({ items: [schedule] }))
  server.answer(api.schedules.change, () => ({ ...schedule, paused: true }))
  server.answer(api.schedules.remove, () => ({ removed: true }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const inputs = (name: string) => server.calls.filter((call) => call.name === name).map((call) => call.input)

  const words = ['--cron', '30 3 * * *', '--time-zone', 'Europe/Zurich', '--no-propose']
  const added = await keyward(['scan', 'schedule', 'add', '/srv/shop', ...words])
  assert.equal(added.code, 0, added.stderr)
  assert.match(added.stdout, /When +30 3 \* \* \* \(Europe\/Zurich\)/)
  const wanted = { path: '/srv/shop', cron: '30 3 * * *', timeZone: 'Europe/Zurich', propose: false }
  assert.deepEqual(inputs('schedules.create'), [{ ...wanted, history: 'new', watch: false, push: null }])

  const listed = await keyward(['scan', 'schedule', 'list'])
  assert.match(listed.stdout, /sch_1 +failed +30 3 \* \* \*.*1 of 2 +\/srv\/shop/)
  assert.equal((await keyward(['scan', 'schedule', 'pause', 'sch_1'])).code, 0)
  await keyward(['scan', 'schedule', 'resume', 'sch_1'])
  await keyward(['scan', 'schedule', 'change', 'sch_1', '--no-cron', '--watch'])
  assert.deepEqual(inputs('schedules.change'), [
    { scheduleId: 'sch_1', paused: true },
    { scheduleId: 'sch_1', paused: false },
    { scheduleId: 'sch_1', cron: null, watch: true },
  ])
  const removed = await keyward(['scan', 'schedule', 'remove', 'sch_1'])
  assert.match(removed.stderr, /Its findings stay/)
})

test('DISC-7: a schedule for pushes shows its secret once; half of what it needs is refused', async (t) => {
  const server = await openContractServer(t)
  const push = { provider: 'gitlab', repository: 'team/shop' } as const
  server.answer(api.schedules.create, () => ({ ...schedule, cron: null, push, hook: '/api/v1/hooks/sch_1' }))
  server.answer(api.schedules.secret, () => ({ secret: 'shown once' }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const add = ['scan', 'schedule', 'add', '/srv/shop', '--push', 'gitlab']
  const half = await keyward(add)
  assert.deepEqual([half.code, server.calls.length], [2, 0])
  assert.match(half.stderr, /--push and --repository belong together/)
  const added = await keyward([...add, '--repository', 'team/shop'])
  assert.match(added.stdout, /Webhook +\/api\/v1\/hooks\/sch_1[\s\S]*shown once/)
  assert.equal((await keyward(['scan', 'schedule', 'change', 'sch_1'])).code, 2)
  assert.equal((await keyward(['scan', 'schedule', 'secret', 'sch_1'])).stdout, 'shown once\n')
})

test('DISC-7: a run that is waited for ends with its outcome', async (t) => {
  const server = await openContractServer(t)
  const views: ScheduleView[] = [
    schedule,
    { ...schedule, runs: 3, last: schedule.last && { ...schedule.last, state: 'running' } },
    { ...schedule, runs: 3 },
  ]
  server.answer(api.schedules.run, () => schedule)
  server.answer(api.schedules.list, () => ({ items: [views.shift() ?? schedule] }))
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const run = await keyward(['scan', 'schedule', 'run', 'sch_1'])
  assert.equal(run.code, 1)
  assert.match(run.stdout, /it is gone/)
  assert.equal(views.length, 0)
  assert.equal((await keyward(['scan', 'schedule', 'run', 'sch_1', '--no-wait'])).code, 0)
})

test('DISC-5: findings are ignored to the end of a day, and opened again', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.findings.ignore, () => ({ findings: ['fnd_1', 'fnd_2'] }))
  server.answer(api.findings.reopen, () => ({ findings: ['fnd_1'] }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const words = ['findings', 'ignore', 'fnd_1', 'fnd_2', '--reason', 'rotated']
  const ignored = await keyward([...words, '--until', '2027-03-31'])
  assert.match(ignored.stderr, /2 findings are ignored until the end of 2027-03-31/)
  const until = '2027-03-31T23:59:59.999Z'
  assert.deepEqual(server.calls[0]?.input, { findingIds: ['fnd_1', 'fnd_2'], reason: 'rotated', until })
  for (const day of ['2027-02-30', 'tomorrow', '2027-3-1'])
    assert.equal((await keyward([...words, '--until', day])).code, 2, day)
  assert.match((await keyward(['findings', 'reopen', 'fnd_1'])).stderr, /1 finding is open again/)
})

test('DISC-3: trend and folders are tables, and JSON for programs', async (t) => {
  const server = await openContractServer(t)
  const day = { day: '2026-01-02', open: 5, opened: 2, fixed: 1, imported: 0, ignored: 3 }
  const folder = { path: 'services/api', kind: 'folder', findings: 4, high: 3, medium: 1, low: 0 } as const
  server.answer(api.findings.trend, () => ({ days: [day] }))
  server.answer(api.findings.folders, () => ({ folder: 'services', items: [folder] }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  assert.match((await keyward(['findings', 'trend', '--days', '7'])).stdout, /2026-01-02 +5 +2 +1 +0 +3/)
  assert.match((await keyward(['findings', 'folders', 'services'])).stdout, /4 +3 +1 +0 +services\/api\//)
  const json = await keyward(['findings', 'folders', '--json'])
  assert.deepEqual(JSON.parse(json.stdout), { folder: 'services', items: [folder] })
})

const firing: RunFiring = {
  dueAt: at,
  cause: 'person',
  state: 'refused',
  requestedBy: 'person:olga',
  runId: null,
  runState: null,
  reason: 'policy.denied: nobody may',
}
const runSchedule: RunScheduleView = {
  id: 'sch_2',
  title: 'Look at the shop',
  flow: 'diagnose',
  input: { service: 'shop' },
  cron: '0 7 * * *',
  timeZone: 'UTC',
  missed: 'once',
  overlap: 'skip',
  paused: false,
  createdBy: 'person:olga',
  createdAt: at,
  requestedBy: 'person:olga',
  nextAt: at,
  started: 3,
  refused: 1,
  last: firing,
}

test('WORK-1: a flow is put on the clock, shown, changed, paused, started and removed at the command line', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.runSchedules.create, () => runSchedule)
  server.answer(api.runSchedules.list, () => ({ items: [runSchedule] }))
  server.answer(api.runSchedules.read, () => ({ ...runSchedule, firings: [firing] }))
  server.answer(api.runSchedules.change, () => ({ ...runSchedule, paused: true }))
  server.answer(api.runSchedules.run, () => runSchedule)
  server.answer(api.runSchedules.remove, () => ({ removed: true }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const inputs = (name: string) => server.calls.filter((call) => call.name === name).map((call) => call.input)

  const words = ['--cron', '0 7 * * *', '--overlap', 'queue', '--input', '-']
  const added = await keyward(['runs', 'schedule', 'add', 'diagnose', ...words], {
    input: '{"service":"shop"}',
  })
  assert.equal(added.code, 0, added.stderr)
  assert.match(added.stdout, /In the name of +person:olga/)
  const wanted = { flow: 'diagnose', input: { service: 'shop' }, cron: '0 7 * * *', timeZone: 'UTC' }
  assert.deepEqual(inputs('run_schedules.create'), [{ ...wanted, missed: 'once', overlap: 'queue' }])
  assert.equal((await keyward(['runs', 'schedule', 'add', 'diagnose'])).code, 2, 'without a time')

  assert.match((await keyward(['runs', 'schedule', 'list'])).stdout, /sch_2 +refused +0 7 \* \* \* \(UTC\)/)
  server.answer(api.runSchedules.times, () => ({ timeZone: 'Asia/Tokyo', items: [at, at] }))
  const times = await keyward(['runs', 'schedule', 'times', '0 7 * * *', '--time-zone', 'Asia/Tokyo'])
  assert.equal(times.stdout.trimEnd().split('\n').length, 2, times.stderr)
  assert.deepEqual(inputs('run_schedules.times'), [{ cron: '0 7 * * *', timeZone: 'Asia/Tokyo' }])
  const shown = await keyward(['runs', 'schedule', 'show', 'sch_2'])
  assert.match(shown.stdout, /refused .*policy\.denied: nobody may/)
  await keyward(['runs', 'schedule', 'pause', 'sch_2'])
  await keyward(['runs', 'schedule', 'change', 'sch_2', '--missed', 'all'])
  assert.deepEqual(inputs('run_schedules.change'), [
    { scheduleId: 'sch_2', paused: true },
    { scheduleId: 'sch_2', missed: 'all' },
  ])
  assert.equal((await keyward(['runs', 'schedule', 'change', 'sch_2'])).code, 2)
  const ran = await keyward(['runs', 'schedule', 'run', 'sch_2'])
  assert.equal(ran.code, 1, 'what is refused has not succeeded')
  assert.equal((await keyward(['runs', 'schedule', 'run', 'sch_2', '--no-wait'])).code, 0)
  assert.equal((await keyward(['runs', 'schedule', 'remove', 'sch_2'])).code, 0)
})
