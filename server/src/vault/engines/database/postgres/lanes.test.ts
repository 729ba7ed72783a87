import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { postgresBinaries } from '../../../../../test/support/postgres.ts'
import { startPostgresAccounts } from '../../../../../test/support/postgres-accounts.ts'
import { Secret } from '../../../../core/index.ts'
import { postgresKind } from './postgres-database.ts'

test('VAULT-3: what the statements of one role set holds for no other that is made with it or after it', {
  skip: !postgresBinaries() && 'PostgreSQL is not installed',
}, async (t) => {
  const { connectionUrl, username, password, query } = await startPostgresAccounts(t)
  await query('create schema planted; create table planted.orders (id int); create role weak')
  const database = await postgresKind.open({
    id: 'mount/name',
    details: { connection_url: connectionUrl, username, max_open_connections: 1 },
    password: new Secret(password),
    secrets: {},
  })
  t.after(() => database.close())
  const make = (name: string, ...more: string[]): Promise<void> =>
    database.createUser({
      name,
      password: new Secret(randomBytes(9).toString('hex')),
      expiresAt: new Date(Date.now() + 60_000),
      statements: [`create role "{{name}}" login password '{{password}}'`, ...more],
    })
  const grant = 'grant select on orders to "{{name}}"'
  const meddling = [
    'set local search_path = planted',
    'set search_path = planted',
    'select set_config($$search_path$$, $$planted$$, false)',
    'set role weak',
    'commit; set session authorization weak; begin',
  ]
  await database.check()
  for (const [i, statement] of meddling.entries())
    await Promise.all([make(`a${i}`, statement), make(`b${i}`, grant), make(`c${i}`, grant)])
  await make('last', grant)
  const rights = await query(
    `select distinct table_schema from information_schema.role_table_grants where grantee ~ '^(b|c|last)'`,
  )
  assert.deepEqual(rights, [{ table_schema: 'public' }])
  const roles = await query(
    `select count(*)::int as count from pg_roles where rolname ~ '^([abc][0-9]|last)$'`,
  )
  assert.deepEqual(roles, [{ count: 3 * meddling.length + 1 }])
})
