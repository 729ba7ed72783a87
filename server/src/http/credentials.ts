import type { IncomingHttpHeaders } from 'node:http'
import { AppError, type Principal } from '../core/index.ts'

const cookieName = 'keyward_session'

export type Presented = { readonly token: string; readonly by: 'cookie' | 'header' }

/** The token of a request: `Authorization: Bearer`, `X-Vault-Token`, or the session cookie. */
export function presentedToken(headers: IncomingHttpHeaders): Presented | undefined {
  const bearer = /^Bearer +(\S{1,512})$/i.exec(headers.authorization ?? '')?.[1]
  const header = bearer ?? headers['x-vault-token']
  if (typeof header === 'string' && header !== '') return { token: header, by: 'header' }
  for (const pair of (headers.cookie ?? '').split(';')) {
    const [name, value] = pair.trim().split('=')
    if (name === cookieName && value) return { token: value, by: 'cookie' }
  }
  return undefined
}

/** Strict and HttpOnly; Secure where the connection is TLS. */
export function sessionCookie(token: string, secure: boolean, maxAgeSeconds: number): string {
  return `${cookieName}=${token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${secure ? '; Secure' : ''}`
}

/**
 * A browser sends the cookie by itself, so a change asked for with a cookie must also carry a header that another site cannot
 * set, and come from our own origin.
 */
export function refuseForgery(
  method: string,
  headers: IncomingHttpHeaders,
  presented: Presented | undefined,
): void {
  if (method === 'GET' || presented?.by !== 'cookie') return
  const origin = headers.origin
  const ours = origin === undefined || origin.replace(/^https?:\/\//, '') === headers.host
  if (headers['x-keyward-csrf'] === '1' && ours) return
  throw new AppError(
    'policy.denied',
    'a change asked for with the session cookie needs the header x-keyward-csrf: 1 and our own origin',
  )
}

export type Authenticate = (token: string) => Promise<Principal | undefined>
