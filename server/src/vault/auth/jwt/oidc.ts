import { hash } from 'node:crypto'
import { AppError, Secret } from '../../../core/index.ts'
import { assertTimes, audiencesOf, type Claims } from './claims.ts'
import type { JwtConfig } from './config.ts'
import type { Provider } from './discovery.ts'
import { fetchAnswer, fetchJson } from './fetch-json.ts'
import type { OidcRequest } from './oidc-requests.ts'
import type { JwtRole } from './role.ts'
import type { Signatures } from './signatures.ts'

const usualSkewSeconds = 60

/** Where to send the browser. */
export function authorizationUrl(
  { authorizationUrl: endpoint }: Provider,
  { clientId, responseMode, responseTypes }: JwtConfig,
  { scopes, maxAgeSeconds }: JwtRole,
  state: string,
  { nonce, redirectUri, verifier }: OidcRequest,
): string {
  const url = new URL(endpoint)
  const implicit = responseTypes.includes('id_token')
  const parameters: Record<string, string> = {
    client_id: clientId,
    response_type: implicit ? 'id_token' : 'code',
    redirect_uri: redirectUri,
    scope: [...new Set(['openid', ...scopes])].join(' '),
    state,
    nonce,
    ...(implicit
      ? {}
      : { code_challenge: hash('sha256', verifier, 'base64url'), code_challenge_method: 'S256' }),
    ...(responseMode === 'form_post' ? { response_mode: responseMode } : {}),
    ...(maxAgeSeconds > 0 ? { max_age: String(maxAgeSeconds) } : {}),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.toString()
}

type Exchange = {
  readonly provider: Provider
  readonly config: JwtConfig
  readonly role: JwtRole
  readonly request: OidcRequest
  /** Of the two the first that is there. */
  readonly code: string
  readonly idToken: string
  readonly now: Date
}

/** Takes the code to the provider, unless it sent an ID token, and returns what it says about the person, verified. */
export async function exchange(signatures: Signatures, given: Exchange): Promise<Claims> {
  const { provider, config, role, request, now } = given
  const answer = given.code
    ? await redeem(config, provider, request, given.code)
    : { id_token: given.idToken }
  const claims = await claimsOf(signatures, { provider, config, role, now }, answer, request.nonce)
  return withUserInfo(claims, config, provider, answer['access_token'])
}

type Party = Pick<Exchange, 'provider' | 'config' | 'role' | 'now'>

/** What the ID token of an answer says, once everything about it holds; `nonce` is of the request that it answers. */
async function claimsOf(
  signatures: Signatures,
  { provider, config, role, now }: Party,
  answer: Record<string, unknown>,
  nonce: string | undefined,
): Promise<Claims> {
  const idToken = answer['id_token']
  if (typeof idToken !== 'string') throw new AppError('request.invalid', 'the provider gave no id_token')
  const claims = await signatures.verify(config, idToken)
  assertTimes(claims, role, now)
  assertMeantForUs(claims, config, provider, role)
  if (nonce !== undefined && claims['nonce'] !== nonce)
    throw new AppError('request.invalid', 'invalid ID token nonce.')
  assertRecent(claims, role, now)
  const { nonce: _, ...rest } = claims
  return rest
}

/** What the provider shows to a person whose client has no browser. */
export type DeviceBegun = {
  readonly deviceCode: string
  readonly url: string
  readonly userCode: string
  readonly pollSeconds: number
}

export async function beginDevice(
  provider: Provider,
  config: JwtConfig,
  role: JwtRole,
): Promise<DeviceBegun> {
  if (provider.deviceUrl === '')
    throw new AppError('request.invalid', 'no device auth endpoint url discovered')
  const scope = [...new Set(['openid', ...role.scopes])].join(' ')
  const answer = await fetchJson(
    { url: provider.deviceUrl, caPem: config.discoveryCaPem },
    clientForm(config, provider, { scope }),
  )
  const text = (...names: string[]): string =>
    names.map((name) => answer[name]).find((value) => typeof value === 'string' && value !== '') as string
  const whole = text('verification_uri_complete', 'verification_url_complete')
  return {
    deviceCode: text('device_code'),
    url: whole ?? text('verification_uri', 'verification_url') ?? '',
    userCode: whole === undefined ? (text('user_code') ?? '') : '',
    pollSeconds: role.pollSeconds || Number(answer['interval']) || 5,
  }
}

/** Undefined, with why, as long as the person has not answered. */
export async function pollDevice(
  signatures: Signatures,
  party: Party,
  deviceCode: string,
): Promise<{ claims: Claims } | { waiting: string }> {
  const { provider, config } = party
  const answer = await fetchAnswer(
    { url: provider.tokenUrl, caPem: config.discoveryCaPem },
    clientForm(config, provider, {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: deviceCode,
    }),
  )
  if ('body' in answer) {
    const claims = await claimsOf(signatures, party, answer.body, undefined)
    return { claims: await withUserInfo(claims, config, provider, answer.body['access_token']) }
  }
  if (answer.error === 'authorization_pending' || answer.error === 'slow_down')
    return { waiting: answer.error }
  throw new AppError('request.invalid', `authorization failed: ${answer.error || answer.status}`)
}

function redeem(
  config: JwtConfig,
  provider: Provider,
  { redirectUri, verifier }: OidcRequest,
  code: string,
): Promise<Record<string, unknown>> {
  return fetchJson(
    { url: provider.tokenUrl, caPem: config.discoveryCaPem },
    clientForm(config, provider, {
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }),
  )
}

/** A form with the proof that we are the client: in a header where the provider takes it. */
function clientForm(
  { clientId, clientSecret }: JwtConfig,
  { basic }: Provider,
  fields: Record<string, string>,
) {
  const password = new Secret(clientSecret)
  if (basic) return { fields: new URLSearchParams(fields), basic: { id: clientId, password } }
  const proof = { client_id: clientId, client_secret: password.reveal() }
  return { fields: new URLSearchParams({ ...fields, ...proof }) }
}

/** OpenID Connect Core, 3.1.3.7: from this provider, for this client. */
function assertMeantForUs(claims: Claims, config: JwtConfig, provider: Provider, role: JwtRole): void {
  if (claims['iss'] !== provider.issuer || (config.boundIssuer && claims['iss'] !== config.boundIssuer))
    throw new AppError('request.invalid', 'invalid issuer (iss) claim')
  const audiences = audiencesOf(claims)
  const { clientId } = config
  const bound = role.boundAudiences
  if (!audiences.includes(clientId) || (bound.length > 0 && !bound.some((each) => audiences.includes(each))))
    throw new AppError('request.invalid', 'invalid audience (aud) claim')
  const party = claims['azp']
  if ((party !== undefined || audiences.length > 1) && party !== clientId)
    throw new AppError('request.invalid', 'invalid authorized party (azp) claim')
  if (role.boundSubject !== '' && claims['sub'] !== role.boundSubject)
    throw new AppError('request.invalid', 'sub claim does not match bound subject')
}

/** When the role says how long ago the person may have proved themselves, the provider has to say when they did. */
function assertRecent(claims: Claims, { maxAgeSeconds }: JwtRole, now: Date): void {
  if (maxAgeSeconds === 0) return
  const at = claims['auth_time']
  if (typeof at !== 'number' || at + maxAgeSeconds + usualSkewSeconds < now.getTime() / 1000)
    throw new AppError('request.invalid', 'expired auth_time claim: the sign-in at the provider is too old')
}

/**
 * What the provider's userinfo endpoint adds. What the ID token says stands: it is signed. A provider that has no such
 * endpoint, or whose endpoint fails, does not stop the login; a role that needs its claims refuses for want of them.
 */
async function withUserInfo(
  claims: Claims,
  config: JwtConfig,
  { userInfoUrl }: Provider,
  accessToken: unknown,
): Promise<Claims> {
  if (userInfoUrl === '' || typeof accessToken !== 'string') return claims
  try {
    const info = await fetchJson(
      { url: userInfoUrl, caPem: config.discoveryCaPem },
      { bearer: new Secret(accessToken) },
    )
    return info['sub'] === claims['sub'] ? { ...info, ...claims } : claims
  } catch (error) {
    if (error instanceof AppError) return claims
    throw error
  }
}

/** As the role allows it; the port of an address on the person's own machine may be any (RFC 8252, 7.3). */
export function isAllowedRedirect(uri: string, { redirectUris }: JwtRole): boolean {
  if (!URL.canParse(uri)) return false
  const asked = new URL(uri)
  if (!['localhost', '127.0.0.1', '[::1]'].includes(asked.hostname)) return redirectUris.includes(uri)
  asked.port = ''
  return redirectUris.some((allowed) => {
    if (!URL.canParse(allowed)) return false
    const url = new URL(allowed)
    url.port = ''
    return url.href === asked.href
  })
}
