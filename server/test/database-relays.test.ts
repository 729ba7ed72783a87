// Databases from inside a real sandbox: programs that know nothing of Keyward sign in with a placeholder.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { systemPrincipal } from '../src/core/index.ts'
import { mayBeMissing } from './support/needed.ts'
import { postgresBinaries } from './support/postgres.ts'
import { hasRedis, startRedis } from './support/redis.ts'
import { startRelayPostgres } from './support/relay-postgres.ts'
import { openTaskWorld } from './support/task-world.ts'

const host = 'db.example.test'
const destinations = [{ host, port: 5432 }]
const skip = postgresBinaries() ? false : 'PostgreSQL is not installed'

test('LEND-2: psql in a sandbox signs in with a placeholder, and the password stays outside', {
  skip,
}, async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip) return t.skip(mayBeMissing(world.skip))
  const server = await startRelayPostgres(t, host)
  const { address, caPem, username, password, database } = server
  const lent: Omit<Parameters<typeof world.run>[0], 'command'> = {
    secretPath: await world.keep('db', { username, password }),
    destinations,
    injection: {
      kind: 'postgres',
      databases: [database],
      tls: 'verify',
      usernameField: 'username',
      cleartext: false,
    },
    route: { address, caPem },
  }
  if (!existsSync('/usr/bin/psql')) return t.skip(mayBeMissing('psql is not installed'))

  await t.test('LEND-2: by the usual variables, and by DATABASE_URL', async () => {
    const command = [
      'sh',
      '-c',
      'psql -Atc "select current_user" && psql "$DATABASE_URL" -Atc "select 6 * 7"',
    ] as const
    assert.equal(await world.run({ ...lent, command: [...command] }), `${username}\n42\n`)
    const used = await world.entries('lease.used')
    assert.deepEqual(
      used.map(({ outcome, detail }) => [outcome, Object(detail).method, Object(detail).path]),
      [
        ['intent', 'POSTGRES', `/${database}`],
        ['intent', 'POSTGRES', `/${database}`],
      ],
    )
    const passed = await world.entries('egress.allowed')
    assert.deepEqual(
      passed.map(({ detail }) => [Object(detail).user, Object(detail).bytesIn > 0]),
      [
        [username, true],
        [username, true],
      ],
    )
    await world.end()
  })

  await t.test(
    'LEND-2: what the command prints, and all that is in its reach, is without the password',
    async () => {
      const script =
        'env; cat /proc/*/environ 2>/dev/null | tr "\\0" "\\n"; psql -Atc "select 1"; echo "$PGPASSWORD"'
      const said = await world.run({ ...lent, command: ['sh', '-c', script] })
      assert.ok(!said.includes(password))
      assert.match(said, /PGPASSWORD=kwp_/)
      const log = JSON.stringify((await world.keyward.audit.page({ limit: 500, order: 'asc' })).items)
      assert.ok(!log.includes(password))
      await world.end()
    },
  )

  await t.test('LEND-2: another database, another user, another host are refused', async () => {
    const tries = [
      `psql -d ${server.otherDatabase} -Atc "select 1"`,
      'psql -U postgres -Atc "select 1"',
      'PGPASSWORD=guess psql -Atc "select 1"',
      'PGREPLICATION=1 psql "dbname=$PGDATABASE replication=database" -Atc "IDENTIFY_SYSTEM"',
    ]
    const command = [
      'sh',
      '-c',
      tries
        .map((one) => `${one} 2>&1 && exit 7`)
        .join('; ')
        .concat('; true'),
    ] as const
    const said = await world.run({ ...lent, command: [...command] })
    assert.match(said, /not for the database/)
    assert.match(said, /The lease is for shop_reader/)
    assert.match(said, /must be the placeholder/)
    assert.match(said, /replication is not lent/)
    await world.end()
  })
})

test('LEND-2: a role that is made for a lease is dropped at its end', { skip }, async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip) return t.skip(mayBeMissing(world.skip))
  const server = await startRelayPostgres(t, host)
  const { address, caPem, database } = server
  const owner = { username: 'vault_owner', password: `own-${randomBytes(9).toString('hex')}` }
  await server.query(`create role ${owner.username} login superuser password '${owner.password}'`)
  const { vault } = world.keyward
  const set = (path: string, body: Record<string, unknown>) =>
    vault.act(systemPrincipal('test'), { method: 'POST', path, body })
  await set('sys/mounts/database', { type: 'database' })
  await set('database/config/shop', {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: '*',
    connection_url: `postgresql://{{username}}:{{password}}@${address}/${database}?sslmode=disable`,
    ...owner,
  })
  const creation = `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';`
  await set('database/roles/reader', {
    db_name: 'shop',
    creation_statements: creation,
    default_ttl: '10m',
    max_ttl: '1h',
  })
  const made = () => server.query(`select rolname from pg_roles where rolname like 'v-%'`)
  const said = await world.run({
    secretPath: 'database/creds/reader',
    destinations,
    injection: {
      kind: 'postgres',
      databases: [database],
      tls: 'verify',
      usernameField: 'username',
      cleartext: false,
    },
    route: { address, caPem },
    command: ['sh', '-c', 'psql -Atc "select current_user" && psql -Atc "select current_user"'],
  })
  const [first, second] = said.trim().split('\n')
  assert.match(first ?? '', /^v-/)
  assert.equal(first, second, 'one role for the whole lease')
  assert.deepEqual(await made(), [{ rolname: first }])
  await world.end()
  assert.deepEqual(await made(), [])
  assert.match(JSON.stringify(await world.entries('lease.receipt')), /its role was dropped at the database/)
})

test('LEND-2: redis-cli in a sandbox signs in with a placeholder', {
  skip: !hasRedis() && 'no Redis',
}, async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip) return t.skip(mayBeMissing(world.skip))
  const { port, username, password } = await startRedis(t)
  const said = await world.run({
    secretPath: await world.keep('cache', { username, password }),
    destinations: [{ host: 'cache.example.test', port: 6379 }],
    injection: { kind: 'redis', tls: 'none', usernameField: 'username' },
    route: { address: `127.0.0.1:${port}`, caPem: '' },
    command: [
      'sh',
      '-c',
      'redis-cli ACL WHOAMI; redis-cli -u "$REDIS_URL" SET order 17; redis-cli CONFIG GET "*"; env',
    ],
  })
  assert.match(said, new RegExp(`^${username}\nOK\nNOPERM Keyward: CONFIG is not lent`))
  assert.ok(!said.includes(password))
  await world.end()
})
