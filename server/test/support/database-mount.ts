// A mount of the database engine with a connection to a real PostgreSQL, as a client of the vault sees it.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { postgresBinaries } from './postgres.ts'
import { startPostgresAccounts } from './postgres-accounts.ts'
import { callerOf, openUnsealedVault } from './vault-server.ts'
import { createTestClock } from './world.ts'

export type Fields = Record<string, unknown>
export type Reply = { status: number; body: Fields }
export const dataOf = ({ body }: Reply): Fields => (body['data'] ?? {}) as Fields
export const errorOf = ({ body }: Reply): string => String((body['errors'] as string[] | undefined)?.[0])
export const text = (fields: Fields, name: string): string => String(fields[name])
export const postgresOnly = { skip: !postgresBinaries() && 'PostgreSQL is not installed' }

export const creation = [
  `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';`,
  'GRANT SELECT ON orders TO "{{name}}";',
]

export async function openDatabases(t: TestContext, clock = createTestClock(new Date())) {
  const postgres = await startPostgresAccounts(t)
  const world = await openUnsealedVault(t, { clock })
  const root = callerOf(world.vault, world.rootToken)
  assert.equal((await root('POST', 'sys/mounts/database', { type: 'database' })).status, 204)
  const config = {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: '*',
    connection_url: postgres.connectionUrl,
    username: postgres.username,
    password: postgres.password,
  }
  assert.equal((await root('POST', 'database/config/shop', config)).status, 204)
  const role = { db_name: 'shop', creation_statements: creation, default_ttl: '10m', max_ttl: '1h' }
  assert.equal((await root('POST', 'database/roles/reader', role)).status, 204)
  const roles = async (): Promise<string[]> =>
    (await postgres.query(`select rolname from pg_roles where rolname like 'v-%'`)).map((row) =>
      text(row, 'rolname'),
    )
  const entries = async (type: string) => (await world.audit.page({ limit: 500, order: 'desc', type })).items
  return { ...world, postgres, root, config, role, roles, entries }
}
