// Database credentials as the `bao` command and hvac set them up and use them, on a real PostgreSQL.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { inputRunner, runner, succeeds } from './support/bao-runner.ts'
import { hvacOrSkip, runHvac } from './support/hvac.ts'
import { postgresBinaries } from './support/postgres.ts'
import { startPostgresAccounts } from './support/postgres-accounts.ts'
import { callerOf, openUnsealedVault, serveVault } from './support/vault-server.ts'
import { createTestClock } from './support/world.ts'

const options = { skip: !postgresBinaries() && 'PostgreSQL is not installed' }

test(
  'VAULT-2, VAULT-3: bao sets a database up, takes credentials, renews and revokes them',
  options,
  async (t) => {
    const path = await baoOrSkip(t)
    if (path === undefined) return
    const postgres = await startPostgresAccounts(t)
    const { vault, rootToken } = await openUnsealedVault(t, { clock: createTestClock(new Date()) })
    const { url } = await serveVault(t, vault)
    const bao = runner(t, path, url, rootToken)
    const withInput = inputRunner(t, path, url, rootToken)
    const field = async (name: string, ...words: string[]): Promise<string> =>
      (await succeeds(bao('read', `-field=${name}`, ...words))).trim()

    assert.match(await succeeds(bao('secrets', 'enable', 'database')), /Enabled the database secrets engine/)
    const config = [
      'plugin_name=postgresql-database-plugin',
      'allowed_roles=reader,app',
      `connection_url=${postgres.connectionUrl}`,
      `username=${postgres.username}`,
      'password=-',
    ]
    assert.match(
      await succeeds(withInput(postgres.password, 'write', 'database/config/shop', ...config)),
      /Success! Data written to: database\/config\/shop/,
    )
    const shown = await succeeds(bao('read', 'database/config/shop'))
    assert.match(shown, /plugin_name\s+postgresql-database-plugin/)
    assert.ok(!shown.includes(postgres.password))
    const role = [
      'db_name=shop',
      `creation_statements=CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT SELECT ON orders TO "{{name}}";`,
      'default_ttl=10m',
      'max_ttl=1h',
    ]
    await succeeds(bao('write', 'database/roles/reader', ...role))
    assert.match(await succeeds(bao('list', 'database/roles')), /reader/)
    const printed = await succeeds(bao('read', 'database/creds/reader'))
    const column = (name: string): string => new RegExp(`${name}\\s+(\\S+)`).exec(printed)?.[1] ?? ''
    const [leaseId, username, password] = [column('lease_id'), column('username'), column('password')]
    assert.ok(await postgres.signsIn(username, password))
    assert.match(await succeeds(bao('lease', 'renew', '-increment=30m', leaseId)), /lease_duration\s+30m/)
    await succeeds(bao('lease', 'revoke', '-sync', leaseId))
    assert.ok(!(await postgres.signsIn(username, password)))
    await postgres.query('create role app login')
    await succeeds(
      bao(
        'write',
        'database/static-roles/app',
        'db_name=shop',
        'username=app',
        'rotation_schedule=0 3 * * *',
      ),
    )
    assert.ok(await postgres.signsIn('app', await field('password', 'database/static-creds/app')))
    await succeeds(bao('write', '-f', 'database/rotate-role/app'))
    await succeeds(bao('write', '-f', 'database/rotate-root/shop'))
    assert.ok(!(await postgres.signsIn(postgres.username, postgres.password)))
    const refused = await bao('read', 'database/creds/nobody')
    assert.match(refused.err, /Code: 400[\s\S]*unknown role: nobody/)
    const other = await field('username', 'database/creds/reader')
    await succeeds(bao('secrets', 'disable', 'database'))
    assert.deepEqual(await postgres.query(`select 1 from pg_roles where rolname = '${other}'`), [])
  },
)

test(
  'VAULT-2, VAULT-3: hvac handles connections, roles, credentials and static roles',
  options,
  async (t) => {
    const packages = await hvacOrSkip(t)
    if (packages === undefined) return
    const postgres = await startPostgresAccounts(t)
    await postgres.query('create role app login')
    const { vault, rootToken } = await openUnsealedVault(t, { clock: createTestClock(new Date()) })
    const { connectionUrl, username, password } = postgres
    const connection = { data: { url: connectionUrl, username, password } }
    assert.equal((await callerOf(vault, rootToken)('POST', 'secret/data/connection', connection)).status, 200)
    const { url } = await serveVault(t, vault)
    const printed = await runHvac(packages, 'hvac_database.py', url, rootToken)
    assert.deepEqual(printed.trim().split('\n'), ['connection', 'credentials', 'static', 'refusals'])
  },
)
