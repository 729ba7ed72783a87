import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { refuse, refusePlainly, statusOf } from './answer.ts'
import { type Authority, parseAuthority, rulesFor } from './destination.ts'
import { createForward, type Tunnel } from './forward.ts'
import { createLedger } from './ledger.ts'
import type { Ask, AuthorityState, OpenChannel, Refusal, Report } from './messages.ts'
import { createPatterns } from './redact.ts'
import { findRoute, type Lookup, machineLookup, type Route } from './route.ts'
import { createAuthority } from './x509.ts'

/** The way out of one sandbox: a Unix socket that only this sandbox has, and everything that happens behind it. */
export type Channel = {
  readonly authority: AuthorityState
  listen(): Promise<void>
  /** Ends every connection; resolves when what happened on them is recorded. */
  close(): Promise<void>
}

type Needs = { open: OpenChannel; ask: Ask; now: () => Date }

const howTo =
  'Keyward lets this sandbox out by HTTPS through CONNECT only. Point HTTPS_PROXY here and use https:// addresses.'

export function createChannel({ open, ask, now }: Needs): Channel {
  const { sandboxId, limits, allow, socketPath } = open
  const authority = createAuthority({
    now,
    name: `Keyward egress ${sandboxId}`,
    ...(open.authority ? { existing: open.authority } : {}),
  })
  const patterns = createPatterns(open.values)
  const ledger = createLedger(async (report) => 'answer' in (await ask('record', report)))
  const forward = createForward({ sandboxId, ask, ledger, patterns, limits })
  const tunnels = new WeakMap<Duplex, Tunnel>()
  const sockets = new Set<Duplex>()

  const lookup: Lookup = open.lookup
    ? async (host) => {
        const reply = await ask('lookup', { sandboxId, host })
        return 'answer' in reply ? reply.answer : []
      }
    : machineLookup

  const report = (at: Authority, what: Pick<Report, 'method' | 'status' | 'outcome' | 'reason'>): void => {
    const nothing = { path: '', leaseIds: [], placeholders: 0, bytesIn: 0, bytesOut: 0, redactions: 0 }
    void ledger.report({ sandboxId, ...at, ...nothing, ...what })
  }

  const options = {
    maxHeaderSize: limits.headerBytes,
    insecureHTTPParser: false,
    requireHostHeader: true,
    headersTimeout: limits.handshakeSeconds * 1000,
    requestTimeout: 0,
    keepAliveTimeout: limits.idleSeconds * 1000,
  }

  /** Speaks HTTP inside the tunnels. */
  const inner = createServer(options)
  const serve = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    const tunnel = tunnels.get(request.socket)
    if (tunnel) void forward(request, response, tunnel, expectsContinue)
    else refuse(response, { code: 'server.internal', reason: 'This connection belongs to no tunnel.' })
  }
  inner.on('request', (request, response) => serve(request, response, false))
  inner.on('checkContinue', (request, response) => serve(request, response, true))
  inner.on('connect', (_request, socket) =>
    refusePlainly(socket, 405, 'CONNECT inside a tunnel is not served.'),
  )
  inner.on('clientError', (error, socket) => {
    const at = tunnels.get(socket)?.route.authority
    malformed(error, socket, at ?? { host: '', port: 0 })
  })

  const malformed = (error: NodeJS.ErrnoException, socket: Duplex, at: Authority): void => {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') {
      socket.destroy()
      return
    }
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
    report(at, {
      method: '',
      status,
      outcome: 'denied',
      reason: `malformed request (${error.code ?? error.name})`,
    })
    refusePlainly(
      socket,
      status,
      `The request is malformed or its head is longer than ${limits.headerBytes} bytes.`,
    )
  }

  /** Terminates the client's TLS with a certificate for the very host that the tunnel was asked for. */
  const secure = (socket: Duplex, head: Buffer, route: Route): void => {
    const { host } = route.authority
    const { certificatePem, keyPem } = authority.leafFor(host)
    if (head.length > 0) socket.unshift(head)
    const terminator = createTlsServer({
      cert: certificatePem,
      key: keyPem,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: limits.handshakeSeconds * 1000,
    })
    terminator.once('tlsClientError', (error: NodeJS.ErrnoException) => {
      const reason = `TLS handshake failed (${error.code ?? error.name}). The client must speak TLS and trust the sandbox's CA.`
      report(route.authority, { method: 'CONNECT', status: 200, outcome: 'denied', reason })
      socket.destroy()
    })
    terminator.once('secureConnection', (tls) => {
      tls.setTimeout(limits.idleSeconds * 1000, () => tls.destroy())
      tunnels.set(tls, { route, serverName: serverNameOf(tls, host) })
      inner.emit('connection', tls)
    })
    socket.once('close', () => route.agent.destroy())
    terminator.emit('connection', socket)
  }

  const admit = async (target: string): Promise<Route | (Refusal & { at: Authority })> => {
    const at = parseAuthority(target)
    if (!at) {
      const reason = 'CONNECT needs host:port.'
      return { code: 'request.invalid', reason, at: { host: target.slice(0, 255), port: 0 } }
    }
    const rules = rulesFor(allow, at)
    if (rules.length === 0) {
      const literal = isIP(at.host) === 0 ? '' : ' An address is let through only where the list names it.'
      const reason = `${at.host}:${at.port} is not on this sandbox's allow list.${literal}`
      return { code: 'egress.denied', reason, at }
    }
    if (!(await ledger.settle())) {
      return { code: 'audit.unavailable', reason: 'Earlier requests could not be recorded.', at }
    }
    const reply = await ask('admit', { sandboxId, ...at })
    if ('refusal' in reply) return { ...reply.refusal, at }
    if (!reply.answer.allow) return { code: 'egress.denied', reason: reply.answer.reason, at }
    const route = await findRoute(at, rules, { lookup, limits })
    return 'code' in route ? { ...route, at } : route
  }

  const connect = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    socket.on('error', () => socket.destroy())
    const route = await admit(request.url ?? '')
    if ('code' in route) {
      const status = statusOf(route)
      report(route.at, { method: 'CONNECT', status, outcome: 'denied', reason: route.reason })
      return refusePlainly(socket, status, `${route.code}: ${route.reason}`)
    }
    if (!socket.writable) return route.agent.destroy()
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    secure(socket, head, route)
  }

  const outer = createServer(options)
  outer.maxConnections = limits.connections
  outer.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  outer.on('connect', (request, socket, head) => {
    connect(request, socket, head).catch(() => socket.destroy())
  })
  outer.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const at = { host: (request.headers.host ?? '').slice(0, 255), port: 0 }
    report(at, { method: request.method ?? '', status: 405, outcome: 'denied', reason: 'not CONNECT' })
    response.writeHead(405, {
      Allow: 'CONNECT',
      'Content-Type': 'text/plain; charset=utf-8',
      Connection: 'close',
    })
    response.end(`${howTo}\n`)
  })
  outer.on('clientError', (error, socket) => malformed(error, socket, { host: '', port: 0 }))

  return {
    authority: { certificatePem: authority.certificatePem, keyPem: authority.keyPem },
    async listen() {
      await rm(socketPath, { force: true })
      await new Promise<void>((resolve, reject) => {
        outer.once('error', reject)
        // The folder is closed to everybody else; a sandbox of another user reaches the socket by its mount alone.
        outer.listen({ path: socketPath, readableAll: true, writableAll: true }, resolve)
      })
    },
    async close() {
      outer.close()
      inner.close()
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => setImmediate(resolve))
      await ledger.drain()
      await rm(socketPath, { force: true })
    },
  }
}

/** What the client called the server in its greeting; an address has no name to be called by. */
function serverNameOf(tls: TLSSocket, host: string): string | false {
  const { servername } = tls as TLSSocket & { servername?: string | false | null }
  if (isIP(host) !== 0 && !servername) return false
  return servername || ''
}
