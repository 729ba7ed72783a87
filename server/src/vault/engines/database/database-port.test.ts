// One suite for every kind of database, on real servers.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../../../test/support/eventually.ts'
import { postgresBinaries } from '../../../../test/support/postgres.ts'
import { startPostgresAccounts } from '../../../../test/support/postgres-accounts.ts'
import { askRedis, hasRedis, signsIn, startRedis } from '../../../../test/support/redis.ts'
import { Secret } from '../../../core/index.ts'
import type { Database } from './database-port.ts'
import { postgresKind } from './postgres/postgres-database.ts'
import { redisKind } from './redis/redis-database.ts'

type Server = {
  open(password?: string): Promise<Database>
  root: { username: string; password: string }
  creation: readonly string[]
  signsIn(username: string, password: string): Promise<boolean>
  users(): Promise<string[]>
  /** How many connections Keyward's account has. */
  connections(): Promise<number>
  stop(): Promise<void>
  start(): Promise<void>
}
const id = 'mount/name'

async function postgres(t: TestContext, superuser: boolean): Promise<Server> {
  const server = await startPostgresAccounts(t, { superuser })
  const { username, password } = server
  return {
    root: { username, password },
    creation: [
      `create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'`,
      'grant select on orders to "{{name}}"; grant usage on schema public to "{{name}}" -- {{password}}',
    ],
    open: (secret = password) =>
      postgresKind.open({
        id,
        details: { connection_url: server.connectionUrl, username },
        password: new Secret(secret),
        secrets: {},
      }),
    signsIn: server.signsIn,
    users: async () =>
      (await server.query(`select rolname from pg_roles where rolname like 'v-%'`)).map((row) =>
        String(row['rolname']),
      ),
    connections: async () =>
      (await server.query(`select 1 from pg_stat_activity where usename = '${username}'`)).length,
    stop: () => server.cluster.stop('SIGKILL'),
    start: () => server.cluster.start(),
  }
}

async function redis(t: TestContext): Promise<Server> {
  const server = await startRedis(t)
  const { username, password, port } = server
  return {
    root: { username, password },
    creation: ['["~app:*", "+@read"]'],
    open: (secret = password) =>
      redisKind.open({
        id,
        details: { host: '127.0.0.1', port: String(port), username, persistence_mode: 'aclfile' },
        password: new Secret(secret),
        secrets: {},
      }),
    signsIn: (name, secret) => signsIn(port, name, secret),
    users: async () =>
      ((await askRedis(server, 'ACL', 'USERS')) as string[]).filter((name) => name.startsWith('V_')),
    connections: async () =>
      String(await askRedis(server, 'CLIENT', 'LIST')).split(' name=keyward-').length - 1,
    stop: () => server.stop('SIGKILL'),
    start: server.start,
  }
}

const servers: Record<string, { missing: string | false; start: (t: TestContext) => Promise<Server> }> = {
  'PostgreSQL, as superuser': {
    missing: !postgresBinaries() && 'PostgreSQL is not installed',
    start: (t) => postgres(t, true),
  },
  'PostgreSQL, with createrole alone': {
    missing: !postgresBinaries() && 'PostgreSQL is not installed',
    start: (t) => postgres(t, false),
  },
  Redis: { missing: !hasRedis() && 'Redis is not installed', start: redis },
}

const generated = (): Secret => new Secret(`test-${randomBytes(12).toString('hex')}`)
const parts = { displayName: 'token', roleName: 'shop', now: new Date() }
const inAnHour = (): Date => new Date(Date.now() + 3_600_000)

