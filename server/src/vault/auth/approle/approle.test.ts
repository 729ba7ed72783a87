import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { authOf, dataOf, openAuth } from '../../../../test/support/vault-auth.ts'
import { sql } from '../../../store/index.ts'

const roleAt = 'auth/approle/role/shop'

async function setup(t: Parameters<typeof openAuth>[0], fields: Record<string, unknown> = {}) {
  const world = await openAuth(t, 'approle')
  const { root } = world
  const written = await root('POST', roleAt, { token_policies: 'shop', ...fields })
  assert.equal(written.status, 204, JSON.stringify(written.body))
  const roleId = String(dataOf(await root('GET', `${roleAt}/role-id`))['role_id'])
  const newSecretId = async (body: Record<string, unknown> = {}) => {
    const data = dataOf(await root('POST', `${roleAt}/secret-id`, body))
    return { value: String(data['secret_id']), accessor: String(data['secret_id_accessor']), data }
  }
  const login = (body: Record<string, unknown>, remoteAddress?: string) =>
    world.anybody('POST', 'auth/approle/login', body, { remoteAddress })
  return { ...world, roleId, newSecretId, login }
}

test('VAULT-2: AppRole: a role id and a secret id sign in', async (t) => {
  const { roleId, newSecretId, login, root, callWith } = await setup(t, {
    token_ttl: '20m',
    token_max_ttl: '30m',
  })
  const { value, data } = await newSecretId({ metadata: '{"team":"shop"}' })
  assert.deepEqual([data['secret_id_num_uses'], data['secret_id_ttl']], [0, 0])
  const reply = await login({ role_id: roleId, secret_id: value })
  assert.equal(reply.status, 200)
  const auth = authOf(reply)
  assert.deepEqual(auth['policies'], ['default', 'shop'])
  assert.deepEqual(auth['metadata'], { role_name: 'shop', team: 'shop' })
  assert.deepEqual(
    [auth['lease_duration'], auth['renewable'], auth['orphan'], auth['token_type']],
    [1200, true, true, 'service'],
  )
  const self = dataOf(await callWith(auth)('GET', 'auth/token/lookup-self'))
  assert.deepEqual([self['path'], self['display_name']], ['auth/approle/login', 'approle'])
  await root('PUT', 'sys/policies/acl/shop', {
    policy: 'path "secret/data/shop" { capabilities = ["read"] }',
  })
  assert.equal((await callWith(auth)('GET', 'secret/data/shop')).status, 404)
  assert.equal((await callWith(auth)('GET', 'secret/data/other')).status, 403)
})

test('VAULT-2: AppRole: what does not prove who one is, is refused', async (t) => {
  const { roleId, newSecretId, login, root } = await setup(t)
  const { value } = await newSecretId()
  await root('POST', 'auth/approle/role/other', {})
  const other = String(dataOf(await root('GET', 'auth/approle/role/other/role-id'))['role_id'])
  for (const [body, words] of [
    [{}, 'missing role_id'],
    [{ role_id: roleId }, 'missing secret_id'],
    [{ role_id: randomUUID(), secret_id: value }, 'invalid role or secret ID'],
    [{ role_id: roleId, secret_id: randomUUID() }, 'invalid role or secret ID'],
    [{ role_id: other, secret_id: value }, 'invalid role or secret ID'],
    [
      { role_id: { a: 1 }, secret_id: value },
      'Field validation failed: error converting input for field "role_id": it must be text',
    ],
  ] as const) {
    const reply = await login(body)
    assert.deepEqual([reply.status, reply.body], [400, { errors: [words] }])
  }
})

test('VAULT-2: AppRole: a secret id with counted uses serves that many logins, even at once', async (t) => {
  const { roleId, newSecretId, login, root } = await setup(t, { secret_id_num_uses: 3 })
  const { value, accessor } = await newSecretId()
  const replies = await Promise.all(
    Array.from({ length: 8 }, () => login({ role_id: roleId, secret_id: value })),
  )
  assert.equal(replies.filter(({ status }) => status === 200).length, 3)
  assert.equal(replies.filter(({ status }) => status === 400).length, 5)
  const gone = await root('POST', `${roleAt}/secret-id-accessor/lookup`, { secret_id_accessor: accessor })
  assert.equal(gone.status, 404)
})

