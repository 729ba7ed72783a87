/**
 * A server whose runs are Temporal's, and in which a run can be held at any of its steps, as if the process had died for it there.
 *   node killed-temporal.ts <data folder> <address> <namespace> <key, base64> <runs that go on: freely | held>
 * Takes a word a line on standard input, and answers each with a line of JSON: `steps` makes a run and tells its steps, `hold` makes a
 * run for each of them and tells where each is held, `held` tells where those are that were held as they were taken up, `end` waits
 * for all runs and tells what there is.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { AppError, Secret } from '../../src/core/index.ts'
import { sql, type Tx } from '../../src/store/index.ts'
import type { Action, Plan } from '../../src/workflow/index.ts'
import { noteEffect, openEffects } from './effects.ts'
import { createEngine, gate, olga, piet, planOf, task } from './engine.ts'
import { eventually } from './eventually.ts'
import { createHolds } from './holds.ts'

const [dataDir = '', address = '', namespace = '', key = '', goOn = ''] = process.argv.slice(2)
const { world, count, close } = await openEffects(dataDir)
const { store } = world
const holds = createHolds({ throwsAt: ['committing', 'telling', 'told'] })

/** The service outside: a line for each thing that it was asked for. */
const serviceFile = `${dataDir}/service.txt`
const asked = (line: string): number => linesOf(serviceFile).filter((one) => one === line).length
function linesOf(file: string): string[] {
  return readFileSync(file, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean)
}

const acting = (name: string, more: Partial<Action>): Action => ({
  name,
  idempotent: true,
  preview: async (args) => args,
  async execute({ runId, taskId, idempotencyKey }) {
    await holds.reached(`${taskId}:before`, runId)
    if (taskId === 'flaky' && asked(`failed ${idempotencyKey}`) === 0) {
      appendFileSync(serviceFile, `failed ${idempotencyKey}\n`)
      throw new AppError('connector.unavailable', 'not yet')
    }
    appendFileSync(serviceFile, `${name} ${idempotencyKey}\n`)
    await holds.reached(`${taskId}:after`, runId)
    return { output: idempotencyKey, commit: (tx) => noteEffect(tx, idempotencyKey) }
  },
  ...more,
})
const once = acting('test.once', {
  idempotent: false,
  reconcile: async ({ idempotencyKey }) =>
    asked(`test.once ${idempotencyKey}`) === 0
      ? { effect: 'none' }
      : {
          effect: 'done',
          result: { output: idempotencyKey, commit: (tx) => noteEffect(tx, idempotencyKey) },
        },
})

const titled = (title: string, ...tasks: Parameters<typeof planOf>): Plan => ({ ...planOf(...tasks), title })
const inner = titled('inner', task('x'))
const plans = {
  alone: titled(
    'alone',
    task('flaky', { retry: { maxAttempts: 3, backoffSeconds: 1 } }),
    task('gated', { needs: ['flaky'], action: 'test.once', approval: gate }),
  ),
  around: titled(
    'around',
    task('child', { action: 'subrun', subrun: { flow: 'inner', input: {} }, args: null }),
  ),
}
type Kind = keyof typeof plans
type Step = { readonly kind: Kind; readonly place: string }
const { workflow, approvals, stop } = createEngine(world, {
  actions: [acting('test.note', {}), once],
  flows: { inner },
  concurrency: 500,
  onBoundary: holds.reached,
  temporal: {
    env: { KEYWARD_TEMPORAL_ADDRESS: address, KEYWARD_TEMPORAL_NAMESPACE: namespace },
    key: async () => new Secret(key),
    heartbeatSeconds: 2,
  },
})

let isAnswering = true
async function answer(): Promise<void> {
  while (isAnswering) {
    for (const { id, digest, runId } of (await approvals.page({ limit: 500, state: 'pending' })).items) {
      if (holds.isHeld(runId)) continue
      await approvals.approve(piet, id, { digest })
      void holds.reached('answered', runId)
    }
    await setTimeout(100)
  }
}

const runs = async () => (await workflow.page({ limit: 500 })).items
const isOver = (state: string): boolean => ['Succeeded', 'Failed', 'Cancelled'].includes(state)

/** Nothing is written between these and the step after them. */
const sameAsTheNext = /:(?:previewed|asked|starting|started|executed|completed) |^child:/
const steps: Step[] = []

const begin = (kind: Kind, tx?: Tx) =>
  workflow.start(tx, { plan: plans[kind], requestedBy: olga, unattended: false })

async function stepsOf(kind: Kind): Promise<Step[]> {
  const { id } = await begin(kind)
  await workflow.whenEnded(id)
  const passed = (what: RegExp): number => holds.steps(id).filter((place) => what.test(place)).length
  await eventually(
    async () => passed(/^(?!child)\w+:begun /) === passed(/:done /),
    'its last activity to end',
  )
  const places = holds.steps(id).filter((place) => !sameAsTheNext.test(place))
  return places.map((place) => ({ kind, place }))
}

/** Resolves with where they are held, once each is held or has ended. */
async function allHeld(runIds: readonly string[]): Promise<string[]> {
  for (const id of runIds)
    await eventually(
      async () => holds.isHeld(id) || isOver((await workflow.read(id)).state),
      `run ${id} to be held`,
    )
  return holds.places()
}

const answers: Record<string, () => Promise<unknown>> = {
  async steps() {
    steps.push(...(await stepsOf('alone')), ...(await stepsOf('around')))
    return steps
  },
  async hold() {
    const made: string[] = []
    for (const { kind, place } of steps)
      await store.write(async (tx) => {
        const { id } = await begin(kind, tx)
        holds.hold(id, place)
        made.push(id)
      })
    return allHeld(made)
  },
  held: () => allHeld(heldAgain),
  async end() {
    await Promise.all((await runs()).map(({ id }) => workflow.whenEnded(id)))
    const all = await runs()
    const made = (title: string): number => all.filter((run) => run.title === title).length
    const service = linesOf(serviceFile).filter((line) => !line.startsWith('failed '))
    const unrepeatable = service.filter((line) => line.startsWith('test.once '))
    return {
      runs: { alone: made('alone'), around: made('around'), inner: made('inner') },
      notSucceeded: all.filter(({ state }) => state !== 'Succeeded').length,
      effects: new Set(service).size,
      doneTwice: unrepeatable.length - new Set(unrepeatable).size,
      recorded: await count(sql`select count(*) as n from effects`),
      recordedTwice: await count(sql`select count(*) as n from effects where times > 1`),
      approvals: await count(sql`select count(*) as n from approvals`),
      redeemed: await count(sql`select count(*) as n from approvals where redeemed_at is not null`),
    }
  },
}

// Each second one of those that were left is held again, at another step of being taken up. Not all: what is held in a look keeps one of
// the 40 places that a worker has for workflows.
const left = (await runs()).filter(({ state, parentRunId }) => !isOver(state) && parentRunId === null)
const heldAgain = goOn === 'held' ? left.filter((_, i) => i % 2 === 0).map(({ id }) => id) : []
for (const [i, id] of heldAgain.entries()) holds.holdAtNth(id, (i % 7) + 1)
await workflow.run()
await approvals.run()
const answered = answer()
for await (const word of createInterface(process.stdin)) {
  const answer = answers[word]
  if (!answer) break
  process.stdout.write(`${JSON.stringify(await answer())}\n`)
}
isAnswering = false
await answered
await stop()
await close()
