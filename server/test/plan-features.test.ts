// What a plan can say besides needs: data, conditions, lists, undoing, fallbacks, runs within runs; and what people do to a run.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../src/core/index.ts'
import type { Action, PlannedTask } from '../src/workflow/index.ts'
import { cleanUp } from './support/clean-up.ts'
import {
  createEngine,
  type Engine,
  engineMigrations,
  gate,
  olga,
  pendingApproval,
  piet,
  planOf,
  task,
} from './support/engine.ts'
import { eventually } from './support/eventually.ts'
import { openWorld } from './support/world.ts'

type Done = { readonly task: string; readonly args: Json; readonly key: string }

/** Gives what its arguments say, or fails as they say, and notes each execution. */
function echoAction(done: Done[], failing: ReadonlySet<string> = new Set()): Action {
  return {
    name: 'test.note',
    idempotent: true,
    preview: async (args) => ({ would: args }),
    async execute({ taskId, args, idempotencyKey }) {
      done.push({ task: taskId, args, key: idempotencyKey })
      if (failing.has(taskId)) throw new AppError('task.failed', `${taskId} was told to`)
      return { output: args }
    },
  }
}

async function openEngine(
  t: TestContext,
  actions: readonly Action[],
  more: { flows?: { [name: string]: ReturnType<typeof planOf> }; concurrency?: number } = {},
) {
  const world = await openWorld(t, engineMigrations)
  const engine = createEngine(world, { actions, ...more })
  await engine.workflow.run()
  await engine.approvals.run()
  cleanUp(t, () => engine.stop())
  return { ...engine, world }
}

const begin = (engine: Pick<Engine, 'workflow'>, ...tasks: PlannedTask[]) =>
  engine.workflow.start(undefined, { plan: planOf(...tasks), requestedBy: olga, unattended: false })
const statesOf = ({ tasks }: { tasks: readonly { id: string; state: string }[] }) =>
  Object.fromEntries(tasks.map(({ id, state }) => [id, state]))

test('WORK-1: outputs flow into arguments, and the approval is over what they came to', async (t) => {
  const done: Done[] = []
  const engine = await openEngine(t, [echoAction(done)])
  const { id } = await begin(
    engine,
    task('build', { args: { images: [{ digest: 'sha256:abc' }] } }),
    task('deploy', {
      needs: ['build'],
      args: { image: { $from: 'build', path: 'images.0.digest' } },
      approval: gate,
    }),
  )
  const approval = await pendingApproval(engine.approvals, id)
  assert.deepEqual(approval.preview, { would: { image: 'sha256:abc' } })
  await engine.approvals.approve(piet, approval.id, { digest: approval.digest })
  assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
  assert.deepEqual(done[1]?.args, { image: 'sha256:abc' })
})

test('WORK-1: an argument whose source did not give it, or gave something else, fails the task with its place', async (t) => {
  const strict: Action = { ...echoAction([]), name: 'test.strict', input: z.object({ replicas: z.number() }) }
  const engine = await openEngine(t, [echoAction([]), strict])
  const away = await begin(
    engine,
    task('a', { args: {} }),
    task('b', { needs: ['a'], args: { image: { $from: 'a', path: 'image' } } }),
  )
  assert.match(
    (await engine.workflow.whenEnded(away.id)).reason ?? '',
    /^b: task\.data_missing: .*args\.image: 'a' gave nothing at 'image'/,
  )
  const odd = await begin(
    engine,
    task('a', { args: { replicas: 'three' } }),
    task('b', { needs: ['a'], action: 'test.strict', args: { replicas: { $from: 'a', path: 'replicas' } } }),
  )
  assert.match(
    (await engine.workflow.whenEnded(odd.id)).reason ?? '',
    /^b: task\.data_missing: .*args\.replicas: /,
  )
})

