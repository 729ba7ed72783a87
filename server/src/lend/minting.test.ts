import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Injection } from '@keyward/contract'
import { entries, type LendWorld, lent, openLendWorld } from '../../test/support/lend-world.ts'
import { claimsIn, newRsaKey, openTokenServer, type TokenServer } from '../../test/support/token-server.ts'

type ClientInjection = Extract<Injection, { kind: 'oauth-client' }>
type RefreshInjection = Extract<Injection, { kind: 'oauth-refresh' }>

const clientOf = (server: TokenServer, more: Partial<ClientInjection> = {}): ClientInjection => ({
  kind: 'oauth-client',
  tokenUrl: `${server.url}/token`,
  clientId: server.client.id,
  signIn: 'basic',
  caPem: server.caPem,
  ...more,
})

const refreshOf = (server: TokenServer, more: Partial<RefreshInjection> = {}): RefreshInjection => ({
  kind: 'oauth-refresh',
  tokenUrl: `${server.url}/token`,
  clientId: server.client.id,
  signIn: 'basic',
  caPem: server.caPem,
  ...more,
})

/** A world whose secret has these fields, and what uses a lease of it once. */
async function opened(t: TestContext, fields: Record<string, string>) {
  const world = await openLendWorld(t)
  world.vault.fields = fields
  const use = async (injection: Injection, places = ['bearer']) => {
    const { claim } = await lent(world, {}, { injection, maxLeases: 1 })
    return (await world.lend.use({ ...claim, places })).value.reveal()
  }
  return { world, use }
}

const failures = async (world: LendWorld) =>
  (await entries(world, 'lease.used')).filter(({ outcome }) => outcome === 'failed')

for (const signIn of ['basic', 'body'] as const) {
  test(`LEND-2: a client secret is lent as an access token, signed in by ${signIn}; nobody but its server sees it`, async (t) => {
    const server = await openTokenServer(t)
    const { world, use } = await opened(t, { value: server.client.secret })
    const token = await use(clientOf(server, { signIn, scope: 'read write', audience: 'shop' }))
    assert.deepEqual(server.issued, [token])
    const form = new URLSearchParams(server.asked[0]?.body)
    assert.deepEqual([form.get('scope'), form.get('audience')], ['read write', 'shop'])
    const [minted] = await entries(world, 'lease.minted')
    assert.equal(minted?.outcome, 'done')
    const stored = JSON.stringify(await world.store.all({ text: 'select * from audit_entries', values: [] }))
    assert.ok(!stored.includes(token) && !stored.includes(server.client.secret))
  })
}

test('LEND-2: a token serves for minutes, however many ask at once, and no longer than it lives', async (t) => {
  const server = await openTokenServer(t)
  const { world, use } = await opened(t, { value: server.client.secret })
  const tokens = await Promise.all(Array.from({ length: 5 }, () => use(clientOf(server))))
  assert.deepEqual([new Set(tokens).size, server.issued.length], [1, 1])
  world.clock.advance(599_999)
  await use(clientOf(server))
  assert.equal(server.issued.length, 1)
  world.clock.advance(1)
  server.expiresIn = 90
  await use(clientOf(server))
  world.clock.advance(29_999)
  await use(clientOf(server))
  assert.equal(server.issued.length, 2)
  world.clock.advance(1)
  await use(clientOf(server))
  assert.equal(server.issued.length, 3)
})

test('LEND-2: another scope, another field and a changed secret get tokens of their own', async (t) => {
  const server = await openTokenServer(t)
  const { world, use } = await opened(t, { value: server.client.secret })
  await use(clientOf(server))
  await use(clientOf(server, { scope: 'read' }))
  assert.equal(server.issued.length, 2)
  world.vault.fields = { value: 'test-changed-secret' }
  await assert.rejects(use(clientOf(server)), { code: 'lease.mint_failed' })
})

test('LEND-2: a refresh token is lent as an access token, with and without a client secret', async (t) => {
  const server = await openTokenServer(t)
  const { use } = await opened(t, { value: server.refreshToken, client: server.client.secret })
  await use(refreshOf(server))
  await use(refreshOf(server, { clientSecretField: 'client', signIn: 'body' }))
  const [plain, withSecret] = server.asked.map(({ body }) => new URLSearchParams(body))
  assert.equal(plain?.get('client_id'), server.client.id)
  assert.equal(plain?.get('client_secret'), null)
  assert.equal(withSecret?.get('client_secret'), server.client.secret)
  await assert.rejects(use(refreshOf(server, { clientSecretField: 'none' })), {
    code: 'lease.mint_failed',
    detail: /has no field none/,
  })
})

test('LEND-2: a new refresh token is in the vault before its access token is used, and serves from then on', async (t) => {
  const server = await openTokenServer(t)
  server.rotating = true
  const { world, use } = await opened(t, { value: server.refreshToken, other: 'kept' })
  await use(refreshOf(server))
  assert.deepEqual(world.vault.fields, { value: server.refreshToken, other: 'kept' })
  const [written] = await entries(world, 'secret.written')
  assert.equal(written?.actor, 'system:lend')
  await use(refreshOf(server))
  assert.equal(server.issued.length, 1, 'the kept token goes on')
  world.clock.advance(600_000)
  await use(refreshOf(server))
  assert.equal(server.issued.length, 2)
  assert.equal(world.vault.fields['value'], server.refreshToken)
})

