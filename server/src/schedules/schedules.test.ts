// Scans that come again, with the real scanner, vault and store, and a clock that is moved.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { olga } from '../../test/support/findings-world.ts'
import { newPaymentsKey } from '../../test/support/leaky-project.ts'
import { openSchedulesWorld } from '../../test/support/schedules-world.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import { markStarted, setToPropose } from './schedules-store.ts'

const hour = 3_600_000
const day = 24 * hour

test('DISC-7: a folder is scanned at its times, and what is new is proposed once', async (t) => {
  const { write, nightly, pass, proposals, findings, schedules } = await openSchedulesWorld(t)
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  const made = await nightly()
  assert.deepEqual([made.nextAt, made.last, made.runs], ['2026-01-01T03:00:00.000Z', null, 0])
  assert.equal((await pass(2 * hour))[0]?.runs, 0)
  const [first] = await pass(hour)
  assert.deepEqual([first?.runs, first?.last?.state, first?.last?.opened], [1, 'finished', 1])
  assert.equal(first?.nextAt, '2026-01-02T03:00:00.000Z')
  const { items } = await findings.page({ limit: 10 })
  assert.deepEqual(proposals, [
    { findingIds: items.map(({ id }) => id), idempotencyKey: `proposal of ${first?.last?.scanId}` },
  ])
  const scan = await findings.readScan(first?.last?.scanId ?? '')
  assert.deepEqual([scan.cause, scan.scheduleId], ['schedule', made.id])
  const [second] = await pass(day)
  assert.deepEqual([second?.runs, second?.last?.opened, proposals.length], [2, 0, 1])
  const counts = await schedules.counts()
  assert.deepEqual([counts.count, counts.runs, counts.failures, counts.failing], [1, 2, 0, 0])
})

test('DISC-7: times that went by while the server was away become one scan', async (t) => {
  const { nightly, pass, start, schedules } = await openSchedulesWorld(t)
  await nightly()
  await pass(3 * hour)
  schedules.stop()
  await pass(5 * day)
  assert.equal((await schedules.list())[0]?.runs, 1, 'a server that is stopped scans nothing')
  const again = await start()
  const [now] = await pass(0, again)
  assert.deepEqual([now?.runs, now?.nextAt], [2, '2026-01-07T03:00:00.000Z'])
  assert.equal((await pass(hour, again))[0]?.runs, 2)
})

test('DISC-7: a scan that was cut off is told as failed, and not begun again before its time', async (t) => {
  const { nightly, pass, start, store, clock, schedules } = await openSchedulesWorld(t)
  const { id } = await nightly()
  schedules.stop()
  // As the process leaves it that is killed between taking the turn and the end of the scan.
  const nextAt = Date.parse('2026-01-02T03:00:00.000Z')
  clock.advance(3 * hour)
  await store.write((tx) => markStarted(tx, id, { now: clock.now().getTime(), nextAt }))
  const again = await start()
  const [cut] = await pass(0, again)
  assert.deepEqual([cut?.runs, cut?.failures, cut?.last?.state], [1, 1, 'failed'])
  assert.match(cut?.last?.problem ?? '', /cut off/)
  const [next] = await pass(day, again)
  assert.deepEqual([next?.runs, next?.failures, next?.last?.state], [2, 1, 'finished'])
})

test('DISC-7: what a stopped server did not get to propose, the next one proposes', async (t) => {
  const { write, nightly, pass, start, store, schedules, proposals } = await openSchedulesWorld(t)
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  await nightly()
  const [done] = await pass(3 * hour)
  schedules.stop()
  await store.write((tx) => setToPropose(tx, done?.id ?? '', done?.last?.scanId ?? ''))
  const again = await start()
  await again.idle()
  assert.equal(proposals.length, 2)
  assert.deepEqual(proposals[1], proposals[0], 'the key makes them one run')
})

