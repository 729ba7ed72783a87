import { AppError, type Clock } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Answer, Body, OpenCall } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { assertAddress, type LoginMount, type SignInNeeds, signIn } from '../login.ts'
import { createAway } from './away.ts'
import { assertBoundClaims, assertToken, type Claims, groupsOf, metadataOf, userOf } from './claims.ts'
import type { JwtConfig } from './config.ts'
import type { Discovery } from './discovery.ts'
import { authorizationUrl, beginDevice, exchange, isAllowedRedirect } from './oidc.ts'
import { createOidcRequests, type OidcRequest } from './oidc-requests.ts'
import { assertNotRefused, explained, failed, loginFailed, page } from './refusals.ts'
import type { JwtRole } from './role.ts'
import type { Settings } from './settings.ts'
import type { Signatures } from './signatures.ts'

type Needs = SignInNeeds & {
  readonly settings: Settings
  readonly signatures: Signatures
  readonly discovery: Discovery
  readonly clock: Pick<Clock, 'now'>
  readonly mount: LoginMount
  /** Of the mount: `auth/jwt/`. */
  readonly path: string
}
type Finish = (tx: Tx) => Promise<Answer>
type Begun = Pick<OidcRequest, 'role' | 'clientNonce' | 'requester'>

const usualPollSeconds = 5

