import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import type { Injection } from '@keyward/contract'
import { z } from 'zod'
import { AppError, Secret, type ServiceCall } from '../core/index.ts'

/** The kinds that lend an access token, not the stored value. */
export type Minting = Extract<
  Injection,
  { kind: 'oauth-client' | 'oauth-refresh' | 'google-service-account' | 'github-app' }
>

export const isMinting = (injection: Injection): injection is Minting =>
  minting.includes(injection.kind as Minting['kind'])
const minting: readonly Minting['kind'][] = [
  'oauth-client',
  'oauth-refresh',
  'google-service-account',
  'github-app',
]

/** What is asked of an authorization server. Everything but the address is secret. */
export type TokenRequest = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly caPem: string | undefined
}

type Material = {
  /** The lent field. */
  readonly value: Secret
  /** The other fields of the same secret. */
  readonly fields: Readonly<Record<string, Secret>>
  readonly now: Date
}

export function tokenRequest(how: Minting, material: Material): TokenRequest {
  switch (how.kind) {
    case 'oauth-client': {
      const { scope, audience } = how
      const form = { grant_type: 'client_credentials', ...given({ scope, audience }) }
      return formRequest(how, form, material.value)
    }
    case 'oauth-refresh': {
      const { scope, clientSecretField } = how
      const form = {
        grant_type: 'refresh_token',
        refresh_token: material.value.reveal(),
        ...given({ scope }),
      }
      return formRequest(how, form, clientSecretField && fieldOf(material.fields, clientSecretField))
    }
    case 'google-service-account':
      return googleRequest(how, material)
    case 'github-app':
      return gitHubRequest(how, material)
  }
}

const given = (fields: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )

function fieldOf(fields: Material['fields'], name: string): Secret {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (!value) throw unfit(`it has no field ${name}`)
  return value
}

const unfit = (why: string): AppError =>
  new AppError('lease.mint_failed', `The stored secret does not serve for this: ${why}.`)

const formHeaders = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' }

/** Where a token is ended, and where it is shown whether it is; undefined where that is not known. */
export function tokenPlaces(
  how: Minting,
  value: Secret,
): { revokeUrl: string | undefined; probeUrl: string | undefined } {
  switch (how.kind) {
    case 'oauth-client':
    case 'oauth-refresh':
      return { revokeUrl: how.revokeUrl, probeUrl: how.probeUrl }
    case 'google-service-account': {
      // https://oauth2.googleapis.com/token and …/revoke
      const revokeUrl = googleKeyOf(value).token_uri.replace(/[^/]*$/, 'revoke')
      return { revokeUrl, probeUrl: how.probeUrl }
    }
    case 'github-app': {
      const api = how.apiUrl.replace(/\/+$/, '')
      return {
        revokeUrl: `${api}/installation/token`,
        probeUrl: `${api}/installation/repositories?per_page=1`,
      }
    }
  }
}

/** RFC 7009, 2.1, and GitHub's own; Google's takes the same form without a client. */
export function tokenRevocation(
  how: Minting,
  revokeUrl: string,
  token: Secret,
  { value, fields }: { readonly value: Secret | undefined; readonly fields: Material['fields'] },
): ServiceCall {
  if (how.kind === 'github-app') return { ...tokenProbe(how, revokeUrl, token), method: 'DELETE' }
  const form = { token: token.reveal(), token_type_hint: 'access_token' }
  if (how.kind === 'google-service-account')
    return {
      url: revokeUrl,
      caPem: how.caPem,
      headers: formHeaders,
      body: new URLSearchParams({ token: form.token }).toString(),
    }
  const ofRefresh =
    how.kind === 'oauth-refresh' && how.clientSecretField ? fields[how.clientSecretField] : undefined
  return formRequest({ ...how, tokenUrl: revokeUrl }, form, how.kind === 'oauth-client' ? value : ofRefresh)
}

/** A call that only a valid token is answered to with anything but 401. */
export function tokenProbe(how: Minting, probeUrl: string, token: Secret): ServiceCall {
  const headers = how.kind === 'github-app' ? gitHubHeaders : { accept: 'application/json' }
  return {
    url: probeUrl,
    method: 'GET',
    caPem: how.caPem,
    headers: { ...headers, authorization: `Bearer ${token.reveal()}` },
    body: '',
  }
}

type Client = Pick<Extract<Minting, { kind: 'oauth-client' }>, 'tokenUrl' | 'clientId' | 'signIn' | 'caPem'>

function formRequest(
  { tokenUrl, clientId, signIn, caPem }: Client,
  form: Record<string, string>,
  clientSecret: Secret | '' | undefined,
): TokenRequest {
  const request = { url: tokenUrl, caPem, headers: formHeaders }
  if (!clientSecret)
    return { ...request, body: new URLSearchParams({ ...form, client_id: clientId }).toString() }
  const secret = clientSecret.reveal()
  if (signIn === 'body') {
    const body = new URLSearchParams({ ...form, client_id: clientId, client_secret: secret })
    return { ...request, body: body.toString() }
  }
  // RFC 6749, 2.3.1: both are form-encoded before they are joined.
  const pair = [clientId, secret]
    .map((part) => new URLSearchParams([['', part]]).toString().slice(1))
    .join(':')
  const authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  return {
    ...request,
    headers: { ...formHeaders, authorization },
    body: new URLSearchParams(form).toString(),
  }
}