test('DISC-7: what a person has put back is not proposed again, and what reappears is', async (t) => {
  const { write, nightly, pass, findings, store, proposals } = await openSchedulesWorld(t)
  const content = `STRIPE_KEY=${newPaymentsKey()}\n`
  write('.env', content)
  await nightly()
  await pass(3 * hour)
  const [id = ''] = proposals[0]?.findingIds ?? []
  await store.write(async (tx) => {
    await findings.claim(tx, [id], 'run_1')
    await findings.finishImport(tx, 'run_1')
    await tx.run({ text: `update findings set state = 'restored' where id = ?`, values: [id] })
  })
  const [back] = await pass(day)
  assert.deepEqual([(await findings.read(id)).state, back?.last?.opened, proposals.length], ['open', 0, 1])
  write('.env', 'STRIPE_KEY=\n')
  assert.equal((await pass(day))[0]?.last?.fixed, 1)
  write('.env', content)
  const [again] = await pass(day)
  assert.deepEqual([again?.last?.opened, proposals.length], [1, 2])
})

test('DISC-7: a failed scan is counted and told, and the next one may succeed', async (t) => {
  const { nightly, pass, root, schedules } = await openSchedulesWorld(t)
  await nightly()
  rmSync(root, { recursive: true })
  const [failed] = await pass(3 * hour)
  assert.deepEqual([failed?.last?.state, failed?.failures, failed?.last?.scanId], ['failed', 1, null])
  assert.match(failed?.last?.problem ?? '', /no such file/i)
  assert.equal((await schedules.counts()).failing, 1)
  mkdirSync(root)
  assert.equal((await pass(day))[0]?.last?.state, 'finished')
  assert.equal((await schedules.counts()).failing, 0)
})

test('DISC-7: while the vault is sealed what is due waits for it', async (t) => {
  const { nightly, pass, seal } = await openSchedulesWorld(t)
  await nightly()
  seal(true)
  assert.equal((await pass(4 * hour))[0]?.runs, 0)
  seal(false)
  assert.equal((await pass(10_000))[0]?.runs, 1)
})

test('DISC-7: a paused schedule does nothing, and goes on with its next time', async (t) => {
  const { nightly, pass, schedules } = await openSchedulesWorld(t)
  const { id } = await nightly()
  const paused = await schedules.change(id, { paused: true }, olga)
  assert.deepEqual([paused.paused, paused.nextAt], [true, null])
  await assert.rejects(schedules.run(id, olga), { code: 'schedule.busy' })
  assert.equal((await pass(5 * day))[0]?.runs, 0)
  const on = await schedules.change(id, { paused: false }, olga)
  assert.equal(on.nextAt, '2026-01-06T03:00:00.000Z')
  assert.equal((await pass(0))[0]?.runs, 0)
  assert.equal((await pass(day))[0]?.runs, 1)
})

test('DISC-7: a person may have it scan now; twice at once is refused', async (t) => {
  const { nightly, pass, schedules } = await openSchedulesWorld(t)
  const { id } = await nightly()
  const [one, two] = await Promise.allSettled([schedules.run(id, olga), schedules.run(id, olga)])
  assert.deepEqual([one?.status, two?.status].sort(), ['fulfilled', 'rejected'])
  const [done] = await pass(0)
  assert.deepEqual([done?.runs, done?.nextAt], [1, '2026-01-01T03:00:00.000Z'])
  await schedules.run(id, olga)
  assert.equal((await pass(0))[0]?.runs, 2)
})

test('DISC-7: what says no time, no folder or a second schedule of a folder is refused', async (t) => {
  const { nightly, schedules, dataDir, root, write } = await openSchedulesWorld(t)
  await assert.rejects(nightly({ cron: null }), { code: 'request.invalid' })
  await assert.rejects(nightly({ cron: '0 0 31 2 *' }), { code: 'request.invalid' })
  await assert.rejects(nightly({ timeZone: 'Mars/Base' }), { code: 'request.invalid' })
  await assert.rejects(nightly({ path: `${root}/none` }), { code: 'scan.path_unreadable' })
  await assert.rejects(nightly({ path: dataDir }), { code: 'scan.path_unreadable' })
  write('file', '')
  await assert.rejects(nightly({ path: `${root}/file` }), { code: 'scan.path_unreadable' })
  const { id } = await nightly()
  await assert.rejects(nightly({ path: `${root}/.` }), { code: 'schedule.exists' })
  await assert.rejects(schedules.change(id, { cron: null }, olga), { code: 'request.invalid' })
  await assert.rejects(schedules.change('sch_none', {}, olga), { code: 'schedule.not_found' })
  await assert.rejects(schedules.run('sch_none', olga), { code: 'schedule.not_found' })
  await assert.rejects(schedules.remove('sch_none', olga), { code: 'schedule.not_found' })
  await assert.rejects(schedules.issueSecret('sch_none', olga), { code: 'schedule.not_found' })
  await assert.rejects(schedules.issueSecret(id, olga), { code: 'schedule.no_push' })
  await schedules.remove(id, olga)
  assert.deepEqual(await schedules.list(), [])
  await nightly()
})