for (const [kind, { missing, start }] of Object.entries(servers)) {
  const opened = async (t: TestContext): Promise<{ server: Server; database: Database }> => {
    const server = await start(t)
    const database = await server.open()
    t.after(() => database.close())
    return { server, database }
  }

  test(`VAULT-3: ${kind}: a user is made, extended, given another password, removed, and removed again`, {
    skip: missing,
  }, async (t) => {
    const { server, database } = await opened(t)
    const name = database.userName(parts)
    const [password, other] = [generated(), generated()]
    await database.createUser({ name, password, expiresAt: inAnHour(), statements: server.creation })
    assert.deepEqual(await server.users(), [name])
    assert.ok(await server.signsIn(name, password.reveal()))
    await database.extendUser({ name, expiresAt: inAnHour(), statements: [] })
    await database.setPassword({ name, password: other, statements: [] })
    assert.deepEqual(
      [await server.signsIn(name, password.reveal()), await server.signsIn(name, other.reveal())],
      [false, true],
    )
    await database.removeUser({ name, statements: [] })
    await database.removeUser({ name, statements: [] })
    assert.deepEqual(await server.users(), [])
  })

  test(`LEND-3: ${kind}: who was removed is not let in, and a server that is away has refused nobody`, {
    skip: missing,
  }, async (t) => {
    const { server, database } = await opened(t)
    const user = { name: database.userName(parts), password: generated() }
    assert.equal(await database.admits(user), false, 'before')
    await database.createUser({ ...user, expiresAt: inAnHour(), statements: server.creation })
    assert.equal(await database.admits(user), true)
    assert.equal(await database.admits({ ...user, password: generated() }), false, 'another password')
    await database.removeUser({ name: user.name, statements: [] })
    assert.equal(await database.admits(user), false, 'after')
    await server.stop()
    await assert.rejects(database.admits(user), (error: { code: string; detail: string }) => {
      assert.equal(error.code, 'database.unreachable')
      return !error.detail.includes(user.password.reveal())
    })
  })

  test(`VAULT-3: ${kind}: many users at once, each with a name of its own`, { skip: missing }, async (t) => {
    const { server, database } = await opened(t)
    const names = Array.from({ length: 40 }, () => database.userName(parts))
    const make = (name: string) =>
      database.createUser({
        name,
        password: generated(),
        expiresAt: inAnHour(),
        statements: server.creation,
      })
    await Promise.all(names.map(make))
    assert.deepEqual((await server.users()).sort(), [...names].sort())
    await Promise.all(names.map((name) => database.removeUser({ name, statements: [] })))
    assert.deepEqual(await server.users(), [])
  })

  test(`VAULT-3: ${kind}: what fails makes nobody, says why, and tells no password`, {
    skip: missing,
  }, async (t) => {
    const { server, database } = await opened(t)
    const password = generated()
    const name = database.userName(parts)
    const bad = { name, password, expiresAt: inAnHour(), statements: [...server.creation, '+nonsense'] }
    const quiet = (code: string) => (error: { code?: string; detail?: string }) => {
      assert.equal(error.code, code)
      for (const secret of [password.reveal(), server.root.password])
        assert.ok(!String(error.detail).includes(secret), error.detail)
      return true
    }
    await assert.rejects(database.createUser(bad), quiet('database.refused'))
    assert.deepEqual(await server.users(), [])
    await assert.rejects(
      database.setPassword({ name: 'nobody', password, statements: [] }),
      quiet('database.refused'),
    )
    const stranger = await server.open('wrong')
    await assert.rejects(stranger.check(), quiet('database.sign_in'))
    stranger.close()
    await server.stop()
    await assert.rejects(database.check(), quiet('database.unreachable'))
    await assert.rejects(database.removeUser({ name, statements: [] }), quiet('database.unreachable'))
    await server.start()
    await database.check()
  })

  test(`VAULT-3: ${kind}: who holds a closed one is served to the end, and nothing stays connected`, {
    skip: missing,
  }, async (t) => {
    const { server, database } = await opened(t)
    await database.check()
    await eventually(async () => (await server.connections()) === 1, 'one connection')
    const names = Array.from({ length: 5 }, () => database.userName(parts))
    const make = (name: string) =>
      database.createUser({
        name,
        password: generated(),
        expiresAt: inAnHour(),
        statements: server.creation,
      })
    const making = Promise.all(names.map(make))
    database.close()
    await making
    for (const name of names) await database.removeUser({ name, statements: [] })
    assert.deepEqual(await server.users(), [])
    await eventually(async () => (await server.connections()) === 0, 'a server without connections')
  })

  test(`VAULT-3: ${kind}: the account's own password is changed, and used from then on`, {
    skip: missing,
  }, async (t) => {
    const { server, database } = await opened(t)
    const next = generated()
    assert.ok(database.takesPassword)
    await database.changeOwnPassword({ name: server.root.username, password: next, statements: [] })
    await server.stop()
    await server.start()
    // The connection broke with the server; a new one is opened, with the new password.
    await database.check().catch(() => undefined)
    await database.check()
    assert.ok(!(await server.signsIn(server.root.username, server.root.password)))
  })
}