test('VAULT-2: AppRole: a secret id ends on time, and tidying removes it', async (t) => {
  const { roleId, newSecretId, login, root, clock } = await setup(t, { secret_id_ttl: '10m' })
  const { value, data } = await newSecretId()
  assert.equal(data['secret_id_ttl'], 600)
  const kept = await newSecretId({ ttl: '5m' })
  clock.advance(299_000)
  assert.equal((await login({ role_id: roleId, secret_id: kept.value })).status, 200)
  clock.advance(1000)
  assert.equal((await login({ role_id: roleId, secret_id: kept.value })).status, 400)
  assert.equal((await root('POST', `${roleAt}/secret-id/lookup`, { secret_id: kept.value })).status, 204)
  assert.equal((await login({ role_id: roleId, secret_id: value })).status, 200)
  assert.equal((dataOf(await root('LIST', `${roleAt}/secret-id`))['keys'] as string[]).length, 2)
  const tidied = await root('POST', 'auth/approle/tidy/secret-id')
  assert.equal(tidied.status, 202)
  assert.deepEqual(tidied.body['warnings'], [
    'Tidy operation has finished: 1 expired secret IDs were removed.',
  ])
  assert.equal((dataOf(await root('LIST', `${roleAt}/secret-id`))['keys'] as string[]).length, 1)
})

test('VAULT-2: AppRole: expired secret ids go by themselves, and that is recorded', async (t) => {
  const { root, newSecretId, vault, clock, audit } = await setup(t)
  await newSecretId({ ttl: '5m' })
  const lasting = await newSecretId({})
  await vault.expireTokens()
  clock.set(new Date(clock.now().getTime() + 3_600_000))
  await vault.expireTokens()
  assert.deepEqual(dataOf(await root('LIST', `${roleAt}/secret-id`))['keys'], [lasting.accessor])
  const { items } = await audit.page({ limit: 100, order: 'desc' })
  const tidied = items.filter(({ actor }) => actor === 'system:expiry')
  assert.deepEqual(
    tidied.map(({ target, detail }) => [target, detail]),
    [['path:auth/approle/', { operation: 'tidy', removed: 1 }]],
  )
})

test('VAULT-2: AppRole: addresses bind logins, secret ids and tokens', async (t) => {
  const { roleId, newSecretId, login, callWith } = await setup(t, {
    secret_id_bound_cidrs: ['10.0.0.0/8', 'fd00::/8'],
    token_bound_cidrs: '10.1.0.0/16',
  })
  const { value } = await newSecretId()
  const narrow = await newSecretId({ cidr_list: '10.1.2.0/24' })
  const status = async (secretId: string, address?: string): Promise<number> =>
    (await login({ role_id: roleId, secret_id: secretId }, address)).status
  assert.equal(await status(value, '10.1.9.9'), 200)
  assert.equal(await status(value, '::ffff:10.1.9.9'), 200)
  assert.equal(await status(value, '192.168.0.1'), 400)
  assert.equal(await status(value, undefined), 400)
  assert.equal(await status(value, '10.2.0.1'), 403)
  assert.equal(await status(narrow.value, '10.1.2.3'), 200)
  assert.equal(await status(narrow.value, '10.1.3.3'), 400)
  const auth = authOf(await login({ role_id: roleId, secret_id: value }, '10.1.9.9'))
  assert.equal((await callWith(auth, '10.1.0.1')('GET', 'auth/token/lookup-self')).status, 200)
  assert.equal((await callWith(auth, '10.2.0.1')('GET', 'auth/token/lookup-self')).status, 403)
  assert.equal((await callWith(auth)('GET', 'auth/token/lookup-self')).status, 403)
})

test('VAULT-2: AppRole: a secret id asks for no more than its role gives', async (t) => {
  const { root } = await setup(t, {
    secret_id_num_uses: 5,
    secret_id_ttl: 600,
    secret_id_bound_cidrs: '10.0.0.0/8',
    token_bound_cidrs: '10.0.0.0/8',
  })
  for (const body of [
    { num_uses: 6 },
    { num_uses: 0 },
    { ttl: '11m' },
    { ttl: 0 },
    { cidr_list: '0.0.0.0/0' },
    { cidr_list: '11.0.0.0/24' },
    { cidr_list: 'fd00::/64' },
    { cidr_list: 'nowhere' },
    { token_bound_cidrs: '0.0.0.0/1' },
    { metadata: 'no json' },
    { metadata: '["a"]' },
    { metadata: '{"a":{"b":1}}' },
  ])
    assert.equal((await root('POST', `${roleAt}/secret-id`, body)).status, 400, JSON.stringify(body))
  const fits = { num_uses: 5, ttl: 600, cidr_list: '10.9.0.0/16,10.8.1.1', token_bound_cidrs: '10.9.0.0/24' }
  assert.equal((await root('POST', `${roleAt}/secret-id`, fits)).status, 200)
})

