import { rm } from 'node:fs/promises'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { refuse, refusePlainly, statusOf } from './answer.ts'
import type { Budgets } from './budgets.ts'
import type { Authority, EgressRule } from './destination.ts'
import { createDirect } from './direct.ts'
import { createForward } from './forward.ts'
import { serveHttp2 } from './http2-inside.ts'
import { createSender } from './http2-upstream.ts'
import type { Tunnel } from './judge.ts'
import { createLedger } from './ledger.ts'
import type { Ask, AuthorityState, OpenChannel, Report } from './messages.ts'
import { carriedBy, type OpenNow } from './open-now.ts'
import { isPassedThrough, type PassedThrough, passThrough } from './pass-through.ts'
import { createPatterns } from './redact.ts'
import { createRelays } from './relay/relay.ts'
import { type Lookup, machineLookup, type Route } from './route.ts'
import { createAdmit, terminate } from './tunnel.ts'
import { createUnanswered } from './unanswered.ts'
import { createUnderway } from './underway.ts'
import { asksForWebSocket } from './websocket-handshake.ts'
import { createAuthority } from './x509.ts'

const http = process.getBuiltinModule('node:http')

/** The way out of one sandbox: a Unix socket that only this sandbox has, and everything that happens behind it. */
export type Channel = {
  readonly authority: AuthorityState
  listen(): Promise<void>
  /** Ends what uses the lease; without one, every connection. */
  cut(leaseId: string | null, reason: string): void
  /** Another list of destinations, for the connections that are yet to come. */
  allow(rules: readonly EgressRule[]): void
  /** Ends every connection; resolves when what happened on them is recorded. */
  close(): Promise<void>
}

type Needs = { open: OpenChannel; ask: Ask; now: () => Date; budgets: Budgets; openNow: OpenNow }

const connected = 'HTTP/1.1 200 Connection Established\r\n\r\n'
/** Turns of the loop in which streams hear that their connection has ended. */
const patienceTurns = 100
const nowhere: Authority = { host: '', port: 0 }
const howTo =
  'Keyward lets this sandbox out by HTTPS through CONNECT only. Point HTTPS_PROXY here and use https:// addresses.'

function lookupThrough(ask: Ask, sandboxId: string): Lookup {
  return async (host) => {
    const reply = await ask('lookup', { sandboxId, host })
    return 'answer' in reply ? reply.answer : []
  }
}

type ReportAttempt = (at: Authority, what: Pick<Report, 'method' | 'status' | 'outcome' | 'reason'>) => void

