import { hash, randomBytes, type webcrypto } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { type Clock, systemClock } from '../../src/core/index.ts'

type Fields = Record<string, unknown>
type SigningKey = {
  readonly kid: string
  readonly alg: string
  readonly privateKey: webcrypto.CryptoKey
  readonly publicKey: webcrypto.CryptoKey
}
type Issued = { readonly redirectUri: string; readonly challenge: string; readonly nonce: string }

export async function newSigningKey(alg = 'RS256'): Promise<SigningKey> {
  const pair = await generateKeyPair(alg, { extractable: true })
  return { kid: randomBytes(6).toString('hex'), alg, ...pair }
}

export const pemOf = ({ publicKey }: SigningKey): Promise<string> => exportSPKI(publicKey)

/** A token signed by a key, whatever it claims. `kid: null` names no key. */
export function signed(
  key: SigningKey,
  claims: JWTPayload,
  header: { kid?: string | null } = {},
): Promise<string> {
  const kid = header.kid === undefined ? key.kid : header.kid
  return new SignJWT(claims)
    .setProtectedHeader({ alg: key.alg, ...(kid ? { kid } : {}) })
    .sign(key.privateKey)
}

/** An OpenID provider on the loopback interface: discovery, keys, codes with PKCE, userinfo. Everybody is signed in there. */
export async function openIssuer(
  t: TestContext,
  keys: SigningKey[],
  clock: Pick<Clock, 'now'> = systemClock,
  tls?: { readonly cert: string; readonly key: string },
) {
  const client = { id: 'keyward', secret: `test-${randomBytes(12).toString('hex')}` }
  const codes = new Map<string, Issued>()
  /** What tests change: who signs in, what userinfo adds, which keys are published, how often they were asked for. */
  const state = {
    keys,
    person: { sub: 'mary' } as JWTPayload,
    userInfo: {} as Fields,
    reachable: true,
    /** Of a device: whether the person has answered, and how. */
    device: 'authorization_pending',
    asked: 0,
    issuer: '',
  }

  async function published(): Promise<Fields> {
    state.asked++
    const exported = state.keys.map(async ({ kid, alg, publicKey }) => ({
      ...(await exportJWK(publicKey)),
      kid,
      alg,
    }))
    return { keys: await Promise.all(exported) }
  }

  function authorize(url: URL, answer: ServerResponse): void {
    const code = randomBytes(12).toString('hex')
    const redirectUri = url.searchParams.get('redirect_uri') ?? ''
    const issued = {
      redirectUri,
      challenge: url.searchParams.get('code_challenge') ?? '',
      nonce: url.searchParams.get('nonce') ?? '',
    }
    codes.set(code, issued)
    if (url.searchParams.get('response_mode') === 'form_post') {
      posted(url, code, answer).catch(() => answer.writeHead(500).end())
      return
    }
    const back = new URL(redirectUri)
    back.searchParams.set('code', code)
    back.searchParams.set('state', url.searchParams.get('state') ?? '')
    answer.writeHead(302, { location: back.toString() }).end()
  }

  /** The form that a browser would send; a test sends it. */
  async function posted(url: URL, code: string, answer: ServerResponse): Promise<void> {
    const implicit = url.searchParams.get('response_type') === 'id_token'
    const what: Record<string, string> = implicit
      ? { id_token: await idTokenFor(url.searchParams.get('nonce') ?? '') }
      : { code }
    const form = new URLSearchParams({ state: url.searchParams.get('state') ?? '', ...what })
    answer.writeHead(200, { 'content-type': 'text/plain' }).end(form.toString())
  }

  function idTokenFor(nonce: string): Promise<string> {
    const [key] = state.keys
    if (!key) throw new Error('the issuer has no key')
    const now = Math.floor(clock.now().getTime() / 1000)
    const claims = { iss: state.issuer, aud: client.id, iat: now, exp: now + 60, nonce }
    return signed(key, { ...claims, ...state.person })
  }

  async function token(request: IncomingMessage): Promise<{ status: number; body: Fields }> {
    const form = new URLSearchParams(await textOf(request))
    if (form.has('device_code')) return deviceToken(form)
    const issued = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    const basic = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`
    const right =
      issued?.redirectUri === form.get('redirect_uri') &&
      issued.challenge === hash('sha256', form.get('code_verifier') ?? '', 'base64url') &&
      request.headers.authorization === basic
    if (!right) return { status: 400, body: { error: 'invalid_grant' } }
    const idToken = await idTokenFor(issued.nonce)
    return {
      status: 200,
      body: { id_token: idToken, access_token: `at-${state.person.sub}`, token_type: 'Bearer' },
    }
  }

  /** No nonce: nobody was sent anywhere. */
  async function deviceToken(form: URLSearchParams): Promise<{ status: number; body: Fields }> {
    if (form.get('device_code') !== 'the-device') return { status: 400, body: { error: 'invalid_grant' } }
    if (state.device !== 'yes') return { status: 400, body: { error: state.device } }
    return { status: 200, body: { id_token: await idTokenFor(''), token_type: 'Bearer' } }
  }

  async function answerTo(request: IncomingMessage, url: URL): Promise<{ status: number; body: Fields }> {
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return { status: 200, body: discoveryOf(state.issuer) }
      case '/keys':
        return { status: 200, body: await published() }
      case '/device':
        return {
          status: 200,
          body: {
            device_code: 'the-device',
            user_code: 'ABCD-EFGH',
            verification_uri: `${state.issuer}/activate`,
            interval: 1,
          },
        }
      case '/token':
        return token(request)
      case '/userinfo':
        return request.headers.authorization === `Bearer at-${state.person.sub}`
          ? { status: 200, body: state.userInfo }
          : { status: 401, body: {} }
      default:
        return { status: 404, body: {} }
    }
  }

  const serve = (request: IncomingMessage, answer: ServerResponse): void => {
    const url = new URL(request.url ?? '/', state.issuer)
    if (!state.reachable) answer.writeHead(503).end()
    else if (url.pathname === '/authorize') authorize(url, answer)
    else
      answerTo(request, url).then(
        ({ status, body }) =>
          answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
        () => answer.writeHead(500).end(),
      )
  }
  const server = tls ? createTlsServer(tls, serve) : createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  state.issuer = `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${(server.address() as AddressInfo).port}`
  return { url: state.issuer, client, state }
}

const discoveryOf = (issuer: string): Fields => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/keys`,
  userinfo_endpoint: `${issuer}/userinfo`,
  device_authorization_endpoint: `${issuer}/device`,
})

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}
