// A database that is killed while users are made and ended, and one that is not there when a password is to be changed.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Vault } from '../src/vault/index.ts'
import { eventually } from './support/eventually.ts'
import { postgresBinaries } from './support/postgres.ts'
import { startPostgresAccounts } from './support/postgres-accounts.ts'
import { askRedis, hasRedis, startRedis } from './support/redis.ts'
import { callerOf, openUnsealedVault } from './support/vault-server.ts'
import { createTestClock, type TestClock } from './support/world.ts'

type Fields = Record<string, unknown>
const dataOf = ({ body }: { body: Fields }): Fields => (body['data'] ?? {}) as Fields
const options = { skip: !postgresBinaries() && 'PostgreSQL is not installed' }

/** Goes on until nothing is left to be ended; what waits for its next try waits no longer. */
function backlogDone({ leases }: Vault, clock: TestClock): Promise<boolean> {
  let attempts = 0
  return eventually(async () => {
    await leases.idle()
    if ((await leases.backlog()).count === 0 && attempts > 30) return true
    // Less than the hour that the shortest lease here lasts, however often it is looked.
    if (attempts++ < 150) clock.advance(20_000)
    return false
  }, 'an empty backlog')
}

async function setup(t: TestContext) {
  const postgres = await startPostgresAccounts(t)
  const clock = createTestClock(new Date())
  const world = await openUnsealedVault(t, { clock })
  const root = callerOf(world.vault, world.rootToken)
  await root('POST', 'sys/mounts/database', { type: 'database' })
  const { connectionUrl: connection_url, username, password } = postgres
  const config = { plugin_name: 'postgresql-database-plugin', allowed_roles: '*' }
  await root('POST', 'database/config/shop', { ...config, connection_url, username, password })
  await root('POST', 'database/roles/reader', {
    db_name: 'shop',
    creation_statements: [
      `create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'`,
      'grant select on orders to "{{name}}"',
    ],
    default_ttl: '24h',
  })
  const roles = async (): Promise<string[]> =>
    (await postgres.query(`select rolname from pg_roles where rolname like 'v-%'`)).map((row) =>
      String(row['rolname']),
    )
  const settled = (): Promise<boolean> => backlogDone(world.vault, clock)
  return { ...world, postgres, clock, root, roles, settled }
}

test(
  'VAULT-3: PostgreSQL killed while users are made: whoever was given one has it, and nobody else is there',
  options,
  async (t) => {
    const { root, roles, postgres, vault, settled } = await setup(t)
    const given: string[] = []
    for (let round = 0; round < 4; round++) {
      const asking = Array.from({ length: 12 }, () => root('GET', 'database/creds/reader'))
      await Promise.any(asking.map(async (reply) => assert.equal((await reply).status, 200)))
      if (round > 0) await sleep(round * 5)
      await postgres.cluster.stop('SIGKILL')
      for (const reply of await Promise.all(asking)) {
        assert.ok(reply.status === 200 || reply.status === 500, JSON.stringify(reply))
        if (reply.status === 200) given.push(String(dataOf(reply)['username']))
      }
      await postgres.cluster.start()
    }
    await settled()
    assert.deepEqual((await roles()).sort(), given.sort())
    assert.equal(await vault.leases.count(), given.length)
    assert.ok(given.length >= 4)
  },
)

test(
  'VAULT-3: PostgreSQL killed while users are ended: all of them are, as soon as it is back',
  options,
  async (t) => {
    const { root, roles, postgres, vault, clock, settled } = await setup(t)
    for (let round = 0; round < 3; round++) {
      const made = await Promise.all(Array.from({ length: 10 }, () => root('GET', 'database/creds/reader')))
      assert.deepEqual([...new Set(made.map(({ status }) => status))], [200])
      const ending = made.map(({ body }) =>
        root('PUT', 'sys/leases/revoke', { lease_id: body['lease_id'], sync: true }),
      )
      await Promise.race(ending)
      await postgres.cluster.stop('SIGKILL')
      await Promise.all(ending)
      clock.advance(60_000)
      await vault.leases.idle()
      await postgres.cluster.start()
      await settled()
      assert.deepEqual([await roles(), await vault.leases.count()], [[], 0])
    }
  },
)