const keyFile = z.object({
  client_email: z.string(),
  private_key: z.string(),
  private_key_id: z.string().optional(),
  token_uri: z.string().startsWith('https://'),
})

function googleKeyOf(value: Secret): z.output<typeof keyFile> {
  const key = keyFile.safeParse(parsedJson(value.reveal()))
  if (!key.success) throw unfit('it is not the JSON key file of a service account')
  return key.data
}

const assertionSeconds = 600

function googleRequest(
  { scopes, subject, caPem }: Extract<Minting, { kind: 'google-service-account' }>,
  { value, now }: Material,
): TokenRequest {
  const { client_email, private_key, private_key_id, token_uri } = googleKeyOf(value)
  const issued = Math.floor(now.getTime() / 1000)
  const times = { iat: issued, exp: issued + assertionSeconds }
  const claims = {
    iss: client_email,
    scope: scopes.join(' '),
    aud: token_uri,
    ...times,
    ...given({ sub: subject }),
  }
  const assertion = signedJwt(given({ kid: private_key_id }), claims, privateKeyOf(private_key))
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }
  return { url: token_uri, caPem, headers: formHeaders, body: new URLSearchParams(form).toString() }
}

function gitHubRequest(
  {
    appId,
    installationId,
    apiUrl,
    repositories,
    permissions,
    caPem,
  }: Extract<Minting, { kind: 'github-app' }>,
  { value, now }: Material,
): TokenRequest {
  const headers = { ...gitHubAppHeaders(appId, value, now), 'content-type': 'application/json' }
  const url = `${apiUrl.replace(/\/+$/, '')}/app/installations/${installationId}/access_tokens`
  return { url, caPem, headers, body: JSON.stringify({ repositories, permissions }) }
}

/** What an App shows to speak for itself, good for five minutes. */
function gitHubAppHeaders(appId: string, privateKey: Secret, now: Date): Record<string, string> {
  const issued = Math.floor(now.getTime() / 1000)
  // A minute in the past and well below the ten minutes that GitHub allows, for clocks that differ.
  const claims = { iss: appId, iat: issued - 60, exp: issued + 300 }
  const jwt = signedJwt({}, claims, privateKeyOf(privateKey.reveal()))
  return { ...gitHubHeaders, authorization: `Bearer ${jwt}` }
}

const gitHubHeaders = {
  accept: 'application/vnd.github+json',
  'user-agent': 'keyward',
  'x-github-api-version': '2022-11-28',
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Said by who asked, without the text.
    return undefined
  }
}

function privateKeyOf(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'rsa') return key
  } catch {
    // OpenSSL's words may quote the text; ours do not.
  }
  throw unfit('its private key is no RSA key in PEM form')
}

function signedJwt(
  header: Record<string, string>,
  claims: Record<string, string | number>,
  key: KeyObject,
): string {
  const parts = [{ alg: 'RS256', typ: 'JWT', ...header }, claims]
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

/** What an authorization server answers, in the words of RFC 6749 and of GitHub. */
const answer = z.union([
  z.object({
    access_token: z.string(),
    token_type: z
      .string()
      .regex(/^bearer$/i)
      .optional(),
    expires_in: z.coerce.number().optional(),
    refresh_token: z.string().min(1).optional(),
  }),
  z.object({ token: z.string(), expires_at: z.iso.datetime({ offset: true }) }),
])

export type TokenAnswer = {
  readonly token: Secret
  /** Undefined when the server does not say. */
  readonly expiresAt: Date | undefined
  /** Takes the place of the one that was sent. */
  readonly refreshToken: Secret | undefined
}

/** A token as it may stand in a header: visible characters, and long enough to be found again in an answer. */
const tokenShape = /^[\x21-\x7e]{6,16384}$/

export function readToken(
  status: number,
  text: string,
  now: Date,
): TokenAnswer | { readonly refused: string } {
  const body = parsedJson(text)
  if (status !== 200 && status !== 201) return { refused: `${status}${errorCode(body)}` }
  const read = answer.safeParse(body)
  const token = read.success ? ('token' in read.data ? read.data.token : read.data.access_token) : ''
  if (!read.success || !tokenShape.test(token)) return { refused: `${status}, but with no bearer token` }
  if ('token' in read.data)
    return { token: new Secret(token), expiresAt: new Date(read.data.expires_at), refreshToken: undefined }
  const { expires_in: seconds, refresh_token: refreshToken } = read.data
  return {
    token: new Secret(token),
    expiresAt: seconds === undefined ? undefined : new Date(now.getTime() + seconds * 1000),
    refreshToken: refreshToken === undefined ? undefined : new Secret(refreshToken),
  }
}

/** The server's own code, never its free text, which may quote what was sent. */
function errorCode(body: unknown): string {
  const code = typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined
  return typeof code === 'string' && /^[a-z_]{1,60}$/.test(code) ? ` (${code})` : ''
}

/** How access tokens are asked for, read and ended, for who works with a service in the server itself. */
export const accessTokens = {
  request: tokenRequest,
  read: readToken,
  places: tokenPlaces,
  revocation: tokenRevocation,
  gitHubAppHeaders,
} as const
