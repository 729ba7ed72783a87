import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { authOf, dataOf, openAuth } from '../../test/support/vault-auth.ts'
import { callerOf } from '../../test/support/vault-server.ts'

type Fields = Record<string, unknown>
const wrapTtl = { wrapTtl: '5m' }
const infoOf = (reply: { body: Fields }): Fields => (reply.body['wrap_info'] ?? {}) as Fields
const generated = (): string => `test-${randomBytes(12).toString('hex')}`
const invalid = { status: 400, body: { errors: ['wrapping token is not valid or does not exist'] } }

async function setup(t: Parameters<typeof openAuth>[0]) {
  const world = await openAuth(t, 'approle')
  const value = generated()
  await world.root('POST', 'secret/data/shop', { data: { value } })
  const wrapped = infoOf(await world.root('GET', 'secret/data/shop', undefined, wrapTtl))
  const token = String(wrapped['token'])
  return { ...world, value, wrapped, token, holder: callerOf(world.vault, token) }
}

test('VAULT-2: a wrapped answer is only a token, until it is unwrapped, once', async (t) => {
  const { root, value, wrapped, holder, token } = await setup(t)
  assert.deepEqual([wrapped['ttl'], wrapped['creation_path']], [300, 'secret/data/shop'])
  const reply = await root('GET', 'secret/data/shop', undefined, wrapTtl)
  assert.deepEqual([reply.status, reply.body['data'], reply.body['auth']], [200, null, null])
  assert.equal(JSON.stringify(reply.body).includes(value), false)
  const unwrapped = await holder('POST', 'sys/wrapping/unwrap')
  assert.equal(unwrapped.status, 200)
  assert.deepEqual((dataOf(unwrapped)['data'] as Fields)['value'], value)
  assert.equal(unwrapped.body['wrap_info'], null)
  assert.deepEqual(await holder('POST', 'sys/wrapping/unwrap'), invalid)
  assert.deepEqual(await root('POST', 'sys/wrapping/unwrap', { token }), invalid)
})

test('VAULT-2: somebody else may unwrap with the token in the body, if their policies allow it', async (t) => {
  const { root, value, token, anybody, callWith } = await setup(t)
  assert.equal((await anybody('POST', 'sys/wrapping/unwrap', { token })).status, 403)
  await root('PUT', 'sys/policies/acl/none', { policy: 'path "x" { capabilities = ["read"] }' })
  const without = authOf(
    await root('POST', 'auth/token/create', { policies: ['none'], no_default_policy: true }),
  )
  assert.equal((await callWith(without)('POST', 'sys/wrapping/unwrap', { token })).status, 403)
  const usual = authOf(await root('POST', 'auth/token/create', { policies: ['default'] }))
  const unwrapped = await callWith(usual)('PUT', 'sys/wrapping/unwrap', { token })
  assert.deepEqual((dataOf(unwrapped)['data'] as Fields)['value'], value)
  assert.deepEqual(await callWith(usual)('PUT', 'sys/wrapping/unwrap', { token }), invalid)
})

test('VAULT-2: of many who unwrap at once, one gets the answer', async (t) => {
  const { root, holder, token } = await setup(t)
  const replies = await Promise.all([
    ...Array.from({ length: 4 }, () => holder('POST', 'sys/wrapping/unwrap')),
    ...Array.from({ length: 4 }, () => root('POST', 'sys/wrapping/unwrap', { token })),
  ])
  assert.ok(replies.filter(({ status }) => status === 200).length <= 1)
  assert.ok(replies.every(({ status }) => [200, 400, 403].includes(status)))
  const after = await root('POST', 'sys/wrapping/unwrap', { token })
  assert.equal([...replies, after].filter(({ status }) => status === 200).length, 1)
})