test('WORK-1: a condition that does not hold skips the task; a list makes a task of each item', async (t) => {
  const done: Done[] = []
  const engine = await openEngine(t, [echoAction(done)])
  const { id } = await begin(
    engine,
    task('list', { args: { files: ['a.ts', 'b.ts', 'c.ts'], count: 3 } }),
    task('many', { needs: ['list'], when: { $from: 'list', path: 'count', above: 9 } }),
    task('check', {
      needs: ['list'],
      when: { $from: 'list', path: 'count', above: 0 },
      forEach: { $from: 'list', path: 'files' },
      args: { file: { $item: '' } },
    }),
    task('report', { needs: ['check'], args: { all: { $from: 'check' } } }),
    task('always', { needs: ['many'], after: 'end', args: {} }),
  )
  const run = await engine.workflow.whenEnded(id)
  assert.deepEqual(statesOf(run), {
    list: 'Succeeded',
    many: 'Skipped',
    check: 'Succeeded',
    report: 'Succeeded',
    always: 'Succeeded',
    'check.0': 'Succeeded',
    'check.1': 'Succeeded',
    'check.2': 'Succeeded',
  })
  const files = [{ file: 'a.ts' }, { file: 'b.ts' }, { file: 'c.ts' }]
  assert.deepEqual(run.tasks.find((one) => one.id === 'report')?.output, { all: files })
  assert.deepEqual([run.state, run.tasks.at(-1)?.kind, run.tasks.at(-1)?.of], ['Succeeded', 'item', 'check'])
})

test('WORK-1: an empty list is done at once, one that is too long and what is no list are refused', async (t) => {
  const engine = await openEngine(t, [echoAction([])])
  const over = (list: Json) =>
    begin(
      engine,
      task('list', { args: { list } }),
      task('each', { needs: ['list'], forEach: { $from: 'list', path: 'list' } }),
    )
  assert.equal((await engine.workflow.whenEnded((await over([])).id)).state, 'Succeeded')
  const long = await engine.workflow.whenEnded((await over(Array.from({ length: 201 }, () => 1))).id)
  assert.match(long.reason ?? '', /each: task\.data_missing: forEach: 201 items/)
  const none = await engine.workflow.whenEnded((await over('text')).id)
  assert.match(none.reason ?? '', /not a list/)
})

test('WORK-1: when a run fails, what succeeded is undone, what came last first', async (t) => {
  const done: Done[] = []
  const engine = await openEngine(t, [echoAction(done, new Set(['d']))])
  const compensate = { action: 'test.note', args: { back: true } }
  const { id } = await begin(
    engine,
    task('a', { compensate }),
    task('b', { needs: ['a'] }),
    task('c', { needs: ['b'], compensate }),
    task('d', { needs: ['c'], compensate }),
  )
  const run = await engine.workflow.whenEnded(id)
  assert.deepEqual(
    done.map((one) => one.task),
    ['a', 'b', 'c', 'd', 'c.undo', 'a.undo'],
  )
  assert.deepEqual([run.state, run.tasks.at(-1)?.kind], ['Failed', 'undo'])
  assert.match(run.reason ?? '', /^d: task\.failed/)
})

test('APPR-2: a denial undoes as well, and a fallback makes it good', async (t) => {
  const done: Done[] = []
  const engine = await openEngine(t, [echoAction(done)])
  const deny = async (id: string): Promise<void> => {
    const approval = await pendingApproval(engine.approvals, id)
    await engine.approvals.deny(piet, approval.id, { digest: approval.digest })
  }
  const compensate = { action: 'test.note', args: {} }
  const undone = await begin(engine, task('a', { compensate }), task('b', { needs: ['a'], approval: gate }))
  await deny(undone.id)
  const first = await engine.workflow.whenEnded(undone.id)
  assert.deepEqual([first.state, statesOf(first)['a.undo']], ['Cancelled', 'Succeeded'])
  const good = await begin(
    engine,
    task('a', { compensate }),
    task('b', { needs: ['a'], approval: gate }),
    task('other', { needs: ['a'], fallbackFor: 'b' }),
  )
  await deny(good.id)
  const second = await engine.workflow.whenEnded(good.id)
  assert.deepEqual(statesOf(second), { a: 'Succeeded', b: 'Cancelled', other: 'Succeeded' })
  assert.match(`${second.state} ${second.reason}`, /^Succeeded made good after b: approval\.denied/)
})

