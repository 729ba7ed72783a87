import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from '../src/store/index.ts'
import type { Action } from '../src/workflow/index.ts'
import { awaitingPerson, begin, hangingAction, openStage, startEngine } from './support/durable-stage.ts'
import { gate, noteAction, pendingApproval, piet, task } from './support/engine.ts'
import { eventually } from './support/eventually.ts'
import { createDatabase, startPostgres } from './support/postgres.ts'
import { temporaryFolder } from './support/world.ts'

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
