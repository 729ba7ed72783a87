// Flows that are started by the clock, with the real engine and store, and a clock that is moved.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RunScheduleView } from '@keyward/contract'
import { cleanUp } from '../../test/support/clean-up.ts'
import { olga, pendingApproval, piet } from '../../test/support/engine.ts'
import { openFlowsWorld } from '../../test/support/flows-world.ts'
import { type Principal, silentLog } from '../core/index.ts'
import { type Firing, insertFiring } from './firings-store.ts'
import { createRunSchedules, runSchedulesMigrations } from './index.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const hourly = { flow: 'note', input: { word: 'tidy' }, cron: '0 * * * *', timeZone: 'UTC' }

async function open(t: TestContext, { rules = '' } = {}) {
  const world = await openFlowsWorld(t, { rules, migrations: runSchedulesMigrations })
  let sealed = false
  const needs = { ...world, log: silentLog, vault: { status: () => ({ sealed }) as never } }
  /** As a server that starts on the same store. */
  const start = () => {
    const schedules = createRunSchedules(needs)
    cleanUp(t, () => schedules.stop())
    schedules.start()
    return schedules
  }
  const schedules = start()
  const make = (change: Partial<Parameters<typeof schedules.create>[0]> = {}, by = olga) =>
    schedules.create({ ...hourly, missed: 'once', overlap: 'skip', ...change }, by)
  return {
    ...world,
    schedules,
    start,
    make,
    seal: (now: boolean) => {
      sealed = now
    },
    /** Lets time pass, and waits until what became due is started. */
    async pass(milliseconds: number, by = schedules): Promise<RunScheduleView> {
      // A look that goes on sets the timer of the next one when it ends.
      await by.idle()
      world.clock.advance(milliseconds)
      await by.idle()
      const [only] = await by.list()
      assert.ok(only)
      return only
    },
  }
}

test('WORK-1: a flow is started at its times, once each, in the name of who made the schedule', async (t) => {
  const { make, pass, runs, workflow } = await open(t)
  const made = await make({ title: 'Tidy up' })
  assert.deepEqual([made.title, made.nextAt, made.last], ['Tidy up', '2026-01-01T01:00:00.000Z', null])
  assert.equal((await pass(59 * minute)).started, 0)
  const first = await pass(minute)
  assert.deepEqual(
    [first.started, first.last?.state, first.last?.dueAt],
    [1, 'started', '2026-01-01T01:00:00.000Z'],
  )
  const [run] = await runs()
  assert.deepEqual([run?.requestedBy, run?.unattended, run?.id], ['person:olga', false, first.last?.runId])
  await workflow.whenEnded(run?.id ?? '')
  await pass(5000)
  await pass(5000)
  assert.equal((await runs()).length, 1, 'looking again starts nothing')
  const second = await pass(hour)
  assert.deepEqual([second.started, (await runs()).length], [2, 2])
})

test('WORK-1: the next times are told before a schedule is made, and what never comes is refused', async (t) => {
  const { schedules, make } = await open(t)
  const rhythm = { cron: '30 6 * * 1-5', timeZone: 'Europe/Zurich' }
  const { timeZone, items } = schedules.times(rhythm)
  assert.deepEqual(
    [timeZone, ...items],
    ['Europe/Zurich', ...['01', '02', '05', '06', '07'].map((day) => `2026-01-${day}T05:30:00.000Z`)],
  )
  assert.equal((await make(rhythm)).nextAt, items[0], 'as it is then')
  assert.deepEqual(schedules.times({ cron: '0 0 29 2 *', timeZone: 'utc' }).items.slice(0, 2), [
    '2028-02-29T00:00:00.000Z',
    '2032-02-29T00:00:00.000Z',
  ])
  for (const [cron, zone] of [
    ['0 0 30 2 *', 'UTC'],
    ['every day', 'UTC'],
    ['0 7 * * *', 'Europe/Atlantis'],
  ] as const)
    assert.throws(() => schedules.times({ cron, timeZone: zone }), { code: 'request.invalid' })
})

test('WORK-2: a time that was taken and not started is started by the next server, once', async (t) => {
  const { make, pass, runs, store, schedules, start, clock } = await open(t)
  const { id } = await make()
  schedules.stop()
  // As a process leaves it that is killed after it took the time.
  const dueAt = Date.parse('2026-01-01T00:30:00.000Z')
  const waiting: Firing = {
    scheduleId: id,
    dueAt,
    cause: 'clock',
    state: 'waiting',
    requestedBy: 'person:olga',
    runId: null,
    runState: null,
    reason: null,
  }
  assert.equal(await store.write((tx) => insertFiring(tx, waiting)), true)
  assert.equal(await store.write((tx) => insertFiring(tx, waiting)), false, 'a time is there once')
  clock.advance(31 * minute)
  const [one, other] = [start(), start()]
  await pass(0, other)
  const after = await pass(0, one)
  assert.deepEqual([after.started, (await runs()).length], [1, 1], 'also when two servers look at once')
})