test('VAULT-2: AppRole: secret ids are looked up and destroyed, by themselves and by accessor', async (t) => {
  const { root, newSecretId, login, roleId } = await setup(t)
  const one = await newSecretId({ metadata: { a: 'b' }, num_uses: 4, ttl: 60 })
  const view = dataOf(await root('POST', `${roleAt}/secret-id/lookup`, { secret_id: one.value }))
  assert.deepEqual(
    [view['metadata'], view['secret_id_num_uses'], view['secret_id_ttl'], view['secret_id_accessor']],
    [{ a: 'b' }, 4, 60, one.accessor],
  )
  assert.equal(view['expiration_time'], '2026-01-01T00:01:00.000Z')
  assert.deepEqual(
    dataOf(await root('PUT', `${roleAt}/secret-id-accessor/lookup`, { secret_id_accessor: one.accessor })),
    view,
  )
  assert.deepEqual(dataOf(await root('LIST', `${roleAt}/secret-id`))['keys'], [one.accessor])
  assert.equal((await root('POST', `${roleAt}/secret-id/destroy`, { secret_id: one.value })).status, 204)
  assert.equal((await root('POST', `${roleAt}/secret-id/destroy`, { secret_id: one.value })).status, 204)
  assert.equal((await login({ role_id: roleId, secret_id: one.value })).status, 400)
  const two = await newSecretId()
  const ended = await root(
    'DELETE',
    `${roleAt}/secret-id-accessor/destroy?secret_id_accessor=${two.accessor}`,
  )
  assert.equal(ended.status, 204)
  assert.equal((await login({ role_id: roleId, secret_id: two.value })).status, 400)
  assert.equal((await root('LIST', `${roleAt}/secret-id`)).status, 404)
  assert.equal(
    (await root('POST', `${roleAt}/secret-id-accessor/destroy`, { secret_id_accessor: 'x' })).status,
    404,
  )
  assert.equal((await root('POST', `${roleAt}/secret-id/lookup`, {})).status, 400)
  assert.equal((await root('POST', 'auth/approle/role/none/secret-id', {})).status, 404)
})

test("VAULT-2: AppRole: a secret id and a role id of one's own", async (t) => {
  const { root, login } = await setup(t, { role_id: 'shop-role' })
  const own = { secret_id: randomUUID() }
  assert.equal((await root('POST', `${roleAt}/custom-secret-id`, own)).status, 200)
  assert.deepEqual((await root('POST', `${roleAt}/custom-secret-id`, own)).body['errors'], [
    'SecretID is already registered',
  ])
  assert.equal((await root('POST', `${roleAt}/custom-secret-id`, {})).status, 400)
  assert.equal((await login({ role_id: 'shop-role', ...own })).status, 200)
  assert.equal((await root('POST', `${roleAt}/role-id`, { role_id: 'other-role' })).status, 204)
  assert.equal((await login({ role_id: 'shop-role', ...own })).status, 400)
  assert.equal((await login({ role_id: 'other-role', ...own })).status, 200)
  assert.equal((await root('POST', 'auth/approle/role/second', { role_id: 'other-role' })).status, 400)
  assert.equal((await root('GET', 'auth/approle/role/second')).status, 404)
  assert.equal((await root('POST', 'auth/approle/role/second/role-id', { role_id: 'x' })).status, 404)
})

