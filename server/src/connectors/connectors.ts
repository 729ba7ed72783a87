import type { ConnectorView, SystemStatus } from '@keyward/contract'
import type { Action } from '../workflow/index.ts'
import { type Connections, createConnections } from './connections.ts'
import type { ConnectorAction } from './connector.ts'
import { countConnections } from './connectors-store.ts'
import { createHealthChecks, type HealthChecks } from './health.ts'
import type { ConnectorsNeeds } from './needs.ts'
import { createRegistry } from './registry.ts'
import { taskActions } from './task-actions.ts'
import { createTaskTokens } from './task-tokens.ts'
import { createTold, type Told } from './told.ts'

export type Connectors = Connections &
  Pick<HealthChecks, 'check'> &
  Pick<Told, 'tell'> & {
    start(): Promise<void>
    stop(): void
    /** The kinds of services. */
    kinds(): ConnectorView[]
    /** How the connections of each kind are. */
    counts(): Promise<NonNullable<SystemStatus['connections']>>
    /** What an action is, for who plans with it. */
    action(name: string): ConnectorAction | undefined
    /** What runs can do with connected services. */
    readonly actions: readonly Action[]
  }

export function createConnectors(needs: ConnectorsNeeds): Connectors {
  const registry = createRegistry(needs.connectors)
  const health = createHealthChecks({ ...needs, registry })
  const tokens = createTaskTokens(needs)
  const told = createTold()
  const byName = new Map(
    registry.all().flatMap(({ actions }) => actions.map((action) => [action.name, action] as const)),
  )
  return {
    ...createConnections({ ...needs, registry }),
    check: health.check,
    tell: told.tell,
    async start() {
      await tokens.start()
      health.start()
    },
    stop() {
      health.stop()
      tokens.stop()
    },
    kinds: registry.views,
    counts: async () =>
      (await countConnections(needs.store)).map(({ connector, up, degraded, down, unknown, slowest_ms }) => ({
        connector,
        up: Number(up),
        degraded: Number(degraded),
        down: Number(down),
        unknown: Number(unknown),
        slowestMs: slowest_ms === null ? null : Number(slowest_ms),
      })),
    action: (name) => byName.get(name),
    actions: taskActions({ ...needs, registry, tokens, told }),
  }
}
