import type { Duplex } from 'node:stream'
import type { HttpResponse } from './either-http.ts'
import type { Refusal } from './messages.ts'

const titles: Record<number, string> = {
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

/** The HTTP status of each failure that the proxy itself reports; every other one is a plain refusal. */
const statuses: Partial<Record<Refusal['code'], number>> = {
  'request.invalid': 400,
  'request.too_large': 413,
  'egress.misdirected': 421,
  'egress.unsupported': 501,
  'egress.unreachable': 502,
  'lease.mint_failed': 502,
  'lease.unusable': 502,
  'lease.over_budget': 429,
  'server.internal': 502,
}
const unavailable = /^(?:audit|store)\.|^vault\.(?:sealed|uninitialised)$|^egress\.unavailable$/

export const statusOf = ({ code }: Refusal): number => statuses[code] ?? (unavailable.test(code) ? 503 : 403)

/** Answers a request inside a tunnel with a problem (RFC 9457) and ends the connection, whatever of its body is unread. */
export function refuse(response: HttpResponse, refusal: Refusal): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const status = statusOf(refusal)
  const title = 'Refused by the Keyward egress proxy'
  const body = JSON.stringify({
    type: 'about:blank',
    title,
    status,
    code: refusal.code,
    detail: refusal.reason,
  })
  response.writeHead(status, titles[status] ?? 'Refused', [
    ...['Content-Type', 'application/problem+json'],
    ...['Content-Length', String(Buffer.byteLength(body))],
    ...['Connection', 'close'],
  ])
  response.end(body)
}

/** Answers on a socket that has no tunnel yet, in plain words: many clients show nothing but this text. */
export function refusePlainly(socket: Duplex, status: number, text: string): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = `${text}\n`
  const head = [
    `HTTP/1.1 ${status} ${titles[status] ?? 'Refused'}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // Whoever does not read it, nor hang up, would keep its place for ever.
  const leave = setTimeout(() => socket.destroy(), lingerMilliseconds)
  socket.once('close', () => clearTimeout(leave))
}

/** Long enough for the last words to be read; closing at once could take them back. */
const lingerMilliseconds = 2000
