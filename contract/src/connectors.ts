import { z } from 'zod'
import { json, operation, timestamp } from './operation.ts'
import { risk } from './plans.ts'

/** How a service answered when it was last asked. */
export const connectionHealth = z.object({
  /** `degraded`: it answers, but says that it is not well. */
  state: z.enum(['up', 'degraded', 'down']),
  /** In words; what to do when it is not up. */
  detail: z.string(),
  /** How long its answer took. */
  latencyMs: z.int(),
  checkedAt: timestamp,
})
export type ConnectionHealth = z.output<typeof connectionHealth>

/** By this name plans speak of a connection. */
const connectionName = z
  .string()
  .max(60)
  .regex(/^[a-z0-9][a-z0-9-]*$/, 'use small letters, digits and hyphens')
const settings = z.record(z.string(), json)
const secretPath = z.string().min(1).max(1000).nullable()

/** What the service belongs to: policies and the phases of agents look at it, and know `production` by name. */
const environment = z
  .string()
  .max(40)
  .regex(/^[a-z][a-z0-9-]*$/, 'use small letters, digits and hyphens, for example production')
  .nullable()

export const connectionView = z.object({
  id: z.string(),
  name: z.string(),
  /** What kind of service it is, for example `github`. */
  connector: z.string(),
  /** Addresses and ids; never a secret. */
  settings,
  /** Where the vault has the fields that the connector needs; null where it needs none. */
  secretPath: z.string().nullable(),
  /** For example `production`; null when nobody has said what it belongs to. */
  environment: z.string().nullable(),
  createdBy: z.string(),
  createdAt: timestamp,
  /** Null until it was asked for the first time. */
  health: connectionHealth.nullable(),
})
export type ConnectionView = z.output<typeof connectionView>

export const connectorAction = z.object({
  name: z.string(),
  title: z.string(),
  risk,
  reversible: z.boolean(),
  /** A second execution of the same task does no harm. */
  idempotent: z.boolean(),
  /** `read` changes nothing at the service. */
  effect: z.enum(['read', 'write']),
  /** Whether an approver is shown what would happen. */
  previews: z.boolean(),
  /** Whether it can find out if an attempt that was lost had its effect. */
  reconciles: z.boolean(),
  /** As the service names them. */
  permissions: z.array(z.string()),
  /** Fields of the connection's secret that it uses. */
  secretFields: z.array(z.string()),
  /** JSON Schema. */
  input: json,
  /** JSON Schema. */
  output: json,
})

export const connectorView = z.object({
  name: z.string(),
  title: z.string(),
  /** The service's own documentation. */
  docs: z.string(),
  /** JSON Schema of a connection's settings. */
  settings: json,
  secretFields: z.array(z.object({ name: z.string(), title: z.string(), optional: z.boolean() })),
  actions: z.array(connectorAction),
})
export type ConnectorView = z.output<typeof connectorView>

export const connectorsApi = {
  list: operation({
    name: 'connectors.list',
    method: 'GET',
    path: '/connectors',
    summary: 'Kinds of services that runs can work with, and what they can do there',
    result: z.object({ items: z.array(connectorView) }),
  }),
}

const connectionId = { connectionId: z.string() }

export const connectionsApi = {
  list: operation({
    name: 'connections.list',
    method: 'GET',
    path: '/connections',
    summary: 'Services that are connected, with how they are',
    result: z.object({ items: z.array(connectionView) }),
  }),
  create: operation({
    name: 'connections.create',
    method: 'POST',
    path: '/connections',
    summary: 'Connect a service; its secret stays in the vault, the connection has its path',
    body: {
      name: connectionName,
      connector: z.string().min(1).max(60),
      settings: settings.default({}),
      secretPath: secretPath.default(null),
      environment: environment.default(null),
    },
    result: connectionView,
    fails: ['connector.not_found', 'connection.exists', 'secret.not_found', 'vault.sealed'],
  }),
  change: operation({
    name: 'connections.change',
    method: 'PUT',
    path: '/connections/{connectionId}',
    summary: 'Change the settings of a connection, where its secret is, or what environment it belongs to',
    params: connectionId,
    body: {
      settings: settings.optional(),
      secretPath: secretPath.optional(),
      environment: environment.optional(),
    },
    result: connectionView,
    fails: ['connection.not_found', 'secret.not_found', 'vault.sealed'],
  }),
  remove: operation({
    name: 'connections.remove',
    method: 'DELETE',
    path: '/connections/{connectionId}',
    summary: 'Forget a connection; its secret stays in the vault',
    params: connectionId,
    result: z.object({ removed: z.boolean() }),
    fails: ['connection.not_found'],
  }),
  check: operation({
    name: 'connections.check',
    method: 'POST',
    path: '/connections/{connectionId}/check',
    summary: 'Ask the service now how it is; changes nothing there',
    params: connectionId,
    result: connectionView,
    fails: ['connection.not_found', 'vault.sealed'],
  }),
}
