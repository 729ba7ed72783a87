// The password of the account that Keyward itself uses.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { postgresBinaries } from '../../../../test/support/postgres.ts'
import { startPostgresAccounts } from '../../../../test/support/postgres-accounts.ts'
import { callerOf, openUnsealedVault } from '../../../../test/support/vault-server.ts'
import { createTestClock } from '../../../../test/support/world.ts'

const options = { skip: !postgresBinaries() && 'PostgreSQL is not installed' }
const creation = [
  `create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'`,
  'grant select on orders to "{{name}}"',
]

async function setup(t: TestContext) {
  const postgres = await startPostgresAccounts(t)
  const world = await openUnsealedVault(t, { clock: createTestClock(new Date()) })
  const root = callerOf(world.vault, world.rootToken)
  await root('POST', 'sys/mounts/database', { type: 'database' })
  const { connectionUrl: connection_url, username, password } = postgres
  const config = { plugin_name: 'postgresql-database-plugin', allowed_roles: '*', connection_url }
  await root('POST', 'database/config/shop', { ...config, username, password })
  await root('POST', 'database/roles/reader', { db_name: 'shop', creation_statements: creation })
  const creds = async (): Promise<number> => (await root('GET', 'database/creds/reader')).status
  const rotate = async (): Promise<number> => (await root('POST', 'database/rotate-root/shop')).status
  return { ...world, postgres, root, creds, rotate, config }
}

test('VAULT-3: credentials are given out while the password changes, and after', options, async (t) => {
  const { creds, rotate, postgres, audit } = await setup(t)
  const asking = Array.from({ length: 30 }, async (_, at) => {
    const statuses: number[] = []
    for (let count = 0; count < 4; count++) statuses.push(await (at % 10 === 0 ? rotate() : creds()))
    return statuses
  })
  const statuses = (await Promise.all(asking)).flat()
  assert.deepEqual([...new Set(statuses)].sort(), [200, 204])
  assert.ok(!(await postgres.signsIn(postgres.username, postgres.password)))
  assert.equal(await creds(), 200)
  const told = (await audit.page({ limit: 100, order: 'asc', type: 'password.rotated' })).items
  assert.deepEqual(
    told.map(({ outcome }) => outcome),
    Array.from({ length: 24 }, (_, at) => (at % 2 === 0 ? 'intent' : 'done')),
  )
})

test(
  'VAULT-3: a database that refuses the change keeps the password, and one that is away is asked again',
  options,
  async (t) => {
    const { creds, rotate, postgres, root } = await setup(t)
    await root('POST', 'database/config/shop', { root_rotation_statements: ['alter role nobody login'] })
    assert.equal(await rotate(), 500)
    assert.equal(await creds(), 200)
    await root('POST', 'database/config/shop', { root_rotation_statements: [] })
    await postgres.cluster.stop('SIGKILL')
    assert.equal(await rotate(), 500)
    await postgres.cluster.start()
    assert.equal(await creds(), 200)
    assert.equal(await rotate(), 204)
    assert.equal(await creds(), 200)
  },
)

test(
  'VAULT-3: a password that somebody changed outside is written again by an operator',
  options,
  async (t) => {
    const { creds, postgres, root, config } = await setup(t)
    await postgres.query(`alter role ${postgres.username} password 'outside-9'`)
    await root('POST', 'database/reset/shop')
    assert.equal(await creds(), 500)
    assert.equal((await root('POST', 'database/config/shop', { allowed_roles: 'reader' })).status, 400)
    assert.equal(
      (await root('POST', 'database/config/shop', { ...config, password: 'outside-9' })).status,
      204,
    )
    assert.equal(await creds(), 200)
  },
)
