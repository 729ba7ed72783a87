import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { createRequestFraming, type RequestFraming } from './request-framing.ts'

const framingOf = Symbol('request framing')
type FramedSocket = Socket & { [framingOf]?: RequestFraming }

/**
 * Node's HTTP parser knows no method LIST, which Vault's clients send. On a connection this writes LINK over it, a
 * method of the same length that the parser does know, before the parser sees the bytes (docs/decisions/0012).
 * A client's own LINK becomes BIND, so that a LINK that arrives is a LIST.
 */
export function acceptList(socket: FramedSocket): void {
  const framing = createRequestFraming()
  socket[framingOf] = framing
  socket.prependListener('data', framing.rewrite)
}

/** The method that the client sent. */
export function methodOf(request: IncomingMessage): string {
  if (request.method !== 'LINK') return request.method ?? ''
  const socket: FramedSocket = request.socket
  return socket[framingOf]?.isSure() ? 'LIST' : 'LINK'
}