test(
  'VAULT-3: a password that cannot be changed in time is tried again, seen, and changed as soon as it can be',
  options,
  async (t) => {
    const { root, postgres, vault, clock, audit } = await setup(t)
    await postgres.query('create role app login')
    const fields = { db_name: 'shop', username: 'app', rotation_period: '1h' }
    assert.equal((await root('POST', 'database/static-roles/app', fields)).status, 204)
    const current = async (): Promise<string> =>
      String(dataOf(await root('GET', 'database/static-creds/app'))['password'])
    const first = await current()
    await postgres.cluster.stop('SIGKILL')
    clock.advance(3_600_000)
    await eventually(async () => vault.failingRotations().length > 0, 'the failure to be seen')
    const [failing] = vault.failingRotations()
    assert.deepEqual([failing?.path, failing?.attempts], ['database/static-roles/app', 1])
    assert.match(failing?.reason ?? '', /cannot be reached/)
    assert.equal(await current(), first)
    await postgres.cluster.start()
    await eventually(async () => {
      clock.advance(10_000)
      return (await current()) !== first
    }, 'another password')
    assert.ok(await postgres.signsIn('app', await current()))
    assert.ok(!(await postgres.signsIn('app', first)))
    assert.deepEqual(vault.failingRotations(), [])
    const told = (await audit.page({ limit: 100, order: 'asc', type: 'password.rotated' })).items
    const outcomes = told.map(({ outcome }) => outcome)
    assert.deepEqual(
      [outcomes.slice(0, 4), outcomes.at(-1)],
      [['intent', 'done', 'intent', 'failed'], 'done'],
    )
    assert.ok(!JSON.stringify(told).includes(await current()))
  },
)

test(
  'VAULT-3: passwords go on being changed by period and by schedule after a seal and a new start',
  options,
  async (t) => {
    const { root, postgres, vault, clock } = await setup(t)
    await postgres.query('create role app login; create role night login')
    await root('POST', 'database/static-roles/app', {
      db_name: 'shop',
      username: 'app',
      rotation_period: '1h',
    })
    const nightly = {
      db_name: 'shop',
      username: 'night',
      rotation_schedule: '0 3 * * *',
      rotation_window: '1h',
    }
    assert.equal((await root('POST', 'database/static-roles/night', nightly)).status, 204)
    const read = async (name: string): Promise<Fields> =>
      dataOf(await root('GET', `database/static-creds/${name}`))
    const [app, night] = [await read('app'), await read('night')]
    assert.deepEqual(
      [app['ttl'], app['rotation_period'], night['rotation_schedule'], night['rotation_window']],
      [3600, 3600, '0 3 * * *', 3600],
    )
    await vault.seal({ kind: 'system', id: 'test', name: 'test', roles: [] })
    clock.advance(86_400_000)
    await vault.unsealByItself()
    await eventually(async () => {
      clock.advance(60_000 * 10)
      const [first, second] = [await read('app'), await read('night')]
      return first['password'] !== app['password'] && second['password'] !== night['password']
    }, 'both passwords to change')
    // The clock stands still again; a change that it set off may be under way.
    for (const name of ['app', 'night'])
      await eventually(
        async () => postgres.signsIn(name, String((await read(name))['password'])),
        `${name} to sign in`,
      )
    assert.notEqual((await read('night'))['password'], night['password'])
    const ownUpdate = await root('POST', 'database/static-roles/app', { username: 'other' })
    assert.deepEqual(ownUpdate.body['errors'], ['cannot update static account username'])
    await root('POST', 'database/static-roles/app', { rotation_period: 7200 })
    assert.equal(dataOf(await root('GET', 'database/static-roles/app'))['rotation_period'], 7200)
    await root('DELETE', 'database/static-roles/app')
    assert.equal((await root('GET', 'database/static-creds/app')).status, 400)
  },
)

test('VAULT-3: a Redis that is killed forgets nobody whom it was told to keep, and leases end all the same', {
  skip: !hasRedis() && 'Redis is not installed',
}, async (t) => {
  const redis = await startRedis(t)
  const clock = createTestClock(new Date())
  const { vault, rootToken } = await openUnsealedVault(t, { clock })
  const root = callerOf(vault, rootToken)
  await root('POST', 'sys/mounts/database', { type: 'database' })
  const { username, password, port } = redis
  const config = { plugin_name: 'redis-database-plugin', allowed_roles: '*', persistence_mode: 'ACLFILE' }
  await root('POST', 'database/config/cache', { ...config, host: '127.0.0.1', port, username, password })
  await root('POST', 'database/roles/reader', { db_name: 'cache', default_ttl: '1h' })
  const users = async (): Promise<string[]> =>
    ((await askRedis(redis, 'ACL', 'USERS')) as string[]).filter((name) => name.startsWith('V_'))
  const asking = Array.from({ length: 20 }, () => root('GET', 'database/creds/reader'))
  await Promise.race(asking)
  await redis.stop('SIGKILL')
  const given = (await Promise.all(asking)).flatMap((reply) =>
    reply.status === 200 ? [String(dataOf(reply)['username'])] : [],
  )
  await redis.start()
  await backlogDone(vault, clock)
  assert.deepEqual((await users()).sort(), given.sort())
  clock.advance(3_600_000)
  await eventually(async () => {
    clock.advance(20_000)
    await vault.leases.idle()
    return (await vault.leases.count()) === 0
  }, 'the end of every lease')
  assert.deepEqual(await users(), [])
})
