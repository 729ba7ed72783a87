import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { authOf, dataOf, openAuth } from '../../../../test/support/vault-auth.ts'
import { serveVault } from '../../../../test/support/vault-server.ts'
import { Secret } from '../../../core/index.ts'

type Fields = Record<string, unknown>

/** Mary, who may ask for tokens of any role. */
async function setup(t: TestContext) {
  const world = await openAuth(t, 'userpass')
  const { root, anybody, callWith, vault } = world
  await root('PUT', 'sys/policies/acl/ask', {
    policy: 'path "identity/oidc/token/*" { capabilities = ["read"] }',
  })
  const password = `test-${randomBytes(12).toString('hex')}`
  await root('POST', 'auth/userpass/users/mary', { password, token_policies: 'ask', token_ttl: '700h' })
  const auth = authOf(await anybody('POST', 'auth/userpass/login/mary', { password }))
  await root('POST', `identity/entity/id/${auth['entity_id']}`, { name: 'mary', metadata: { team: 'shop' } })
  const mary = callWith(auth)
  const write = (path: string, body: Fields = {}) => root('POST', `identity/oidc/${path}`, body)
  const ok = async (path: string, body: Fields = {}) => {
    const reply = await write(path, body)
    assert.equal(reply.status, 204, JSON.stringify(reply.body))
  }
  const refused = async (path: string, body: Fields, words: RegExp) => {
    const reply = await write(path, body)
    assert.equal(reply.status, 400, JSON.stringify(reply.body))
    assert.match(String(reply.body['errors']), words)
  }
  await ok('config', { issuer: 'https://vault.example:8200' })
  const { url } = await serveVault(t, vault)
  const published = async (path: string) =>
    (await (await fetch(`${url}/v1/identity/oidc/.well-known/${path}`)).json()) as Fields
  const kids = async () => ((await published('keys'))['keys'] as { kid: string }[]).map(({ kid }) => kid)
  const introspect = async (body: Fields) => {
    const { status, raw } = await vault.handle({
      method: 'POST',
      path: 'identity/oidc/introspect',
      query: {},
      token: new Secret(world.rootToken),
      body: new Secret(JSON.stringify(body)),
    })
    assert.equal(status, 200)
    return JSON.parse(Buffer.from(raw?.bytes ?? []).toString('utf8')) as Fields
  }
  const token = async (role = 'app'): Promise<string> => {
    const reply = await mary('GET', `identity/oidc/token/${role}`)
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    return String(dataOf(reply)['token'])
  }
  return { ...world, auth, mary, write, ok, refused, published, kids, introspect, token }
}

for (const algorithm of ['RS256', 'ES384', 'EdDSA'])
  test(`VAULT-2: an entity gets a token that others can check (${algorithm})`, async (t) => {
    const { ok, token, auth, published, kids, introspect, clock } = await setup(t)
    await ok('key/k', { algorithm, allowed_client_ids: 'shop' })
    const template =
      '{"name": {{identity.entity.name}}, "team": {{identity.entity.metadata.team}}, "groups": {{identity.entity.groups.names}}, "soon": {{time.now.plus.60s}}, "none": {{identity.entity.metadata.constructor}}}'
    await ok('role/app', {
      key: 'k',
      client_id: 'shop',
      ttl: '10m',
      template: Buffer.from(template).toString('base64'),
    })
    const jwt = await token()
    const now = Math.floor(clock.now().getTime() / 1000)
    assert.deepEqual(decodeJwt(jwt), {
      name: 'mary',
      team: 'shop',
      groups: [],
      soon: now + 60,
      none: '',
      iss: 'https://vault.example:8200/v1/identity/oidc',
      sub: auth['entity_id'],
      aud: 'shop',
      iat: now,
      exp: now + 600,
      namespace: 'root',
    })
    assert.ok((await kids()).includes(String(decodeProtectedHeader(jwt).kid)))
    const about = await published('openid-configuration')
    assert.deepEqual(
      [about['issuer'], about['jwks_uri']],
      [
        'https://vault.example:8200/v1/identity/oidc',
        'https://vault.example:8200/v1/identity/oidc/.well-known/keys',
      ],
    )
    assert.doesNotMatch(JSON.stringify(await published('keys')), /"d":/)
    assert.deepEqual(await introspect({ token: jwt, client_id: 'shop' }), { active: true })
  })

test('VAULT-2: a token is not valid any more, or never was', async (t) => {
  const { ok, token, introspect, clock, root, auth } = await setup(t)
  await ok('role/app', { key: 'default', ttl: '10m' })
  const jwt = await token()
  const why = async (body: Fields) => String((await introspect(body))['error'])
  assert.match(await why({ token: jwt, client_id: 'other' }), /invalid audience/)
  assert.match(await why({ token: `${jwt.slice(0, -6)}AAAAAA` }), /unable to validate the token signature/)
  assert.match(await why({}), /unable to validate/)
  await root('POST', `identity/entity/id/${auth['entity_id']}`, { disabled: true })
  assert.match(await why({ token: jwt }), /disabled/)
  await root('POST', `identity/entity/id/${auth['entity_id']}`, { disabled: false })
  await ok('config', { issuer: 'https://other.example' })
  assert.match(await why({ token: jwt }), /invalid issuer/)
  await ok('config', { issuer: 'https://vault.example:8200' })
  clock.advance(661_000)
  assert.match(await why({ token: jwt }), /expired/)
})

