// Both ends of HTTP/2 for tests of the proxy: Node's own, and a client that writes its frames by hand.
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  connect,
  createSecureServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createAuthority } from '../../src/proxy/x509.ts'
import { cleanUp } from './clean-up.ts'
import { apiHost, openTls } from './egress.ts'

export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** A server of HTTP/2 alone, on loopback. */
export async function openHttp2Server(
  t: TestContext,
  handle: StreamHandler,
): Promise<{ address: string; caPem: string }> {
  const authority = createAuthority({ now: () => new Date(), name: 'Upstream of a test' })
  const { certificatePem, keyPem } = authority.leafFor(apiHost)
  const server = createSecureServer({ cert: certificatePem, key: keyPem })
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {})
    handle(stream, headers)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, caPem: authority.certificatePem }
}

type Way = Parameters<typeof openTls>[0]

/** Node's client on a tunnel of its own. */
export async function openSession(t: TestContext, way: Way): Promise<ClientHttp2Session> {
  const tls = await openTls({ ...way, alpn: ['h2'] })
  const session = connect(`https://${apiHost}`, { createConnection: () => tls })
  session.on('error', () => {})
  cleanUp(t, () => session.destroy())
  await once(session, 'remoteSettings')
  return session
}

export type Answer2 = {
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly endsWithHead: boolean
  readonly body: string
}

/** One request; rejects when the stream is broken off. */
export async function ask2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
): Promise<Answer2> {
  const stream = session.request(headers, { endStream: body === undefined })
  const seen = { headers: {}, trailers: {}, endsWithHead: false }
  stream.once('response', (answered, flags) => {
    seen.headers = answered
    seen.endsWithHead = (flags & 1) !== 0
  })
  stream.once('trailers', (trailers) => {
    seen.trailers = trailers
  })
  if (body !== undefined) stream.end(body)
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await new Promise<void>((resolve, reject) => {
    stream.once('error', reject)
    stream.once('close', () =>
      stream.rstCode === 0 ? resolve() : reject(new Error(`broken off with ${stream.rstCode}`)),
    )
  })
  return { ...seen, body: Buffer.concat(chunks).toString() }
}

// ── Frames by hand (RFC 9113, 4.1; RFC 7541, 6.2.2: literal fields without an index) ─────────────────────────────

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export function frame2(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

const literal = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  let rest = bytes.length - 127
  const length = [127]
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

export const fields2 = (fields: readonly (readonly [string, string])[]): Buffer =>
  Buffer.concat(
    fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), literal(name), literal(value)])),
  )

export const requestFields = (...more: [string, string][]): [string, string][] => [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':authority', apiHost],
  [':path', '/'],
  ...more,
]

export type RawClient = {
  readonly socket: Socket
  send(...frames: Buffer[]): void
  /** Frames so far, each as `type:streamId`. */
  readonly seen: string[]
  /** Streams whose answer ended as a whole one does. */
  readonly ended: number[]
  readonly closed: Promise<void>
}

/** A client that sends what it is given. */
export async function openRaw(way: Way): Promise<RawClient> {
  const socket = await openTls({ ...way, alpn: ['h2'] })
  const seen: string[] = []
  const ended: number[] = []
  let data = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    data = Buffer.concat([data, chunk])
    while (data.length >= 9 && data.length >= 9 + data.readUIntBE(0, 3)) {
      const [type = 0, flags = 0] = data.subarray(3)
      seen.push(`${type}:${data.readUInt32BE(5)}`)
      if (type <= 1 && (flags & 1) === 1) ended.push(data.readUInt32BE(5))
      data = data.subarray(9 + data.readUIntBE(0, 3))
    }
  })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.write(Buffer.concat([preface, frame2(4, 0, 0, Buffer.alloc(0))]))
  return { socket, seen, ended, closed, send: (...frames) => void socket.write(Buffer.concat(frames)) }
}
