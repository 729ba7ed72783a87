import type { IncomingHttpHeaders } from 'node:http'
import { AppError } from '../core/index.ts'

/** What every answer to a browser carries. The console runs no inline script and speaks to nobody but us. */
export function securityHeaders(secure: boolean): Readonly<Record<string, string>> {
  const policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
  return {
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), microphone=(), geolocation=()',
    ...(secure ? { 'strict-transport-security': 'max-age=31536000' } : {}),
  }
}

/**
 * On loopback any page of the web can make the browser connect to us under a name of its own (DNS rebinding); such a request
 * is told by its Host header.
 */
export function refuseForeignHost(host: string | undefined, loopback: boolean): void {
  if (!loopback) return
  const name = (host ?? '').replace(/:\d+$/, '')
  if (['127.0.0.1', 'localhost', '[::1]', ''].includes(name)) return
  throw new AppError(
    'policy.denied',
    'this server listens on loopback only and answers to 127.0.0.1, localhost and [::1]',
  )
}

/**
 * A page of another site, or of another port of this machine, can send some requests without asking first; it cannot read the
 * answer, but could initialise a vault, or drop the shares of an unsealing under way. Browsers say where a request comes from:
 * https://www.w3.org/TR/fetch-metadata/
 */
export function refuseForeignPage({ origin, host, 'sec-fetch-site': site }: IncomingHttpHeaders): void {
  const ours = origin === undefined || origin.replace(/^https?:\/\//, '') === host
  if (ours && site !== 'cross-site' && site !== 'same-site') return
  throw new AppError('policy.denied', 'a page of another site may not use this address')
}
