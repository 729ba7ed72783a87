import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { engineMigrations } from '../../test/support/engine.ts'
import { createDatabase, startPostgres } from '../../test/support/postgres.ts'
import { openWorld, type World } from '../../test/support/world.ts'
import { type Clock, newId } from '../core/index.ts'
import { type Reader, type Sql, sql } from '../store/index.ts'
import {
  type Approval,
  endPending,
  insertApproval,
  noteEscalated,
  noteReminded,
  readApproval,
  unusedOf,
} from './approvals-store.ts'
import { nextStep } from './reminders.ts'
import { lastAlone, nextDue, readAlone, readDue } from './waiting-store.ts'
import { createWatch } from './watch.ts'

const start = Date.parse('2026-03-01T00:00:00.000Z')
const [second, minute, hour] = [1000, 60_000, 3_600_000]

/** A clock on the wall, which can be set, and timers, which count what passes. */
function createRoom() {
  let wall = start
  let elapsed = 0
  let timers: { at: number; call: () => void }[] = []
  const clock: Clock = {
    now: () => new Date(wall),
    after(milliseconds, call) {
      const timer = { at: elapsed + milliseconds, call }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
  }
  return {
    clock,
    timers: () => timers.length,
    set: (by: number) => {
      wall += by
    },
    /** To each timer in turn, as time does; `settle` lets what it began come to its end. */
    async pass(milliseconds: number, settle: () => Promise<void>) {
      const until = elapsed + milliseconds
      for (;;) {
        const next = Math.min(until, ...timers.map(({ at }) => at))
        wall += next - elapsed
        elapsed = next
        const due = timers.filter(({ at }) => at <= elapsed)
        timers = timers.filter(({ at }) => at > elapsed)
        for (const { call } of due) call()
        await settle()
        if (due.length === 0 && elapsed >= until) return
      }
    },
  }
}

const nothing: Approval = {
  id: '',
  runId: 'run_1',
  taskId: 'a',
  action: 'test.note',
  title: 'A',
  target: 'shop',
  requestedBy: 'person:olga',
  risk: 'low',
  reversible: true,
  unattended: false,
  preview: '{}',
  subject: '{}',
  digest: '',
  planDigest: '',
  policyVersion: '',
  nonce: '',
  blastRadius: null,
  rollback: null,
  quorum: 1,
  groups: [],
  needsSecondFactor: false,
  escalateTo: [],
  remindAt: null,
  escalateAt: null,
  remindedAt: null,
  escalatedAt: null,
  supersededBy: null,
  grantId: null,
  changeable: false,
  changedBy: [],
  replaces: null,
  carriedFrom: null,
  carriedTo: null,
  state: 'pending',
  mode: null,
  channel: null,
  decidedBy: null,
  reason: null,
  requestedAt: start,
  decidedAt: null,
  expiresAt: start + hour,
  redeemedAt: null,
}

function watching({ store }: World) {
  const room = createRoom()
  const { clock } = room
  const done: string[] = []
  const begun = new Set<Promise<unknown>>()
  let failures = 0
  const watch = createWatch({
    store,
    clock,
    inBackground(work) {
      const doing = work().finally(() => begun.delete(doing))
      begun.add(doing)
    },
    expire: (id) =>
      store.write(async (tx) => {
        if (failures-- > 0) return
        const by = { decidedBy: 'system:clock', mode: null, channel: null, reason: null }
        const ended = await endPending(tx, id, { state: 'expired', ...by, decidedAt: start })
        if (!ended) return
        done.push(`${ended.title} ends`)
        tx.afterCommit(() => watch.ended(id))
      }),
    remind: (id) =>
      store.write(async (tx) => {
        const approval = await readApproval(tx, id)
        const step = approval && nextStep(approval)?.what
        const noted =
          step === 'reminded' ? await noteReminded(tx, id, start) : await noteEscalated(tx, id, [], start)
        if (!noted) return
        done.push(`${noted.title} is ${step}`)
        tx.afterCommit(() => watch.stepped(noted))
      }),
  })
  const settle = async (): Promise<void> => {
    while (begun.size > 0) await Promise.all(begun)
  }
  /** What was done since the last time. */
  const told = (): string[] => done.splice(0)
  const put = async (...approvals: Partial<Approval>[]): Promise<Approval[]> => {
    const now = clock.now()
    const made = approvals.map((more) => ({
      ...nothing,
      id: newId('apr', now),
      requestedAt: now.getTime(),
      ...more,
    }))
    await store.write(async (tx) => {
      for (const approval of made) await insertApproval(tx, approval)
    })
    return made
  }
  return {
    watch,
    room,
    told,
    put,
    settle,
    pass: (milliseconds: number) => room.pass(milliseconds, settle),
    failNext: (times: number) => {
      failures = times
    },
    async ask(...approvals: Partial<Approval>[]) {
      for (const approval of await put(...approvals)) watch.asked(approval)
      await settle()
    },
  }
}

async function open(t: TestContext, databaseUrl?: string) {
  const world = await openWorld(t, engineMigrations, databaseUrl === undefined ? {} : { databaseUrl })
  const opened = { world, ...watching(world) }
  t.after(() => opened.watch.stop())
  return opened
}

/** 700 that wait for different times, some of them over. */
async function manyWait({ put, watch, room, told, pass }: Awaited<ReturnType<typeof open>>) {
  await put(
    ...Array.from({ length: 450 }, () => ({ title: 'late', expiresAt: start - second })),
    ...Array.from({ length: 248 }, () => ({ title: 'far', expiresAt: start + 30 * 24 * hour })),
    { title: 'soon', expiresAt: start + 90 * second, remindAt: start - 5, escalateAt: start + 30 * second },
    { title: 'later', expiresAt: start + 2 * hour, remindAt: start + hour },
  )
  await watch.run()
  assert.deepEqual([...new Set(told())], ['late ends', 'soon is reminded'])
  assert.equal(room.timers(), 2, 'for the next minute, and for the first that comes within it')
  await pass(30 * second)
  assert.deepEqual(told(), ['soon is escalated'])
  await pass(60 * second - 1)
  assert.deepEqual(told(), [])
  await pass(1)
  assert.deepEqual(told(), ['soon ends'])
  await pass(hour)
  assert.deepEqual(told(), ['later is reminded'])
  await pass(hour)
  assert.deepEqual(told(), ['later ends'])
  assert.equal(room.timers(), 1)
}

test('WORK-2, APPR-1: however many wait, two timers end and remind of each in time, and what was due meanwhile at the start', async (t) => {
  await manyWait(await open(t))
})

test('OPS-1: the same on PostgreSQL, and those that may be answered without a person', async (t) => {
  const opened = await open(t, await createDatabase(await startPostgres(t)))
  await manyWait(opened)
  const { store } = opened.world
  assert.equal(await lastAlone(store), '')
  await opened.put({ unattended: true }, {}, { grantId: 'grt_1' }, { carriedFrom: 'apr_1' })
  const last = await lastAlone(store)
  const all = await readAlone(store, { after: '', limit: 10, last })
  assert.equal(all.length, 3)
  assert.deepEqual(
    (await readAlone(store, { after: all[0]?.id ?? '', limit: 10, last: all[1]?.id ?? '' })).map(
      ({ id }) => id,
    ),
    [all[1]?.id],
  )
})

test('WORK-2: no question about what is due looks at all that wait, nor one about what was not used at all that were approved', async (t) => {
  const { store } = await openWorld(t, engineMigrations)
  const plans: string[] = []
  const all = async <Row>({ text, values }: Sql): Promise<Row[]> => {
    const plan = await store.all<{ detail: string }>({ text: `explain query plan ${text}`, values })
    plans.push(plan.map(({ detail }) => detail).join('; '))
    return []
  }
  const reader: Reader = {
    all,
    async get<Row>(query: Sql) {
      return (await all<Row>(query))[0]
    },
  }
  for (const kind of ['expiring', 'reminding', 'escalating'] as const) {
    await readDue(reader, kind, { after: { id: 'apr_1', at: 1 }, until: 2, limit: 3 })
    await nextDue(reader, kind, 1)
    for (const plan of plans.splice(0)) assert.match(plan, new RegExp(`^SEARCH .* approvals_${kind} [^;]*$`))
  }
  await unusedOf(reader, { requestedBy: 'person:olga', planDigest: 'digest', taskId: 'merge' })
  for (const plan of plans.splice(0)) assert.match(plan, /^SEARCH .* approvals_unused \(requested_by=[^;]*$/)
  await lastAlone(reader)
  await readAlone(reader, { after: '', limit: 3, last: 'b' })
  for (const plan of plans) assert.match(plan, /^SEARCH .* approvals_alone [^;]*$/)
})

test('APPR-1: what is asked while it watches ends in time, also when it comes first, and not after an answer', async (t) => {
  const { ask, put, pass, told, room, watch } = await open(t)
  await watch.run()
  await ask({ title: 'b', expiresAt: start + 40 * second }, { title: 'c', expiresAt: start + 3 * minute })
  await ask({ title: 'a', expiresAt: start + 20 * second })
  assert.equal(room.timers(), 2)
  await pass(30 * second)
  assert.deepEqual(told(), ['a ends'])
  // By another process on the same database: nobody tells.
  await put({ title: 'other', expiresAt: start + 70 * second })
  await pass(2 * minute)
  assert.deepEqual(told(), ['b ends', 'other ends'])
  watch.stop()
  assert.equal(room.timers(), 0)
  await ask({ title: 'd', expiresAt: start })
  await pass(hour)
  assert.deepEqual(told(), [], 'nothing once it has stopped')
  await watch.run()
  assert.deepEqual(told().sort(), ['c ends', 'd ends'])
})

test('APPR-1: a time that is changed in the store counts', async (t) => {
  const { ask, pass, told, watch, world } = await open(t)
  await watch.run()
  await ask({ title: 'a', expiresAt: start + 10 * hour })
  await world.store.write((tx) => tx.run(sql`update approvals set expires_at = ${start + 100 * second}`))
  await pass(100 * second)
  assert.deepEqual(told(), ['a ends'])
})

test('APPR-1: what could not be ended is tried again', async (t) => {
  const { ask, pass, told, watch, failNext } = await open(t)
  await watch.run()
  await ask({ title: 'a', expiresAt: start + 10 * second })
  failNext(1)
  await pass(10 * second)
  assert.deepEqual(told(), [])
  await pass(minute)
  assert.deepEqual(told(), ['a ends'])
})

test('APPR-1: a clock that is set back gives nobody more time, and what is asked then has all of its own', async (t) => {
  const { ask, pass, told, watch, room } = await open(t)
  await watch.run()
  await ask({ title: 'old', expiresAt: start + 10 * minute, remindAt: start + 7 * minute })
  await pass(5 * minute)
  room.set(-3 * hour)
  const now = room.clock.now().getTime()
  await ask({ title: 'new', expiresAt: now + 10 * minute, remindAt: now + 6 * minute })
  await pass(2 * minute)
  assert.deepEqual(told(), ['old is reminded'])
  await pass(3 * minute)
  assert.deepEqual(told(), ['old ends'])
  await pass(minute)
  assert.deepEqual(told(), ['new is reminded'])
  await pass(4 * minute - 1)
  assert.deepEqual(told(), [])
  await pass(1)
  assert.deepEqual(told(), ['new ends'])
})

test('APPR-1: after a start with the clock set back nothing lives longer than its own span', async (t) => {
  const { put, pass, told, watch } = await open(t)
  const future = start + 48 * hour
  const id = newId('apr', new Date(future))
  await put({
    id,
    title: 'a',
    requestedAt: future,
    expiresAt: future + hour,
    remindAt: future + 10 * minute,
    escalateAt: future + 20 * minute,
  })
  await watch.run()
  await pass(10 * minute)
  await pass(10 * minute)
  assert.deepEqual(told(), ['a is reminded', 'a is escalated'])
  await pass(40 * minute)
  assert.deepEqual(told(), ['a ends'])
})

test('APPR-1: a clock that leaps ends what is over by it within a minute', async (t) => {
  const { ask, pass, told, watch, room } = await open(t)
  await watch.run()
  await ask({ title: 'a', expiresAt: start + 10 * hour })
  room.set(12 * hour)
  await pass(minute)
  assert.deepEqual(told(), ['a ends'])
})