test('WORK-1: a run is a task of another: its result comes up, and a cancel goes down', async (t) => {
  const done: Done[] = []
  const began = Promise.withResolvers<void>()
  const hanging: Action = {
    name: 'hanging',
    idempotent: true,
    execute: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        began.resolve()
      }),
  }
  const flows = {
    child: planOf(task('inner', { args: { made: 7 } })),
    slow: planOf(task('inner', { action: 'hanging' })),
  }
  const engine = await openEngine(t, [echoAction(done), hanging], { flows, concurrency: 1 })
  const child = (flow: string) => task('child', { action: 'subrun', args: {}, subrun: { flow, input: {} } })
  const { id } = await begin(
    engine,
    child('child'),
    task('after', { needs: ['child'], args: { got: { $from: 'child', path: 'outputs.inner.made' } } }),
  )
  assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
  assert.deepEqual(done.at(-1)?.args, { got: 7 })
  const slow = await begin(engine, child('slow'))
  await began.promise
  const { tasks } = await engine.workflow.read(slow.id)
  const childId = tasks[0]?.childRunId ?? ''
  assert.equal((await engine.workflow.read(childId)).parentRunId, slow.id)
  await engine.workflow.cancel(slow.id, olga)
  assert.equal((await engine.workflow.whenEnded(slow.id)).state, 'Cancelled')
  assert.equal((await engine.workflow.whenEnded(childId)).state, 'Cancelled')
  const none = await begin(engine, child('none'))
  assert.match((await engine.workflow.whenEnded(none.id)).reason ?? '', /child: run\.plan_invalid/)
})

test('WORK-1: a paused run begins nothing, takes answers, and goes on when it is resumed', async (t) => {
  const done: Done[] = []
  const engine = await openEngine(t, [echoAction(done)])
  const { id } = await begin(engine, task('a', { approval: gate }))
  const approval = await pendingApproval(engine.approvals, id)
  const paused = await engine.workflow.pause(id, olga, 'the release waits')
  assert.deepEqual([paused.state, paused.reason], ['Paused', 'run.paused: the release waits'])
  await assert.rejects(engine.workflow.pause(id, olga), { code: 'run.state' })
  await engine.approvals.approve(piet, approval.id, { digest: approval.digest })
  assert.deepEqual([(await engine.workflow.read(id)).state, done], ['Paused', []])
  await engine.workflow.resume(id, olga)
  assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
  await assert.rejects(engine.workflow.resume(id, olga), { code: 'run.state' })
})

test('WORK-1: a failed run goes on from where it stopped: what succeeded stays, what was undone is another effect', async (t) => {
  const done: Done[] = []
  const failing = new Set(['c'])
  const engine = await openEngine(t, [echoAction(done, failing)])
  const compensate = { action: 'test.note', args: {} }
  const { id } = await begin(
    engine,
    task('a'),
    task('b', { needs: ['a'], compensate }),
    task('c', { needs: ['b'], approval: gate }),
  )
  const answer = async (): Promise<string> => {
    const approval = await pendingApproval(engine.approvals, id)
    await engine.approvals.approve(piet, approval.id, { digest: approval.digest })
    return approval.id
  }
  const first = await answer()
  assert.equal((await engine.workflow.whenEnded(id)).state, 'Failed')
  failing.clear()
  const going = await engine.workflow.retry(id, olga)
  assert.deepEqual([going.state, going.finishedAt, going.tasks.length], ['Running', null, 3])
  assert.notEqual(await answer(), first)
  const run = await engine.workflow.whenEnded(id)
  assert.equal(run.state, 'Succeeded')
  assert.deepEqual(
    done.map(({ key }) => key.slice(id.length + 1)),
    ['a', 'b', 'c', 'b.undo', 'b:1', 'c'],
  )
  await assert.rejects(engine.workflow.retry(id, olga), { code: 'run.state' })
  await assert.rejects(engine.workflow.retry(id, olga, 'none'), { code: 'run.state' })
})

test('WORK-2: a task of unknown outcome waits until its action finds out or a person says', async (t) => {
  const facts = { effect: 'unknown' as 'unknown' | 'done', times: 0 }
  const once = (name: string, reconcile?: Action['reconcile']): Action => ({
    name,
    idempotent: false,
    async execute() {
      facts.times++
      if (facts.times > 2) return { output: 'again' }
      throw new Error('the connection broke')
    },
    ...(reconcile ? { reconcile } : {}),
  })
  const engine = await openEngine(t, [
    once('blind'),
    once('asked', async () =>
      facts.effect === 'done'
        ? { effect: 'done', result: { output: 'found' } }
        : { effect: 'unknown', reason: 'not there yet' },
    ),
  ])
  const { id } = await begin(engine, task('a', { action: 'asked' }), task('b', { action: 'blind' }))
  await eventually(async () => (await engine.workflow.read(id)).state === 'AwaitingPerson', 'the question')
  facts.effect = 'done'
  await eventually(async () => {
    engine.world.clock.advance(3_600_000)
    return statesOf(await engine.workflow.read(id))['a'] === 'Succeeded'
  }, 'the action to find out')
  const said = { taskId: 'b', effect: 'none', reason: 'I looked' } as const
  await assert.rejects(engine.workflow.resolve(id, piet, { ...said, taskId: 'a' }), { code: 'run.state' })
  await engine.workflow.resolve(id, piet, said)
  const run = await engine.workflow.whenEnded(id)
  assert.deepEqual([run.state, run.tasks.map(({ output }) => output)], ['Succeeded', ['found', 'again']])
  const { items } = await engine.world.audit.page({ limit: 500, order: 'asc', type: 'task.resolved' })
  assert.deepEqual(
    items.map(({ actor, detail }) => [actor, Object(detail).effect, Object(detail).reason]),
    [
      ['system:workflow', 'done', 'the action found out'],
      ['person:piet', 'none', 'I looked'],
    ],
  )
})

