// The database engine as a client of the vault sees it, on real servers.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  creation,
  dataOf,
  errorOf,
  type Fields,
  openDatabases,
  postgresOnly,
  text,
} from '../../../../test/support/database-mount.ts'
import { hasRedis, signsIn, startRedis } from '../../../../test/support/redis.ts'
import { callerOf, openUnsealedVault } from '../../../../test/support/vault-server.ts'

test('VAULT-3: a credential works for as long as its lease, and no longer', postgresOnly, async (t) => {
  const { vault, postgres, root, roles, entries } = await openDatabases(t)
  const granted = await root('GET', 'database/creds/reader')
  const { username, password } = dataOf(granted) as Record<string, string>
  assert.match(username ?? '', /^v-root-reader-\w{20}-\d{10}$/)
  assert.match(password ?? '', /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*-)[\w-]{20}$/)
  assert.deepEqual([granted.body['renewable'], granted.body['lease_duration']], [true, 600])
  assert.match(String(granted.body['lease_id']), /^database\/creds\/reader\/\w{24}$/)
  assert.ok(await postgres.signsIn(username ?? '', password ?? ''))
  const until = async () =>
    (await postgres.query(`select rolvaliduntil from pg_roles where rolname = '${username}'`))[0]?.[
      'rolvaliduntil'
    ]
  const before = await until()
  const renewed = await root('PUT', 'sys/leases/renew', {
    lease_id: granted.body['lease_id'],
    increment: 1200,
  })
  assert.equal(renewed.body['lease_duration'], 1200)
  assert.ok(((await until()) as Date) > (before as Date))
  assert.equal(
    (await root('PUT', 'sys/leases/revoke', { lease_id: granted.body['lease_id'], sync: true })).status,
    204,
  )
  assert.deepEqual(await roles(), [])
  await vault.leases.idle()
  const [receipt] = await entries('lease.receipt')
  assert.equal(receipt?.target, `lease:${granted.body['lease_id']}`)
  assert.match(JSON.stringify(receipt?.detail), /a sign-in with its user and password.*"result":"refused"/)
  const told = JSON.stringify([
    ...(await entries('lease.issued')),
    ...(await entries('lease.requested')),
    receipt,
  ])
  assert.ok(!told.includes(password ?? 'x') && told.includes('reader'))
})

test(
  'LEND-3: a user that can still sign in after its revocation has not ended: its lease stays and says so',
  postgresOnly,
  async (t) => {
    const { root, roles, clock, vault, entries } = await openDatabases(t)
    const careless = { db_name: 'shop', creation_statements: creation, revocation_statements: 'SELECT 1' }
    await root('POST', 'database/roles/careless', careless)
    const { body } = await root('GET', 'database/creds/careless')
    const lease_id = body['lease_id']
    const refused = await root('PUT', 'sys/leases/revoke', { lease_id, sync: true })
    assert.match(errorOf(refused), /can still sign in after its revocation/)
    assert.equal((await vault.leases.backlog()).count, 1)
    assert.deepEqual(await entries('lease.receipt'), [])
    await root('POST', 'database/roles/careless', {
      revocation_statements: 'DROP OWNED BY "{{name}}"; DROP ROLE "{{name}}"',
    })
    clock.advance(3 * 60_000)
    await vault.leases.idle()
    assert.deepEqual([(await vault.leases.backlog()).count, (await roles()).length], [0, 0])
    assert.equal((await entries('lease.receipt')).length, 1)
  },
)

test(
  'VAULT-3: what a role made and may do goes with it, what it owns stays, and its sessions end',
  postgresOnly,
  async (t) => {
    const { postgres, root, roles } = await openDatabases(t)
    await root('POST', 'database/roles/writer', {
      db_name: 'shop',
      creation_statements: [
        ...creation,
        'GRANT CREATE, USAGE ON SCHEMA public TO "{{name}}"; GRANT TEMP ON DATABASE CURRENT TO "{{name}}"',
      ],
    })
    const bad = await root('GET', 'database/creds/writer')
    assert.equal(bad.status, 500)
    assert.match(errorOf(bad), /syntax error|does not exist/)
    await root('POST', 'database/roles/writer', {
      creation_statements: [...creation, 'GRANT CREATE, USAGE ON SCHEMA public TO "{{name}}" -- {{name}}'],
    })
    const granted = await root('GET', 'database/creds/writer')
    const { username = '', password = '' } = dataOf(granted) as Record<string, string>
    const pg = await import('pg')
    const url = postgres.connectionUrl
      .replace('{{username}}', encodeURIComponent(username))
      .replace('{{password}}', encodeURIComponent(password))
    const session = new pg.default.Client({ connectionString: url })
    const ended = new Promise<Error>((resolve) => session.on('error', resolve))
    await session.connect()
    await session.query('create table made (id int); insert into made values (7)')
    await root('PUT', 'sys/leases/revoke', { lease_id: granted.body['lease_id'], sync: true })
    assert.match(String(await ended), /terminat/)
    assert.deepEqual(await roles(), [])
    assert.deepEqual(await postgres.query('select id from made'), [{ id: 7 }])
  },
)