test('VAULT-2: AppRole: without a secret id the address has to prove it', async (t) => {
  const { root, roleId, login } = await setup(t)
  const free = await root('POST', roleAt, { bind_secret_id: false })
  assert.deepEqual(
    [free.status, free.body['errors']],
    [400, ['at least one constraint should be enabled on the role']],
  )
  assert.equal(
    (await root('POST', roleAt, { bind_secret_id: false, secret_id_bound_cidrs: '10.0.0.0/8' })).status,
    204,
  )
  assert.equal((await login({ role_id: roleId }, '10.0.0.1')).status, 200)
  assert.equal((await login({ role_id: roleId }, '11.0.0.1')).status, 400)
  assert.equal((await root('POST', `${roleAt}/secret-id`, {})).status, 400)
  assert.equal((await root('DELETE', `${roleAt}/secret-id-bound-cidrs`)).status, 400)
})

test('VAULT-2: AppRole: roles are listed, read, changed in part and deleted', async (t) => {
  const { root, newSecretId, login, roleId } = await setup(t, {
    token_ttl: 60,
    token_num_uses: 2,
    secret_id_num_uses: 9,
  })
  assert.deepEqual(dataOf(await root('LIST', 'auth/approle/role'))['keys'], ['shop'])
  assert.deepEqual(dataOf(await root('GET', 'auth/approle/role/SHOP')), {
    bind_secret_id: true,
    local_secret_ids: false,
    secret_id_bound_cidrs: null,
    secret_id_num_uses: 9,
    secret_id_ttl: 0,
    token_bound_cidrs: [],
    token_explicit_max_ttl: 0,
    token_max_ttl: 0,
    token_no_default_policy: false,
    token_num_uses: 2,
    token_period: 0,
    token_policies: ['shop'],
    token_ttl: 60,
    token_type: 'default',
  })
  assert.equal((await root('POST', roleAt, { token_ttl: '2m' })).status, 204)
  assert.deepEqual(
    [dataOf(await root('GET', roleAt))['token_ttl'], dataOf(await root('GET', roleAt))['token_num_uses']],
    [120, 2],
  )
  const { value } = await newSecretId()
  assert.equal((await root('DELETE', roleAt)).status, 204)
  assert.equal((await root('GET', roleAt)).status, 404)
  await root('POST', roleAt, { role_id: roleId })
  assert.equal((await login({ role_id: roleId, secret_id: value })).status, 400)
  for (const body of [
    { token_ttl: 7200, token_max_ttl: 3600 },
    { token_type: 'magic' },
    { token_type: 'batch', token_period: 60 },
    { token_type: 'default-batch', token_num_uses: 1 },
    { token_policies: 'root' },
    { token_policies: ['response-wrapping'] },
    { local_secret_ids: true },
    { token_bound_cidrs: '10.0.0.0/33' },
    { secret_id_ttl: 'soon' },
  ])
    assert.equal((await root('POST', roleAt, body)).status, 400, JSON.stringify(body))
  assert.equal((await root('POST', 'auth/approle/role/a%2Fb', {})).status, 400)
})

for (const [segment, name, value, reset] of [
  ['policies', 'token_policies', ['a', 'b'], []],
  ['secret-id-num-uses', 'secret_id_num_uses', 7, 0],
  ['secret-id-ttl', 'secret_id_ttl', 70, 0],
  ['token-ttl', 'token_ttl', 71, 0],
  ['token-max-ttl', 'token_max_ttl', 72, 0],
  ['token-num-uses', 'token_num_uses', 3, 0],
  ['period', 'token_period', 73, 0],
  ['token-bound-cidrs', 'token_bound_cidrs', ['10.0.0.0/8'], null],
  ['secret-id-bound-cidrs', 'secret_id_bound_cidrs', ['10.0.0.0/8'], null],
  ['bound-cidr-list', 'bound_cidr_list', ['10.0.0.0/8'], null],
] as const)
  test(`VAULT-2: AppRole: ${segment} has an address of its own`, async (t) => {
    const { root } = await setup(t, { token_policies: [] })
    const at = `${roleAt}/${segment}`
    assert.equal((await root('POST', at, { [name]: value })).status, 204)
    assert.deepEqual(dataOf(await root('GET', at))[name], value)
    assert.equal((await root('POST', at, { unknown: 1 })).status, name.includes('cidr') ? 204 : 400)
    assert.deepEqual(dataOf(await root('GET', at))[name], value)
    assert.equal((await root('DELETE', at)).status, 204)
    assert.deepEqual(dataOf(await root('GET', at))[name], reset)
    const missing = `auth/approle/role/none/${segment}`
    assert.deepEqual(
      [(await root('GET', missing)).status, (await root('POST', missing, { [name]: value })).status],
      [404, 404],
    )
  })