test('VAULT-2: keys rotate, by hand and by age; what they signed can be checked as long as it is valid', async (t) => {
  const { ok, token, kids, introspect, clock, root } = await setup(t)
  await ok('key/k', { rotation_period: '1h', verification_ttl: '2h', allowed_client_ids: '*' })
  await ok('role/app', { key: 'k', ttl: '2h' })
  const kid = async () => String(decodeProtectedHeader(await token()).kid)
  const [current, next] = await kids()
  const first = await token()
  assert.equal(await kid(), current)
  await ok('key/k/rotate')
  assert.equal(await kid(), next)
  assert.deepEqual((await kids()).includes(String(current)), true)
  assert.equal((await introspect({ token: first }))['active'], true)
  // By age: the next who asks gets a token of the next pair, which was published before.
  const published = await kids()
  clock.advance(3_600_000)
  const third = await kid()
  assert.ok(third !== next && published.includes(third))
  clock.advance(3_600_001)
  assert.equal((await kids()).includes(String(current)), false)
  assert.equal((await introspect({ token: first }))['active'], false)
  // At once, when a key is not to be trusted any more.
  const bad = await token()
  await ok('key/k/rotate', { verification_ttl: 0 })
  assert.equal((await introspect({ token: bad }))['active'], false)
  await ok('key/k', { algorithm: 'ES256' })
  assert.equal(decodeProtectedHeader(await token()).alg, 'ES256')
  assert.deepEqual(dataOf(await root('GET', 'identity/oidc/key/k')), {
    algorithm: 'ES256',
    allowed_client_ids: ['*'],
    rotation_period: 3600,
    verification_ttl: 7200,
  })
})

test('VAULT-2: keys, roles and tokens that cannot be are refused', async (t) => {
  const { ok, refused, root, mary, write } = await setup(t)
  await ok('key/k', { allowed_client_ids: 'shop', algorithm: 'ES256' })
  await ok('role/app', { key: 'k', client_id: 'shop' })
  for (const [path, body, words] of [
    ['key/x', { algorithm: 'HS256' }, /unknown signing algorithm "HS256"/],
    ['key/x', { rotation_period: '59s' }, /rotation_period must be at least one minute/],
    [
      'key/x',
      { rotation_period: '1m', verification_ttl: '11m' },
      /cannot be longer than 10x rotation_period/,
    ],
    ['key/k', { verification_ttl: '1h' }, /one or more roles with a token ttl greater than 3600 seconds/],
    ['key/none/rotate', {}, /no named key found at "none"/],
    ['role/x', {}, /the key parameter is required/],
    ['role/x', { key: 'none' }, /cannot find key "none"/],
    ['role/x', { key: 'k', ttl: '25h' }, /cannot be longer than the verification_ttl/],
    ['role/x', { key: 'k', template: '{"sub": "x"}' }, /top level key "sub" not allowed/],
    ['role/x', { key: 'k', template: '{"a": "{{identity.entity.name}}"}' }, /error parsing template JSON/],
    ['role/x', { key: 'k', template: '["a"]' }, /it is no object/],
    ['role/x', { key: 'k', template: '{"a": {{identity.token}}}' }, /"identity.token" stands for nothing/],
    ['role/x', { key: 'k', template: '{"a": {{identity.entity.aliases.x.secret}}}' }, /nothing of an alias/],
    ['role/x', { key: 'k', template: '{"a": {{identity.entity.name}' }, /unbalanced/],
    [
      'config',
      { issuer: 'https://vault.example/path' },
      /must include only a scheme, host, and optional port/,
    ],
    ['config', { issuer: 'vault' }, /must include only/],
  ] as const)
    await refused(path, body, words)
  const inUse = await root('DELETE', 'identity/oidc/key/k')
  assert.match(String(inUse.body['errors']), /currently referenced by these roles: app/)
  const asks = async (call: typeof root, role: string) =>
    String((await call('GET', `identity/oidc/token/${role}`)).body['errors'])
  assert.match(await asks(root, 'app'), /no entity associated with the request's token/)
  assert.match(await asks(mary, 'none'), /role "none" not found/)
  await ok('role/app', { client_id: 'other' })
  assert.match(await asks(mary, 'app'), /does not list the client ID of the role "app"/)
  await ok('key/k', { allowed_client_ids: '*' })
  await ok('config', { issuer: '' })
  assert.match(await asks(mary, 'app'), /no issuer: write the address of this server/)
  assert.equal((await write('introspect', {})).status, 400)
  assert.equal((await mary('GET', 'identity/oidc/key/k')).status, 403)
  assert.deepEqual(dataOf(await root('LIST', 'identity/oidc/role'))['keys'], ['app'])
  assert.equal((await root('DELETE', 'identity/oidc/role/app')).status, 204)
  assert.equal((await root('DELETE', 'identity/oidc/key/k')).status, 204)
  assert.equal((await root('GET', 'identity/oidc/key/k')).status, 404)
})