test('WORK-1: times that went by are made up for as the schedule says', async (t) => {
  const outcomes: Record<string, [started: number, missed: string | undefined]> = {}
  for (const missed of ['skip', 'once', 'all'] as const) {
    const { make, pass, schedules, start, runs } = await open(t)
    const { id } = await make({ missed, overlap: 'allow' })
    schedules.stop()
    await pass(5 * hour + 10 * minute)
    const again = start()
    const now = await pass(0, again)
    assert.equal(now.nextAt, '2026-01-01T06:00:00.000Z')
    const { firings } = await again.read(id)
    outcomes[missed] = [(await runs()).length, firings.find(({ state }) => state === 'missed')?.dueAt]
    assert.equal((await pass(50 * minute, again)).started, outcomes[missed][0] + 1)
  }
  assert.deepEqual(outcomes, {
    skip: [0, '2026-01-01T05:00:00.000Z'],
    once: [1, '2026-01-01T04:00:00.000Z'],
    all: [5, undefined],
  })
})

test('WORK-1: no more than 24 times are made up for, however long the server was away', async (t) => {
  const { make, pass, schedules, start, runs } = await open(t)
  const { id } = await make({ missed: 'all', overlap: 'allow', cron: '*/5 * * * *' })
  schedules.stop()
  await pass(40 * day)
  const again = start()
  await pass(0, again)
  assert.equal((await runs()).length, 24)
  const missed = (await again.read(id)).firings.filter(({ state }) => state === 'missed')
  assert.match(missed[0]?.reason ?? '', /from 2026-01-01T00:05:00.000Z on went by/)
  assert.equal((await again.counts()).missedSpans, 1)
})

test('WORK-1: while an earlier run goes on, a time is skipped, waits, or starts beside it', async (t) => {
  const outcomes: Record<string, unknown> = {}
  for (const overlap of ['skip', 'queue', 'allow'] as const) {
    const { make, pass, schedules, approvals, workflow, runs } = await open(t)
    const { id } = await make({ flow: 'ask', overlap })
    await pass(hour)
    const [first] = await runs()
    const question = await pendingApproval(approvals, first?.id ?? '')
    await pass(hour)
    for (const { id: runId } of await runs()) await pendingApproval(approvals, runId)
    const { firings } = await schedules.read(id)
    outcomes[overlap] = firings.map(({ state, runState }) => [state, runState])
    if (overlap === 'skip') assert.match(firings[0]?.reason ?? '', /had not ended/)
    await approvals.deny(piet, question.id, { digest: question.digest, channel: 'api' })
    await workflow.whenEnded(first?.id ?? '')
    await pass(5000)
    assert.equal((await runs()).length, overlap === 'skip' ? 1 : 2, overlap)
  }
  const asked = ['started', 'AwaitingApproval']
  assert.deepEqual(outcomes, {
    skip: [['skipped', null], asked],
    queue: [['waiting', null], asked],
    allow: [asked, asked],
  })
})

test('WORK-1: a run that waits for a person holds its schedule, which says so until it has ended', async (t) => {
  const { make, pass, schedules, approvals, workflow, runs } = await open(t)
  const { id } = await make({ flow: 'ask', overlap: 'skip' })
  const beside = await make({ flow: 'ask', overlap: 'allow' })
  await pass(hour)
  const held = (await schedules.read(id)).last?.runId ?? ''
  const question = await pendingApproval(approvals, held)
  for (const run of await runs()) await pendingApproval(approvals, run.id)
  await pass(hour)
  const { heldBy, last, skipped } = await schedules.read(id)
  assert.deepEqual(
    [heldBy, last?.state, skipped],
    [{ runId: held, runState: 'AwaitingApproval' }, 'skipped', 1],
  )
  assert.match(last?.reason ?? '', /had not ended: it waits for a person \(AwaitingApproval\)/)
  assert.equal((await schedules.read(beside.id)).heldBy, null)
  assert.equal((await schedules.counts()).held, 1)
  await approvals.deny(piet, question.id, { digest: question.digest, channel: 'api' })
  await workflow.whenEnded(held)
  const counts = await schedules.counts()
  assert.deepEqual([counts.held, counts.skipped, (await schedules.read(id)).heldBy], [0, 1, null])
})

test('WORK-1: ten times wait for a run that does not end, and no more', async (t) => {
  const { make, pass, schedules, runs } = await open(t)
  const { id } = await make({ flow: 'ask', overlap: 'queue' })
  for (let count = 0; count < 13; count++) await pass(hour)
  const states = (await schedules.read(id)).firings.map(({ state }) => state)
  assert.equal(states.filter((state) => state === 'waiting').length, 10)
  assert.equal(states.filter((state) => state === 'skipped').length, 2)
  await schedules.change(id, { paused: true }, olga)
  const paused = (await schedules.read(id)).firings
  assert.equal(paused.filter(({ reason }) => reason === 'the schedule was paused').length, 10)
  assert.equal((await runs()).length, 1)
})

