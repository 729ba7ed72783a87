import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { newSigningKey, openIssuer } from '../../../../test/support/oidc-issuer.ts'
import { authOf, dataOf, openAuth } from '../../../../test/support/vault-auth.ts'
import { serveVault } from '../../../../test/support/vault-server.ts'
import { sql } from '../../../store/index.ts'

type Fields = Record<string, unknown>
const redirectUri = 'http://localhost:8250/oidc/callback'

/** What a browser does at the provider: it is sent back at once, with a code. */
function followed(url: string): Promise<URLSearchParams> {
  return new Promise((resolve, reject) => {
    request(url, (answer) => {
      answer.resume()
      resolve(new URL(String(answer.headers.location)).searchParams)
    })
      .on('error', reject)
      .end()
  })
}

async function setup(t: Parameters<typeof openAuth>[0], role: Fields = {}) {
  const world = await openAuth(t, 'oidc')
  const { root, anybody, clock } = world
  const key = await newSigningKey()
  const issuer = await openIssuer(t, [key], clock)
  const configure = (fields: Fields = {}) =>
    root('POST', 'auth/oidc/config', {
      oidc_discovery_url: issuer.url,
      oidc_client_id: issuer.client.id,
      oidc_client_secret: issuer.client.secret,
      default_role: 'person',
      ...fields,
    })
  const configured = await configure()
  assert.equal(configured.status, 204, JSON.stringify(configured.body))
  const write = (fields: Fields = {}) =>
    root('POST', 'auth/oidc/role/person', {
      user_claim: 'sub',
      allowed_redirect_uris: [redirectUri, 'https://vault.example/ui/callback'],
      oidc_scopes: 'profile',
      token_policies: 'shop',
      ...fields,
    })
  assert.equal((await write(role)).status, 204)
  const begin = async (fields: Fields = {}): Promise<string> =>
    String(
      dataOf(
        await anybody('POST', 'auth/oidc/oidc/auth_url', {
          redirect_uri: redirectUri,
          client_nonce: 'mine',
          ...fields,
        }),
      )['auth_url'],
    )
  const back = (parameters: Record<string, string>) =>
    anybody('GET', `auth/oidc/oidc/callback?${new URLSearchParams({ client_nonce: 'mine', ...parameters })}`)
  /** The whole way; what `changed` says differs from what a browser would bring back. */
  const enter = async (changed: Record<string, string> = {}) =>
    back({ ...Object.fromEntries(await followed(await begin())), ...changed })
  const refused = async (words: RegExp, changed: Record<string, string> = {}) => {
    const reply = await enter(changed)
    assert.equal(reply.status, 400, JSON.stringify(reply.body))
    assert.match(String(reply.body['errors']), words)
  }
  return { ...world, key, issuer, configure, write, begin, back, enter, refused }
}

test('VAULT-2: oidc: a person signs in at the provider', async (t) => {
  const { begin, enter, issuer, callWith, root } = await setup(t)
  const url = new URL(await begin())
  assert.equal(url.origin + url.pathname, `${issuer.url}/authorize`)
  const { searchParams: asked } = url
  assert.deepEqual(
    ['client_id', 'response_type', 'redirect_uri', 'scope', 'code_challenge_method'].map((name) =>
      asked.get(name),
    ),
    ['keyward', 'code', redirectUri, 'openid profile', 'S256'],
  )
  const reply = await enter()
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  const auth = authOf(reply)
  assert.deepEqual([auth['policies'], auth['metadata']], [['default', 'shop'], { role: 'person' }])
  assert.equal(dataOf(await callWith(auth)('GET', 'auth/token/lookup-self'))['display_name'], 'oidc-mary')
  const config = dataOf(await root('GET', 'auth/oidc/config'))
  assert.equal(JSON.stringify(config).includes(issuer.client.secret), false)
})

test('VAULT-2: oidc: each answer of the provider is taken once, by who began, and not for long', async (t) => {
  const { begin, back, refused, enter, clock } = await setup(t)
  const first = Object.fromEntries(await followed(await begin()))
  assert.equal((await back(first)).status, 200)
  const replayed = await back(first)
  assert.deepEqual(replayed.body['errors'], ['Vault login failed. Expired or missing OAuth state.'])
  await refused(/Expired or missing OAuth state/, { state: 'st_other' })
  await refused(/invalid client_nonce/, { client_nonce: 'another' })
  await refused(/Error exchanging oidc code|invalid_grant/, { code: 'guessed' })
  await refused(/Vault login failed. access_denied/, { error: 'access_denied' })
  await refused(/Vault login failed. The provider refused./, { error: '<script>' })
  await refused(/No code or id_token received/, { code: '' })
  // The code of one person with the state of another: PKCE and the nonce keep them apart.
  const [one, other] = [await followed(await begin()), await followed(await begin())]
  const mixed = await back({ state: String(one.get('state')), code: String(other.get('code')) })
  assert.equal(mixed.status, 400)
  const late = Object.fromEntries(await followed(await begin()))
  clock.advance(5 * 60_000 + 1)
  assert.match(String((await back(late)).body['errors']), /Expired or missing/)
  assert.equal((await enter()).status, 200)
})

