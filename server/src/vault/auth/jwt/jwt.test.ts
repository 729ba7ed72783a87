import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { CompactSign } from 'jose'
import { newCertificate } from '../../../../test/support/certificate.ts'
import { newSigningKey, openIssuer, pemOf, signed } from '../../../../test/support/oidc-issuer.ts'
import { authOf, dataOf, openAuth } from '../../../../test/support/vault-auth.ts'

type Fields = Record<string, unknown>

/** A mount that believes one key, and a role for the audience `keyward`. */
async function setup(t: Parameters<typeof openAuth>[0], { alg = 'RS256', role = {}, config = {} } = {}) {
  const world = await openAuth(t, 'jwt')
  const { root, anybody, clock } = world
  const key = await newSigningKey(alg)
  const pem = await pemOf(key)
  const configure = (fields: Fields = {}) =>
    root('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [pem], ...config, ...fields })
  assert.equal((await configure()).status, 204)
  const write = (fields: Fields) =>
    root('POST', 'auth/jwt/role/app', {
      role_type: 'jwt',
      user_claim: 'sub',
      bound_audiences: 'keyward',
      token_policies: 'shop',
      ...fields,
    })
  assert.equal((await write(role)).status, 204)
  const seconds = (): number => Math.floor(clock.now().getTime() / 1000)
  const usual = (): Fields => ({ sub: 'mary', aud: 'keyward', iat: seconds(), exp: seconds() + 300 })
  const login = (jwt: string, name = 'app') => anybody('POST', 'auth/jwt/login', { role: name, jwt })
  const present = async (claims: Fields = {}) => login(await signed(key, { ...usual(), ...claims }))
  const refused = async (claims: Fields, words: RegExp) => {
    const reply = await present(claims)
    assert.equal(reply.status, 400, JSON.stringify(reply.body))
    assert.match(String(reply.body['errors']), words)
  }
  return { ...world, key, pem, configure, write, seconds, usual, login, present, refused }
}

for (const alg of ['RS256', 'PS384', 'ES256', 'ES512', 'EdDSA'])
  test(`VAULT-2: jwt: a token signed with ${alg} signs in`, async (t) => {
    const { present, callWith, root } = await setup(t, { alg })
    const reply = await present()
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    const auth = authOf(reply)
    assert.deepEqual([auth['policies'], auth['metadata']], [['default', 'shop'], { role: 'app' }])
    const self = dataOf(await callWith(auth)('GET', 'auth/token/lookup-self'))
    assert.deepEqual([self['display_name'], self['path']], ['jwt-mary', 'auth/jwt/login'])
    const entity = dataOf(await root('GET', `identity/entity/id/${auth['entity_id']}`))
    assert.equal((entity['aliases'] as Fields[])[0]?.['name'], 'mary')
    assert.equal(authOf(await present())['entity_id'], auth['entity_id'])
  })

test('VAULT-2: jwt: what a token says about time is checked, with leeway', async (t) => {
  const { present, refused, seconds, write } = await setup(t)
  const now = seconds()
  await refused({ exp: now - 61 }, /token is expired/)
  await refused({ nbf: now + 61 }, /token not yet valid/)
  await refused({ iat: now + 61, nbf: now }, /issued in the future/)
  await refused({ exp: undefined, iat: undefined }, /no issued at \(iat\), not before \(nbf\), or expiration/)
  await refused({ exp: 'tomorrow' }, /"exp" is no time/)
  await refused({ exp: undefined, iat: now - 211 }, /token is expired/)
  for (const claims of [
    { exp: now - 59 },
    { nbf: now + 59 },
    { exp: undefined, iat: now - 209 },
    { exp: undefined, iat: undefined, nbf: now },
  ])
    assert.equal((await present(claims)).status, 200, JSON.stringify(claims))
  await write({ clock_skew_leeway: -1, expiration_leeway: '10s' })
  await refused({ exp: now - 1 }, /token is expired/)
  await refused({ exp: undefined, iat: now - 11 }, /token is expired/)
  await write({ clock_skew_leeway: '1h' })
  assert.equal((await present({ exp: now - 3599 })).status, 200)
})

test('VAULT-2: jwt: issuer, audience and subject have to be those of the role', async (t) => {
  const { present, refused, configure, write } = await setup(t)
  await refused({ aud: 'other' }, /error validating token: invalid audience \(aud\) claim/)
  await refused({ aud: undefined }, /invalid audience/)
  assert.equal((await present({ aud: ['other', 'keyward'] })).status, 200)
  await write({ bound_audiences: [], bound_subject: 'mary' })
  await refused({}, /audience claim found in JWT but no audiences bound to the role/)
  assert.equal((await present({ aud: undefined })).status, 200)
  await refused({ aud: undefined, sub: 'tom' }, /invalid subject \(sub\) claim/)
  await configure({ bound_issuer: 'https://issuer.example' })
  await refused({ aud: undefined }, /invalid issuer \(iss\) claim/)
  await refused({ aud: undefined, iss: 'https://issuer.example/' }, /invalid issuer/)
  assert.equal((await present({ aud: undefined, iss: 'https://issuer.example' })).status, 200)
})

test('VAULT-2: jwt: bound claims, by value, by glob and by pointer', async (t) => {
  const { present, refused, write } = await setup(t, {
    role: { bound_claims: { team: ['shop', 'desk'], '/org/level': 3, admin: true } },
  })
  const right = { team: 'desk', org: { level: 3 }, admin: [false, true] }
  assert.equal((await present(right)).status, 200)
  await refused({ ...right, team: 'shop*' }, /claim "team" does not match any associated bound claim values/)
  await refused({ ...right, team: undefined }, /error validating claims: claim "team" is missing/)
  await refused({ ...right, org: { level: '3' } }, /claim "\/org\/level" does not match/)
  await refused({ ...right, org: 3 }, /claim "\/org\/level" is missing/)
  await refused({ ...right, team: { a: 1 } }, /claim "team" is not a string, bool, int or list/)
  await write({ bound_claims: { team: 'sh*p-*' }, bound_claims_type: 'glob' })
  assert.equal((await present({ team: ['x', 'shoop-2'] })).status, 200)
  await refused({ team: 'xshop-2' }, /does not match/)
  await write({ bound_claims: { constructor: 'x' } })
  await refused({}, /claim "constructor" is missing/)
})

test('VAULT-2: jwt: the user, the metadata and the groups come from claims', async (t) => {
  const { present, refused, write, root, callWith } = await setup(t, {
    role: {
      user_claim: '/person/mail',
      user_claim_json_pointer: true,
      claim_mappings: { '/person/desk': 'desk', locale: 'language' },
      groups_claim: 'groups',
    },
  })
  const mounts = dataOf(await root('GET', 'sys/auth'))
  const accessor = (mounts['jwt/'] as Fields)['accessor']
  const group = dataOf(await root('POST', 'identity/group', { type: 'external', policies: 'c', name: 'ops' }))
  await root('POST', 'identity/group-alias', {
    name: 'ops@idp',
    mount_accessor: accessor,
    canonical_id: group['id'],
  })
  await root('PUT', 'sys/policies/acl/c', {
    policy: 'path "secret/data/c" { capabilities = ["create", "update"] }',
  })
  const person = { mail: 'mary@shop.example', desk: '4' }
  const first = authOf(await present({ person, groups: ['ops@idp', 'unknown'] }))
  assert.deepEqual(first['metadata'], { desk: '4', role: 'app' })
  assert.deepEqual([first['identity_policies'], first['token_policies']], [['c'], ['default', 'shop']])
  const write1 = () => callWith(first)('POST', 'secret/data/c', { data: {} })
  assert.equal((await write1()).status, 200)
  // At the next login the provider says that she has left: the token of the first one feels it.
  const second = authOf(await present({ person, groups: 'unknown', locale: 'fi' }))
  assert.equal(second['entity_id'], first['entity_id'])
  assert.deepEqual(second['metadata'], { desk: '4', language: 'fi', role: 'app' })
  assert.equal('identity_policies' in second, false)
  assert.equal((await write1()).status, 403)
  await refused({ person, groups: undefined }, /failed to fetch groups: "groups" claim not found in token/)
  await refused({ person, groups: { a: 1 } }, /"groups" claim could not be converted to string list/)
  await refused(
    { person: { ...person, desk: 4 }, groups: [] },
    /error converting claim '\/person\/desk' to string/,
  )
  await refused({ groups: [] }, /claim "\/person\/mail" not found in token/)
  await refused({ person: { mail: 7 }, groups: [] }, /could not be converted to string/)
  await write({ user_claim: 'sub', groups_claim: '' })
  assert.equal((await present({ sub: undefined, person })).status, 400)
})

test('VAULT-2: jwt: signatures that are none, by another key, by another algorithm', async (t) => {
  const { login, usual, key, pem, configure } = await setup(t)
  const refused = async (jwt: string, words: RegExp) => {
    const reply = await login(jwt)
    assert.equal(reply.status, 400)
    assert.match(String(reply.body['errors']), words)
  }
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const good = await signed(key, usual())
  const [header = '', payload = '', signature = ''] = good.split('.')
  const noKey = /no known key successfully validated the token signature/
  await refused(await signed(await newSigningKey(), usual()), noKey)
  await refused(`${header}.${encode({ ...usual(), sub: 'tom' })}.${signature}`, noKey)
  await refused(`${header}.${payload}.`, noKey)
  await refused(`${encode({ alg: 'none' })}.${payload}.`, /unsupported algorithm "none"/)
  // The public key as a shared secret: whoever knows it could sign.
  for (const secret of [pem, pem.trim()]) {
    const head = `${encode({ alg: 'HS256', typ: 'JWT' })}.${payload}`
    const mac = createHmac('sha256', secret).update(head).digest('base64url')
    await refused(`${head}.${mac}`, /unsupported algorithm "HS256"/)
  }
  await refused(await signed(await newSigningKey('ES256'), usual()), noKey)
  for (const jwt of ['x', 'a.b.c', `${payload}.${header}.${signature}`, `${good}.${good}`])
    await refused(jwt, /malformed jwt|unsupported algorithm|no known key/)
  const critical = await signed(key, usual())
  const crit = `${encode({ alg: 'RS256', crit: ['exp'], exp: 1 })}.${critical.split('.')[1]}.${signature}`
  await refused(crit, /malformed jwt|no known key/)
  await refused('a'.repeat(70_000), /the token is too long/)
  await configure({ jwt_supported_algs: ['ES256'] })
  await refused(good, /unsupported algorithm "RS256"/)
})

test('VAULT-2: jwt: roles and settings that would not do what they say are refused', async (t) => {
  const { write, configure, root, login, usual, key, anybody } = await setup(t)
  for (const [fields, words] of [
    [{ role_type: 'saml' }, /invalid 'role_type': saml/],
    [{ user_claim: '' }, /a user claim must be defined on the role/],
    [{ bound_audiences: [] }, /must have at least one bound constraint/],
    [{ role_type: 'oidc' }, /'allowed_redirect_uris' must be set/],
    [{ role_type: '' }, /'allowed_redirect_uris' must be set/],
    [{ bound_claims_type: 'regex' }, /invalid 'bound_claims_type': regex/],
    [{ bound_claims: { a: { b: 1 } } }, /bound claim "a" is not a string, bool, int or list/],
    [{ bound_claims: { a: 1 }, bound_claims_type: 'glob' }, /bound claim "a" is not a string or list/],
    [{ bound_claims: 'no json' }, /its JSON text/],
    [{ claim_mappings: { a: 'role' } }, /metadata key "role" is reserved/],
    [{ claim_mappings: { a: 'x', b: 'x' } }, /multiple keys are mapped to metadata key "x"/],
    [{ callback_mode: 'server' }, /invalid 'callback_mode': "server"/],
    [{ oauth2_metadata: ['id_token'] }, /'oauth2_metadata' is not supported/],
    [{ token_policies: 'root' }, /root/],
  ] as const) {
    const reply = await write(fields)
    assert.equal(reply.status, 400, JSON.stringify(fields))
    assert.match(String(reply.body['errors']), words)
  }
  for (const [fields, words] of [
    [{ jwks_url: 'https://a.example/keys' }, /exactly one of/],
    [{ jwt_validation_pubkeys: [] }, /exactly one of/],
    [{ jwt_validation_pubkeys: ['no key'] }, /error parsing public key/],
    [{ jwt_supported_algs: ['HS256'] }, /unsupported signing algorithm "HS256"/],
    [{ jwt_supported_algs: ['none'] }, /unsupported signing algorithm "none"/],
    [{ oidc_client_id: 'a' }, /both 'oidc_client_id' and 'oidc_client_secret' must be set/],
    [{ oidc_client_id: 'a', oidc_client_secret: 'b' }, /'oidc_discovery_url' must be set for OIDC/],
    [{ oidc_response_mode: 'fragment' }, /invalid response_mode: "fragment"/],
    [{ oidc_response_types: ['token'] }, /invalid response_types/],
    [{ oidc_response_types: ['id_token'] }, /may not be used with an id_token response_type/],
    [{ provider_config: { provider: 'azure' } }, /'provider_config' is not supported/],
    [{ override_allowed_server_names: ['a'] }, /not supported/],
    [{ jwt_validation_pubkeys: [], jwks_url: 'ftp://a' }, /no address that begins with https/],
  ] as const) {
    const reply = await configure(fields)
    assert.equal(reply.status, 400, JSON.stringify(fields))
    assert.match(String(reply.body['errors']), words)
  }
  const jwt = await signed(key, usual())
  assert.match(String((await login(jwt, 'nobody')).body['errors']), /role "nobody" could not be found/)
  assert.deepEqual((await anybody('POST', 'auth/jwt/login', { jwt })).body['errors'], ['missing role'])
  assert.deepEqual((await anybody('POST', 'auth/jwt/login', { role: 'app' })).body['errors'], [
    'missing token',
  ])
  await configure({ default_role: 'APP' })
  assert.equal((await anybody('POST', 'auth/jwt/login', { jwt })).status, 200)
  await root('POST', 'auth/jwt/role/app', {
    role_type: 'jwt',
    user_claim: 'sub',
    token_bound_cidrs: '10.0.0.0/8',
  })
  assert.equal((await login(jwt)).status, 403)
})

test('VAULT-2: jwt: roles are read, changed in part, listed and deleted; a token of a deleted one is not renewed', async (t) => {
  const { root, present, callWith, anybody } = await setup(t, {
    role: { token_ttl: '10m', claim_mappings: { a: 'b' }, verbose_oidc_logging: true, max_age: '1h' },
  })
  const view = dataOf(await root('GET', 'auth/jwt/role/APP'))
  assert.deepEqual(
    [view['role_type'], view['user_claim'], view['bound_audiences'], view['claim_mappings'], view['max_age']],
    ['jwt', 'sub', ['keyward'], { a: 'b' }, 3600],
  )
  await root('POST', 'auth/jwt/role/app', { role_type: 'jwt', token_ttl: '20m' })
  assert.deepEqual(dataOf(await root('GET', 'auth/jwt/role/app')), { ...view, token_ttl: 1200 })
  assert.deepEqual(dataOf(await root('LIST', 'auth/jwt/role'))['keys'], ['app'])
  const call = callWith(authOf(await present()))
  assert.equal((await call('POST', 'auth/token/renew-self')).status, 200)
  assert.equal((await root('DELETE', 'auth/jwt/role/app')).status, 204)
  assert.equal((await root('GET', 'auth/jwt/role/app')).status, 404)
  assert.equal((await call('POST', 'auth/token/renew-self')).status, 400)
  const config = dataOf(await root('GET', 'auth/jwt/config'))
  assert.equal('oidc_client_secret' in config, false)
  assert.equal((await anybody('GET', 'auth/jwt/config')).status, 403)
})

test('VAULT-2: jwt: keys of an address: rotated ones are found, unknown ones do not make it ask again and again', async (t) => {
  const { configure, login, usual, clock, key } = await setup(t)
  const [first, second, third] = [await newSigningKey(), await newSigningKey('ES256'), await newSigningKey()]
  const issuer = await openIssuer(t, [first])
  const wrong = await configure({ jwt_validation_pubkeys: [], jwks_url: `${issuer.url}/nowhere` })
  assert.match(String(wrong.body['errors']), /error checking jwks URL: .* status 404/)
  const reply = await configure({ jwt_validation_pubkeys: [], jwks_url: `${issuer.url}/keys` })
  assert.equal(reply.status, 204, JSON.stringify(reply.body))
  const enter = async (...args: Parameters<typeof signed>) => (await login(await signed(...args))).status
  assert.equal(await enter(first, usual()), 200)
  assert.equal(await enter(key, usual()), 400)
  const asked = issuer.state.asked
  for (let i = 0; i < 5; i++) assert.equal(await enter(third, usual()), 400)
  assert.equal(issuer.state.asked, asked)
  issuer.state.keys = [second, third]
  clock.advance(16_000)
  assert.equal(await enter(second, usual()), 200)
  assert.equal(issuer.state.asked, asked + 1)
  assert.equal(await enter(first, usual()), 400)
  // Several keys and a token that names none: each is tried.
  issuer.state.keys = [first, third]
  clock.advance(16_000)
  assert.equal(await enter(third, usual(), { kid: null }), 200)
  // The provider is away: the keys that are known still count.
  issuer.state.reachable = false
  clock.advance(11 * 60_000)
  assert.equal(await enter(third, usual()), 200)
  clock.advance(60 * 60_000)
  assert.equal(await enter(third, usual()), 400)
})

test('VAULT-2: jwt: keys come over TLS only from whom the given authority vouches for', async (t) => {
  const { configure, login, usual } = await setup(t)
  const { cert, key: privateKey, ca } = newCertificate('localhost')
  const key = await newSigningKey()
  const issuer = await openIssuer(t, [key], undefined, { cert, key: privateKey })
  const other = newCertificate('localhost').ca
  const jwks = (jwks_ca_pem?: string) =>
    configure({
      jwt_validation_pubkeys: [],
      jwks_url: `${issuer.url}/keys`,
      ...(jwks_ca_pem ? { jwks_ca_pem } : {}),
    })
  const discovery = (oidc_discovery_ca_pem?: string) =>
    configure({
      jwt_validation_pubkeys: [],
      oidc_discovery_url: issuer.url,
      ...(oidc_discovery_ca_pem ? { oidc_discovery_ca_pem } : {}),
    })
  for (const configuring of [jwks, discovery]) {
    for (const wrong of [undefined, other])
      assert.match(String((await configuring(wrong)).body['errors']), /cannot be used: .*certificate/)
    assert.equal((await configuring(ca)).status, 204)
    assert.equal((await login(await signed(key, usual()))).status, 200)
  }
})

test('VAULT-2: jwt: a text that a known key has signed and that holds no claims is refused for that', async (t) => {
  const { key, login } = await setup(t)
  for (const text of ['[]', '"mary"', 'null', '{']) {
    const jwt = await new CompactSign(Buffer.from(text))
      .setProtectedHeader({ alg: key.alg })
      .sign(key.privateKey)
    const reply = await login(jwt)
    assert.equal(reply.status, 400)
    assert.match(JSON.stringify(reply.body), /malformed jwt: its claims are no JSON object/, text)
  }
})