test('LEND-2: a service account of Google is lent as an access token for its scopes', async (t) => {
  const { publicKey, pem } = newRsaKey()
  const server = await openTokenServer(t, publicKey)
  const tokenUrl = `${server.url}/token`
  const keyFile = {
    type: 'service_account',
    client_email: 'shop@project.example',
    private_key: pem,
    private_key_id: 'k1',
    token_uri: tokenUrl,
  }
  const { world, use } = await opened(t, { value: JSON.stringify(keyFile) })
  const how: Injection = {
    kind: 'google-service-account',
    scopes: ['a', 'b'],
    subject: 'ada@example.com',
    caPem: server.caPem,
  }
  assert.deepEqual([await use(how)], server.issued)
  const assertion = new URLSearchParams(server.asked[0]?.body).get('assertion') ?? ''
  const claims = claimsIn(assertion, publicKey)
  const issued = Math.floor(world.clock.now().getTime() / 1000)
  assert.deepEqual(claims, {
    iss: 'shop@project.example',
    scope: 'a b',
    aud: tokenUrl,
    iat: issued,
    exp: issued + 600,
    sub: 'ada@example.com',
  })
  assert.deepEqual(JSON.parse(Buffer.from(assertion.split('.')[0] ?? '', 'base64url').toString()), {
    alg: 'RS256',
    typ: 'JWT',
    kid: 'k1',
  })
  for (const unfit of [
    'no json',
    '{}',
    JSON.stringify({ ...keyFile, token_uri: 'http://plain.example' }),
    JSON.stringify({ ...keyFile, private_key: 'no key' }),
  ]) {
    world.vault.fields = { value: unfit }
    await assert.rejects(use(how), { code: 'lease.mint_failed', detail: /does not serve for this/ })
  }
  assert.equal(server.asked.length, 1)
})

test('LEND-2: a GitHub App is lent as a token of one installation, for the repositories and permissions that were said', async (t) => {
  const { publicKey, pem } = newRsaKey()
  const server = await openTokenServer(t, publicKey)
  const { world, use } = await opened(t, { value: pem })
  const narrow = { repositories: ['shop'], permissions: { contents: 'read' as const } }
  const how = {
    kind: 'github-app',
    appId: '12',
    installationId: 34,
    apiUrl: server.url,
    caPem: server.caPem,
    ...narrow,
  } as const
  const token = await use(how, ['basic:password'])
  assert.match(token, /^ghs_/)
  assert.deepEqual(server.issued, [token])
  assert.deepEqual(server.asked[0]?.path, '/app/installations/34/access_tokens')
  assert.deepEqual(JSON.parse(server.asked[0]?.body ?? ''), narrow)
  world.vault.fields = { value: 'no key' }
  await assert.rejects(use(how), { code: 'lease.mint_failed', detail: /no RSA key/ })
})

test('LEND-2: what a server refuses or garbles is told in its code alone, and recorded; the next use asks again', async (t) => {
  const server = await openTokenServer(t)
  const { world, use } = await opened(t, { value: server.client.secret })
  const how = clientOf(server)
  const told = async (status: number, text: string): Promise<string> => {
    server.instead = { status, text }
    const error = await use(how).then(
      () => assert.fail('it gave a token'),
      (thrown: { code: string; detail: string }) => thrown,
    )
    assert.equal(error.code, 'lease.mint_failed')
    assert.ok(!error.detail.includes('words'), error.detail)
    return error.detail.replace(/^\S+ /, '')
  }
  assert.equal(
    await told(400, '{"error":"invalid_scope","error_description":"words"}'),
    'answered 400 (invalid_scope).',
  )
  assert.equal(await told(500, '{"error":"words with spaces"}'), 'answered 500.')
  assert.equal(await told(302, ''), 'answered 302.')
  for (const text of [
    'words',
    '[]',
    '{}',
    '{"access_token":"short"}',
    '{"access_token":"has a space in it"}',
    JSON.stringify({ access_token: 'test-token\r\nX-Words: 1' }),
    '{"access_token":"test-token-1","token_type":"mac"}',
  ])
    assert.equal(await told(200, text), 'answered 200, but with no bearer token.', text)
  assert.equal((await failures(world)).length, 10)
  server.instead = undefined
  assert.equal(await use(how), server.issued.at(-1))
})

test('LEND-2: nothing is asked of a server that is not trusted, nor for a placeholder in the wrong place', async (t) => {
  const server = await openTokenServer(t)
  const { world, use } = await opened(t, { value: server.client.secret })
  const { caPem: _, ...untrusted } = clientOf(server)
  await assert.rejects(use(untrusted), { code: 'lease.mint_failed', detail: /cannot be reached/ })
  await assert.rejects(use(clientOf(server), ['body:/note']), { code: 'egress.denied' })
  await assert.rejects(use(clientOf(server), ['basic:username']), { code: 'egress.denied' })
  assert.equal(server.asked.length, 0)
  assert.equal((await entries(world, 'lease.misused')).length, 2)
})

test('LEND-2: a refresh token that somebody replaced meanwhile stays replaced', async (t) => {
  const server = await openTokenServer(t)
  server.rotating = true
  const { world, use } = await opened(t, { value: server.refreshToken })
  const { read } = world.kv
  let reads = 0
  world.kv.read = async (path) => {
    if (++reads === 3) world.vault.fields = { value: 'test-by-a-person' }
    return read(path)
  }
  await use(refreshOf(server))
  assert.deepEqual(world.vault.fields, { value: 'test-by-a-person' })
})
