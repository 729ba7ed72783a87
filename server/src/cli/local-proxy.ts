import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

const { createServer } = process.getBuiltinModule('node:http')

export type LocalProxy = {
  /** `http://user:password@127.0.0.1:port`, for HTTPS_PROXY. */
  readonly url: string
  close(): void
}

type Needs = {
  /** A connection to the egress proxy, on which CONNECT may be said at once. */
  dial(): Duplex
  /** 0: any that is free. */
  port?: number
}

const user = 'keyward'
const challenge =
  'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="keyward"\r\n'
const closing = 'Content-Length: 0\r\nConnection: close\r\n\r\n'

/**
 * A proxy on loopback for programs that cannot speak to a socket or to TLS: it asks for a password that was drawn for it alone,
 * and hands CONNECT on. What may pass is decided behind it.
 */
export async function openLocalProxy({ dial, port = 0 }: Needs): Promise<LocalProxy> {
  const password = randomBytes(24).toString('base64url')
  const expected = Buffer.from(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`)
  const sockets = new Set<Duplex>()
  const server = createServer({ headersTimeout: 10_000 }, (_, response) => {
    const allow = { Allow: 'CONNECT', Connection: 'close', 'Content-Type': 'text/plain; charset=utf-8' }
    response.writeHead(405, allow).end('Keyward passes on CONNECT only. Use https:// addresses.\n')
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    if (!isExpected(request.headers['proxy-authorization'], expected))
      return socket.end(`${challenge}${closing}`)
    handOn(request.url ?? '', socket, head, dial())
  })
  server.on('clientError', (_, socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://${user}:${password}@127.0.0.1:${bound}`,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function isExpected(given: string | undefined, expected: Buffer): boolean {
  const bytes = Buffer.from(given ?? '')
  return bytes.length === expected.length && timingSafeEqual(bytes, expected)
}

/** The head is written anew: nothing of the client's passes but the place that it asks for. Node refuses line breaks in it. */
function handOn(authority: string, near: Duplex, head: Buffer, far: Duplex): void {
  far.on('error', () => {
    // Before the first byte of an answer the client can still be told.
    if (near.writable) near.end(`HTTP/1.1 502 Bad Gateway\r\n${closing}`)
  })
  near.once('close', () => far.destroy())
  far.once('close', () => near.end())
  far.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  if (head.length > 0) far.write(head)
  near.pipe(far)
  far.pipe(near)
}
