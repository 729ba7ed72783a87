import { randomBytes } from 'node:crypto'
import type { Clock } from '../../../core/index.ts'
import type { Claims } from './claims.ts'

/** A person who was sent to the provider and has not come back yet. */
export type OidcRequest = {
  readonly role: string
  readonly redirectUri: string
  /** In the ID token, so that none of another request is taken. */
  readonly nonce: string
  /** Proves to the provider that who brings the code is who asked for it (PKCE). */
  readonly verifier: string
  /** Chosen by the client, which has to name it again. Empty: none. */
  readonly clientNonce: string
  readonly expiresAt: number
  /** What the provider sent in a form, before the client came with the state. */
  readonly sent?: { readonly code: string; readonly idToken: string }
  /** Of a device (RFC 8628): what the provider is asked with. */
  readonly deviceCode?: string
  /** Who began, shown to the person who is asked to confirm. */
  readonly requester?: string | undefined
  /** What the provider said about the person, until the client fetches its token. */
  readonly claims?: Claims
}
type Begun = Pick<OidcRequest, 'role' | 'redirectUri' | 'clientNonce' | 'deviceCode' | 'requester'>

/** Kept in memory: a restart sends people to the provider once more. Each is taken once. */
export type OidcRequests = {
  add(given: Begun): { state: string; request: OidcRequest }
  /** Looks at one without taking it. */
  peek(state: string): OidcRequest | undefined
  /** Keeps what the provider said; returns whether somebody waits for it who has not got it yet. */
  settle(state: string, claims: Claims): boolean
  /** Keeps what came in a form until it is taken; returns whether somebody waits for it. */
  keep(state: string, sent: NonNullable<OidcRequest['sent']>): boolean
  take(state: string): OidcRequest | undefined
}

const lifeMilliseconds = 5 * 60_000
/** Anybody may begin; the oldest go when there are more. */
const most = 10_000

export function createOidcRequests(clock: Pick<Clock, 'now'>): OidcRequests {
  const requests = new Map<string, OidcRequest>()
  const now = (): number => clock.now().getTime()
  return {
    add(given) {
      const state = `st_${random()}`
      const request = {
        ...given,
        nonce: `n_${random()}`,
        verifier: random(),
        expiresAt: now() + lifeMilliseconds,
      }
      requests.set(state, request)
      for (const [oldest, { expiresAt }] of requests) {
        if (requests.size <= most && expiresAt > now()) break
        requests.delete(oldest)
      }
      return { state, request }
    },
    peek(state) {
      const request = requests.get(state)
      return request && request.expiresAt > now() ? request : undefined
    },
    settle(state, claims) {
      const request = requests.get(state)
      if (!request || request.claims || request.expiresAt <= now()) return false
      requests.set(state, { ...request, claims })
      return true
    },
    keep(state, sent) {
      const request = requests.get(state)
      // What came first counts: who posts after the provider is somebody else.
      if (!request || request.sent || request.expiresAt <= now()) return false
      requests.set(state, { ...request, sent })
      return true
    },
    take(state) {
      const request = requests.get(state)
      requests.delete(state)
      return request && request.expiresAt > now() ? request : undefined
    },
  }
}

const random = (): string => randomBytes(32).toString('base64url')
