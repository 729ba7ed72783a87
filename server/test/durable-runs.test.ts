import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { AppError } from '../src/core/index.ts'
import { type Migration, sql } from '../src/store/index.ts'
import type { Action } from '../src/workflow/index.ts'
import {
  createEngine,
  type Engine,
  engineMigrations,
  gate,
  noteAction,
  olga,
  pendingApproval,
  piet,
  planOf,
  task,
} from './support/engine.ts'
import { eventually } from './support/eventually.ts'
import { createDatabase, startPostgres } from './support/postgres.ts'
import { openWorld, temporaryFolder, type World } from './support/world.ts'

type Started = Engine & { world: World }

/** What a test opens is ended before the store is closed, whatever order the test opens it in. */
async function openStage(
  t: TestContext,
  more: readonly Migration[] = [],
  place: { dataDir?: string; databaseUrl?: string } = {},
) {
  const engines: Engine[] = []
  let advance = (_milliseconds: number): void => undefined
  t.after(async () => {
    let stopped = false
    const stopping = Promise.all(engines.map((engine) => engine.stop())).then(() => {
      stopped = true
    })
    // A task that a test left hanging is given up only when time passes.
    await eventually(async () => {
      advance(60_000)
      return stopped
    }, 'the engines to stop')
    await stopping
  })
  const migrations = [...engineMigrations, ...more]
  const world = await openWorld(t, migrations, place)
  advance = (milliseconds) => world.clock.advance(milliseconds)
  return {
    world,
    async start(actions: readonly Action[], options: { concurrency?: number } = {}): Promise<Started> {
      const engine = createEngine(world, { actions, ...options })
      engines.push(engine)
      await engine.workflow.run()
      await engine.approvals.run()
      return { ...engine, world }
    },
  }
}

const startEngine = async (
  t: TestContext,
  actions: readonly Action[],
  options: { concurrency?: number } = {},
) => (await openStage(t)).start(actions, options)

const begin = (engine: Engine, ...tasks: Parameters<typeof planOf>) =>
  engine.workflow.start(undefined, { plan: planOf(...tasks), requestedBy: olga, unattended: false })

/** Runs until it is told to stop; `began` resolves when as many attempts as asked for are at it. */
function hangingAction(name: string, attempts = 1, idempotent = true) {
  const began = Promise.withResolvers<void>()
  const stopped: string[] = []
  let count = 0
  const action: Action = {
    name,
    idempotent,
    execute: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          stopped.push(String(signal.reason))
          reject(signal.reason)
        })
        if (++count === attempts) began.resolve()
      }),
  }
  return { action, stopped, began: began.promise }
}

const awaitingPerson = (engine: Engine, runId: string) =>
  eventually(
    async () => (await engine.workflow.read(runId)).state === 'AwaitingPerson',
    'a task of unknown outcome',
  )

test('WORK-1: tasks run in the order of their needs and hand on their outputs', async (t) => {
  const notes: string[] = []
  const engine = await startEngine(t, [noteAction(notes)])
  const { id, state } = await begin(
    engine,
    task('a'),
    task('b', { needs: ['a'] }),
    task('c', { needs: ['a'] }),
    task('d', { needs: ['b', 'c'] }),
  )
  assert.equal(state, 'Running')
  const run = await engine.workflow.whenEnded(id)
  assert.equal(run.state, 'Succeeded')
  assert.deepEqual([notes[0], notes[3], notes.length], ['a', 'd', 4])
  assert.deepEqual(run.tasks[3]?.output, { from: ['b', 'c'] })
  assert.deepEqual([run.taskCount, run.doneCount], [4, 4])
  assert.ok(run.tasks.every(({ startedAt, finishedAt }) => startedAt && finishedAt))
})

test('WORK-1: every step is in the audit log and on the bus', async (t) => {
  const engine = await startEngine(t, [noteAction([])])
  const { id } = await begin(engine, task('a'))
  await engine.workflow.whenEnded(id)
  const entries = await engine.world.audit.page({ limit: 100, order: 'asc', correlation: id })
  const expected = ['run.started', 'task.started', 'task.finished', 'run.finished']
  assert.deepEqual(
    entries.items.map(({ type }) => type),
    expected,
  )
  const events = await engine.world.bus.since(0, 100)
  assert.deepEqual(
    events.map(({ type }) => type),
    expected,
  )
})