test('VAULT-2: a wrapping token does nothing but unwrap, and ends on time', async (t) => {
  const { root, holder, clock, token } = await setup(t)
  const other = callerOf((await setup(t)).vault, 'nobody')
  assert.equal((await other('POST', 'sys/wrapping/unwrap')).status, 400)
  assert.equal((await root('POST', 'auth/token/create', { policies: ['response-wrapping'] })).status, 400)
  for (const path of ['sys/policies/acl/response-wrapping', 'sys/policy/response-wrapping'])
    assert.equal((await root('PUT', path, { policy: 'path "*" { capabilities = ["read"] }' })).status, 400)
  clock.advance(300_000)
  assert.deepEqual(await holder('POST', 'sys/wrapping/unwrap'), invalid)
  assert.deepEqual(await root('POST', 'sys/wrapping/lookup', { token }), invalid)
})

test('VAULT-2: a wrapping token that is used for something else is spent', async (t) => {
  const { holder, root, token } = await setup(t)
  assert.equal((await holder('GET', 'secret/data/shop')).status, 403)
  assert.deepEqual(await root('POST', 'sys/wrapping/unwrap', { token }), invalid)
})

test('VAULT-2: old clients read cubbyhole/response', async (t) => {
  const { holder, value } = await setup(t)
  const kept = JSON.parse(String(dataOf(await holder('GET', 'cubbyhole/response'))['response'])) as Fields
  assert.deepEqual(((kept['data'] as Fields)['data'] as Fields)['value'], value)
  assert.equal((await holder('GET', 'cubbyhole/response')).status, 403)
})

test("VAULT-2: lookup tells what is wrapped without taking it, and without a token of one's own", async (t) => {
  const { anybody, holder, token, root } = await setup(t)
  const expected = {
    creation_time: '2026-01-01T00:00:00.000Z',
    creation_ttl: 300,
    creation_path: 'secret/data/shop',
  }
  assert.deepEqual(dataOf(await anybody('POST', 'sys/wrapping/lookup', { token })), expected)
  assert.deepEqual(dataOf(await holder('POST', 'sys/wrapping/lookup')), expected)
  assert.deepEqual(await anybody('POST', 'sys/wrapping/lookup', {}), invalid)
  const usual = String(
    authOf(await root('POST', 'auth/token/create', { policies: ['default'] }))['client_token'],
  )
  assert.deepEqual(await anybody('POST', 'sys/wrapping/lookup', { token: usual }), invalid)
  assert.equal((await holder('POST', 'sys/wrapping/unwrap')).status, 200)
})

test('VAULT-2: rewrapping ends the old token and starts its time anew', async (t) => {
  const { root, token, value, clock, vault } = await setup(t)
  clock.advance(200_000)
  const renewed = infoOf(await root('POST', 'sys/wrapping/rewrap', { token }))
  assert.deepEqual([renewed['ttl'], renewed['creation_path']], [300, 'secret/data/shop'])
  assert.deepEqual(await root('POST', 'sys/wrapping/unwrap', { token }), invalid)
  assert.deepEqual(await root('POST', 'sys/wrapping/rewrap', { token }), invalid)
  clock.advance(200_000)
  const unwrapped = await callerOf(vault, String(renewed['token']))('POST', 'sys/wrapping/unwrap')
  assert.deepEqual((dataOf(unwrapped)['data'] as Fields)['value'], value)
})

test("VAULT-2: anything of one's own may be wrapped", async (t) => {
  const { root, vault } = await setup(t)
  assert.deepEqual((await root('POST', 'sys/wrapping/wrap', { a: 1 })).body['errors'], [
    'endpoint requires response wrapping to be used',
  ])
  const wrapped = infoOf(await root('POST', 'sys/wrapping/wrap', { a: 1, b: ['c'] }, wrapTtl))
  assert.equal(wrapped['creation_path'], 'sys/wrapping/wrap')
  const reply = await callerOf(vault, String(wrapped['token']))('POST', 'sys/wrapping/unwrap')
  assert.deepEqual(dataOf(reply), { a: 1, b: ['c'] })
})