test('VAULT-2: AppRole: renewing asks the role again', async (t) => {
  const { root, roleId, newSecretId, login, callWith, clock } = await setup(t, {
    token_ttl: 600,
    token_max_ttl: 1800,
  })
  const { value } = await newSecretId()
  const call = callWith(authOf(await login({ role_id: roleId, secret_id: value })))
  clock.advance(300_000)
  assert.equal(authOf(await call('POST', 'auth/token/renew-self'))['lease_duration'], 600)
  await root('POST', roleAt, { token_max_ttl: 900, token_ttl: 900 })
  assert.equal(
    authOf(await call('POST', 'auth/token/renew-self', { increment: '1h' }))['lease_duration'],
    600,
  )
  await root('DELETE', roleAt)
  const refused = await call('POST', 'auth/token/renew-self')
  assert.deepEqual([refused.status, refused.body['errors']], [400, ['role does not exist during renewal']])
})

test('VAULT-2: AppRole: a role may give out batch tokens, and tokens without the default policy', async (t) => {
  const { roleId, newSecretId, login, callWith } = await setup(t, {
    token_type: 'batch',
    token_no_default_policy: true,
  })
  const auth = authOf(await login({ role_id: roleId, secret_id: (await newSecretId()).value }))
  assert.deepEqual(
    [auth['token_type'], auth['renewable'], auth['accessor'], auth['policies']],
    ['batch', false, '', ['shop']],
  )
  assert.equal((await callWith(auth)('GET', 'secret/data/x')).status, 403)
})

test('VAULT-2: AppRole: a batch token, which cannot be revoked, ends with its mount too', async (t) => {
  const { root, roleId, newSecretId, login, callWith } = await setup(t, { token_type: 'batch' })
  const call = callWith(authOf(await login({ role_id: roleId, secret_id: (await newSecretId()).value })))
  assert.equal((await call('GET', 'auth/token/lookup-self')).status, 200)
  await root('DELETE', 'sys/auth/approle')
  await root('POST', 'sys/auth/approle', { type: 'approle' })
  assert.equal((await call('GET', 'auth/token/lookup-self')).status, 403)
})

test('VAULT-2: AppRole: a disabled mount takes its roles and its tokens along', async (t) => {
  const { root, roleId, newSecretId, login, callWith, store } = await setup(t)
  const call = callWith(authOf(await login({ role_id: roleId, secret_id: (await newSecretId()).value })))
  assert.equal((await call('GET', 'auth/token/lookup-self')).status, 200)
  assert.equal((await root('DELETE', 'sys/auth/approle')).status, 204)
  assert.equal((await call('GET', 'auth/token/lookup-self')).status, 403)
  assert.equal((await login({ role_id: roleId, secret_id: 'x' })).status, 403)
  await root('POST', 'sys/auth/approle', { type: 'approle' })
  assert.equal((await root('GET', roleAt)).status, 404)
  assert.equal((await store.all(sql`select id from vault_tokens`)).length, 1)
})

test('GOV-1: AppRole: no secret id is in the audit log nor readable in the store', async (t) => {
  const { roleId, newSecretId, login, audit, store, anybody } = await setup(t)
  const { value } = await newSecretId()
  await login({ role_id: roleId, secret_id: value })
  await login({ role_id: 'wrong', secret_id: value })
  await anybody('POST', 'auth/approle/login', undefined)
  const { items } = await audit.page({ limit: 100, order: 'desc' })
  assert.equal(JSON.stringify(items).includes(value), false)
  const made = items.find(({ type, actor }) => type === 'token.created' && actor.startsWith('token:'))
  assert.equal(made?.target, 'path:auth/approle/login')
  const denied = items.filter(({ outcome, actor }) => outcome === 'denied' && actor === 'anonymous:')
  assert.equal(denied.length, 2)
  const rows = await store.all<Record<string, unknown>>(sql`select * from vault_entries`)
  const stored = Buffer.concat(
    rows.flatMap((row) => Object.values(row).filter((cell) => cell instanceof Uint8Array)),
  ).toString('latin1')
  for (const text of [value, roleId, 'shop']) assert.equal(stored.includes(text), false)
})
