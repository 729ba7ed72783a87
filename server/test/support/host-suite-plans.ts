// What a plan can say, on every host: the part of its suite that is about plans.
import assert from 'node:assert/strict'
import type { Json } from '@keyward/contract'
import { AppError } from '../../src/core/index.ts'
import type { Action } from '../../src/workflow/index.ts'
import { begin } from './durable-stage.ts'
import { gate, noteAction, olga, pendingApproval, piet, planOf, task } from './engine.ts'
import { eventually } from './eventually.ts'
import type { HostChecks } from './host-suite.ts'

/** An action whose attempts end one by one, when they are told to: `open` by their argument. */
function openedOneByOne() {
  const order: string[] = []
  const open = new Map<string, () => void>()
  const action: Action = {
    name: 'test.opened',
    idempotent: true,
    async execute({ args }) {
      const name = String(args)
      order.push(name)
      const release = Promise.withResolvers<void>()
      open.set(name, release.resolve)
      await release.promise
      open.delete(name)
      return { output: null }
    },
  }
  return { order, open, action }
}

export const planChecks: HostChecks = {
  async 'tasks that share a key run one at a time, over all runs, and the more urgent goes first'(stage) {
    const { order, open, action } = openedOneByOne()
    const engine = await stage.start([action, noteAction([])])
    const start = async (name: string, priority: number): Promise<string> => {
      const plan = {
        ...planOf(task('a', { action: action.name, args: name, concurrencyKey: 'the database' })),
        priority,
      }
      return (await engine.workflow.start(undefined, { plan, requestedBy: olga, unattended: false })).id
    }
    const ids = [await start('first', 0)]
    await eventually(async () => open.has('first'), 'the first')
    ids.push(await start('later', 0), await start('urgent', 5))
    await stage.settled(engine, ids.slice(1))
    for (const name of ['first', 'urgent', 'later']) {
      await eventually(async () => open.has(name), name)
      assert.equal(open.size, 1)
      open.get(name)?.()
    }
    for (const id of ids) assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
    assert.deepEqual(order, ['first', 'urgent', 'later'])
  },

  async 'of the items of a list so many run at once as the plan says, and a cancel lets go of what they share'(
    stage,
  ) {
    const { order, open, action } = openedOneByOne()
    const list: Action = {
      ...noteAction([]),
      execute: async () => ({ output: [{ name: 'x' }, { name: 'y' }, { name: 'z' }] }),
    }
    const engine = await stage.start([action, list])
    const shared = { concurrencyKey: 'the shelf', concurrencyLimit: 2 }
    const { id } = await begin(
      engine,
      task('list'),
      task('each', {
        action: action.name,
        needs: ['list'],
        forEach: { $from: 'list' },
        args: { $item: 'name' },
        ...shared,
      }),
    )
    await eventually(async () => open.size === 2, 'two of three')
    const other = await begin(engine, task('a', { action: action.name, args: 'other', ...shared }))
    await stage.settled(engine, [other.id])
    assert.equal(order.length, 2)
    await engine.workflow.cancel(id, olga)
    for (const [, end] of open) end()
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Cancelled')
    await eventually(async () => open.has('other'), 'the turn of the other')
    open.get('other')?.()
    assert.equal((await engine.workflow.whenEnded(other.id)).state, 'Succeeded')
  },

  async 'a task that cannot begin in time fails, and what needs it is skipped'(stage) {
    const { open, action } = openedOneByOne()
    const engine = await stage.start([action, noteAction([])])
    const shared = { action: action.name, concurrencyKey: 'the door' }
    const busy = await begin(engine, task('a', { args: 'busy', ...shared }))
    await eventually(async () => open.has('busy'), 'the start')
    const late = await begin(
      engine,
      task('a', { args: 'late', ...shared, startTimeoutSeconds: 1 }),
      task('b', { needs: ['a'] }),
    )
    const run = await eventually(async () => {
      stage.elapse(1000)
      const now = await engine.workflow.read(late.id)
      return now.finishedAt ? now : undefined
    }, 'the end of its patience')
    assert.match(run.tasks[0]?.reason ?? '', /could not begin within 1 seconds/)
    assert.deepEqual(
      run.tasks.map(({ state }) => state),
      ['Failed', 'Skipped'],
    )
    open.get('busy')?.()
    assert.equal((await engine.workflow.whenEnded(busy.id)).state, 'Succeeded')
    assert.equal(open.has('late'), false)
  },

  async 'conditions, lists, undoing and a fallback come to the same end'(stage) {
    const notes: string[] = []
    const engine = await stage.start([
      {
        ...noteAction(notes),
        async execute({ taskId }) {
          notes.push(taskId)
          if (taskId === 'bad' || taskId === 'worst') throw new AppError('policy.denied', 'no')
          return { output: { items: ['x', 'y'], count: 2 } }
        },
      },
    ])
    const compensate = { action: 'test.note', args: {} }
    const { id } = await begin(
      engine,
      task('list', { compensate }),
      task('never', { needs: ['list'], when: { $from: 'list', path: 'count', above: 9 } }),
      task('each', { needs: ['list'], forEach: { $from: 'list', path: 'items' }, compensate }),
      task('bad', { needs: ['each'] }),
      task('other', { needs: ['each'], fallbackFor: 'bad' }),
      task('worst', { needs: ['other'] }),
    )
    const run = await engine.workflow.whenEnded(id)
    assert.equal(run.state, 'Failed')
    assert.deepEqual(notes.slice(0, 1).concat(notes.slice(1, 3).sort(), notes.slice(3, 6)), [
      'list',
      'each.0',
      'each.1',
      'bad',
      'other',
      'worst',
    ])
    assert.deepEqual(notes.slice(6, 8).sort(), ['each.0.undo', 'each.1.undo'])
    assert.deepEqual(notes.slice(8), ['list.undo'])
    assert.equal(run.tasks.find(({ id }) => id === 'never')?.state, 'Skipped')
  },

  async 'a run is a task of another: its result comes up, and a cancel goes down'(stage) {
    const done: Json[] = []
    const echo: Action = {
      name: 'test.note',
      idempotent: true,
      async execute({ args }) {
        done.push(args)
        return { output: args }
      },
    }
    const inner = planOf(task('inner', { args: { made: 7 } }))
    const gated = planOf(task('inner', { approval: gate }))
    const engine = await stage.start([echo], { flows: { inner, gated } })
    const child = (flow: string) => task('child', { action: 'subrun', subrun: { flow, input: {} } })
    const { id } = await begin(
      engine,
      child('inner'),
      task('after', { needs: ['child'], args: { got: { $from: 'child', path: 'outputs.inner.made' } } }),
    )
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
    assert.deepEqual(done, [{ made: 7 }, { got: 7 }])
    const waiting = await begin(engine, child('gated'))
    const childId = await eventually(
      async () => (await engine.workflow.read(waiting.id)).tasks[0]?.childRunId ?? undefined,
      'the child',
    )
    await pendingApproval(engine.approvals, childId)
    await engine.workflow.cancel(waiting.id, olga)
    assert.equal((await engine.workflow.whenEnded(waiting.id)).state, 'Cancelled')
    assert.equal((await engine.workflow.whenEnded(childId)).state, 'Cancelled')
  },

  async 'what may not run twice and broke off is asked about, or given to a person, and never repeated'(
    stage,
  ) {
    const tries: string[] = []
    const once = (name: string, reconcile?: Action['reconcile']): Action => ({
      name,
      idempotent: false,
      async execute({ taskId }) {
        tries.push(taskId)
        throw new AppError('connector.ambiguous', 'the answer was lost')
      },
      ...(reconcile ? { reconcile } : {}),
    })
    const engine = await stage.start([
      once('test.blind'),
      once('test.asked', async () => ({ effect: 'done', result: { output: 'found' } })),
    ])
    const { id } = await begin(
      engine,
      task('a', { action: 'test.blind' }),
      task('b', { action: 'test.asked' }),
    )
    await eventually(async () => {
      const { state, tasks } = await engine.workflow.read(id)
      return state === 'AwaitingPerson' && tasks[1]?.state === 'Succeeded'
    }, 'what a person has to say')
    await engine.workflow.resolve(id, piet, { taskId: 'a', effect: 'done', reason: 'I looked' })
    const run = await engine.workflow.whenEnded(id)
    assert.equal(run.state, 'Succeeded')
    assert.deepEqual([run.tasks[1]?.output, tries.sort()], ['found', ['a', 'b']])
  },

  async 'a question that nobody answers expires, and nothing runs'(stage) {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const { id } = await begin(engine, task('a', { approval: { ...gate, expiresInSeconds: 1 } }))
    const run = await eventually(async () => {
      stage.elapse(1000)
      const now = await engine.workflow.read(id)
      return now.finishedAt ? now : undefined
    }, 'the end of its time')
    assert.deepEqual([run.state, run.outcome, notes], ['Cancelled', 'Expired', []])
  },
}