test('VAULT-2: a wrapped secret id and a wrapped login', async (t) => {
  const { root, anybody, vault } = await setup(t)
  await root('POST', 'auth/approle/role/shop', { role_id: 'shop' })
  const secret = infoOf(await root('POST', 'auth/approle/role/shop/secret-id', {}, wrapTtl))
  assert.equal(secret['creation_path'], 'auth/approle/role/shop/secret-id')
  const opened = await callerOf(vault, String(secret['token']))('POST', 'sys/wrapping/unwrap')
  const credentials = { role_id: 'shop', secret_id: dataOf(opened)['secret_id'] }
  const login = await anybody('POST', 'auth/approle/login', credentials, { wrapTtl: '90' })
  assert.deepEqual([login.body['auth'], infoOf(login)['ttl']], [null, 90])
  const auth = authOf(await callerOf(vault, String(infoOf(login)['token']))('POST', 'sys/wrapping/unwrap'))
  assert.equal(infoOf(login)['wrapped_accessor'], auth['accessor'])
  assert.equal(
    (await callerOf(vault, String(auth['client_token']))('GET', 'auth/token/lookup-self')).status,
    200,
  )
})

test('VAULT-2: refusals and empty answers are not wrapped; a wrong time is refused before anything happens', async (t) => {
  const { root, anybody } = await setup(t)
  const missing = await root('GET', 'secret/data/none', undefined, wrapTtl)
  assert.deepEqual([missing.status, missing.body], [404, { errors: [] }])
  assert.deepEqual((await root('DELETE', 'secret/data/shop', undefined, wrapTtl)).body, {})
  assert.equal((await anybody('GET', 'secret/data/shop', undefined, wrapTtl)).status, 403)
  assert.equal((await root('POST', 'secret/data/new', { data: {} }, { wrapTtl: 'soon' })).status, 400)
  assert.equal((await root('POST', 'secret/data/new', { data: {} }, { wrapTtl: '-5s' })).status, 400)
  assert.equal((await root('GET', 'secret/data/new')).status, 404)
  assert.equal(
    (await root('GET', 'secret/metadata/shop', undefined, { wrapTtl: '0' })).body['wrap_info'],
    null,
  )
})

test('VAULT-2: a policy may demand that answers are wrapped, and for how long', async (t) => {
  const { root, callWith } = await setup(t)
  await root('PUT', 'sys/policies/acl/wrapped', {
    policy:
      'path "secret/data/*" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "10m" }',
  })
  const call = callWith(authOf(await root('POST', 'auth/token/create', { policies: ['wrapped'] })))
  const status = async (ttl?: string): Promise<number> =>
    (await call('GET', 'secret/data/shop', undefined, ttl === undefined ? {} : { wrapTtl: ttl })).status
  assert.deepEqual(
    [await status(), await status('30s'), await status('5m'), await status('1h')],
    [403, 403, 200, 403],
  )
})

test('VAULT-2: a policy may limit the parameters of a request', async (t) => {
  const { root, callWith } = await setup(t)
  await root('PUT', 'sys/policies/acl/limited', {
    policy: `path "kv/*" {
      capabilities = ["create", "update"]
      required_parameters = ["owner"]
      allowed_parameters = { owner = ["shop-*"], "size" = [] }
    }`,
  })
  await root('POST', 'sys/mounts/kv', { type: 'kv' })
  const call = callWith(authOf(await root('POST', 'auth/token/create', { policies: ['limited'] })))
  const status = async (body: Fields): Promise<number> => (await call('POST', 'kv/a', body)).status
  assert.equal(await status({ owner: 'shop-1', size: 3 }), 204)
  assert.equal(await status({ owner: 'other' }), 403)
  assert.equal(await status({ size: 3 }), 403)
  assert.equal(await status({ owner: 'shop-1', more: 1 }), 403)
})

test('GOV-1: what was wrapped is in no entry of the audit log', async (t) => {
  const { holder, token, value, audit } = await setup(t)
  await holder('POST', 'sys/wrapping/unwrap')
  const { items } = await audit.page({ limit: 100, order: 'desc' })
  for (const text of [value, token]) assert.equal(JSON.stringify(items).includes(text), false)
  const read = items.find(({ type }) => type === 'secret.read')
  const unwrapped = items.find(({ target }) => target === 'path:sys/wrapping/unwrap')
  const noteOf = (entry: (typeof items)[number] | undefined): Fields =>
    ((entry?.detail ?? {}) as Fields)['note'] as Fields
  assert.equal(noteOf(unwrapped)['token'], (noteOf(read)['wrapped'] as Fields)['token'])
})
