// What only Temporal can show; what every host must do is in hosts.test.ts.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Client, Connection, type WorkflowHandle } from '@temporalio/client'
import proto from '@temporalio/proto'
import { AppError } from '../src/core/index.ts'
import { sql } from '../src/store/index.ts'
import type { Action } from '../src/workflow/index.ts'
import { openSignal } from '../src/workflow/temporal/temporal-store.ts'
import { cleanUp } from './support/clean-up.ts'
import type { Engine } from './support/engine.ts'
import {
  createEngine,
  gate,
  noteAction,
  olga,
  pendingApproval,
  piet,
  planOf,
  task,
} from './support/engine.ts'
import { eventually } from './support/eventually.ts'
import { openTemporalStage } from './support/temporal-stage.ts'

const begin = (engine: Engine, ...tasks: Parameters<typeof planOf>) =>
  engine.workflow.start(undefined, { plan: planOf(...tasks), requestedBy: olga, unattended: false })

const { EventType } = proto.temporal.api.enums.v1

/** Runs until it is let go or told to stop. */
function heldAction() {
  const began = Promise.withResolvers<void>()
  const letGo = Promise.withResolvers<void>()
  const action: Action = {
    name: 'test.held',
    idempotent: true,
    async execute({ signal }) {
      signal.addEventListener('abort', () => letGo.reject(signal.reason))
      began.resolve()
      await letGo.promise
      return { output: 'held' }
    },
  }
  return { action, began: began.promise, letGo: () => letGo.resolve() }
}

/** Whether the history of now is not the first. */
async function isContinued(handle: WorkflowHandle): Promise<boolean> {
  const [first] = (await handle.fetchHistory()).events ?? []
  return Boolean(first?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId)
}

const eventsOf = async (handle: WorkflowHandle): Promise<string[]> =>
  ((await handle.fetchHistory()).events ?? []).map(({ eventType }) => EventType[eventType ?? 0] ?? '')

