// Authorization servers as far as their documents say: the token endpoint of RFC 6749 with the grants that Keyward uses,
// Google's for service accounts, and GitHub's for installations of an App;
// and where each revokes a token, as RFC 7009, Google and GitHub say.
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, verify } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import { bodyOf, openUpstream } from './egress.ts'

type Answer = { readonly status: number; readonly body: unknown }

export type TokenServer = {
  readonly url: string
  readonly caPem: string
  readonly client: { readonly id: string; readonly secret: string }
  /** What it accepts next. */
  refreshToken: string
  /** Whether each use of a refresh token brings another one. */
  rotating: boolean
  expiresIn: number | undefined
  /** Answers this instead of what it should. */
  instead: { status: number; text: string } | undefined
  readonly issued: string[]
  /** Tokens that it takes no more. */
  readonly revoked: Set<string>
  /** What it does when a token is to be revoked: `lies` says that it did, and goes on taking it. */
  revoking: 'revokes' | 'refuses' | 'lies'
  /** The forms, bodies and paths that came. */
  readonly asked: { path: string; body: string }[]
}

const newToken = (): string => `test-at-${randomBytes(12).toString('hex')}`

export async function openTokenServer(t: TestContext, publicKey?: KeyObject): Promise<TokenServer> {
  const server: TokenServer = {
    url: '',
    caPem: '',
    client: { id: 'client & co', secret: `test:${randomBytes(9).toString('base64url')}+%` },
    refreshToken: `test-rt-${randomBytes(9).toString('hex')}`,
    rotating: false,
    expiresIn: 3600,
    instead: undefined,
    issued: [],
    revoked: new Set(),
    revoking: 'revokes',
    asked: [],
  }

  function issue(more: object = {}): Answer {
    const access_token = newToken()
    server.issued.push(access_token)
    const expires_in = server.expiresIn === undefined ? {} : { expires_in: server.expiresIn }
    return { status: 200, body: { access_token, token_type: 'Bearer', ...expires_in, ...more } }
  }

  function forGrant(form: URLSearchParams, request: IncomingMessage): Answer {
    const refused = {
      status: 400,
      body: { error: 'invalid_grant', error_description: 'words of the server' },
    }
    switch (form.get('grant_type')) {
      case 'client_credentials':
        return isClient(form, request, server.client)
          ? issue()
          : { status: 401, body: { error: 'invalid_client' } }
      case 'refresh_token':
        if (form.get('refresh_token') !== server.refreshToken) return refused
        if (!server.rotating) return issue()
        server.refreshToken = `test-rt-${randomBytes(9).toString('hex')}`
        return issue({ refresh_token: server.refreshToken })
      case 'urn:ietf:params:oauth:grant-type:jwt-bearer':
        return claimsIn(form.get('assertion') ?? '', publicKey) ? issue() : refused
      default:
        return { status: 400, body: { error: 'unsupported_grant_type' } }
    }
  }

  const takes = (token: string | undefined): boolean =>
    token !== undefined && server.issued.includes(token) && !server.revoked.has(token)

  function revoke(token: string, status: number): Answer {
    if (server.revoking === 'refuses') return { status: 400, body: { error: 'unsupported_token_type' } }
    if (server.revoking === 'revokes') server.revoked.add(token)
    return { status, body: {} }
  }

  function forToken(request: IncomingMessage): Answer {
    const token = request.headers.authorization?.replace('Bearer ', '')
    if (token === undefined || !takes(token)) return { status: 401, body: { message: 'Bad credentials' } }
    return request.method === 'DELETE' ? revoke(token, 204) : { status: 200, body: { sub: 'shop' } }
  }

  function forRevocation(form: URLSearchParams, request: IncomingMessage): Answer {
    const known = publicKey !== undefined || isClient(form, request, server.client)
    return known ? revoke(form.get('token') ?? '', 200) : { status: 401, body: { error: 'invalid_client' } }
  }

  function forInstallation(request: IncomingMessage): Answer {
    const claims = claimsIn(request.headers.authorization?.replace('Bearer ', '') ?? '', publicKey)
    if (!claims || !request.headers['user-agent'])
      return { status: 401, body: { message: 'Bad credentials' } }
    const token = `ghs_${newToken()}`
    server.issued.push(token)
    return { status: 201, body: { token, expires_at: new Date(Date.now() + 3_600_000).toISOString() } }
  }

  function answerTo(path: string, form: URLSearchParams, request: IncomingMessage): Answer {
    if (path.startsWith('/app/')) return forInstallation(request)
    if (path.startsWith('/installation/') || path === '/userinfo') return forToken(request)
    return path === '/revoke' ? forRevocation(form, request) : forGrant(form, request)
  }

  const upstream = await openUpstream(
    t,
    async (request, response) => {
      const body = await bodyOf(request)
      const path = request.url ?? ''
      server.asked.push({ path, body })
      const answer = answerTo(path, new URLSearchParams(body), request)
      const { status, text } = server.instead ?? { status: answer.status, text: JSON.stringify(answer.body) }
      response.writeHead(status, { 'content-type': 'application/json' }).end(status === 204 ? '' : text)
    },
    '127.0.0.1',
  )
  return Object.assign(server, { url: `https://${upstream.address}`, caPem: upstream.caPem })
}

/** RFC 6749, 2.3.1: in the header, form-encoded, or in the body. */
function isClient(form: URLSearchParams, request: IncomingMessage, client: TokenServer['client']): boolean {
  const [, encoded] = /^Basic (.+)$/.exec(request.headers.authorization ?? '') ?? []
  if (encoded === undefined)
    return form.get('client_id') === client.id && form.get('client_secret') === client.secret
  const parts = Buffer.from(encoded, 'base64').toString().split(':')
  const [id, secret] = parts.map((part) => new URLSearchParams(`v=${part}`).get('v'))
  return parts.length === 2 && id === client.id && secret === client.secret
}

/** The claims of a token that this key has signed. */
export function claimsIn(jwt: string, publicKey: KeyObject | undefined): Record<string, unknown> | undefined {
  const [header = '', claims = '', signature = ''] = jwt.split('.')
  const signed = Buffer.from(`${header}.${claims}`)
  if (!publicKey || !verify('sha256', signed, publicKey, Buffer.from(signature, 'base64url')))
    return undefined
  return JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>
}

export function newRsaKey(): { publicKey: KeyObject; pem: string } {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return {
    publicKey: createPublicKey(privateKey),
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