test(
  "VAULT-3: a role's own statements end and extend its users, also when the role is gone",
  postgresOnly,
  async (t) => {
    const { postgres, root, roles } = await openDatabases(t)
    await postgres.query('create table log (what text); grant insert on log to vault_root')
    await root('POST', 'database/roles/own', {
      db_name: 'shop',
      creation_statements: Buffer.from(JSON.stringify(creation)).toString('base64'),
      renew_statements: `INSERT INTO log VALUES ('{{expiration}} {{name}}')`,
      revocation_statements: `REVOKE ALL ON orders FROM "{{name}}"; DROP ROLE "{{username}}"; INSERT INTO log VALUES ('end')`,
    })
    const lease = async (): Promise<unknown> => (await root('GET', 'database/creds/own')).body['lease_id']
    const [one, two, three] = [await lease(), await lease(), await lease()]
    await root('PUT', 'sys/leases/renew', { lease_id: one })
    await root('PUT', 'sys/leases/revoke', { lease_id: one, sync: true })
    const log = (await postgres.query('select what from log')).map((row) => text(row, 'what'))
    assert.match(log[0] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0000 v-root-own-/)
    assert.equal(log[1], 'end')
    await root('DELETE', 'database/roles/own')
    await root('PUT', 'sys/leases/revoke', { lease_id: two, sync: true })
    assert.equal((await roles()).length, 1)
    assert.match(errorOf(await root('PUT', 'sys/leases/renew', { lease_id: three })), /could not find role/)
    // Somebody removed it by hand: the statements fail, and there is nothing to do.
    await postgres.query(
      `revoke all on orders from "${(await roles())[0]}"; drop role "${(await roles())[0]}"`,
    )
    assert.equal((await root('PUT', 'sys/leases/revoke', { lease_id: three, sync: true })).status, 204)
  },
)

test(
  'VAULT-3: a connection shows no password, serves the roles that it allows, and is kept until it is deleted',
  postgresOnly,
  async (t) => {
    const { root, config, role, postgres } = await openDatabases(t)
    const shown = dataOf(await root('GET', 'database/config/shop'))
    assert.deepEqual(Object.keys(shown).sort(), [
      'allowed_roles',
      'connection_details',
      'password_policy',
      'plugin_name',
      'plugin_version',
      'root_credentials_rotate_statements',
    ])
    assert.ok(!JSON.stringify(shown).includes(postgres.password))
    const inline = postgres.connectionUrl
      .replace('{{username}}', postgres.username)
      .replace('{{password}}', postgres.password)
    const warned = await root('POST', 'database/config/inline', {
      ...config,
      connection_url: inline,
      nonsense: 1,
    })
    assert.match(
      JSON.stringify(warned.body['warnings']),
      /Password found in connection_url.*unrecognized parameters: \[nonsense\]/,
    )
    assert.ok(!JSON.stringify(await root('GET', 'database/config/inline')).includes(postgres.password))
    assert.match(
      errorOf(await root('POST', 'database/rotate-root/inline')),
      /connection_url holds the password itself/,
    )
    await root('POST', 'database/config/shop', { allowed_roles: ['other', 'wri*'] })
    const refused = await root('GET', 'database/creds/reader')
    assert.deepEqual(
      [refused.status, errorOf(refused).includes('"reader" is not an allowed role')],
      [500, true],
    )
    await root('POST', 'database/roles/writer', role)
    assert.equal((await root('GET', 'database/creds/writer')).status, 200)
    assert.equal((await root('POST', 'database/reset/shop')).status, 204)
    assert.deepEqual(dataOf(await root('POST', 'database/reload/postgresql-database-plugin')), {
      connections: ['inline', 'shop'],
      count: 2,
    })
    const unverified = { ...config, connection_url: 'postgres://u@127.0.0.1:1/x', verify_connection: false }
    assert.equal((await root('POST', 'database/config/later', unverified)).status, 204)
    assert.deepEqual(dataOf(await root('LIST', 'database/config'))['keys'], ['inline', 'later', 'shop'])
    await root('DELETE', 'database/config/shop')
    assert.match(
      errorOf(await root('GET', 'database/creds/writer')),
      /failed to find entry for connection with name: "shop"/,
    )
  },
)

