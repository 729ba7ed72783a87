import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { authOf, dataOf, openAuth } from '../../../../test/support/vault-auth.ts'
import { sql } from '../../../store/index.ts'

const generated = (): string => `test-${randomBytes(12).toString('hex')}`

async function setup(t: Parameters<typeof openAuth>[0], fields: Record<string, unknown> = {}, tuned = {}) {
  const world = await openAuth(t, 'userpass', { config: tuned })
  const password = generated()
  const made = await world.root('POST', 'auth/userpass/users/Mary', { password, ...fields })
  assert.equal(made.status, 204, JSON.stringify(made.body))
  const login = (given: unknown, user = 'mary', remoteAddress?: string) =>
    world.anybody('POST', `auth/userpass/login/${user}`, { password: given }, { remoteAddress })
  return { ...world, password, login }
}

test('VAULT-2: userpass: a name and a password sign in, whatever the case of the name', async (t) => {
  const { login, password, callWith } = await setup(t, { token_policies: 'shop', token_ttl: '1h' })
  const reply = await login(password, 'MARY')
  assert.equal(reply.status, 200)
  const auth = authOf(reply)
  assert.deepEqual(
    [auth['policies'], auth['metadata'], auth['lease_duration']],
    [['default', 'shop'], { username: 'mary' }, 3600],
  )
  const self = dataOf(await callWith(auth)('GET', 'auth/token/lookup-self'))
  assert.deepEqual([self['display_name'], self['path']], ['userpass-mary', 'auth/userpass/login/MARY'])
})

test('VAULT-2: userpass: a wrong password and an unknown user are refused alike', async (t) => {
  const { login, password, anybody } = await setup(t)
  const refused = { status: 400, body: { errors: ['invalid username or password'] } }
  assert.deepEqual(await login(generated()), refused)
  assert.deepEqual(await login(password, 'nobody'), refused)
  assert.deepEqual(await login(`${password} `), refused)
  assert.deepEqual((await anybody('POST', 'auth/userpass/login/mary', {})).body['errors'], [
    'missing password',
  ])
  assert.equal((await login({ a: 1 })).status, 400)
  assert.equal((await anybody('GET', 'auth/userpass/login/mary')).status, 405)
  assert.equal((await login(password, 'a%20b c')).status, 400)
})

test('VAULT-2: userpass: a hash of bcrypt is refused, and changes nobody', async (t) => {
  const { root, login, password } = await setup(t)
  for (const [path, more] of [
    ['users/tom', {}],
    ['users/mary', {}],
    ['users/mary', { password: generated() }],
    ['users/mary/password', {}],
  ] as const) {
    const reply = await root('POST', `auth/userpass/${path}`, { password_hash: '$2b$10$made-up', ...more })
    assert.equal(reply.status, 400)
    assert.match(JSON.stringify(reply.body), /password_hash is not supported by this server/)
  }
  assert.equal((await root('GET', 'auth/userpass/users/tom')).status, 404)
  assert.equal((await login(password)).status, 200)
})

test('VAULT-2: userpass: users are listed, read without their password, changed and deleted', async (t) => {
  const { root, login, password } = await setup(t, { token_policies: ['a'] })
  assert.deepEqual(dataOf(await root('LIST', 'auth/userpass/users'))['keys'], ['mary'])
  assert.deepEqual(dataOf(await root('GET', 'auth/userpass/users/mary')), {
    token_bound_cidrs: [],
    token_explicit_max_ttl: 0,
    token_max_ttl: 0,
    token_no_default_policy: false,
    token_num_uses: 0,
    token_period: 0,
    token_policies: ['a'],
    token_ttl: 0,
    token_type: 'default',
  })
  const next = generated()
  assert.equal((await root('POST', 'auth/userpass/users/mary/password', { password: next })).status, 204)
  assert.equal((await login(password)).status, 400)
  assert.equal(
    (await root('POST', 'auth/userpass/users/mary/policies', { token_policies: 'b,c' })).status,
    204,
  )
  assert.deepEqual(authOf(await login(next))['policies'], ['b', 'c', 'default'])
  assert.equal((await root('POST', 'auth/userpass/users/mary', { token_ttl: 60 })).status, 204)
  assert.equal(authOf(await login(next))['lease_duration'], 60)
  assert.equal((await root('DELETE', 'auth/userpass/users/mary')).status, 204)
  assert.equal((await login(next)).status, 400)
  for (const [path, body] of [
    ['users/mary', { token_ttl: 60 }],
    ['users/mary', { password: '' }],
    ['users/mary/password', { password: next }],
    ['users/mary/password', {}],
    ['users/mary/policies', { token_policies: 'x' }],
    ['users/new', { password: next, token_policies: 'root' }],
    ['users/new', { password: next, token_type: 'magic' }],
  ] as const)
    assert.equal((await root('POST', `auth/userpass/${path}`, body)).status, 400, path)
  assert.equal((await root('GET', 'auth/userpass/users/new')).status, 404)
})