test('VAULT-2: oidc: an ID token has to be for us, by the provider, of this request', async (t) => {
  const { issuer, refused, enter, write, clock } = await setup(t)
  const as = (person: Fields): void => {
    issuer.state.person = { sub: 'mary', ...person }
  }
  const now = Math.floor(clock.now().getTime() / 1000)
  for (const [person, words] of [
    [{ iss: 'https://other.example' }, /invalid issuer/],
    [{ aud: 'other' }, /invalid audience/],
    [{ aud: ['keyward', 'other'] }, /invalid authorized party/],
    [{ azp: 'other' }, /invalid authorized party/],
    [{ nonce: 'another' }, /invalid ID token nonce/],
    [{ nonce: undefined }, /invalid ID token nonce/],
    [{ exp: now - 61 }, /token is expired/],
    [{ nbf: now + 61 }, /not yet valid/],
  ] as const) {
    as(person)
    await refused(words)
  }
  as({ aud: ['keyward', 'other'], azp: 'keyward' })
  assert.equal((await enter()).status, 200)
  await write({ bound_audiences: 'shop' })
  as({})
  await refused(/invalid audience/)
  await write({ bound_audiences: [], bound_subject: 'tom' })
  await refused(/sub claim does not match bound subject/)
  await write({ bound_subject: '', max_age: '10m' })
  await refused(/auth_time/)
  as({ auth_time: now - 700 })
  await refused(/auth_time/)
  as({ auth_time: now - 500 })
  assert.equal((await enter()).status, 200)
  // Signed by a key that the provider does not publish.
  issuer.state.keys = [await newSigningKey('ES256')]
  await refused(/unsupported algorithm "ES256"/)
})

test('VAULT-2: oidc: an address that the role does not allow gets no link', async (t) => {
  const { begin, write, anybody, root } = await setup(t)
  const nothing = async (uri: string) => assert.equal(await begin({ redirect_uri: uri }), '', uri)
  for (const uri of [
    'http://localhost:8250/other',
    'http://localhost.example:8250/oidc/callback',
    'https://localhost:8250/oidc/callback',
    'http://127.0.0.1:8250/oidc/callback',
    'https://vault.example/ui/callback?x=1',
    'https://vault.example:444/ui/callback',
    'https://user@vault.example/ui/callback',
    'no address',
  ])
    await nothing(uri)
  assert.notEqual(await begin({ redirect_uri: 'http://localhost:9999/oidc/callback' }), '')
  assert.notEqual(await begin({ redirect_uri: 'https://vault.example/ui/callback' }), '')
  const begun = await anybody('POST', 'auth/oidc/oidc/auth_url', {
    redirect_uri: redirectUri,
    role: 'nobody',
  })
  assert.match(String(begun.body['errors']), /role "nobody" could not be found/)
  assert.equal((await anybody('POST', 'auth/oidc/oidc/auth_url', {})).status, 400)
  await write({ role_type: 'jwt', bound_subject: 'mary' })
  await nothing(redirectUri)
  await root('POST', 'auth/oidc/config', { jwks_url: 'http://127.0.0.1:9/keys', skip_jwks_validation: true })
  const none = await anybody('POST', 'auth/oidc/oidc/auth_url', { redirect_uri: redirectUri, role: 'person' })
  assert.deepEqual(none.body['errors'], ['OIDC login is not configured for this mount'])
})

test('VAULT-2: oidc: what userinfo adds counts, when it is about the same person, and never against what is signed', async (t) => {
  const role = { groups_claim: 'groups', claim_mappings: { email: 'mail', locale: 'language' } }
  const { issuer, enter, refused } = await setup(t, role)
  await refused(/"groups" claim not found/)
  issuer.state.person = { sub: 'mary', locale: 'fi' }
  issuer.state.userInfo = { sub: 'mary', groups: ['ops'], email: 'mary@shop.example', locale: 'en' }
  assert.deepEqual(authOf(await enter())['metadata'], {
    mail: 'mary@shop.example',
    language: 'fi',
    role: 'person',
  })
  issuer.state.userInfo = { ...issuer.state.userInfo, sub: 'tom' }
  await refused(/"groups" claim not found/)
})