test('WORK-1: the same idempotency key starts a run once, and not with another input', async (t) => {
  const engine = await startEngine(t, [noteAction([])])
  const request = { plan: planOf(task('a')), requestedBy: olga, unattended: false, idempotencyKey: 'k' }
  const both = await Promise.all([
    engine.workflow.start(undefined, request),
    engine.workflow.start(undefined, request),
  ])
  assert.equal(both[0].id, both[1].id)
  const other = await engine.workflow.start(undefined, { ...request, requestedBy: piet })
  assert.notEqual(other.id, both[0].id)
  const changed = { ...request, plan: { ...request.plan, input: { project: 'another' } } }
  await assert.rejects(engine.workflow.start(undefined, changed), { code: 'request.conflict' })
})

test('WORK-1: a start whose transaction fails leaves no run and runs nothing', async (t) => {
  const notes: string[] = []
  const engine = await startEngine(t, [noteAction(notes)])
  const failing = engine.world.store.write(async (tx) => {
    await engine.workflow.start(tx, { plan: planOf(task('a')), requestedBy: olga, unattended: false })
    throw new Error('the caller failed')
  })
  await assert.rejects(failing, /the caller failed/)
  assert.deepEqual([(await engine.workflow.page({ limit: 10 })).items, notes], [[], []])
})

test('WORK-1: a passing failure is tried again after its backoff, a refusal is not', async (t) => {
  let left = 2
  const flaky: Action = {
    name: 'flaky',
    idempotent: true,
    async execute() {
      if (left-- > 0) throw new AppError('server.unreachable', 'the service is away')
      return { output: 'at last' }
    },
  }
  const refusing: Action = {
    ...flaky,
    name: 'refusing',
    execute: async () => Promise.reject(new AppError('secret.not_found')),
  }
  const engine = await startEngine(t, [flaky, refusing])
  const retry = { maxAttempts: 3, backoffSeconds: 10 }
  const { id } = await begin(engine, task('a', { action: 'flaky', retry }))
  await eventually(async () => {
    engine.world.clock.advance(20_000)
    return (await engine.workflow.read(id)).finishedAt
  }, 'the third attempt')
  const run = await engine.workflow.whenEnded(id)
  assert.deepEqual([run.state, run.tasks[0]?.attempt, run.tasks[0]?.output], ['Succeeded', 3, 'at last'])
  const second = await begin(engine, task('a', { action: 'refusing', retry }))
  const ended = await engine.workflow.whenEnded(second.id)
  assert.deepEqual([ended.state, ended.tasks[0]?.attempt], ['Failed', 1])
  assert.match(ended.reason ?? '', /secret\.not_found/)
})

test('OPS-4: an unexpected error keeps its words out of the record', async (t) => {
  const key = `sk_test_${crypto.randomUUID()}`
  const leaking: Action = {
    name: 'leaking',
    idempotent: true,
    execute: async () => Promise.reject(new Error(`cannot use ${key}`)),
  }
  const engine = await startEngine(t, [leaking])
  const { id } = await begin(engine, task('a', { action: 'leaking' }))
  const run = await engine.workflow.whenEnded(id)
  assert.equal(run.state, 'Failed')
  const entries = await engine.world.audit.page({ limit: 100, order: 'asc' })
  assert.ok(!JSON.stringify([run, entries]).includes(key))
})

test('WORK-1: a task that does not end in time is stopped, and is ambiguous where it may not run twice', async (t) => {
  const hanging = hangingAction('hanging')
  const once = hangingAction('once', 1, false)
  const engine = await startEngine(t, [hanging.action, once.action])
  const { id } = await begin(
    engine,
    task('a', { action: 'hanging', timeoutSeconds: 5 }),
    task('b', { action: 'once', timeoutSeconds: 5 }),
  )
  await Promise.all([hanging.began, once.began])
  engine.world.clock.advance(5000)
  await awaitingPerson(engine, id)
  const { tasks } = await engine.workflow.read(id)
  assert.deepEqual(
    tasks.map(({ state }) => state),
    ['Failed', 'Ambiguous'],
  )
})

test('LEND-3: `ended` is told in the ending transaction, and again when a deaf attempt returns late', async (t) => {
  const ends: string[] = []
  let comeBack = (): void => undefined
  const began = Promise.withResolvers<void>()
  const deaf: Action = {
    name: 'deaf',
    idempotent: true,
    execute: () =>
      new Promise((resolve) => {
        comeBack = () => resolve({ output: 'too late' })
        began.resolve()
      }),
    ended: async (_tx, { reason }) => void ends.push(reason),
  }
  const engine = await startEngine(t, [deaf])
  const { id } = await begin(engine, task('a', { action: 'deaf', timeoutSeconds: 5 }))
  await began.promise
  engine.world.clock.advance(5000)
  engine.world.clock.advance(10_000)
  const run = await engine.workflow.whenEnded(id)
  assert.deepEqual([run.state, run.tasks[0]?.output, ends.length], ['Failed', null, 1])
  comeBack()
  await eventually(async () => ends.length === 2, 'the late end')
  assert.match(ends[1] ?? '', /returned after/)
})