test('VAULT-2: userpass: what is written by its older name is shown by both, until the newer one is written', async (t) => {
  const { root } = await setup(t, { policies: 'shop', ttl: '1h' })
  const shown = async () => dataOf(await root('GET', 'auth/userpass/users/mary'))
  const before = await shown()
  assert.deepEqual([before['policies'], before['token_policies']], [['shop'], ['shop']])
  assert.deepEqual([before['ttl'], before['token_ttl'], before['max_ttl']], [3600, 3600, undefined])
  await root('POST', 'auth/userpass/users/mary', { token_policies: 'other' })
  const after = await shown()
  assert.deepEqual([after['policies'], after['token_policies'], after['ttl']], [undefined, ['other'], 3600])
})

test('VAULT-2: userpass: making a user and changing one are different capabilities', async (t) => {
  const { root, create } = await withRules(t, 'path "auth/userpass/users/*" { capabilities = ["create"] }')
  assert.equal((await create('POST', 'auth/userpass/users/new', { password: generated() })).status, 204)
  assert.equal((await create('POST', 'auth/userpass/users/new', { password: generated() })).status, 403)
  assert.equal((await create('GET', 'auth/userpass/users/new')).status, 403)
  assert.equal((await root('GET', 'auth/userpass/users/new')).status, 200)
})

async function withRules(t: Parameters<typeof openAuth>[0], policy: string) {
  const world = await setup(t)
  await world.root('PUT', 'sys/policies/acl/limited', { policy })
  const made = await world.root('POST', 'auth/token/create', { policies: ['limited'] })
  return { ...world, create: world.callWith(authOf(made)) }
}

test('VAULT-2: userpass: after five wrong passwords the user is locked out, for fifteen minutes', async (t) => {
  const { login, password, clock } = await setup(t)
  for (let i = 0; i < 5; i++) assert.equal((await login(generated())).status, 400)
  assert.equal((await login(password)).status, 403)
  clock.advance(899_000)
  assert.equal((await login(password)).status, 403)
  clock.advance(1000)
  assert.equal((await login(password)).status, 200)
  assert.equal((await login(generated())).status, 400)
  assert.equal((await login(password)).status, 200)
})

test('VAULT-2: userpass: guesses made at once are counted, and names that do not exist are locked alike', async (t) => {
  const { login } = await setup(t)
  for (const user of ['mary', 'nobody']) {
    const replies = await Promise.all(Array.from({ length: 8 }, () => login(generated(), user)))
    assert.deepEqual(replies.map(({ status }) => status).sort(), [400, 400, 400, 400, 400, 403, 403, 403])
  }
})

test('VAULT-2: userpass: a right password, and time, set the count back', async (t) => {
  const { login, password, clock } = await setup(t)
  for (let i = 0; i < 4; i++) await login(generated())
  assert.equal((await login(password)).status, 200)
  for (let i = 0; i < 4; i++) await login(generated())
  clock.advance(900_000)
  await login(generated())
  assert.equal((await login(password)).status, 200)
})

test('VAULT-2: userpass: the lockout is tuned, seen and ended', async (t) => {
  const { login, password, root } = await setup(t)
  const tuned = { user_lockout_config: { lockout_threshold: '2', lockout_duration: '1h' } }
  assert.equal((await root('POST', 'sys/auth/userpass/tune', tuned)).status, 204)
  await login(generated())
  await login(generated())
  assert.equal((await login(password)).status, 403)
  const locked = dataOf(await root('GET', 'sys/locked-users'))
  assert.equal(locked['total'], 1)
  const [mount] = locked['by_namespace'] as {
    mount_accessors: { mount_accessor: string; alias_identifiers: string[] }[]
  }[]
  const [{ mount_accessor, alias_identifiers } = { mount_accessor: '', alias_identifiers: [''] }] =
    mount?.mount_accessors ?? []
  assert.deepEqual(alias_identifiers, ['mary'])
  assert.equal((await root('POST', `sys/locked-users/${mount_accessor}/unlock/mary`)).status, 204)
  assert.equal((await login(password)).status, 200)
  await root('POST', 'sys/auth/userpass/tune', { user_lockout_config: { lockout_disable: true } })
  for (let i = 0; i < 3; i++) assert.equal((await login(generated())).status, 400)
  assert.equal((await login(password)).status, 200)
})

test('VAULT-2: userpass: addresses bind logins and tokens', async (t) => {
  const { login, password, callWith } = await setup(t, { token_bound_cidrs: '10.0.0.0/8' })
  assert.equal((await login(password, 'mary', '11.0.0.1')).status, 403)
  const auth = authOf(await login(password, 'mary', '10.0.0.1'))
  assert.equal((await callWith(auth, '10.9.9.9')('GET', 'auth/token/lookup-self')).status, 200)
  assert.equal((await callWith(auth, '11.0.0.1')('GET', 'auth/token/lookup-self')).status, 403)
})