test('VAULT-2: oidc: a provider that says it is another, or does not answer, is refused', async (t) => {
  const { configure, issuer, begin } = await setup(t)
  const wrong = await configure({ oidc_discovery_url: `${issuer.url}/realm` })
  assert.match(String(wrong.body['errors']), /error checking oidc discovery URL: .* status 404/)
  const other = await configure({ oidc_discovery_url: issuer.url.replace('127.0.0.1', 'localhost') })
  assert.match(String(other.body['errors']), /issuer did not match the issuer returned by provider/)
  const path = await configure({ oidc_discovery_url: `${issuer.url}/.well-known/openid-configuration` })
  assert.match(String(path.body['errors']), /contains '.well-known' component/)
  issuer.state.reachable = false
  assert.equal((await configure({ oidc_discovery_url: `${issuer.url}/` })).status, 400)
  assert.notEqual(await begin(), '')
})

for (const [type, sent] of [
  ['code', 'a code'],
  ['id_token', 'an ID token'],
] as const)
  test(`VAULT-2: oidc: the browser brings ${sent} in a form`, async (t) => {
    const { configure, begin, back, vault, issuer } = await setup(t)
    const changed = await configure({ oidc_response_mode: 'form_post', oidc_response_types: [type] })
    assert.equal(changed.status, 204, JSON.stringify(changed.body))
    const { url } = await serveVault(t, vault)
    const post = (body: string) =>
      fetch(`${url}/v1/auth/oidc/oidc/callback`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body,
      })
    const fetchForm = async () => (await fetch(await begin())).text()
    const form = await fetchForm()
    const state = String(new URLSearchParams(form).get('state'))
    const answer = await post(form)
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/html; charset=utf-8'])
    assert.match(await answer.text(), /Signed in/)
    // Somebody else's form for the same state comes too late.
    assert.equal(
      (await post(await fetchForm().then((other) => other.replace(/state=[^&]*/, `state=${state}`)))).status,
      400,
    )
    const reply = await back({ state, code: 'no_code' })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    assert.equal((await back({ state, code: 'no_code' })).status, 400)
    assert.equal((await post('state=other&code=x')).status, 400)
    // A form without a state that waits, and a person that is not ours.
    issuer.state.person = { sub: 'mary', aud: 'other' }
    const wrong = await fetchForm()
    await post(wrong)
    const refused = await back({ state: String(new URLSearchParams(wrong).get('state')), code: 'no_code' })
    assert.match(String(refused.body['errors']), /invalid audience/)
  })

test('VAULT-2: oidc: a form is not taken where none is expected', async (t) => {
  const { anybody } = await setup(t)
  assert.equal((await anybody('POST', 'auth/oidc/oidc/callback', { state: 'x', code: 'y' })).status, 405)
})

const away = { redirect_uri: 'https://vault.example/v1/auth/oidc/oidc/callback', client_nonce: 'mine' }

async function setupAway(t: Parameters<typeof openAuth>[0], role: Fields) {
  const world = await setup(t, { allowed_redirect_uris: away.redirect_uri, ...role })
  const { url } = await serveVault(t, world.vault)
  const ask = async () => dataOf(await world.anybody('POST', 'auth/oidc/oidc/auth_url', away))
  const poll = (state: unknown, client_nonce = 'mine') =>
    world.anybody('POST', 'auth/oidc/oidc/poll', { state, client_nonce })
  const waits = async (state: unknown) =>
    assert.match(String((await poll(state)).body['errors']), /authorization_pending$/)
  /** What the browser gets here, when the provider has sent it back. */
  const browse = async (parameters: URLSearchParams, more: Record<string, string> = {}) => {
    const query = new URLSearchParams({ ...Object.fromEntries(parameters), ...more })
    const answer = await fetch(`${url}/v1/auth/oidc/oidc/callback?${query}`)
    if (answer.headers.get('content-type')?.startsWith('text/html'))
      assert.match(String(answer.headers.get('content-security-policy')), /frame-ancestors 'none'/)
    return { status: answer.status, text: await answer.text() }
  }
  return { ...world, ask, poll, waits, browse }
}