/** Answers what Node's strict parser refuses: malformed, ambiguous or overlong heads. */
function refuseMalformed(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  tell: (status: number, reason: string) => void,
) {
  // Without a code it is our own, told already: what cut an answer off ends the connection too.
  if (error.code === undefined || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    socket.destroy()
    return
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
  tell(status, `malformed request (${error.code})`)
  refusePlainly(socket, status, 'The request is malformed, ambiguous, or its head is too long.')
}

export function createChannel({ open, ask, now, budgets, openNow }: Needs): Channel {
  const { sandboxId, limits, socketPath } = open
  let { allow } = open
  const existing = open.authority ? { existing: open.authority } : {}
  const authority = createAuthority({ now, name: `Keyward egress ${sandboxId}`, ...existing })
  const patterns = createPatterns(open.values)
  let refusals = 0
  const ledger = createLedger((entry) => {
    if (entry.outcome === 'denied' || entry.outcome === 'misused') refusals++
    const closing = refusals === limits.refusals
    // After the refusal that is under way has been said.
    if (closing) setImmediate(shut)
    const why = ` This was refusal ${refusals}: this sandbox's way out is closed.`
    const reported = closing ? { ...entry, reason: `${entry.reason ?? ''}${why}` } : entry
    return ask('record', reported).then((reply) => 'answer' in reply)
  })
  const lookup = open.lookup ? lookupThrough(ask, sandboxId) : machineLookup
  const report: ReportAttempt = (at, what) => {
    const nothing = { path: '', leaseIds: [], placeholders: 0, bytesIn: 0, bytesOut: 0, redactions: 0 }
    void ledger.report({ sandboxId, ...at, ...nothing, ...what })
  }
  const options = {
    maxHeaderSize: limits.headerBytes,
    insecureHTTPParser: false,
    requireHostHeader: true,
    headersTimeout: limits.handshakeSeconds * 1000,
    // How often that is looked at: Node's own half a minute would let slow heads hold every place for as long.
    connectionsCheckingInterval: limits.handshakeSeconds * 500,
    requestTimeout: 0,
    keepAliveTimeout: limits.idleSeconds * 1000,
  }
  const underway = createUnderway(now)
  const tunnels = new WeakMap<Duplex, Tunnel>()
  const inner = http.createServer({ ...options, shouldUpgradeCallback: asksForWebSocket })
  const forward = createForward({ sandboxId, ask, ledger, patterns, limits, underway, budgets, openNow })
  serveInside(inner, { tunnels, report, forward })
  const serveStreams = (tls: TLSSocket, { route, serverName }: Tunnel): void => {
    const sender = createSender(route, limits)
    tls.once('close', () => sender.close())
    serveHttp2(tls, {
      limits,
      forward: (request, response, how) =>
        void forward(request, response, { route, serverName, sender }, how),
      onRefused: ({ reason }) =>
        report(route.authority, { method: '', status: 400, outcome: 'denied', reason }),
    })
  }

  const serveRequests = (tls: TLSSocket, tunnel: Tunnel): void => {
    const direct = createDirect(tunnel.route, limits)
    tunnels.set(tls, { ...tunnel, direct })
    tls.once('close', () => direct.close())
    inner.emit('connection', tls)
  }

  const relays = createRelays({ sandboxId, ask, ledger, patterns, limits, underway, budgets })
  const admit = createAdmit({ sandboxId, allow: () => allow, ask, ledger, lookup, limits })
  const passUnseen = (socket: Duplex, route: Route): void => {
    const what = { method: 'CONNECT', path: '', status: 200, leaseIds: [], placeholders: 0, redactions: 0 }
    const told = (ended: PassedThrough): void =>
      void ledger.report({ sandboxId, ...route.authority, ...what, ...ended })
    passThrough(socket, route, { limits, underway, report: told })
  }
  const serveTunnel = (socket: Duplex, route: Route): void => {
    socket.once('close', openNow.begin(carriedBy(route)))
    if (relays.serve(socket, route)) return
    if (isPassedThrough(route)) {
      passUnseen(socket, route)
      return
    }
    terminate(socket, route, {
      authority,
      limits,
      onTunnel(tls, tunnel) {
        if (tls.alpnProtocol === 'h2') serveStreams(tls, tunnel)
        else serveRequests(tls, tunnel)
      },
      onFailure: (reason) =>
        report(route.authority, { method: 'CONNECT', status: 200, outcome: 'denied', reason }),
    })
  }
  const connect = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    socket.on('error', () => socket.destroy())
    if (relays.isOwn(request.url ?? '')) {
      socket.write(connected)
      if (head.length > 0) socket.unshift(head)
      return relays.serveOwn(socket)
    }
    const route = await admit(request.url ?? '')
    if ('code' in route) {
      const status = statusOf(route)
      report(route.at, { method: 'CONNECT', status, outcome: 'denied', reason: route.reason })
      return refusePlainly(socket, status, `${route.code}: ${route.reason}`)
    }
    if (!socket.writable) return route.agent.destroy()
    socket.write(connected)
    if (head.length > 0) socket.unshift(head)
    serveTunnel(socket, route)
  }

  const outer = http.createServer(options)
  outer.maxConnections = limits.connections
  const sockets = serveOutside(outer, { report, connect })
  const disconnect = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  function shut(): void {
    outer.close()
    disconnect()
  }

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
    allow(rules) {
      allow = rules
    },
    cut(leaseId, reason) {
      underway.cut(leaseId, reason)
      if (leaseId === null) disconnect()
    },
    async close() {
      shut()
      inner.close()
      // The end of each connection is heard, and its report begun, before the reports are waited for.
      for (let turn = 0; turn === 0 || (turn < patienceTurns && !underway.isEmpty()); turn++)
        await new Promise((resolve) => setImmediate(resolve))
      await ledger.drain()
      await rm(socketPath, { force: true })
    },
  }
}

