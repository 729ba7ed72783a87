import type { ConnectionHealth, ConnectionView, Json } from '@keyward/contract'
import { AppError, actorOf, newId, type Principal } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import type { Connector } from './connector.ts'
import {
  type ConnectionRow,
  connectionById,
  connectionByName,
  deleteConnection,
  insertConnection,
  putConnection,
  readConnections,
} from './connectors-store.ts'
import type { ConnectorsNeeds } from './needs.ts'
import { misfits, type Registry } from './registry.ts'

type Settings = { readonly [name: string]: Json }
export type NewConnection = Pick<ConnectionView, 'name' | 'connector' | 'secretPath'> & {
  readonly settings: Settings
  readonly environment?: string | null | undefined
}
export type ConnectionChange = {
  readonly settings?: Settings | undefined
  readonly secretPath?: string | null | undefined
  readonly environment?: string | null | undefined
}

export type Connections = {
  list(): Promise<ConnectionView[]>
  create(wanted: NewConnection, by: Principal): Promise<ConnectionView>
  change(connectionId: string, change: ConnectionChange, by: Principal): Promise<ConnectionView>
  remove(connectionId: string, by: Principal): Promise<void>
}

type Needs = Pick<ConnectorsNeeds, 'store' | 'audit' | 'bus' | 'clock' | 'vault' | 'assertMayLend'> & {
  registry: Registry
}

export function createConnections(needs: Needs): Connections {
  const { store, audit, bus, clock, vault, registry, assertMayLend } = needs

  async function tell(
    tx: Tx,
    type: 'connection.created' | 'connection.changed' | 'connection.removed',
    { id, name, connector, secret_path: secretPath, environment }: ConnectionRow,
    by: Principal,
  ): Promise<void> {
    const target = `connection:${id}`
    const detail = { name, connector, secretPath, environment }
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target, data: { name } })
  }

  /** Who connects a secret to a service lends it there: they must be allowed to, and it must have what the service needs. */
  async function assertSecretFits(
    connector: Connector,
    secretPath: string | null,
    by: Principal,
  ): Promise<void> {
    const needed = connector.secretFields.filter((field) => field.optional !== true).map(({ name }) => name)
    if (secretPath === null) {
      if (needed.length === 0) return
      throw new AppError('request.invalid', `${connector.title} needs a secret with ${needed.join(', ')}`)
    }
    assertMayLend(by, secretPath)
    const secret = await vault.kv.read(secretPath)
    if (!secret) throw new AppError('secret.not_found', `${secretPath} does not exist or was deleted`)
    const missing = needed.filter((name) => !Object.hasOwn(secret.data, name))
    if (missing.length > 0)
      throw new AppError('secret.not_found', `${secretPath} has no field ${missing.join(', ')}`)
  }

  return {
    list: async () => (await readConnections(store)).map(connectionViewOf),
    async create({ name, connector: kind, settings, secretPath, environment = null }, by) {
      const connector = registry.get(kind)
      await assertSecretFits(connector, secretPath, by)
      const now = clock.now()
      const row: ConnectionRow = {
        id: newId('con', now),
        name,
        connector: kind,
        settings: settingsOf(connector, settings),
        secret_path: secretPath,
        environment,
        created_by: actorOf(by),
        created_at: now.getTime(),
        health_state: null,
        health_detail: null,
        health_latency_ms: null,
        health_at: null,
      }
      await store.write(async (tx) => {
        if (!(await insertConnection(tx, row)))
          throw new AppError('connection.exists', `there is a connection '${name}' already`)
        await tell(tx, 'connection.created', row, by)
      })
      return connectionViewOf(row)
    },
    async change(connectionId, { settings, secretPath, environment }, by) {
      const before = await foundById(store, connectionId)
      const connector = registry.get(before.connector)
      const path = secretPath === undefined ? before.secret_path : secretPath
      // Also when only an address changes: the secret would go there.
      await assertSecretFits(connector, path, by)
      const after = {
        settings: settings ? settingsOf(connector, settings) : before.settings,
        secretPath: path,
        environment: environment === undefined ? before.environment : environment,
      }
      await store.write(async (tx) => {
        const row = await foundById(tx, connectionId)
        await putConnection(tx, row.id, after)
        await tell(
          tx,
          'connection.changed',
          { ...row, secret_path: path, environment: after.environment },
          by,
        )
      })
      return connectionViewOf(await foundById(store, connectionId))
    },
    async remove(connectionId, by) {
      await store.write(async (tx) => {
        const row = await foundById(tx, connectionId)
        await deleteConnection(tx, row.id)
        await tell(tx, 'connection.removed', row, by)
      })
    },
  }
}

type Reader = Parameters<typeof connectionById>[0]

/** Throws `connection.not_found`. */
export async function foundById(reader: Reader, id: string): Promise<ConnectionRow> {
  const row = await connectionById(reader, id)
  if (!row) throw new AppError('connection.not_found', `there is no connection '${id}'`)
  return row
}

/** Throws `connection.not_found`. */
export async function foundByName(reader: Reader, name: string): Promise<ConnectionRow> {
  const row = await connectionByName(reader, name)
  if (!row) throw new AppError('connection.not_found', `there is no connection '${name}'`)
  return row
}

/** As they were given, once they fit. */
function settingsOf(connector: Connector, settings: Settings): string {
  const parsed = connector.settings.safeParse(settings)
  if (!parsed.success)
    throw new AppError('request.invalid', `settings of ${connector.title}: ${misfits(parsed.error)}`)
  return JSON.stringify(settings)
}

export const connectionViewOf = (row: ConnectionRow): ConnectionView => ({
  id: row.id,
  name: row.name,
  connector: row.connector,
  settings: JSON.parse(row.settings) as ConnectionView['settings'],
  secretPath: row.secret_path,
  environment: row.environment,
  createdBy: row.created_by,
  createdAt: new Date(row.created_at).toISOString(),
  health: healthOf(row),
})

function healthOf(row: ConnectionRow): ConnectionHealth | null {
  const { health_state: state, health_detail: detail, health_latency_ms: latencyMs, health_at: at } = row
  if (state === null || at === null) return null
  return { state, detail: detail ?? '', latencyMs: latencyMs ?? 0, checkedAt: new Date(at).toISOString() }
}
