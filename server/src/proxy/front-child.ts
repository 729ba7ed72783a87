// What the front's process does: it ends the TLS of agents on other machines, checks their certificates and joins each
// connection to the socket of its agent. It sees no placeholder and no value: what passes is TLS to the egress proxy again.
import { connect, createServer as createPlainServer, type Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { FromFront, FrontIdentity, FrontLimits, ToFront, Way } from './front-messages.ts'
import { createThrottle } from './throttle.ts'

type Tell = (message: FromFront) => void
type Connection = { readonly fingerprint: string; readonly tls: TLSSocket; ended: boolean }

const optionsFrom = ({ certificatePem, keyPem, clientAuthorityPem }: FrontIdentity) => ({
  cert: certificatePem,
  key: keyPem,
  ca: clientAuthorityPem,
  minVersion: 'TLSv1.3' as const,
})

/** Returns what hears the server's messages. */
export function begin(): (messages: readonly ToFront[]) => void {
  const tell: Tell = (message) => {
    if (process.connected) process.send?.([message])
  }
  let front: ReturnType<typeof createListener> | undefined
  return (messages) => {
    for (const message of messages) {
      if (message.kind === 'listen') {
        front = createListener(message.identity, message.limits, tell)
        front.listen(message.host, message.port)
      } else if (message.kind === 'identity') front?.rename(message.identity)
      else if (message.kind === 'way') front?.lead(message.id, message.way)
      else front?.drop(message.fingerprints)
    }
  }
}

function createListener(identity: FrontIdentity, limits: FrontLimits, tell: Tell) {
  const connections = new Map<number, Connection>()
  const throttle = createThrottle(limits, () => performance.now() / 1000)
  let lastId = 0

  function enter(tls: TLSSocket): void {
    const fingerprint = tls.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase()
    const own = [...connections.values()].filter((other) => other.fingerprint === fingerprint).length
    if (own >= limits.connectionsEach) {
      tell({ kind: 'refused', why: 'busy' })
      sayNo(tls, 503, 'This certificate has as many connections as it may have.')
      return
    }
    const id = ++lastId
    const connection = { fingerprint, tls, ended: false }
    connections.set(id, connection)
    tls.once('close', () => {
      connection.ended = true
      connections.delete(id)
      tell({ kind: 'left', id })
    })
    tell({ kind: 'enter', id, fingerprint, address: tls.remoteAddress ?? '' })
  }

  const secure = createServer({
    ...optionsFrom(identity),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: limits.handshakeSeconds * 1000,
    ALPNProtocols: ['http/1.1'],
  })
  secure.on('tlsClientError', () => tell({ kind: 'refused', why: 'handshake' }))
  secure.on('secureConnection', (tls) => {
    tls.on('error', () => tls.destroy())
    enter(tls)
  })
  const plain = acceptingFor(secure, limits, throttle, tell)

  return {
    listen(host: string, port: number): void {
      plain.once('error', (error: NodeJS.ErrnoException) =>
        tell({ kind: 'failed', reason: error.code ?? error.name }),
      )
      plain.listen(port, host, () => {
        const bound = plain.address()
        if (bound && typeof bound === 'object')
          tell({ kind: 'listening', host: bound.address, port: bound.port })
      })
    },
    rename: (next: FrontIdentity) => secure.setSecureContext(optionsFrom(next)),
    lead(id: number, way: Way): void {
      const connection = connections.get(id)
      if (!connection || connection.ended) return
      if ('refusal' in way) {
        tell({ kind: 'refused', why: 'certificate' })
        sayNo(connection.tls, 403, way.refusal)
      } else join(connection.tls, way, limits, () => tell({ kind: 'refused', why: 'slow' }))
    },
    drop(fingerprints: readonly string[]): void {
      for (const { fingerprint, tls } of connections.values())
        if (fingerprints.includes(fingerprint)) tls.destroy()
    },
  }
}

/** Counts connections before a single byte of theirs is looked at, and hands the others to TLS. */
function acceptingFor(
  secure: Server,
  limits: FrontLimits,
  throttle: ReturnType<typeof createThrottle>,
  tell: Tell,
) {
  /** By the far end of each. */
  const shaking = new Set<string>()
  const plain = createPlainServer((socket: Socket) => {
    socket.on('error', () => socket.destroy())
    if (!throttle.admits(socket.remoteAddress ?? '')) {
      tell({ kind: 'refused', why: 'rate' })
      return socket.destroy()
    }
    if (shaking.size >= limits.handshakes) {
      tell({ kind: 'refused', why: 'busy' })
      return socket.destroy()
    }
    const from = endOf(socket)
    shaking.add(from)
    socket.once('close', () => shaking.delete(from))
    secure.emit('connection', socket)
  })
  plain.maxConnections = limits.connections
  plain.on('drop', () => tell({ kind: 'refused', why: 'busy' }))
  secure.on('secureConnection', (tls) => shaking.delete(endOf(tls)))
  return plain
}

const endOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`

/** As an HTTP proxy refuses: the client shows it as the answer to its CONNECT. */
function sayNo(tls: TLSSocket, status: 403 | 503, words: string): void {
  const body = `${words}\n`
  const title = status === 403 ? 'Forbidden' : 'Service Unavailable'
  const head = `HTTP/1.1 ${status} ${title}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`
  tls.end(head + body)
  tls.resume()
  tls.setTimeout(5000, () => tls.destroy())
}

function join(
  tls: TLSSocket,
  { socketPath, until }: Exclude<Way, { refusal: string }>,
  limits: FrontLimits,
  onSlow: () => void,
): void {
  const far = connect(socketPath)
  const slow = setTimeout(() => {
    onSlow()
    tls.destroy()
  }, limits.firstByteSeconds * 1000)
  // A timer holds 24 days at most; certificates live longer only where somebody asked for that.
  const over = setTimeout(() => tls.destroy(), Math.min(Math.max(0, until - Date.now()), 2 ** 31 - 1))
  tls.once('data', () => clearTimeout(slow))
  tls.setTimeout(limits.idleSeconds * 1000, () => tls.destroy())
  far.on('error', () => tls.destroy())
  far.once('close', () => tls.destroySoon())
  tls.once('close', () => {
    clearTimeout(slow)
    clearTimeout(over)
    far.destroy()
  })
  tls.pipe(far)
  far.pipe(tls)
}
