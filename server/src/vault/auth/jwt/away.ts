import { AppError, reasonOf } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Answer, Body, OpenCall } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { assertAddress } from '../login.ts'
import type { Claims } from './claims.ts'
import type { JwtConfig } from './config.ts'
import type { Discovery } from './discovery.ts'
import { exchange, pollDevice } from './oidc.ts'
import type { OidcRequest, OidcRequests } from './oidc-requests.ts'
import { assertNotRefused, escaped, explained, failed, loginFailed, page } from './refusals.ts'
import type { JwtRole } from './role.ts'
import type { Settings } from './settings.ts'
import type { Signatures } from './signatures.ts'

type Finish = (tx: Tx) => Promise<Answer>
type Needs = {
  readonly settings: Settings
  readonly signatures: Signatures
  readonly discovery: Discovery
  readonly requests: OidcRequests
  readonly admit: (name: string, role: JwtRole, claims: Claims, call: OpenCall) => Finish
}

/** People whose browser is not where their client is: the client asks now and then whether they have signed in. */
export function createAway({ settings, signatures, discovery, requests, admit }: Needs) {
  const roleOf = async ({ role: name }: OidcRequest): Promise<JwtRole> => {
    const role = await settings.role(name)
    if (!role) throw failed('Role could not be found')
    return role
  }

  async function isDirect(said: Body): Promise<boolean> {
    const request = requests.peek(textField(said, 'state') ?? '')
    return request !== undefined && (await settings.role(request.role))?.callbackMode === 'direct'
  }

  /** The browser is back, here. Whoever it belongs to says first that it was they who began (RFC 8628, 5.4). */
  async function finish(config: JwtConfig, { query, now }: OpenCall): Promise<Finish> {
    const state = query['state'] ?? ''
    const request = requests.peek(state)
    if (!request || request.claims) throw failed('Expired or missing OAuth state.')
    const role = await roleOf(request)
    if (!role.unconfirmed && !query['confirmation']) return answered(200, confirmation(request, query))
    try {
      assertNotRefused(query)
      const provider = await discovery.of(config)
      const proof = { code: query['code'] ?? '', idToken: '' }
      if (proof.code === '') throw failed('No code or id_token received.')
      const given = { provider, config, role, request, ...proof, now }
      requests.settle(state, await exchange(signatures, given))
      return answered(200, 'Signed in. You can close this window.')
    } catch (error) {
      requests.take(state)
      if (!(error instanceof AppError)) throw error
      return answered(400, escaped(reasonOf(error)))
    }
  }

  /** A token when the person has signed in; `authorization_pending` until then. */
  async function poll(call: OpenCall): Promise<Finish> {
    const state = textField(call.body, 'state') ?? ''
    const request = requests.peek(state)
    if (!request) throw failed('Expired or missing OAuth state.')
    if (textField(call.body, 'client_nonce') !== request.clientNonce) {
      requests.take(state)
      throw new AppError('request.invalid', 'invalid client_nonce')
    }
    const role = await roleOf(request)
    assertAddress(role.terms, call)
    const claims = request.claims ?? (await deviceClaims(state, request, role, call))
    if (!claims || !requests.take(state)) throw new AppError('request.invalid', 'authorization_pending')
    return explained(loginFailed, async () => admit(request.role, role, claims, call))
  }

  async function deviceClaims(
    state: string,
    { deviceCode }: OidcRequest,
    role: JwtRole,
    { now }: OpenCall,
  ): Promise<Claims | undefined> {
    if (deviceCode === undefined) return undefined
    const config = await settings.configured()
    const provider = await discovery.of(config)
    try {
      const found = await pollDevice(signatures, { provider, config, role, now }, deviceCode)
      if ('claims' in found) return found.claims
      if (found.waiting === 'slow_down') throw new AppError('request.invalid', 'slow_down')
      return undefined
    } catch (error) {
      // Asked too soon is asked again; everything else is over.
      if (!(error instanceof AppError && error.detail === 'slow_down')) requests.take(state)
      throw error
    }
  }

  return { isDirect, finish, poll }
}

const answered = (status: number, words: string) => async (): Promise<Answer> => ({
  status,
  raw: page(words),
  note: { status },
})

function confirmation(
  { role, requester = 'unknown' }: OidcRequest,
  query: Readonly<Record<string, string>>,
): string {
  const fields = Object.entries(query).map(
    ([name, value]) => `<input type="hidden" name="${escaped(name)}" value="${escaped(value)}">`,
  )
  return (
    `A client at ${escaped(requester)} asks to sign in as you, with the role ${escaped(role)}. Go on only if that is you.` +
    `<form>${fields.join('')}<button name="confirmation" value="yes">Sign in</button></form>`
  )
}
