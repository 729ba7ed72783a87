import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../../src/core/index.ts'
import { sql } from '../../src/store/index.ts'
import type { Action, Plan } from '../../src/workflow/index.ts'
import { type Engine, gate, noteAction, olga, pendingApproval, piet, planOf, task } from './engine.ts'
import { eventually } from './eventually.ts'
import { planChecks } from './host-suite-plans.ts'
import { checkGoesOn, storedRuns } from './stored-runs.ts'
import type { World } from './world.ts'

/** Where a suite runs: engines over one store, whose time can be made to pass. */
export type HostStage = {
  readonly world: World
  readonly name: 'embedded' | 'temporal'
  start(actions: readonly Action[], more?: { flows?: Flows }): Promise<Engine>
  /** Resolves when the host has looked at these runs, which were started before. The engine has `test.note`. */
  settled(engine: Engine, runIds: readonly string[]): Promise<void>
  /** Lets `milliseconds` pass: moves the clock, or does nothing where time passes by itself. */
  elapse(milliseconds: number): void
}

type Flows = { readonly [name: string]: Plan }
export type HostChecks = Readonly<Record<string, (stage: HostStage) => Promise<void>>>

type Begin = Partial<Pick<Plan, 'title'>> & { key?: string }
const begin = (engine: Engine, tasks: Parameters<typeof planOf>, { title = 'A test', key }: Begin = {}) =>
  engine.workflow.start(undefined, {
    plan: { ...planOf(...tasks), title },
    requestedBy: olga,
    unattended: false,
    idempotencyKey: key,
  })

/** What a host of runs must do, whichever it is. `open` skips the test where its host cannot be had. */
export function hostSuite(name: string, open: (t: TestContext) => Promise<HostStage | undefined>): void {
  test(`WORK-2: ${name} does what a host must`, async (t) => {
    const stage = await open(t)
    if (!stage) return
    for (const [what, check] of Object.entries(checks))
      await t.test(what, async () => {
        const engines: Engine[] = []
        const start: HostStage['start'] = async (actions, more) => {
          const engine = await stage.start(actions, more)
          engines.push(engine)
          return engine
        }
        // The next check has actions of its own, so nothing of this one may take its tasks.
        try {
          await check({ ...stage, start })
        } finally {
          await Promise.all(engines.map((engine) => engine.stop()))
        }
      })
  })
}