type Inside = {
  tunnels: WeakMap<Duplex, Tunnel>
  report: ReportAttempt
  forward: ReturnType<typeof createForward>
}

/** HTTP inside the tunnels. */
function serveInside(server: Server, { tunnels, report, forward }: Inside): void {
  const unanswered = createUnanswered()
  const serve = (
    request: IncomingMessage,
    response: ServerResponse,
    how: Parameters<typeof forward>[3],
  ): void => {
    const tunnel = tunnels.get(request.socket)
    if (tunnel) void forward(request, response, tunnel, how)
    else refuse(response, { code: 'server.internal', reason: 'This connection belongs to no tunnel.' })
  }
  /** Whether a connection that Node has let go of has nothing else under way. */
  const isAlone = ({ method = '' }: IncomingMessage, socket: Duplex): boolean => {
    socket.on('error', () => socket.destroy())
    if (!unanswered.end(socket)) return true
    const at = tunnels.get(socket)?.route.authority ?? nowhere
    const reason = 'A connection can become another one only when all that was asked on it is answered.'
    report(at, { method, status: null, outcome: 'denied', reason })
    return false
  }
  const serveNext: typeof serve = (request, response, how) => {
    unanswered.add(request.socket, response)
    serve(request, response, how)
  }
  server.on('request', (request, response) => serveNext(request, response, {}))
  server.on('checkContinue', (request, response) => serveNext(request, response, { expectsContinue: true }))
  server.on('upgrade', (request, socket, head) => {
    if (!isAlone(request, socket)) return
    const response = new http.ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(request.socket)
    response.once('finish', () => request.socket.destroySoon())
    serve(request, response, {
      upgrade: { socket, head, release: () => response.detachSocket(request.socket) },
    })
  })
  server.on('connect', (request, socket) => {
    if (!isAlone(request, socket)) return
    const at = tunnels.get(socket)?.route.authority ?? nowhere
    const reason = 'CONNECT inside a tunnel is not served.'
    report(at, { method: request.method ?? '', status: 405, outcome: 'denied', reason })
    refusePlainly(socket, 405, reason)
  })
  server.on('clientError', (error, socket) =>
    refuseMalformed(error, socket, (status, reason) =>
      report(tunnels.get(socket)?.route.authority ?? nowhere, {
        method: '',
        status,
        outcome: 'denied',
        reason,
      }),
    ),
  )
}

type Outside = {
  report: ReportAttempt
  connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
}

/** HTTP on the socket itself: CONNECT, and words for everything else. Returns the connections that are open. */
function serveOutside(server: Server, { report, connect }: Outside): ReadonlySet<Duplex> {
  const sockets = new Set<Duplex>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('connect', (request, socket, head) => {
    connect(request, socket, head).catch(() => socket.destroy())
  })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const at = { host: (request.headers.host ?? '').slice(0, 255), port: 0 }
    report(at, { method: request.method ?? '', status: 405, outcome: 'denied', reason: 'not CONNECT' })
    const type = { 'Content-Type': 'text/plain; charset=utf-8', Allow: 'CONNECT', Connection: 'close' }
    response.writeHead(405, type).end(`${howTo}\n`)
  })
  server.on('clientError', (error, socket) =>
    refuseMalformed(error, socket, (status, reason) =>
      report(nowhere, { method: '', status, outcome: 'denied', reason }),
    ),
  )
  return sockets
}