test(
  'VAULT-3: passwords follow a policy, names a template, and a role may have so many leases',
  postgresOnly,
  async (t) => {
    const { root, config, postgres } = await openDatabases(t)
    const policy = (characters: string) => ({
      policy: `length = 24 rule "charset" { charset = "${characters}" }`,
    })
    await root('POST', 'sys/policies/password/digits', policy('0123456789'))
    await root('POST', 'sys/policies/password/quotes', policy("'"))
    const template = '{{.RoleName | uppercase}}-{{random 10}}'
    await root('POST', 'database/config/shop', {
      username_template: template,
      password_authentication: 'scram-sha-256',
    })
    await root('POST', 'database/roles/reader', {
      credential_config: 'password_policy=digits',
      max_leases: 1,
    })
    const { username = '', password = '' } = dataOf(await root('GET', 'database/creds/reader')) as Record<
      string,
      string
    >
    assert.match(`${username} ${password}`, /^READER-\w{10} \d{24}$/)
    assert.ok(await postgres.signsIn(username, password))
    assert.equal((await root('GET', 'database/creds/reader')).status, 429)
    assert.equal(dataOf(await root('GET', 'database/roles/reader'))['max_leases'], 1)
    await root('POST', 'database/config/shop', { ...config, password_policy: 'quotes' })
    await root('POST', 'database/roles/other', { db_name: 'shop', creation_statements: creation })
    assert.match(errorOf(await root('GET', 'database/creds/other')), /policy "quotes" hold quotes/)
    await root('POST', 'database/config/shop', { ...config, password_policy: 'gone' })
    assert.match(errorOf(await root('GET', 'database/creds/other')), /no password policy "gone"/)
  },
)

test(
  'VAULT-3: a token needs the capability for each path, and credentials can be wrapped',
  postgresOnly,
  async (t) => {
    const { vault, root } = await openDatabases(t)
    await root('PUT', 'sys/policies/acl/app', {
      policy: 'path "database/creds/reader" { capabilities = ["read"] }',
    })
    const made = (await root('POST', 'auth/token/create', { policies: ['app'], display_name: `a"b--c` }))
      .body['auth'] as Fields
    const app = callerOf(vault, text(made, 'client_token'))
    const granted = await app('GET', 'database/creds/reader')
    assert.match(text(dataOf(granted), 'username'), /^v-token-a/)
    for (const path of [
      'database/config/shop',
      'database/roles/reader',
      'database/static-creds/x',
      'database/creds/other',
    ])
      assert.equal((await app('GET', path)).status, 403)
    for (const path of ['database/rotate-root/shop', 'database/config/shop', 'database/reset/shop'])
      assert.equal((await app('POST', path, {})).status, 403)
    const wrapped = await app('GET', 'database/creds/reader', undefined, { wrapTtl: '60' })
    const token = text(wrapped.body['wrap_info'] as Fields, 'token')
    const unwrapped = await callerOf(vault, token)('POST', 'sys/wrapping/unwrap')
    assert.ok(text(dataOf(unwrapped), 'password').length === 20)
  },
)

test('VAULT-3: users of Redis are made by rules, and end with their lease', {
  skip: !hasRedis() && 'Redis is not installed',
}, async (t) => {
  const redis = await startRedis(t)
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await root('POST', 'sys/mounts/database', { type: 'database' })
  const { username, password, port } = redis
  const config = {
    plugin_name: 'valkey-database-plugin',
    allowed_roles: 'r*',
    host: '127.0.0.1',
    port,
    username,
    password,
  }
  assert.equal((await root('POST', 'database/config/cache', config)).status, 204)
  assert.deepEqual(dataOf(await root('GET', 'database/config/cache'))['connection_details'], {
    host: '127.0.0.1',
    port,
    username,
  })
  await root('POST', 'database/roles/r1', { db_name: 'cache', creation_statements: '["~app:*", "+get"]' })
  const granted = await root('GET', 'database/creds/r1')
  const user = dataOf(granted) as Record<string, string>
  assert.match(user['username'] ?? '', /^V_ROOT_R1_[A-Z0-9]{20}_\d+$/)
  assert.ok(await signsIn(port, user['username'] ?? '', user['password'] ?? ''))
  await root('PUT', 'sys/leases/revoke', { lease_id: granted.body['lease_id'], sync: true })
  assert.ok(!(await signsIn(port, user['username'] ?? '', user['password'] ?? '')))
  await root('POST', 'database/roles/r2', { db_name: 'cache', creation_statements: '["+@all", ">mine"]' })
  assert.match(errorOf(await root('GET', 'database/creds/r2')), /about the password/)
  await root('POST', 'database/roles/r3', { db_name: 'cache', creation_statements: '["+nonsense"]' })
  assert.match(errorOf(await root('GET', 'database/creds/r3')), /Redis says: ERR/)
  for (const [field, words] of [
    ['host', /host cannot be empty/],
    ['port', /port cannot be empty/],
    ['username', /username cannot be empty/],
  ] as const)
    assert.match(errorOf(await root('POST', 'database/config/x', { ...config, [field]: '' })), words)
  assert.match(
    errorOf(await root('POST', 'database/config/x', { ...config, tls: true })),
    /ca_cert cannot be empty/,
  )
  assert.match(
    errorOf(await root('POST', 'database/config/x', { ...config, persistence_mode: 'x' })),
    /persistence_mode can only/,
  )
  assert.match(
    errorOf(await root('POST', 'database/config/x', { ...config, password: randomBytes(9).toString('hex') })),
    /Redis does not let Keyward in: WRONGPASS/,
  )
  assert.equal((await root('POST', 'database/rotate-root/cache')).status, 204)
  assert.ok(!(await signsIn(port, username, password)))
  assert.equal((await root('GET', 'database/creds/r1')).status, 200)
})
