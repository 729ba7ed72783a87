import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { HttpRequest } from './either-http.ts'
import { framingOf, pairsOf, type RawHeaders, valuesOf } from './headers.ts'
import type { Verdict } from './judge.ts'

/** The handshake of WebSocket (RFC 6455, 4): two of them, so that neither side agrees on anything with the other directly. */

const magic = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
export const acceptOf = (key: string): string => createHash('sha1').update(`${key}${magic}`).digest('base64')

export const tokensOf = (headers: RawHeaders, name: string): string[] =>
  valuesOf(headers, name).flatMap((value) => value.split(',').map((token) => token.trim()))

const isUpgrade = (headers: RawHeaders): boolean =>
  tokensOf(headers, 'connection').some((token) => token.toLowerCase() === 'upgrade') &&
  valuesOf(headers, 'upgrade').length === 1 &&
  valuesOf(headers, 'upgrade')[0]?.toLowerCase() === 'websocket'

/** Whether a request asks for a WebSocket; other protocols are not changed to. */
export const asksForWebSocket = ({ rawHeaders }: IncomingMessage): boolean => isUpgrade(rawHeaders)

/** Why a request that asks for a WebSocket may not have one; undefined when its handshake is right. */
export function handshakeRefusal({ method, httpVersion, rawHeaders }: HttpRequest): Verdict | undefined {
  const [key = '', ...otherKeys] = valuesOf(rawHeaders, 'sec-websocket-key')
  const [version, ...otherVersions] = valuesOf(rawHeaders, 'sec-websocket-version')
  const wrong =
    (method !== 'GET' || httpVersion !== '1.1' ? 'it must be a GET of HTTP/1.1' : undefined) ??
    (framingOf(rawHeaders).kind !== 'none' ? 'it must have no body' : undefined) ??
    (!/^[A-Za-z0-9+/]{22}==$/.test(key) || otherKeys.length > 0
      ? 'it needs one Sec-WebSocket-Key'
      : undefined) ??
    (version !== '13' || otherVersions.length > 0 ? 'it needs Sec-WebSocket-Version: 13, once' : undefined)
  return wrong === undefined
    ? undefined
    : { code: 'request.invalid', reason: `The request for a WebSocket is malformed: ${wrong}.` }
}

const ours = /^sec-websocket-(?:key|version|extensions|accept)$/i
/** Without what each side of the proxy agrees on by itself. */
export const withoutOurs = (headers: RawHeaders): string[] =>
  [...pairsOf(headers)].filter(([name]) => !ours.test(name)).flat()

/** Why a destination's answer is none to our request; undefined when the WebSocket is open. */
export function acceptProblem(
  { rawHeaders }: IncomingMessage,
  key: string,
  offered: string[],
): string | undefined {
  const [accept, ...others] = valuesOf(rawHeaders, 'sec-websocket-accept')
  if (!isUpgrade(rawHeaders)) return 'it does not change to WebSocket'
  if (accept !== acceptOf(key) || others.length > 0) return 'its Sec-WebSocket-Accept is wrong'
  if (valuesOf(rawHeaders, 'sec-websocket-extensions').length > 0) return 'it uses an extension'
  const chosen = valuesOf(rawHeaders, 'sec-websocket-protocol')
  return chosen.length > 1 || chosen.some((protocol) => !offered.includes(protocol))
    ? 'it chose a protocol that was not offered'
    : undefined
}
