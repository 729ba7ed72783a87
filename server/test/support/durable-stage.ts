import type { TestContext } from 'node:test'
import type { Migration } from '../../src/store/index.ts'
import type { Action, Plan } from '../../src/workflow/index.ts'
import { createEngine, type Engine, engineMigrations, olga, planOf } from './engine.ts'
import { eventually } from './eventually.ts'
import { openWorld, type World } from './world.ts'

type Options = { concurrency?: number; flows?: { readonly [name: string]: Plan } }
export type Started = Engine & { world: World }

/** What a test opens is ended before the store is closed, whatever order the test opens it in. */
export async function openStage(
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
    async start(actions: readonly Action[], options: Options = {}): Promise<Started> {
      const engine = createEngine(world, { actions, ...options })
      engines.push(engine)
      await engine.workflow.run()
      await engine.approvals.run()
      return { ...engine, world }
    },
  }
}

export const startEngine = async (
  t: TestContext,
  actions: readonly Action[],
  options: { concurrency?: number } = {},
) => (await openStage(t)).start(actions, options)

export const begin = (engine: Engine, ...tasks: Parameters<typeof planOf>) =>
  engine.workflow.start(undefined, { plan: planOf(...tasks), requestedBy: olga, unattended: false })

/** Runs until it is told to stop; `began` resolves when as many attempts as asked for are at it. */
export function hangingAction(name: string, attempts = 1, idempotent = true) {
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

export const awaitingPerson = (engine: Engine, runId: string) =>
  eventually(
    async () => (await engine.workflow.read(runId)).state === 'AwaitingPerson',
    'a task of unknown outcome',
  )