test('VAULT-2: userpass: renewing asks for the user and the policies of now', async (t) => {
  const { login, password, callWith, root } = await setup(t, { token_policies: 'a' })
  const call = callWith(authOf(await login(password)))
  assert.equal((await call('POST', 'auth/token/renew-self')).status, 200)
  await root('POST', 'auth/userpass/users/mary/policies', { token_policies: 'b' })
  assert.deepEqual((await call('POST', 'auth/token/renew-self')).body['errors'], [
    'policies have changed, not renewing',
  ])
  await root('DELETE', 'auth/userpass/users/mary')
  assert.equal((await call('POST', 'auth/token/renew-self')).status, 400)
})

test('VAULT-2: userpass: the mount bounds the life of its tokens, and may make them batch tokens', async (t) => {
  const { login, password, root } = await setup(t, {}, { default_lease_ttl: '10m', max_lease_ttl: '20m' })
  assert.equal(authOf(await login(password))['lease_duration'], 600)
  await root('POST', 'auth/userpass/users/mary', { token_ttl: '1h' })
  const capped = await login(password)
  assert.equal(authOf(capped)['lease_duration'], 1200)
  assert.match(JSON.stringify(capped.body['warnings']), /effective max_ttl of .{2}20m.{2};/)
  await root('POST', 'sys/auth/userpass/tune', { token_type: 'batch' })
  assert.equal(authOf(await login(password))['token_type'], 'batch')
})

test('VAULT-2: userpass: a mount may let tokens live longer than the system does, and a role only shorter', async (t) => {
  const { login, password, root, callWith } = await setup(
    t,
    { token_ttl: '1500h' },
    { max_lease_ttl: '2000h' },
  )
  const hours = async (): Promise<number> => Number(authOf(await login(password))['lease_duration']) / 3600
  assert.equal(await hours(), 1500)
  await root('POST', 'auth/userpass/users/mary', { token_max_ttl: '9000h', token_ttl: '3000h' })
  assert.equal(await hours(), 2000)
  const made = authOf(await login(password))
  const renewed = await callWith(made)('POST', 'auth/token/renew-self', { increment: '2500h' })
  assert.equal(Number(authOf(renewed)['lease_duration']) / 3600, 2000)
  await root('POST', 'sys/auth/userpass/tune', { max_lease_ttl: 'system' })
  assert.equal(await hours(), 768)
})

test('GOV-1: userpass: no password is in the audit log nor in the store', async (t) => {
  const { login, password, audit, store, root } = await setup(t)
  const wrong = generated()
  await login(password)
  await login(wrong)
  await root('POST', 'auth/userpass/users/mary', { password, token_ttl: 'soon' })
  const { items } = await audit.page({ limit: 100, order: 'desc' })
  for (const text of [password, wrong]) assert.equal(JSON.stringify(items).includes(text), false)
  const rows = await store.all<Record<string, unknown>>(sql`select * from vault_entries`)
  const stored = Buffer.concat(
    rows.flatMap((row) => Object.values(row).filter((cell) => cell instanceof Uint8Array)),
  ).toString('latin1')
  for (const text of [password, 'mary', 'argon2']) assert.equal(stored.includes(text), false)
})

test('VAULT-2: userpass: a lock outlives a restart, and its end does too', async (t) => {
  const { login, password, root, clock, vault, store } = await setup(t)
  const writes = async () =>
    (await store.all<{ n: number }>(sql`select count(*) as n from vault_entries`))[0]?.n
  const before = await writes()
  for (let i = 0; i < 4; i++) await login(generated())
  // What is only counted is not written.
  assert.equal(await writes(), before)
  await login(generated())
  const restart = async (): Promise<void> => {
    vault.close()
    await vault.unsealByItself()
  }
  await restart()
  assert.equal((await login(password)).status, 403)
  assert.equal(dataOf(await root('GET', 'sys/locked-users'))['total'], 1)
  clock.advance(900_000)
  await restart()
  assert.equal(await writes(), before)
  assert.equal((await login(password)).status, 200)
  for (let i = 0; i < 5; i++) await login(generated())
  const { mount_accessors: mounts } = (
    dataOf(await root('GET', 'sys/locked-users'))['by_namespace'] as { mount_accessors: never[] }[]
  )[0] ?? { mount_accessors: [] }
  const [{ mount_accessor: accessor } = { mount_accessor: '' }] = mounts as { mount_accessor: string }[]
  await root('POST', `sys/locked-users/${accessor}/unlock/mary`)
  await restart()
  assert.equal((await login(password)).status, 200)
})
