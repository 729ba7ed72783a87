import { AppError, Secret } from '../../../core/index.ts'
import type { Database, DatabaseKind } from './database-port.ts'
import type { ConfigRecord } from './records.ts'

/** By the names that HashiCorp and OpenBao gave their plugins. Drivers are loaded when the first connection of a kind is used. */
const kinds: Readonly<Record<string, () => Promise<DatabaseKind>>> = {
  'postgresql-database-plugin': async () => (await import('./postgres/postgres-database.ts')).postgresKind,
  'redis-database-plugin': async () => (await import('./redis/redis-database.ts')).redisKind,
  'valkey-database-plugin': async () => (await import('./redis/redis-database.ts')).redisKind,
}

export const pluginNames: readonly string[] = Object.keys(kinds)

export async function kindOf(pluginName: string): Promise<DatabaseKind> {
  const load = Object.hasOwn(kinds, pluginName) ? kinds[pluginName] : undefined
  if (!load)
    throw new AppError(
      'request.invalid',
      `error creating database object: plugin not found in the catalog: ${pluginName}; there are ${pluginNames.join(', ')}`,
    )
  return load()
}

/** Checks the settings of a connection; connects to nothing yet. */
export async function openDatabase(id: string, config: ConfigRecord): Promise<Database> {
  const { password = '', ...others } = config.secrets
  const secrets = Object.fromEntries(Object.entries(others).map(([name, value]) => [name, new Secret(value)]))
  const kind = await kindOf(config.pluginName)
  return kind.open({ id, details: config.details, password: new Secret(password), secrets })
}