/** The three ways in: with a token at hand, to the provider, and back from it. */
export function createSignIn(needs: Needs) {
  const { settings, signatures, discovery, tokens, identity, mount } = needs
  const requests = createOidcRequests(needs.clock)
  const prefix = needs.path.slice('auth/'.length, -1).replaceAll('/', '-')

  /** The role that a request names, else the usual one. */
  async function wantedRole({ body }: OpenCall, { defaultRole }: JwtConfig) {
    const name = (textField(body, 'role') || defaultRole).toLowerCase()
    if (name === '') throw new AppError('request.invalid', 'missing role')
    const role = await settings.role(name)
    if (!role) throw new AppError('request.invalid', `role "${name}" could not be found`)
    return { name, role }
  }

  /** Lets in whom the claims are about, if the role is still what they were checked against. */
  function admit(name: string, role: JwtRole, claims: Claims, call: OpenCall): Finish {
    const aliasName = userOf(claims, role)
    const groups = groupsOf(claims, role)
    assertBoundClaims(claims, role)
    const metadata = { ...metadataOf(claims, role), role: name }
    return async (tx) => {
      const now = await settings.role(name, tx)
      if (JSON.stringify(now) !== JSON.stringify(role))
        throw new AppError('request.invalid', `role "${name}" was changed meanwhile; sign in again`)
      const arrived = { name, aliasName, displayName: `${prefix}-${aliasName}`, metadata, terms: role.terms }
      return signIn(tx, { tokens, identity }, mount, groups ? { ...arrived, groups } : arrived, call)
    }
  }

  const away = createAway({ settings, signatures, discovery, requests, admit })

  async function login(call: OpenCall): Promise<Finish> {
    const config = await settings.configured()
    const { name, role } = await wantedRole(call, config)
    if (role.type === 'oidc') throw new AppError('request.invalid', 'role with oidc role_type is not allowed')
    const token = textField(call.body, 'jwt')
    if (!token) throw new AppError('request.invalid', 'missing token')
    assertAddress(role.terms, call)
    const claims = await explained('error validating token:', async () => {
      const found = await signatures.verify(config, token)
      assertToken(found, config, role, call.now)
      return found
    })
    return admit(name, role, claims, call)
  }

  /** A role or an address that nobody may use is answered with an empty one, as Vault does, and recorded with the reason. */
  async function begin(call: OpenCall): Promise<Finish> {
    const config = await settings.configured()
    if (config.clientId === '')
      throw new AppError('request.invalid', 'OIDC login is not configured for this mount')
    const { name, role } = await wantedRole(call, config)
    if (role.type !== 'oidc') return sentTo(name, '', 'the role is not for people')
    const clientNonce = textField(call.body, 'client_nonce') ?? ''
    const away = role.callbackMode === 'direct' || role.callbackMode === 'device'
    if (away && clientNonce === '') throw new AppError('request.invalid', 'missing client_nonce')
    const begun = { role: name, clientNonce, requester: call.remoteAddress }
    return role.callbackMode === 'device'
      ? beginWithDevice(config, role, begun)
      : beginWithBrowser(config, role, begun, textField(call.body, 'redirect_uri'))
  }

  async function beginWithDevice(config: JwtConfig, role: JwtRole, begun: Begun): Promise<Finish> {
    const { deviceCode, url, userCode, pollSeconds } = await beginDevice(
      await discovery.of(config),
      config,
      role,
    )
    const { state } = requests.add({ ...begun, redirectUri: '', deviceCode })
    return sentTo(begun.role, url, 'sent to the provider with a device', {
      ...(userCode === '' ? {} : { user_code: userCode }),
      state,
      poll_interval: String(pollSeconds),
    })
  }

  async function beginWithBrowser(
    config: JwtConfig,
    role: JwtRole,
    begun: Begun,
    redirectUri = '',
  ): Promise<Finish> {
    if (redirectUri === '') throw new AppError('request.invalid', 'missing redirect_uri')
    if (!isAllowedRedirect(redirectUri, role))
      return sentTo(begun.role, '', 'the redirect_uri is not allowed')
    const provider = await discovery.of(config)
    const { state, request } = requests.add({ ...begun, redirectUri })
    const url = authorizationUrl(provider, config, role, state, request)
    const polled = { state, poll_interval: String(role.pollSeconds || usualPollSeconds) }
    return sentTo(begun.role, url, 'sent to the provider', role.callbackMode === 'direct' ? polled : {})
  }

  /** The person is back with a code. Whatever happens, the request that they began is over. */
  async function finish(call: OpenCall): Promise<Finish> {
    const said = { ...call.query, ...call.body }
    const config = await settings.configured()
    if (await away.isDirect(said)) return away.finish(config, call)
    const request = requests.take(textField(said, 'state') ?? '')
    if (!request) throw failed('Expired or missing OAuth state.')
    const role = await settings.role(request.role)
    if (!role) throw failed('Role could not be found')
    const proof = proofIn(said, request)
    assertAddress(role.terms, call)
    return explained(loginFailed, async () => {
      const provider = await discovery.of(config)
      const claims = await exchange(signatures, { provider, config, role, request, ...proof, now: call.now })
      return admit(request.role, role, claims, call)
    })
  }

  /** The provider sent the browser back with a form. It is kept for the client, which comes with the same state. */
  async function keep({ body }: OpenCall): Promise<Finish> {
    const { responseMode } = await settings.configured()
    if (responseMode !== 'form_post') return async () => unsupported
    const form = new URLSearchParams(Buffer.from(textField(body, 'form') ?? '', 'base64').toString('utf8'))
    const field = (name: string): string => form.get(name) ?? textField(body, name) ?? ''
    const kept = requests.keep(field('state'), { code: field('code'), idToken: field('id_token') })
    const words = kept ? 'Signed in. You can close this window.' : 'Expired or missing OAuth state.'
    return async () => ({ status: kept ? 200 : 400, raw: page(words), note: { kept } })
  }

  return {
    login,
    begin,
    poll: away.poll,
    back: (call: OpenCall): Promise<Finish> => (call.operation === 'update' ? keep(call) : finish(call)),
  }
}

function sentTo(role: string, url: string, result: string, more = {}): Finish {
  return async () => ({ data: { auth_url: url, ...more }, note: { role, result } })
}

const unsupported: Answer = { status: 405, errors: ['1 error occurred:\n\t* unsupported operation\n\n'] }

/** What the client brings from the provider, or what came in a form. Refuses what the provider refuses, and who did not begin. */
function proofIn(said: Body, { clientNonce, sent }: OidcRequest): { code: string; idToken: string } {
  assertNotRefused(said)
  if (clientNonce !== '' && textField(said, 'client_nonce') !== clientNonce)
    throw new AppError('request.invalid', 'invalid client_nonce')
  const given = textField(said, 'code') ?? ''
  const code = given === '' || given === 'no_code' ? (sent?.code ?? '') : given
  const idToken = sent?.idToken ?? ''
  if (code === '' && idToken === '') throw failed('No code or id_token received.')
  return { code, idToken }
}