test('WORK-2: what a task commits and its completion happen together or not at all', async (t) => {
  const stage = await openStage(t, [
    { id: '9990-effects', up: () => ['create table effects (id text primary key)'] },
  ])
  const { world } = stage
  const writing = (name: string, fail: boolean): Action => ({
    name,
    idempotent: true,
    execute: async ({ idempotencyKey }) => ({
      output: null,
      async commit(tx) {
        await tx.run(sql`insert into effects (id) values (${idempotencyKey})`)
        if (fail) throw new AppError('finding.changed', 'the file is another')
      },
    }),
  })
  const engine = await stage.start([writing('good', false), writing('bad', true)])
  const good = await begin(engine, task('a', { action: 'good' }))
  const bad = await begin(engine, task('a', { action: 'bad' }))
  assert.equal((await engine.workflow.whenEnded(good.id)).state, 'Succeeded')
  const failed = await engine.workflow.whenEnded(bad.id)
  assert.match(failed.reason ?? '', /finding\.changed/)
  const effects = await world.store.all<{ id: string }>(sql`select id from effects`)
  assert.deepEqual(
    effects.map((effect) => effect.id),
    [`${good.id}:a`],
  )
})

test('APPR-1: a gated task waits for the answer, then runs once', async (t) => {
  const notes: string[] = []
  const engine = await startEngine(t, [noteAction(notes)])
  const { id } = await begin(engine, task('a'), task('b', { needs: ['a'], approval: gate }))
  const approval = await pendingApproval(engine.approvals, id)
  assert.deepEqual([(await engine.workflow.read(id)).state, notes], ['AwaitingApproval', ['a']])
  await engine.approvals.approve(piet, approval.id, { digest: approval.digest })
  assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
  assert.deepEqual(notes, ['a', 'b'])
})

test('APPR-1: when the plan in the database or the world changes after the question, nothing runs', async (t) => {
  const shown: { preview: Json } = { preview: { file: '.env', lines: 3 } }
  const notes: string[] = []
  const engine = await startEngine(t, [noteAction(notes, shown)])
  const { store } = engine.world
  const changes = [
    async () => {
      shown.preview = { file: '.env', lines: 4 }
    },
    (id: string) =>
      store.write((tx) =>
        tx.run(sql`update runs set plan = replace(plan, 'note":"a"', 'note":"z"') where id = ${id}`),
      ),
    // Another task of the plan: what was approved was this step of that plan.
    (id: string) =>
      store.write((tx) =>
        tx.run(sql`update runs set plan = replace(plan, 'note":"b"', 'note":"z"') where id = ${id}`),
      ),
  ]
  for (const change of changes) {
    const { id } = await begin(engine, task('a', { approval: gate }), task('b', { needs: ['a'] }))
    const approval = await pendingApproval(engine.approvals, id)
    await change(id)
    await engine.approvals.approve(piet, approval.id, { digest: approval.digest })
    const run = await engine.workflow.whenEnded(id)
    assert.deepEqual([run.state, run.tasks[0]?.state, run.tasks[1]?.state], ['Failed', 'Failed', 'Skipped'])
    assert.match(run.reason ?? '', /^a: approval\.void/)
    assert.equal((await engine.approvals.read(approval.id)).state, 'voided')
    const entries = await engine.world.audit.page({ limit: 100, order: 'asc', correlation: id })
    assert.ok(entries.items.some(({ type }) => type === 'approval.voided'))
  }
  assert.deepEqual(notes, [])
})