test('VAULT-2: oidc: the browser comes back to the server, which asks whose it is; the client polls', async (t) => {
  const { ask, poll, waits, browse } = await setupAway(t, { callback_mode: 'direct', poll_interval: 1 })
  const begun = await ask()
  assert.equal(begun['poll_interval'], '1')
  await waits(begun['state'])
  const back = await followed(String(begun['auth_url']))
  const question = await browse(back, { extra: '"><script>' })
  assert.match(question.text, /asks to sign in as you, with the role person/)
  assert.doesNotMatch(question.text, /<script>/)
  await waits(begun['state'])
  assert.match((await browse(back, { confirmation: 'yes' })).text, /Signed in/)
  assert.equal((await browse(back, { confirmation: 'yes' })).status, 400)
  const reply = await poll(begun['state'])
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  assert.deepEqual(authOf(reply)['metadata'], { role: 'person' })
  assert.match(String((await poll(begun['state'])).body['errors']), /Expired or missing OAuth state/)
})

test('VAULT-2: oidc: what goes wrong at the server is said to the person and to the client', async (t) => {
  const role = { callback_mode: 'direct', oidc_disable_confirmation: true }
  const { ask, poll, browse, anybody, issuer, callWith } = await setupAway(t, role)
  const failing = async (words: RegExp, more: Record<string, string> = {}) => {
    const begun = await ask()
    const answer = await browse(await followed(String(begun['auth_url'])), more)
    assert.equal(answer.status, 400)
    assert.match(answer.text, words)
    assert.match(String((await poll(begun['state'])).body['errors']), /Expired or missing/)
  }
  await failing(/access_denied/, { error: 'access_denied' })
  await failing(/invalid_grant/, { code: 'guessed' })
  await failing(/No code/, { code: '' })
  issuer.state.person = { sub: 'mary', aud: '<b>' }
  await failing(/invalid audience/)
  issuer.state.person = { sub: 'mary' }
  const begun = await ask()
  await browse(await followed(String(begun['auth_url'])))
  assert.match(String((await poll(begun['state'], 'another')).body['errors']), /invalid client_nonce/)
  assert.match(String((await poll(begun['state'])).body['errors']), /Expired or missing/)
  const nonce = await anybody('POST', 'auth/oidc/oidc/auth_url', { ...away, client_nonce: '' })
  assert.deepEqual(nonce.body['errors'], ['missing client_nonce'])
  const right = await ask()
  assert.equal((await browse(await followed(String(right['auth_url'])))).status, 200)
  const auth = authOf(await poll(right['state']))
  assert.equal((await callWith(auth)('GET', 'auth/token/lookup-self')).status, 200)
})

test('VAULT-2: oidc: a device without a browser', async (t) => {
  const { ask, poll, waits, issuer } = await setupAway(t, {
    callback_mode: 'device',
    allowed_redirect_uris: [],
  })
  const begun = await ask()
  assert.deepEqual(
    [begun['auth_url'], begun['user_code'], begun['poll_interval']],
    [`${issuer.url}/activate`, 'ABCD-EFGH', '1'],
  )
  await waits(begun['state'])
  issuer.state.device = 'slow_down'
  assert.match(String((await poll(begun['state'])).body['errors']), /slow_down$/)
  issuer.state.device = 'yes'
  assert.equal((await poll(begun['state'])).status, 200)
  assert.equal((await poll(begun['state'])).status, 400)
  const refused = await ask()
  issuer.state.device = 'access_denied'
  assert.match(String((await poll(refused['state'])).body['errors']), /authorization failed: access_denied/)
  assert.match(String((await poll(refused['state'])).body['errors']), /Expired or missing/)
})

test('GOV-1: oidc: neither the secret of the client, nor what the provider sent, is in the audit log or readable in the store', async (t) => {
  const { issuer, begin, back, audit, store } = await setup(t, { claim_mappings: { email: 'mail' } })
  issuer.state.person = { sub: 'mary', email: 'mary@shop.example' }
  const parameters = Object.fromEntries(await followed(await begin()))
  assert.equal((await back(parameters)).status, 200)
  assert.equal((await back({ ...parameters, code: String(parameters['code']) })).status, 400)
  const { items } = await audit.page({ limit: 100, order: 'desc' })
  const made = items.find(({ type, actor }) => type === 'token.created' && actor.startsWith('token:'))
  assert.equal(made?.target, 'path:auth/oidc/oidc/callback')
  assert.ok(items.some(({ outcome, actor }) => outcome === 'denied' && actor === 'anonymous:'))
  const log = JSON.stringify(items)
  const rows = await store.all<Record<string, unknown>>(sql`select * from vault_entries`)
  const stored = Buffer.concat(
    rows.flatMap((row) => Object.values(row).filter((cell) => cell instanceof Uint8Array)),
  ).toString('latin1')
  for (const text of [
    issuer.client.secret,
    String(parameters['code']),
    String(parameters['state']),
    'shop.example',
  ])
    assert.equal(log.includes(text) || stored.includes(text), false, text)
})
