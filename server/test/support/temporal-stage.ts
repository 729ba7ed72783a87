import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { Client, Connection, isGrpcServiceError } from '@temporalio/client'
import { Secret, systemClock } from '../../src/core/index.ts'
import type { Action } from '../../src/workflow/index.ts'
import { cleanUp } from './clean-up.ts'
import { createEngine, type Engine, engineMigrations } from './engine.ts'
import { eventually } from './eventually.ts'
import type { HostStage } from './host-suite.ts'
import { startTemporal, type TemporalServer } from './temporal.ts'
import { openWorld } from './world.ts'

export type TemporalStage = HostStage & {
  start(actions: readonly Action[], more?: StartMore): Promise<Engine>
  readonly temporal: TemporalServer
  /** Whether the vault is sealed. */
  readonly vault: { sealed: boolean }
  /** Resolves when the engine's worker is connected, or is in another state. */
  until(engine: Engine, state: string): Promise<void>
}

type StartMore = NonNullable<Parameters<HostStage['start']>[1]> & { longHistory?: number }

function notThere(error: unknown): [] {
  if (isGrpcServiceError(error) && error.code === notFound) return []
  throw error
}
/** As gRPC counts. */
const notFound = 5

/** Engines whose runs are carried by a Temporal of the test's own; time is the machine's. */
export async function openTemporalStage(
  t: TestContext,
  key = new Secret(randomBytes(32).toString('base64')),
): Promise<TemporalStage | undefined> {
  const temporal = await startTemporal(t)
  if (!temporal) return undefined
  const clock = { ...systemClock, advance: () => undefined, set: () => undefined }
  const world = await openWorld(t, engineMigrations, { clock })
  const connection = Connection.lazy({ address: temporal.address })
  cleanUp(t, () => connection.close())
  const client = new Client({ connection, namespace: temporal.namespace })
  const vault = { sealed: false }
  const env = {
    KEYWARD_TEMPORAL_ADDRESS: temporal.address,
    KEYWARD_TEMPORAL_NAMESPACE: temporal.namespace,
  }
  const until = (engine: Engine, state: string) =>
    eventually(
      async () => (await engine.workflow.hosts()).temporal?.state === state,
      `the Temporal host to be ${state}`,
    ).then(() => undefined)
  return {
    world,
    name: 'temporal',
    temporal,
    vault,
    elapse: () => undefined,
    until,
    async settled(_, runIds) {
      for (const id of runIds)
        await eventually(async () => {
          const history = client.workflow.getHandle(id).fetchHistory()
          const events = await history.then((found) => found.events ?? []).catch(notThere)
          return events.some(({ workflowTaskCompletedEventAttributes: done }) => done)
        }, 'the first look at a run')
    },
    async start(actions: readonly Action[], { flows = {}, ...more }: StartMore = {}) {
      const openKey = async (): Promise<Secret | undefined> => (vault.sealed ? undefined : key)
      const engine = createEngine(world, {
        actions,
        flows,
        temporal: { env, key: openKey, heartbeatSeconds: 2, ...more },
      })
      cleanUp(t, () => engine.stop())
      await engine.workflow.run()
      await engine.approvals.run()
      await until(engine, 'up')
      return engine
    },
  }
}
