export {
  type ActionContext,
  type Connector,
  type ConnectorAction,
  defineAction,
  type OpenConnection,
  type Wellness,
} from './connector.ts'
export { type Connectors, createConnectors } from './connectors.ts'
export { connectorsMigrations } from './connectors-store.ts'
export type { RunSandboxed, ServiceUse } from './needs.ts'
export type { SandboxedCommand, SandboxedResult } from './sandboxed.ts'
export { shippedConnectors } from './shipped.ts'
