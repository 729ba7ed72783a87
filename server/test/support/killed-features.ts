/**
 * A process that finishes what an earlier one left, then begins a run with a list, a task that is tried again, a run within it, an
 * approval and a failure that undoes it, and kills itself where it is told to.
 *   node killed-features.ts <data folder> <boundary, or nothing> [which time]
 * Prints what it found before it begins, as one line of JSON; ends with code 0 when the boundary was not reached.
 */
import { AppError } from '../../src/core/index.ts'
import { sql } from '../../src/store/index.ts'
import type { Action } from '../../src/workflow/index.ts'
import { noteEffect, openEffects } from './effects.ts'
import { createEngine, gate, olga, piet, planOf, task } from './engine.ts'

const [dataDir = '', wanted = '', time = '1'] = process.argv.slice(2)
/** The clock's timers keep no process alive, and a retry waits on one. */
const awake = setInterval(() => undefined, 1000)
let armed = false
let left = Number(time)

function boundary(name: string): void {
  if (armed && name === wanted && --left === 0) process.kill(process.pid, 'SIGKILL')
}

const { world, count, close } = await openEffects(dataDir)
const { store, bus } = world

/** A failure counts as had once it is on disk: the attempt after it succeeds, whichever process makes it. */
async function failOnce(key: string): Promise<void> {
  const first = await store.write((tx) =>
    tx.run(sql`insert into open_leases (id) values (${key}) on conflict do nothing`),
  )
  if (first === 1) throw new AppError('connector.unavailable', 'not yet')
}

const noting: Action = {
  name: 'test.note',
  idempotent: true,
  preview: async (args) => args,
  async execute({ taskId, idempotencyKey, args }) {
    if (taskId === 'flaky') await failOnce(idempotencyKey)
    if (taskId === 'last') throw new AppError('task.failed', 'as it was told to')
    return { output: args, commit: (tx) => noteEffect(tx, idempotencyKey) }
  },
}

const inner = planOf(task('x'), task('y', { needs: ['x'] }))
const compensate = { action: 'test.note', args: { back: true } }
const plan = planOf(
  task('list', { args: { files: ['a', 'b', 'c'] }, compensate }),
  task('each', { needs: ['list'], forEach: { $from: 'list', path: 'files' }, args: { file: { $item: '' } } }),
  task('flaky', { needs: ['each'], retry: { maxAttempts: 3, backoffSeconds: 1 }, compensate }),
  task('child', { needs: ['flaky'], action: 'subrun', subrun: { flow: 'inner', input: {} }, args: null }),
  task('asked', { needs: ['child'], approval: gate }),
  task('last', { needs: ['asked'] }),
)

const { workflow, approvals, stop } = createEngine(world, {
  actions: [noting],
  flows: { inner },
  onBoundary: boundary,
})

async function answerAll(): Promise<void> {
  for (const { id, digest } of (await approvals.page({ limit: 500, state: 'pending' })).items) {
    await approvals.approve(piet, id, { digest })
    boundary('answered')
  }
}
bus.subscribe(({ type }) => {
  if (type === 'approval.requested') void answerAll()
})

await workflow.run()
await approvals.run()
await answerAll()
const { items } = await workflow.page({ limit: 500 })
await Promise.all(items.map(({ id }) => workflow.whenEnded(id)))
const runs = (await workflow.page({ limit: 500 })).items
const statesOf = (isTask: boolean): string[] =>
  runs.filter(({ parentRunId }) => (parentRunId !== null) === isTask).map(({ state }) => state)
process.stdout.write(
  `${JSON.stringify({
    runs: statesOf(false),
    within: statesOf(true),
    effects: await count(sql`select count(*) as n from effects`),
    undone: await count(sql`select count(*) as n from effects where id like '%.undo'`),
    repeatedEffects: await count(sql`select count(*) as n from effects where times > 1`),
    redeemed: await count(sql`select count(*) as n from approvals where redeemed_at is not null`),
  })}\n`,
)

armed = wanted !== ''
if (armed) {
  const { id } = await workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
  await workflow.whenEnded(id)
}
armed = false
clearInterval(awake)
await stop()
await close()