test('POL-1: a policy that forbids scans or runs holds for schedules too', async (t) => {
  const closed = `@id("closed") forbid (principal is System, action == Action::"scans.start", resource);`
  const one = await openSchedulesWorld(t, { rules: closed })
  await one.nightly()
  const [refused] = await one.pass(3 * hour)
  assert.equal(refused?.last?.state, 'failed')
  assert.match(refused?.last?.problem ?? '', /closed/)

  const quiet = `@id("quiet") forbid (principal is System, action == Action::"runs.start", resource);`
  const two = await openSchedulesWorld(t, { rules: quiet })
  two.write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  await two.nightly()
  const [kept] = await two.pass(3 * hour)
  assert.deepEqual([kept?.last?.state, kept?.last?.opened, two.proposals.length], ['finished', 1, 0])
  assert.match(kept?.last?.problem ?? '', /could not be proposed: .*quiet/)
})

test('DISC-7: without propose, what is found is kept and nothing is proposed', async (t) => {
  const { write, nightly, pass, proposals } = await openSchedulesWorld(t)
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  await nightly({ propose: false })
  assert.equal((await pass(3 * hour))[0]?.last?.opened, 1)
  assert.deepEqual(proposals, [])
})

test('DISC-7: a watched folder: what a file brings is proposed, and what it loses is fixed', async (t) => {
  const { write, remove, nightly, findings, proposals, schedules, commit, git } = await openSchedulesWorld(t)
  git('init', '--quiet')
  write('.gitignore', 'build\n')
  write('old.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  commit('one')
  const { id } = await nightly({ cron: null, watch: true })
  const filesIn = async (state: 'open' | 'fixed'): Promise<string[]> => {
    const { items } = await findings.page({ limit: 10, state })
    return items.map(({ places }) => places[0]?.file ?? '').sort()
  }
  await eventually(async () => (await filesIn('open')).length === 1, 'the first scan')
  await schedules.idle()
  assert.equal((await schedules.list())[0]?.watching?.state, 'on')

  write('sub/new.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  write('build/out.txt', `STRIPE_KEY=${newPaymentsKey()}\n`)
  await eventually(async () => (await filesIn('open')).includes('sub/new.env'), 'the new file')
  await eventually(async () => proposals.length === 2, 'its proposal')
  assert.equal(proposals[1]?.findingIds.length, 1)
  remove('sub')
  await eventually(async () => (await filesIn('fixed')).includes('sub/new.env'), 'its end')
  assert.deepEqual(await filesIn('open'), ['old.env'])

  await schedules.change(id, { watch: false, cron: '0 3 * * *' }, olga)
  assert.equal((await schedules.list())[0]?.watching, null)
})

test('DISC-7: a folder that cannot be watched says so, and is tried again', async (t) => {
  const { nightly, root, schedules, clock, start } = await openSchedulesWorld(t)
  await nightly({ watch: true })
  schedules.stop()
  rmSync(root, { recursive: true })
  const again = await start()
  await eventually(async () => (await again.list())[0]?.watching?.state === 'failing', 'the failure')
  assert.match((await again.list())[0]?.watching?.problem ?? '', /no such file/i)
  mkdirSync(root)
  clock.advance(31_000)
  await eventually(
    async () => (await again.list())[0]?.last?.state === 'finished',
    'the scan of the new folder',
  )
  await again.idle()
})

const repository = 'team/shop'
const github = (secret: string, id: string, content: object) => {
  const body = Buffer.from(JSON.stringify({ repository: { full_name: repository }, ...content }))
  const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  const headers = { 'x-github-event': 'push', 'x-github-delivery': id, 'x-hub-signature-256': signature }
  return { headers, body }
}

test('DISC-7: a push to a registered repository scans its new commits; the same delivery counts once', async (t) => {
  const { write, commit, git, nightly, pass, schedules, proposals, findings, store } =
    await openSchedulesWorld(t)
  git('init', '--quiet')
  write('a.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  commit('one')
  const made = await nightly({ cron: null, history: 'new', push: { provider: 'github', repository } })
  assert.deepEqual([made.hook, made.hookReady], [`/api/v1/hooks/${made.id}`, false])
  const early = github('no secret was issued', 'delivery-0', {})
  await assert.rejects(schedules.receive(made.id, early), { code: 'push.refused' })
  const secret = (await schedules.issueSecret(made.id, olga)).reveal()
  const first = github(secret, 'delivery-1', { after: '1' })
  assert.equal(await schedules.receive(made.id, first), true)
  const [one] = await pass(0)
  assert.deepEqual([one?.runs, one?.hookReady, proposals.length], [1, true, 1])

  const replays = [
    first,
    { ...first, headers: { ...first.headers, 'x-github-delivery': 'delivery-2' } },
    github(secret, 'delivery-1', { after: 'other' }),
  ]
  for (const replay of replays)
    await assert.rejects(schedules.receive(made.id, replay), { code: 'push.repeated' })
  assert.equal((await pass(0))[0]?.runs, 1)

  write('b.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  commit('two')
  assert.equal(await schedules.receive(made.id, github(secret, 'delivery-3', { after: '2' })), true)
  const [two] = await pass(0)
  const scan = await findings.readScan(two?.last?.scanId ?? '')
  assert.deepEqual([scan.cause, scan.history, scan.commitsScanned, scan.opened], ['push', 'new', 1, 1])

  const ping = github(secret, 'delivery-4', {})
  assert.equal(
    await schedules.receive(made.id, { ...ping, headers: { ...ping.headers, 'x-github-event': 'ping' } }),
    false,
  )
  const renewed = (await schedules.issueSecret(made.id, olga)).reveal()
  const old = github(secret, 'delivery-5', { after: '3' })
  await assert.rejects(schedules.receive(made.id, old), { code: 'push.refused' })
  await schedules.change(made.id, { paused: true }, olga)
  const later = github(renewed, 'delivery-6', { after: '4' })
  await assert.rejects(schedules.receive(made.id, later), { code: 'push.refused', detail: /is paused/ })
  const unsigned = github('not the secret', 'delivery-7', { after: '4' })
  const untold = {
    code: 'push.refused',
    detail: 'nobody listens here, or it is not signed as it must be',
  }
  await assert.rejects(schedules.receive(made.id, unsigned), untold)
  await assert.rejects(schedules.receive('sch_none', later), untold)
  const entries = await store.all<{ type: string }>({
    text: `select type from audit_entries where type = 'push.refused'`,
    values: [],
  })
  assert.ok(entries.length >= 6, `${entries.length} refusals are recorded`)
})

test('DISC-7: a bare repository has its history scanned, and no folder of a payload is ever looked at', async (t) => {
  const { write, commit, git, nightly, pass, schedules, root } = await openSchedulesWorld(t)
  git('init', '--quiet')
  write('a.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  commit('one')
  const bare = `${temporaryFolder(t)}/shop.git`
  git('clone', '--quiet', '--bare', root, bare)
  const push = { provider: 'github', repository } as const
  const made = await nightly({ path: bare, cron: null, history: 'new', push })
  const secret = (await schedules.issueSecret(made.id, olga)).reveal()
  const elsewhere = { clone_url: `file://${root}`, full_name: repository, url: root }
  await schedules.receive(made.id, github(secret, 'delivery-1', { repository: elsewhere }))
  const [done] = await pass(0)
  assert.deepEqual([done?.last?.state, done?.last?.opened, done?.path], ['finished', 1, bare])
})