test('WORK-2: on Temporal', async (t) => {
  const stage = await openTemporalStage(t)
  if (!stage) return
  const { temporal, world } = stage
  const connection = Connection.lazy({ address: temporal.address })
  cleanUp(t, () => connection.close())
  const client = new Client({ connection, namespace: temporal.namespace })

  await t.test(
    'OPS-4: its files hold ids, and nothing of a plan, an output, a failure or a secret',
    async () => {
      const planted = randomBytes(18).toString('hex')
      const engine = await stage.start([
        {
          name: 'test.note',
          idempotent: true,
          preview: async () => ({ preview: planted }),
          async execute({ taskId }) {
            if (taskId === 'bad') throw new AppError('policy.denied', `refused ${planted}`)
            if (taskId === 'worse') throw new Error(`unexpected ${planted}`)
            return { output: { value: planted } }
          },
        },
      ])
      const plan = {
        ...planOf(
          task('first', { title: `A ${planted} task`, args: { value: planted }, approval: gate }),
          task('bad'),
          task('worse'),
        ),
        title: `Title ${planted}`,
        input: { value: planted },
      }
      const { id } = await engine.workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
      const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
      await engine.approvals.approve(piet, approvalId, { digest, reason: planted })
      await engine.workflow.whenEnded(id)
      await engine.stop()
      const kept = globSync(`${temporal.database}*`).map((file) => readFileSync(file))
      const holds = (text: string): boolean => kept.some((bytes) => bytes.includes(text))
      assert.ok(holds(id), 'the files that were searched are those of its history')
      assert.ok(holds('keyward-aes-256-gcm'))
      assert.deepEqual(
        [
          planted,
          Buffer.from(planted).toString('base64').slice(0, 20),
          'test.note',
          'olga',
          'refused',
        ].filter(holds),
        [],
      )
    },
  )

  await t.test('a sealed vault disconnects it, and what happens meanwhile is done afterwards', async () => {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const { id } = await begin(engine, task('a', { approval: gate }))
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    stage.vault.sealed = true
    await stage.until(engine, 'sealed')
    await engine.approvals.approve(piet, approvalId, { digest })
    assert.ok(((await engine.workflow.hosts()).temporal?.untold ?? 0) > 0)
    assert.deepEqual(notes, [])
    stage.vault.sealed = false
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
    await engine.stop()
  })

  await t.test(
    'what runs while Temporal is killed ends once, and what is answered meanwhile goes on',
    async () => {
      const notes: string[] = []
      const held = heldAction()
      const engine = await stage.start([noteAction(notes), held.action])
      const busy = await begin(engine, task('a', { action: 'test.held' }), task('b', { needs: ['a'] }))
      const gated = await begin(engine, task('c', { approval: gate }))
      await held.began
      const { id: approvalId, digest } = await pendingApproval(engine.approvals, gated.id)
      await temporal.kill()
      await stage.until(engine, 'connecting')
      assert.match((await engine.workflow.hosts()).temporal?.problem ?? '', /no Temporal answers at 127/)
      held.letGo()
      await engine.approvals.approve(piet, approvalId, { digest })
      const late = await begin(engine, task('d'))
      await temporal.start()
      await stage.until(engine, 'up')
      for (const { id } of [busy, gated, late])
        assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
      assert.deepEqual(notes.sort(), ['b', 'c', 'd'])
      await engine.stop()
    },
  )

  await t.test(
    'a workflow that somebody terminated is started again, and its lost attempt taken up',
    async () => {
      const held = heldAction()
      const engine = await stage.start([held.action])
      const { id } = await begin(engine, task('a', { action: 'test.held' }))
      await held.began
      const handle = client.workflow.getHandle(id)
      await handle.terminate('a test')
      await engine.stop()
      const notes: string[] = []
      const next = await stage.start([{ ...noteAction(notes), name: 'test.held' }])
      assert.equal((await next.workflow.whenEnded(id)).state, 'Succeeded')
      assert.deepEqual(notes, ['a#2'])
      await next.stop()
    },
  )

  await t.test(
    'a workflow that somebody terminated under a running attempt is started again, and the attempt runs on',
    async () => {
      const held = heldAction()
      const engine = await stage.start([held.action])
      const { id } = await begin(engine, task('a', { action: 'test.held' }))
      await held.began
      const handle = client.workflow.getHandle(id)
      await handle.terminate('a test')
      await eventually(async () => (await handle.describe()).status.name === 'RUNNING', 'a new workflow')
      held.letGo()
      const run = await engine.workflow.whenEnded(id)
      assert.deepEqual([run.state, run.tasks[0]?.attempt], ['Succeeded', 1])
      await engine.stop()
    },
  )

  await t.test('a long run goes on in a new history, with a question out and signals in flight', async () => {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)], { longHistory: 10 })
    const { id } = await begin(engine, task('a'), task('b', { needs: ['a'], approval: gate }))
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    const handle = client.workflow.getHandle(id)
    await eventually(async () => {
      await world.store.write((tx) => openSignal(tx, id))
      return isContinued(handle)
    }, 'a new history')
    await engine.approvals.approve(piet, approvalId, { digest })
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
    assert.deepEqual(notes, ['a', 'b'])
    await engine.stop()
  })

  await t.test('what runs when a history is too long is handed over to the next, and runs once', async () => {
    const notes: string[] = []
    const held = heldAction()
    const engine = await stage.start([noteAction(notes), held.action], { longHistory: 10 })
    const chain = ['b', 'c', 'd', 'e', 'f', 'g']
    const { id } = await begin(
      engine,
      task('a', { action: 'test.held' }),
      ...chain.map((name, i) => task(name, { needs: chain.slice(Math.max(0, i - 1), i) })),
    )
    const handle = client.workflow.getHandle(id)
    await held.began
    await eventually(() => isContinued(handle), 'a new history')
    held.letGo()
    const run = await engine.workflow.whenEnded(id)
    assert.equal(run.state, 'Succeeded')
    assert.ok(run.tasks.every(({ attempt }) => attempt === 1))
    assert.deepEqual(notes, chain)
    await engine.stop()
  })

  await t.test('signals that come early, twice or after the end change nothing', async () => {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const { id } = await begin(engine, task('a', { approval: gate }))
    const again = () => world.store.write((tx) => openSignal(tx, id))
    const sent = () =>
      eventually(async () => (await engine.workflow.hosts()).temporal?.untold === 0, 'the signals to be sent')
    await again()
    await sent()
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    await again()
    await sent()
    await engine.approvals.approve(piet, approvalId, { digest })
    await engine.workflow.whenEnded(id)
    await again()
    await sent()
    assert.deepEqual(notes, ['a'])
    assert.equal((await engine.workflow.read(id)).state, 'Succeeded')
    await engine.stop()
  })

  await t.test('a preview that takes long is taken once, and keeps no other run waiting', async () => {
    const letGo = Promise.withResolvers<void>()
    const previews: string[] = []
    const engine = await stage.start([
      {
        ...noteAction([]),
        async preview({ note }: { note: string }) {
          previews.push(note)
          if (note === 'slow') await letGo.promise
          return note
        },
      },
    ])
    const gated = (note: string) => begin(engine, task('a', { args: { note }, approval: gate }))
    const slow = await gated('slow')
    await eventually(async () => previews.includes('slow'), 'the slow preview')
    const quick = await gated('quick')
    await pendingApproval(engine.approvals, quick.id)
    letGo.resolve()
    await pendingApproval(engine.approvals, slow.id)
    assert.deepEqual(previews, ['slow', 'quick'])
    for (const { id } of [slow, quick]) await engine.workflow.cancel(id, olga)
    for (const { id } of [slow, quick]) await engine.workflow.whenEnded(id)
    await engine.stop()
  })

  await t.test('a run has the priority of its plan, as one of those that Temporal knows', async () => {
    const engine = await stage.start([noteAction([])])
    const keys: (number | undefined)[] = []
    for (const priority of [100, 5, 0, -5, -100]) {
      const plan = { ...planOf(task('a')), priority }
      const { id } = await engine.workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
      await engine.workflow.whenEnded(id)
      keys.push((await client.workflow.getHandle(id).describe()).priority?.priorityKey)
    }
    assert.deepEqual(keys, [1, 2, 3, 4, 5])
    await engine.stop()
  })

  await t.test('a question that is asked at once costs Temporal no activity', async () => {
    const engine = await stage.start([noteAction([])])
    const { id } = await begin(engine, task('a', { approval: gate }))
    await pendingApproval(engine.approvals, id)
    const handle = client.workflow.getHandle(id)
    await eventually(
      async () => (await eventsOf(handle)).includes('EVENT_TYPE_WORKFLOW_TASK_COMPLETED'),
      'the look',
    )
    assert.ok(!(await eventsOf(handle)).some((type) => type.startsWith('EVENT_TYPE_ACTIVITY')))
    await engine.workflow.cancel(id, olga)
    await engine.workflow.whenEnded(id)
    await engine.stop()
  })

  await t.test('runs that wait for a person are all there after a restart of both', async () => {
    const notes: string[] = []
    const count = 100
    const first = await stage.start([noteAction(notes)])
    const asking = async (): Promise<number> =>
      (await world.store.all(sql`select id from approvals where state = 'pending'`)).length
    const before = await asking()
    const ids = new Set<string>()
    for (let i = 0; i < count; i++) ids.add((await begin(first, task('a', { approval: gate }))).id)
    await eventually(async () => (await asking()) === before + count, 'all questions')
    await first.stop()
    await temporal.kill()
    await temporal.start()
    const second = await stage.start([noteAction(notes)])
    const { items } = await second.approvals.page({ limit: 500, state: 'pending' })
    for (const { id, digest, runId } of items)
      if (ids.has(runId)) await second.approvals.approve(piet, id, { digest })
    for (const id of ids) assert.equal((await second.workflow.whenEnded(id)).state, 'Succeeded')
    assert.equal(notes.length, count)
    await second.stop()
  })

  await t.test('a run ends on the host that it began on', async () => {
    const notes: string[] = []
    const before = createEngine(world, { actions: [noteAction(notes)] })
    await before.workflow.run()
    const old = await begin(before, task('a', { approval: gate }))
    const { id: approvalId, digest } = await pendingApproval(before.approvals, old.id)
    await before.stop()
    const engine = await stage.start([noteAction(notes)])
    const young = await begin(engine, task('b', { approval: gate }))
    await pendingApproval(engine.approvals, young.id)
    const { active, forNewRuns } = await engine.workflow.hosts()
    assert.deepEqual([active, forNewRuns], [{ embedded: 1, temporal: 1 }, 'temporal'])
    await engine.approvals.approve(piet, approvalId, { digest })
    assert.equal((await engine.workflow.whenEnded(old.id)).state, 'Succeeded')
    await engine.workflow.cancel(young.id, olga)
    await engine.workflow.whenEnded(young.id)
    assert.deepEqual(notes, ['a'])
    await engine.stop()
  })
})