test('APPR-1: a preview that fails fails the task; one that is unavailable is taken later', async (t) => {
  let tries = 0
  let error: Error | undefined = new AppError('finding.changed', 'the file is another')
  const action: Action = {
    ...noteAction([]),
    async preview() {
      tries++
      if (error) throw error
      return 'fine'
    },
  }
  const engine = await startEngine(t, [action])
  const refused = await begin(engine, task('a', { approval: gate }))
  assert.match((await engine.workflow.whenEnded(refused.id)).reason ?? '', /no preview: finding\.changed/)
  error = new AppError('vault.sealed')
  const { id } = await begin(engine, task('a', { approval: gate }))
  await eventually(async () => tries > 1, 'the first try')
  error = undefined
  await eventually(async () => {
    engine.world.clock.advance(5000)
    return (await engine.workflow.read(id)).state === 'AwaitingApproval'
  }, 'the next try')
  assert.equal((await pendingApproval(engine.approvals, id)).preview, 'fine')
})

test('WORK-1: a cancel while a run waits withdraws the approval, and while it runs stops the task', async (t) => {
  const hanging = hangingAction('hanging')
  const engine = await startEngine(t, [noteAction([]), hanging.action])
  const waiting = await begin(engine, task('a', { approval: gate }))
  const approval = await pendingApproval(engine.approvals, waiting.id)
  const cancelled = await engine.workflow.cancel(waiting.id, olga)
  assert.deepEqual([cancelled.state, cancelled.reason], ['Cancelled', 'run.cancelled: by person:olga'])
  assert.equal((await engine.approvals.read(approval.id)).state, 'cancelled')
  const late = engine.approvals.approve(piet, approval.id, { digest: approval.digest })
  await assert.rejects(late, { code: 'approval.answered' })
  await assert.rejects(engine.workflow.cancel(waiting.id, olga), { code: 'run.state' })
  await assert.rejects(engine.workflow.cancel('run_none', olga), { code: 'run.not_found' })

  const { id } = await begin(engine, task('a', { action: 'hanging' }), task('b', { needs: ['a'] }))
  await hanging.began
  await engine.workflow.cancel(id, olga)
  const run = await engine.workflow.whenEnded(id)
  assert.deepEqual(
    [run.state, ...run.tasks.map(({ state }) => state)],
    ['Cancelled', 'Cancelled', 'Cancelled'],
  )
  assert.equal(hanging.stopped.length, 1)
})

test('WORK-2: a new host takes up what a dead one left, and the dead one completes nothing', async (t) => {
  const stage = await openStage(t)
  let release = (): void => undefined
  const ends: string[] = []
  const action = (execute: Action['execute']): Action => ({
    name: 'test.note',
    idempotent: true,
    execute,
    ended: async (_tx, { reason }) => void ends.push(reason),
  })
  const old = await stage.start([
    action(
      () =>
        new Promise((resolve) => {
          release = () => resolve({ output: 'old' })
        }),
    ),
  ])
  const { id } = await begin(old, task('a'), task('b', { needs: ['a'] }))
  await eventually(async () => (await old.workflow.read(id)).tasks[0]?.state === 'Running', 'the start')
  const young = await stage.start([action(async () => ({ output: 'new' }))])
  const run = await young.workflow.whenEnded(id)
  release()
  await old.workflow.stop()
  assert.deepEqual(
    run.tasks.map(({ output }) => output),
    ['new', 'new'],
  )
  assert.equal(run.tasks[0]?.attempt, 2)
  assert.equal((await young.workflow.read(id)).tasks[0]?.output, 'new')
  assert.match(ends[0] ?? '', /went down/)
})

test('WORK-2: what may not run twice is asked about after a crash, or given to a person', async (t) => {
  const stage = await openStage(t)
  const over = Promise.withResolvers<never>()
  t.after(() => over.reject(new Error('the test is over')))
  const once = (name: string, reconcile?: Action['reconcile']): Action => ({
    name,
    idempotent: false,
    execute: () => over.promise,
    ...(reconcile ? { reconcile } : {}),
  })
  const names = ['blind', 'done', 'unsure']
  const old = await stage.start(names.map((name) => once(name)))
  const { id } = await begin(old, ...names.map((name) => task(name, { action: name })))
  await eventually(
    async () => (await old.workflow.read(id)).tasks.every(({ state }) => state === 'Running'),
    'the start',
  )
  const young = await stage.start([
    once('blind'),
    once('done', async () => ({ effect: 'done', result: { output: 'found' } })),
    once('unsure', async () => ({ effect: 'unknown', reason: 'the service does not say' })),
  ])
  await awaitingPerson(young, id)
  const run = await young.workflow.read(id)
  assert.deepEqual(
    run.tasks.map(({ state }) => state),
    ['Ambiguous', 'Succeeded', 'Ambiguous'],
  )
  assert.equal(run.tasks[1]?.output, 'found')
  assert.match(run.tasks[2]?.reason ?? '', /does not say/)
})

