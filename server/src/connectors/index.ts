export {
  type ActionContext,
  type Connector,
  type ConnectorAction,
  defineAction,
  type OpenConnection,
} from './connector.ts'
export { type Connectors, createConnectors } from './connectors.ts'
export { connectorsMigrations } from './connectors-store.ts'
export type { SandboxedForConnectors, ServiceUse } from './needs.ts'
export type { CommandSecret, SandboxedCommand, SandboxedResult } from './sandboxed-command.ts'
export { shippedConnectors } from './shipped.ts'
