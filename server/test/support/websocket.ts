// Both ends of a WebSocket, by hand, so that a test can also send what no library would.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { createFrameReader, frameOf, type Piece } from '../../src/proxy/websocket-frames.ts'
import { createAuthority } from '../../src/proxy/x509.ts'
import { cleanUp } from './clean-up.ts'
import { apiHost, openTls } from './egress.ts'

export const acceptFor = (request: IncomingMessage): string =>
  createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')

/** A server that answers each handshake as the test wants; its socket is the test's from then on. */
export async function openWebSocketServer(
  t: TestContext,
  answer: (request: IncomingMessage, socket: Duplex) => void,
): Promise<{ address: string; caPem: string }> {
  const authority = createAuthority({ now: () => new Date(), name: 'Upstream of a test' })
  const { certificatePem, keyPem } = authority.leafFor(apiHost)
  const server = createServer({ cert: certificatePem, key: keyPem }, (_request, response) => {
    response.writeHead(426).end()
  })
  const sockets = new Set<Duplex>()
  server.on('upgrade', (request, socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    answer(request, socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, caPem: authority.certificatePem }
}

/** The answer that opens it. */
export const accept = (request: IncomingMessage, socket: Duplex, more = ''): void => {
  const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  socket.write(`${head}Sec-WebSocket-Accept: ${acceptFor(request)}\r\n${more}\r\n`)
}

export type Peer = {
  /** One frame. */
  send(opcode: number, payload: string | Buffer, isFinal?: boolean): void
  sendRaw(bytes: Buffer): void
  /** The next message or control frame, put together from its pieces; undefined when the connection is over. */
  next(): Promise<{ opcode: number; payload: Buffer } | undefined>
  readonly socket: Duplex
}

export function peerOn(socket: Duplex, isClient: boolean, first = Buffer.alloc(0)): Peer {
  const pieces = piecesOf(socket, !isClient, first)
  return {
    socket,
    sendRaw: (bytes) => void socket.write(bytes),
    send(opcode, payload, isFinal = true) {
      const mask = isClient ? randomBytes(4) : undefined
      socket.write(frameOf({ opcode, isFinal, payload: Buffer.from(payload), mask }))
    },
    next: () => nextMessage(pieces),
  }
}

async function nextMessage(pieces: AsyncGenerator<Piece>): ReturnType<Peer['next']> {
  const parts: Buffer[] = []
  for (let { value, done } = await pieces.next(); !done; { value, done } = await pieces.next()) {
    if (value.kind === 'violation') return undefined
    if (value.kind === 'control') return { opcode: value.opcode, payload: value.payload }
    parts.push(value.bytes)
    if (value.isEnd) return { opcode: value.isText ? 1 : 2, payload: Buffer.concat(parts) }
  }
  return undefined
}

async function* piecesOf(socket: Duplex, fromClient: boolean, first: Buffer): AsyncGenerator<Piece> {
  const read = createFrameReader({ fromClient, maxMessageBytes: Number.MAX_SAFE_INTEGER })
  yield* read(first)
  try {
    for await (const chunk of socket) yield* read(chunk as Buffer)
  } catch {
    // It was broken off: nothing more comes.
  }
}

type Way = Parameters<typeof openTls>[0]

/** Asks for a WebSocket through a tunnel; `head` is what was answered. */
export async function askForWebSocket(
  way: Way,
  { path = '/', headers = '', key = randomBytes(16).toString('base64') } = {},
): Promise<{ head: string; peer: Peer; key: string }> {
  const tls = await openTls(way)
  tls.on('error', () => {})
  const own = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n`
  tls.write(`GET ${path} HTTP/1.1\r\nHost: ${apiHost}\r\n${own}${headers}\r\n`)
  let answer = Buffer.alloc(0)
  while (!answer.includes('\r\n\r\n')) {
    const [chunk] = (await once(tls, 'data')) as [Buffer]
    answer = Buffer.concat([answer, chunk])
  }
  tls.pause()
  const end = answer.indexOf('\r\n\r\n') + 4
  return { head: answer.subarray(0, end).toString(), peer: peerOn(tls, true, answer.subarray(end)), key }
}