test('IDENT-1: the schedule of a closed account starts nothing, and says why', async (t) => {
  const { make, pass, close, runs, schedules } = await open(t)
  const { id } = await make()
  close(olga)
  const refused = await pass(hour)
  assert.deepEqual([refused.refused, refused.last?.state, await runs()], [1, 'refused', []])
  assert.match(refused.last?.reason ?? '', /^policy\.denied: person:olga.* has no account/)
  assert.equal((await schedules.counts()).failing, 1)
  const taken = await schedules.change(id, { input: { word: 'mine' } }, piet)
  assert.deepEqual([taken.requestedBy, taken.createdBy], ['person:piet', 'person:olga'])
  await pass(hour)
  assert.equal((await runs())[0]?.requestedBy, 'person:piet')
  assert.equal((await schedules.counts()).failing, 0)
})

test('POL-1: who may not start the flow makes no schedule of it, and a later rule holds at each time', async (t) => {
  const nobody: Principal = { ...olga, id: 'nina', name: 'nina', roles: ['auditor'] }
  const forbidden = `@id("no-notes") forbid (principal, action == Action::"runs.start", resource) when { resource has flow && resource.flow == "ask" };`
  const { make, pass, schedules, runs } = await open(t, { rules: forbidden })
  await assert.rejects(make({ flow: 'ask' }), { code: 'policy.denied', detail: /no-notes/ })
  await assert.rejects(make({}, nobody), { code: 'policy.denied' })
  const token: Principal = { kind: 'token', id: 'tok_1', name: 'root', roles: ['owner'] }
  await assert.rejects(make({}, token), { code: 'policy.denied' })
  const { id } = await make()
  await assert.rejects(schedules.run(id, nobody), { code: 'policy.denied' })
  await assert.rejects(schedules.change(id, { cron: '* * * * *' }, nobody), { code: 'policy.denied' })
  assert.equal((await pass(hour)).started, 1)
  assert.equal((await runs()).length, 1)
})

test('APPR-2: who changes a schedule, or has it run now, asks for its runs, and does not approve them', async (t) => {
  const { make, pass, schedules, runs } = await open(t)
  const { id } = await make({ flow: 'ask' })
  await schedules.run(id, piet)
  const now = await pass(0)
  assert.deepEqual(
    [now.last?.cause, now.last?.requestedBy, now.requestedBy],
    ['person', 'person:piet', 'person:olga'],
  )
  assert.equal((await runs())[0]?.requestedBy, 'person:piet')
  await assert.rejects(schedules.run(id, olga), { code: 'schedule.busy', detail: /has not ended/ })
  assert.equal((await schedules.change(id, { paused: true }, piet)).requestedBy, 'person:olga')
  assert.equal((await schedules.change(id, { cron: '5 * * * *' }, piet)).requestedBy, 'person:piet')
})

test('WORK-1: a paused schedule does nothing, and goes on with its next time', async (t) => {
  const { make, pass, schedules, runs } = await open(t)
  const { id } = await make()
  const paused = await schedules.change(id, { paused: true }, olga)
  assert.deepEqual([paused.paused, paused.nextAt], [true, null])
  await assert.rejects(schedules.run(id, olga), { code: 'schedule.busy', detail: /paused/ })
  await pass(5 * hour)
  const on = await schedules.change(id, { paused: false }, olga)
  assert.equal(on.nextAt, '2026-01-01T06:00:00.000Z')
  assert.deepEqual(await runs(), [])
  assert.equal((await pass(hour)).started, 1)
})

test('VAULT-1: while the vault is sealed nothing is started, and its times are made up for', async (t) => {
  const { make, pass, seal, runs } = await open(t)
  await make()
  seal(true)
  assert.equal((await pass(2 * hour)).started, 0)
  seal(false)
  await pass(5000)
  assert.equal((await runs()).length, 1)
})

test('WORK-1: what is no flow, no input, no time or no zone is refused', async (t) => {
  const { make, schedules } = await open(t)
  await assert.rejects(make({ flow: 'none' }), { code: 'flow.not_found' })
  await assert.rejects(make({ input: { word: 1 } }), { code: 'run.plan_invalid', detail: /word/ })
  await assert.rejects(make({ cron: 'often' }), { code: 'request.invalid' })
  await assert.rejects(make({ cron: '0 0 31 2 *' }), { code: 'request.invalid' })
  await assert.rejects(make({ timeZone: 'Mars/Base' }), { code: 'request.invalid' })
  const { id } = await make()
  await assert.rejects(schedules.change(id, { input: {} }, olga), { code: 'run.plan_invalid' })
  for (const work of [
    () => schedules.read('sch_none'),
    () => schedules.change('sch_none', {}, olga),
    () => schedules.run('sch_none', olga),
    () => schedules.remove('sch_none', olga),
  ])
    await assert.rejects(work(), { code: 'schedule.not_found' })
  await schedules.remove(id, olga)
  assert.deepEqual(await schedules.list(), [])
})
