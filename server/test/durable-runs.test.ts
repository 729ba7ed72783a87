import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '@keyward/contract'
import { AppError } from '../src/core/index.ts'
import { sql } from '../src/store/index.ts'
import type { Action } from '../src/workflow/index.ts'
import { awaitingPerson, begin, hangingAction, openStage, startEngine } from './support/durable-stage.ts'
import { gate, noteAction, olga, pendingApproval, piet, planOf, task } from './support/engine.ts'
import { eventually } from './support/eventually.ts'

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
