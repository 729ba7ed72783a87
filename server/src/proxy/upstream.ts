import type { ClientRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Limits, Refusal } from './messages.ts'
import type { Route } from './route.ts'

export type Outgoing = { method: string; target: string; headers: readonly string[] }

/** Opens the request to the destination; a connection that does not come about in time is given up. */
export function sendTo(
  { agent }: Route,
  { method, target, headers }: Outgoing,
  limits: Limits,
): ClientRequest {
  const upstream = httpsRequest({
    agent,
    method,
    path: target,
    headers,
    maxHeaderSize: limits.headerBytes,
    insecureHTTPParser: false,
  })
  upstream.once('timeout', () => upstream.destroy(new Error('idle for too long')))
  upstream.once('socket', (socket) => {
    if (!socket.connecting) return
    const late = setTimeout(
      () => upstream.destroy(new Error('no connection in time')),
      limits.connectSeconds * 1000,
    )
    socket.once('secureConnect', () => clearTimeout(late))
    socket.once('close', () => clearTimeout(late))
  })
  return upstream
}

/** An alert comes from the destination (RFC 8446, 6.2). */
function whatFailed(code: string): string {
  if (/ALERT_.*CERT|ALERT_UNKNOWN_CA|ALERT_HANDSHAKE_FAILURE/.test(code))
    return 'asks for a client certificate, or does not take the one that was shown'
  return /CERT|SIGNATURE|ALTNAME|ISSUER/.test(code)
    ? 'shows a certificate that is not trusted'
    : 'cannot be reached'
}

/** The words for a failed connection: Node's error code, never its message, which may quote what was sent. */
export function unreachable({ authority }: Route, error: Error): Refusal {
  const code = (error as NodeJS.ErrnoException).code ?? error.message
  const what = whatFailed(code)
  return { code: 'egress.unreachable', reason: `${authority.host}:${authority.port} ${what} (${code}).` }
}
