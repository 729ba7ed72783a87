import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Exchanged, ExchangeMessage } from './exchange.ts'
import { pairsOf, requestHeaders, responseHeaders, valuesOf } from './headers.ts'
import type { Limits } from './messages.ts'
import { fail, lateRefusal, type Passing, type Upgrade } from './passing.ts'
import type { Patterns } from './redact.ts'
import { relay } from './relay.ts'
import { sendTo, unreachable } from './upstream.ts'
import { acceptOf, acceptProblem, tokensOf, withoutOurs } from './websocket-handshake.ts'
import { createRelay } from './websocket-relay.ts'

type Needs = {
  readonly limits: Limits
  readonly patterns: Patterns
  exchangeMessage: ExchangeMessage
  /** Called once, when the answer to the handshake is on its way. */
  onOpen(): void
  /** Called once, when the connection that `onOpen` told of is over. */
  onClose(): void
}

/** Asks the destination for a WebSocket and passes messages on, or passes on why there is none. */
export function passWebSocket(passing: Passing, upgrade: Upgrade, parts: Exchanged, needs: Needs): void {
  const { tunnel, request, response } = passing
  const key = randomBytes(16).toString('base64')
  const framing = { kind: 'none' } as const
  const headers = [
    ...withoutOurs(requestHeaders(parts.headers, { method: 'GET', framing, wholeOnly: true })),
    ...['Connection', 'Upgrade', 'Upgrade', 'websocket'],
    ...['Sec-WebSocket-Key', key, 'Sec-WebSocket-Version', '13'],
  ]
  const upstream = sendTo(tunnel.route, { method: 'GET', target: parts.target, headers }, needs.limits)
  const failed = (reason: string): void => {
    upstream.destroy()
    fail(passing, { code: 'egress.unreachable', reason }, 'failed')
  }
  upstream.on('error', (error) => fail(passing, unreachable(tunnel.route, error), 'failed'))
  upstream.once('response', (answer) => {
    const { statusCode } = answer
    if (statusCode === 101) return failed('The destination changed to a protocol that was not asked for.')
    const { patterns } = needs
    const refusal = relay({ answer, request, response, patterns, tally: passing.tally })
    if (refusal) failed(refusal.reason)
  })
  upstream.once('upgrade', (answer, socket, head) => {
    socket.on('error', () => socket.destroy())
    const offered = tokensOf(parts.headers, 'sec-websocket-protocol')
    const wrong = acceptProblem(answer, key, offered)
    if (wrong === undefined) return open(passing, upgrade, { answer, socket, head }, needs)
    socket.destroy()
    failed(`The destination's answer to the request for a WebSocket is malformed: ${wrong}.`)
  })
  passing.giveUp = () => upstream.destroy()
  response.once('close', passing.giveUp)
  upstream.end()
}

type Accepted = { readonly answer: IncomingMessage; readonly socket: Duplex; readonly head: Buffer }

function open(
  passing: Passing,
  { socket: client, head, release }: Upgrade,
  accepted: Accepted,
  needs: Needs,
): void {
  const { request, tally } = passing
  const { patterns, limits } = needs
  // From here on the connection is ours alone.
  release()
  const { headers, redactions } = responseHeaders(withoutOurs(accepted.answer.rawHeaders), {
    decoded: false,
    lengthKept: false,
    patterns,
  })
  tally.redactions += redactions
  const [key = ''] = valuesOf(request.rawHeaders, 'sec-websocket-key')
  const own = ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Accept', acceptOf(key)]
  const lines = [...pairsOf([...own, ...headers])].map(([name, value]) => `${name}: ${value}\r\n`)
  client.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`, 'latin1')
  needs.onOpen()
  client.once('close', () => {
    accepted.socket.destroy()
    needs.onClose()
  })
  accepted.socket.once('close', () => client.end())
  if (head.length > 0) client.unshift(head)
  if (accepted.head.length > 0) accepted.socket.unshift(accepted.head)
  const messages = createRelay({
    client,
    upstream: accepted.socket,
    tally,
    patterns,
    limits,
    newMask: () => randomBytes(4),
    async exchangeMessage(message) {
      const exchanged = await needs.exchangeMessage(message, passing)
      return lateRefusal(passing) ?? exchanged
    },
  })
  passing.stop = messages.stop
  void messages.run()
}