test('WORK-2: stop lets idempotent tasks go and the next start runs them again', async (t) => {
  const dataDir = temporaryFolder(t)
  const stage = await openStage(t, [], { dataDir })
  const hanging = hangingAction('test.note')
  const first = await stage.start([hanging.action])
  const { id } = await begin(first, task('a'))
  await hanging.began
  await first.stop()
  assert.equal((await first.workflow.read(id)).tasks[0]?.state, 'Pending')
  await stage.world.close()
  const notes: string[] = []
  const again = await (await openStage(t, [], { dataDir })).start([noteAction(notes)])
  assert.equal((await again.workflow.whenEnded(id)).state, 'Succeeded')
  assert.deepEqual(notes, ['a#2'])
})

test('WORK-2: 1,000 runs that wait are all there after a restart, and each goes on when answered', async (t) => {
  const dataDir = temporaryFolder(t)
  const stage = await openStage(t, [], { dataDir })
  const first = await stage.start([noteAction([])])
  const runs = await Promise.all(
    Array.from({ length: 1000 }, () => begin(first, task('a', { approval: gate }))),
  )
  await eventually(
    async () => (await stage.world.store.all(sql`select id from approvals`)).length === 1000,
    'all questions',
  )
  await first.stop()
  await stage.world.close()
  const notes: string[] = []
  const second = await (await openStage(t, [], { dataDir })).start([noteAction(notes)])
  const pages = [await second.approvals.page({ limit: 500 })]
  pages.push(await second.approvals.page({ limit: 500, cursor: pages[0]?.next ?? '' }))
  assert.deepEqual(
    pages.map(({ items, next }) => [items.length, next === null]),
    [
      [500, false],
      [500, true],
    ],
  )
  const answers = pages.flatMap(({ items }) => items)
  await Promise.all(answers.map(({ id, digest }) => second.approvals.approve(piet, id, { digest })))
  const ended = await Promise.all(runs.map(({ id }) => second.workflow.whenEnded(id)))
  assert.ok(ended.every(({ state }) => state === 'Succeeded'))
  assert.equal(notes.length, 1000)
})

test('WORK-1: no more tasks run at once than the host has slots', async (t) => {
  let now = 0
  let most = 0
  const counting: Action = {
    name: 'test.note',
    idempotent: true,
    async execute() {
      most = Math.max(most, ++now)
      await new Promise((resolve) => setImmediate(resolve))
      now--
      return { output: null }
    },
  }
  const engine = await startEngine(t, [counting], { concurrency: 4 })
  const runs = await Promise.all(
    Array.from({ length: 10 }, () => begin(engine, task('a'), task('b'), task('c', { needs: ['a', 'b'] }))),
  )
  const ended = await Promise.all(runs.map(({ id }) => engine.workflow.whenEnded(id)))
  assert.ok(ended.every(({ state }) => state === 'Succeeded'))
  assert.ok(most <= 4, `${most} at once`)
})

test('OPS-1: the same runs, approvals and takeover on PostgreSQL', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const stage = await openStage(t, [], { databaseUrl })
  const hanging = hangingAction('hanging')
  const old = await stage.start([hanging.action, noteAction([])])
  const { id } = await begin(
    old,
    task('a', { action: 'hanging' }),
    task('b', { needs: ['a'], approval: gate }),
  )
  await hanging.began
  const notes: string[] = []
  const young = await stage.start([{ ...noteAction(notes), name: 'hanging' }, noteAction(notes)])
  const { id: approvalId, digest } = await pendingApproval(young.approvals, id)
  const { approve, deny } = young.approvals
  const answers = await Promise.allSettled([
    // Through the process that is not the host any more: the host notices by itself.
    old.approvals.approve(piet, approvalId, { digest }),
    approve(piet, approvalId, { digest }),
    deny(piet, approvalId, { digest: '0'.repeat(64) }),
  ])
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1)
  const run = await eventually(async () => {
    young.world.clock.advance(5000)
    const now = await young.workflow.read(id)
    return now.finishedAt === null ? undefined : now
  }, 'the end')
  assert.deepEqual([run.state, notes], ['Succeeded', ['a#2', 'b']])
  assert.equal((await young.workflow.page({ limit: 10, state: 'Succeeded' })).items.length, 1)
  assert.equal((await young.approvals.page({ limit: 10, state: 'approved' })).items[0]?.id, approvalId)
  await Promise.all([old.stop(), young.stop()])
  await stage.world.close()
})