test('WORK-1: tasks that share a key run one at a time, and of those that wait the more urgent goes first', async (t) => {
  const order: string[] = []
  const open = new Map<string, () => void>()
  let most = 0
  const slow: Action = {
    name: 'slow',
    idempotent: true,
    async execute({ args }) {
      const name = String(args)
      order.push(name)
      const release = Promise.withResolvers<void>()
      open.set(name, release.resolve)
      most = Math.max(most, open.size)
      await release.promise
      open.delete(name)
      return { output: null }
    },
  }
  const engine = await openEngine(t, [slow, echoAction([])])
  const start = async (name: string, priority: number): Promise<string> => {
    const plan = {
      ...planOf(task('a', { action: 'slow', args: name, concurrencyKey: 'the database' })),
      priority,
    }
    return (await engine.workflow.start(undefined, { plan, requestedBy: olga, unattended: false })).id
  }
  const ids = [await start('first', 0)]
  await eventually(async () => open.has('first'), 'the first')
  ids.push(await start('later', 0), await start('urgent', 5))
  // Runs are taken up in the order of their starts: when this one has ended, the others stand in line.
  await engine.workflow.whenEnded((await begin(engine, task('b'))).id)
  for (const name of ['first', 'urgent', 'later']) {
    await eventually(async () => open.has(name), name)
    open.get(name)?.()
  }
  for (const id of ids) assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
  assert.deepEqual([order, most], [['first', 'urgent', 'later'], 1])
})

test('WORK-1: a task that cannot begin in time fails, and one that falls silent is stopped', async (t) => {
  const silent: Action = {
    name: 'silent',
    idempotent: true,
    execute: ({ signal, heartbeat }) =>
      new Promise((_, reject) => {
        heartbeat()
        signal.addEventListener('abort', () => reject(signal.reason))
      }),
  }
  const engine = await openEngine(t, [silent, echoAction([])], { concurrency: 1 })
  const busy = await begin(
    engine,
    task('a', { action: 'silent', heartbeatSeconds: 500, timeoutSeconds: 7200 }),
  )
  await eventually(
    async () => (await engine.workflow.read(busy.id)).tasks[0]?.state === 'Running',
    'the start',
  )
  const { running } = await engine.workflow.inHand()
  assert.deepEqual([running.count, running.limitAt], [1, (running.oldestAt ?? 0) + 7_200_000])
  const late = await begin(engine, task('b', { startTimeoutSeconds: 60 }))
  await eventually(async () => {
    engine.world.clock.advance(60_000)
    return (await engine.workflow.read(late.id)).finishedAt
  }, 'the end of its patience')
  assert.match((await engine.workflow.read(late.id)).reason ?? '', /could not begin within 60 seconds/)
  await eventually(async () => {
    engine.world.clock.advance(500_000)
    return (await engine.workflow.read(busy.id)).finishedAt
  }, 'the end of the silent')
  assert.match((await engine.workflow.read(busy.id)).reason ?? '', /nothing was heard of it for 500 seconds/)
})

test('WORK-1: the key of a plan that somebody brings is for that very plan', async (t) => {
  const engine = await openEngine(t, [echoAction([])])
  const start = (...tasks: PlannedTask[]) =>
    engine.workflow.start(undefined, {
      plan: planOf(...tasks),
      requestedBy: olga,
      unattended: false,
      idempotencyKey: 'k',
      exactly: true,
    })
  const first = await start(task('a'))
  assert.equal((await start(task('a'))).id, first.id)
  await assert.rejects(start(task('a'), task('b')), { code: 'request.conflict' })
})