const checks: HostChecks = {
  ...planChecks,
  async 'tasks run in the order of their needs and hand on their outputs'(stage) {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const { id } = await begin(engine, [
      task('a'),
      task('b', { needs: ['a'] }),
      task('c', { needs: ['a'] }),
      task('d', { needs: ['b', 'c'] }),
    ])
    const run = await engine.workflow.whenEnded(id)
    assert.equal(run.state, 'Succeeded')
    assert.deepEqual([notes[0], notes[3], notes.length], ['a', 'd', 4])
    assert.deepEqual(run.tasks[3]?.output, { from: ['b', 'c'] })
    const entries = await stage.world.audit.page({ limit: 100, order: 'asc', correlation: id })
    const types = entries.items.map(({ type }) => type)
    assert.deepEqual([types[0], types.at(-1)], ['run.started', 'run.finished'])
    assert.equal(types.filter((type) => type === 'task.started').length, 4)
    assert.equal(types.filter((type) => type === 'task.finished').length, 4)
  },

  async 'a task that is not heard of any more is ended with that reason, and one that is goes on'(stage) {
    const beat = Promise.withResolvers<void>()
    const engine = await stage.start([
      {
        name: 'silent',
        idempotent: true,
        execute: ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason))
          }),
      },
      {
        name: 'beating',
        idempotent: true,
        async execute({ heartbeat }) {
          heartbeat()
          await beat.promise
          return { output: null }
        },
      },
    ])
    const limits = { heartbeatSeconds: 1, retry: { maxAttempts: 1, backoffSeconds: 1 } }
    const { id } = await begin(engine, [
      task('a', { action: 'silent', ...limits }),
      task('b', { action: 'beating', heartbeatSeconds: 3600 }),
    ])
    const silent = await eventually(async () => {
      stage.elapse(1000)
      const found = (await engine.workflow.read(id)).tasks.find((one) => one.id === 'a')
      return found?.state === 'Failed' && found
    }, 'the end of the silent task')
    assert.match(silent.reason ?? '', /timed out: nothing was heard of it for 1 seconds/)
    beat.resolve()
    const run = await engine.workflow.whenEnded(id)
    assert.deepEqual([run.state, run.tasks[1]?.state], ['Failed', 'Succeeded'])
  },

  async 'the same key starts a run once'(stage) {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const both = await Promise.all([
      begin(engine, [task('a')], { key: 'once' }),
      begin(engine, [task('a')], { key: 'once' }),
    ])
    assert.equal(both[0].id, both[1].id)
    await engine.workflow.whenEnded(both[0].id)
    assert.deepEqual(notes, ['a'])
  },

  async 'a gated task waits for its answer and runs once, however often it is answered'(stage) {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const { id } = await begin(engine, [task('a', { approval: gate }), task('b', { needs: ['a'] })])
    const approval = await pendingApproval(engine.approvals, id)
    assert.equal((await engine.workflow.read(id)).state, 'AwaitingApproval')
    const { digest } = approval
    const answers = await Promise.allSettled(
      [1, 2, 3].map(() => engine.approvals.approve(piet, approval.id, { digest })),
    )
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
    await assert.rejects(engine.approvals.approve(piet, approval.id, { digest }))
    assert.deepEqual(notes, ['a', 'b'])
  },

  async 'arguments that who answers has changed are what runs, and the next task gets their output'(stage) {
    const done: Json[] = []
    const scale: Action = {
      name: 'test.scale',
      idempotent: true,
      input: z.object({ count: z.int() }),
      preview: async (args) => args,
      async execute({ args }) {
        done.push(args)
        return { output: args }
      },
    }
    const engine = await stage.start([scale])
    const { id } = await begin(engine, [
      task('a', { action: 'test.scale', args: { count: 3 }, approval: gate }),
      task('b', { action: 'test.scale', args: { count: { $from: 'a', path: 'count' } }, needs: ['a'] }),
    ])
    const asked = await pendingApproval(engine.approvals, id)
    const wanted = { digest: asked.digest, args: { count: 2 }, reason: 'fewer will do' }
    const changed = await engine.approvals.change(piet, asked.id, wanted)
    await engine.approvals.approve(piet, changed.id, { digest: changed.digest })
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
    assert.deepEqual(done, [{ count: 2 }, { count: 2 }])
  },

  async 'what was approved and not used is not asked for again'(stage) {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const tasks: Parameters<typeof planOf> = [task('a', { approval: gate })]
    const first = await begin(engine, tasks, { title: 'carried' })
    const asked = await pendingApproval(engine.approvals, first.id)
    await engine.workflow.pause(first.id, olga)
    await engine.approvals.approve(piet, asked.id, { digest: asked.digest })
    await engine.workflow.cancel(first.id, olga)
    const second = await engine.workflow.whenEnded((await begin(engine, tasks, { title: 'carried' })).id)
    assert.equal(second.state, 'Succeeded')
    const used = await engine.approvals.read(second.tasks[0]?.approvalId ?? '')
    assert.deepEqual([used.mode, used.carriedFrom, notes], ['carried', asked.id, ['a']])
  },

  async 'what is denied does not run, and what needs it is skipped'(stage) {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const { id } = await begin(engine, [
      task('a', { approval: gate }),
      task('b', { needs: ['a'] }),
      task('c'),
    ])
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    await engine.approvals.deny(piet, approvalId, { digest, reason: 'not today' })
    const run = await engine.workflow.whenEnded(id)
    assert.deepEqual(
      run.tasks.map(({ state }) => state),
      ['Cancelled', 'Skipped', 'Succeeded'],
    )
    assert.deepEqual(notes, ['c'])
  },

  async 'when the world changes after the question, the approval is void and nothing runs'(stage) {
    const notes: string[] = []
    const world = { preview: 'before' }
    const engine = await stage.start([noteAction(notes, world)])
    const { id } = await begin(engine, [task('a', { approval: gate })])
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    world.preview = 'after'
    await engine.approvals.approve(piet, approvalId, { digest })
    const run = await engine.workflow.whenEnded(id)
    assert.match(run.tasks[0]?.reason ?? '', /approval\.void/)
    assert.deepEqual(notes, [])
  },

  async 'when the plan in the database changes after the question, nothing runs'(stage) {
    const notes: string[] = []
    const engine = await stage.start([noteAction(notes)])
    const { id } = await begin(engine, [task('a', { approval: gate })])
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    await stage.world.store.write((tx) =>
      tx.run(sql`update runs set plan = replace(plan, 'Task a', 'Task A') where id = ${id}`),
    )
    await engine.approvals.approve(piet, approvalId, { digest })
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Failed')
    assert.deepEqual(notes, [])
  },

  async 'a passing failure is tried again after its backoff, a refusal is not'(stage) {
    let failures = 0
    const failing = (name: string, error: () => Error, times: number): Action => ({
      name,
      idempotent: true,
      async execute({ attempt }) {
        if (attempt > times) return { output: attempt }
        failures++
        throw error()
      },
    })
    const engine = await stage.start([
      failing('test.passing', () => new AppError('store.unavailable', 'for now'), 2),
      failing('test.refused', () => new AppError('policy.denied', 'never'), 9),
    ])
    const retry = { maxAttempts: 5, backoffSeconds: 1 }
    const { id } = await begin(engine, [
      task('a', { action: 'test.passing', retry }),
      task('b', { action: 'test.refused', retry }),
    ])
    await eventually(async () => {
      stage.elapse(1000)
      return (await engine.workflow.read(id)).state === 'Failed'
    }, 'the run to end')
    const run = await engine.workflow.read(id)
    assert.deepEqual(
      run.tasks.map(({ state, attempt }) => [state, attempt]),
      [
        ['Succeeded', 3],
        ['Failed', 1],
      ],
    )
    assert.equal(failures, 3)
  },

  async 'a cancel while a retry waits ends the run, and nothing runs again'(stage) {
    let attempts = 0
    const engine = await stage.start([
      {
        name: 'test.note',
        idempotent: true,
        async execute() {
          attempts++
          throw new AppError('store.unavailable', 'for now')
        },
      },
    ])
    const { id } = await begin(engine, [task('a', { retry: { maxAttempts: 9, backoffSeconds: 3600 } })])
    await eventually(async () => {
      const [first] = (await engine.workflow.read(id)).tasks
      return first?.state === 'Pending' && first.attempt === 1
    }, 'the retry to wait')
    await engine.workflow.cancel(id, olga)
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Cancelled')
    stage.elapse(2 * 3600 * 1000)
    assert.equal(attempts, 1)
  },

  async 'a cancel stops what runs'(stage) {
    const began = Promise.withResolvers<void>()
    let reason = ''
    const engine = await stage.start([
      {
        name: 'test.note',
        idempotent: true,
        execute: ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              reason = String(signal.reason)
              reject(signal.reason)
            })
            began.resolve()
          }),
      },
    ])
    const { id } = await begin(engine, [task('a'), task('b', { needs: ['a'] })])
    await began.promise
    await engine.workflow.cancel(id, olga, 'enough')
    const run = await engine.workflow.whenEnded(id)
    assert.equal(run.state, 'Cancelled')
    assert.match(reason, /cancel/)
  },

  async 'a cancel while a run waits for a person withdraws the question'(stage) {
    const engine = await stage.start([noteAction([])])
    const { id } = await begin(engine, [task('a', { approval: gate })])
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    await engine.workflow.cancel(id, olga)
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Cancelled')
    await assert.rejects(engine.approvals.approve(piet, approvalId, { digest }))
  },

  async 'a preview that is unavailable is taken later'(stage) {
    let previews = 0
    const engine = await stage.start([
      {
        ...noteAction([]),
        async preview() {
          if (++previews === 1) throw new AppError('store.unavailable', 'for now')
          return 'there'
        },
      },
    ])
    const { id } = await begin(engine, [task('a', { approval: gate })])
    const approval = await eventually(async () => {
      stage.elapse(1000)
      const { items } = await engine.approvals.page({ limit: 100, state: 'pending' })
      return items.find(({ runId }) => runId === id)
    }, 'the question')
    await engine.approvals.deny(piet, approval.id, { digest: approval.digest })
    await engine.workflow.whenEnded(id)
  },

  async 'a paused run begins nothing more, and goes on when it is resumed'(stage) {
    const notes: string[] = []
    const began = Promise.withResolvers<void>()
    const letGo = Promise.withResolvers<void>()
    const held: Action = {
      name: 'test.held',
      idempotent: true,
      async execute() {
        began.resolve()
        await letGo.promise
        return { output: null }
      },
    }
    const engine = await stage.start([noteAction(notes), held])
    const { id } = await begin(engine, [task('a', { action: 'test.held' }), task('b', { needs: ['a'] })])
    await began.promise
    await engine.workflow.pause(id, olga)
    letGo.resolve()
    await eventually(async () => (await engine.workflow.read(id)).doneCount === 1, 'what ran to end')
    const paused = await engine.workflow.read(id)
    assert.deepEqual([paused.state, notes], ['Paused', []])
    await engine.workflow.resume(id, olga)
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
    assert.deepEqual(notes, ['b'])
  },

  async 'a run that failed goes on from the task that failed'(stage) {
    let works = false
    const notes: string[] = []
    const engine = await stage.start([
      noteAction(notes),
      {
        name: 'test.unsteady',
        idempotent: true,
        async execute() {
          if (!works) throw new AppError('policy.denied', 'not yet')
          return { output: null }
        },
      },
    ])
    const { id } = await begin(engine, [
      task('a'),
      task('b', { needs: ['a'], action: 'test.unsteady' }),
      task('c', { needs: ['b'] }),
    ])
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Failed')
    works = true
    await engine.workflow.retry(id, olga, 'b')
    assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
    assert.deepEqual(notes, ['a', 'c'])
  },

  async 'stop lets go of what may run twice, and the next start runs it again'(stage) {
    const began = Promise.withResolvers<void>()
    const hanging: Action = {
      name: 'test.note',
      idempotent: true,
      execute: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
          began.resolve()
        }),
    }
    const first = await stage.start([hanging])
    const { id } = await begin(first, [task('a')])
    await began.promise
    await first.stop()
    const notes: string[] = []
    const second = await stage.start([noteAction(notes)])
    assert.equal((await second.workflow.whenEnded(id)).state, 'Succeeded')
    assert.deepEqual(notes, ['a#2'])
  },

  async 'a run that an earlier version left in its middle goes on'(stage) {
    const stored = storedRuns()
    assert.ok(stored.length > 0, 'there are recordings')
    for (const run of stored) await checkGoesOn(stage.world, run, stage)
  },

  async 'what is answered while no host runs is done when one does'(stage) {
    const notes: string[] = []
    const first = await stage.start([noteAction(notes)])
    const { id } = await begin(first, [task('a', { approval: gate })])
    const { id: approvalId, digest } = await pendingApproval(first.approvals, id)
    await first.stop()
    await first.approvals.approve(piet, approvalId, { digest })
    assert.deepEqual(notes, [])
    const second = await stage.start([noteAction(notes)])
    assert.equal((await second.workflow.whenEnded(id)).state, 'Succeeded')
    assert.deepEqual(notes, ['a'])
  },
}
