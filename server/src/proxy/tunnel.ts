import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer, type TLSSocket } from 'node:tls'
import { type Authority, type EgressRule, parseAuthority, rulesFor } from './destination.ts'
import type { Tunnel } from './judge.ts'
import type { Ledger } from './ledger.ts'
import type { Ask, Limits, Refusal } from './messages.ts'
import { isPassedThrough } from './pass-through.ts'
import { createTrust, findRoute, type Lookup, type Route } from './route.ts'
import type { CertificateAuthority } from './x509.ts'

/** Decides on CONNECT: the sandbox's own list first, then policy, and a name is looked up only after both. */
export type Admit = (target: string) => Promise<Route | (Refusal & { readonly at: Authority })>

type AdmitNeeds = {
  readonly sandboxId: string
  /** As it is now. */
  readonly allow: () => readonly EgressRule[]
  readonly ask: Ask
  readonly ledger: Pick<Ledger, 'settle'>
  readonly lookup: Lookup
  readonly limits: Limits
}

function notListed({ host, port }: Authority): Refusal {
  const literal = isIP(host) === 0 ? '' : ' An address is let through only where the list names it.'
  return { code: 'egress.denied', reason: `${host}:${port} is not on this sandbox's allow list.${literal}` }
}

export function createAdmit({ sandboxId, allow, ask, ledger, lookup, limits }: AdmitNeeds): Admit {
  const trust = createTrust()
  return async (target) => {
    const at = parseAuthority(target)
    if (!at) {
      const nowhere = { host: target.slice(0, 255), port: 0 }
      return { code: 'request.invalid', reason: 'CONNECT needs host:port.', at: nowhere }
    }
    const rules = rulesFor(allow(), at)
    if (rules.length === 0) return { ...notListed(at), at }
    if (!(await ledger.settle())) {
      return { code: 'audit.unavailable', reason: 'Earlier requests could not be recorded.', at }
    }
    const reply = await ask('admit', { sandboxId, ...at, passThrough: isPassedThrough({ rules }) })
    if ('refusal' in reply) return { ...reply.refusal, at }
    if (!reply.answer.allow) return { code: 'egress.denied', reason: reply.answer.reason, at }
    const route = await findRoute(at, rules, { lookup, limits, trust })
    return 'code' in route ? { ...route, at } : route
  }
}

type TerminateNeeds = {
  readonly authority: CertificateAuthority
  readonly limits: Limits
  onTunnel(tls: TLSSocket, tunnel: Tunnel): void
  onFailure(reason: string): void
}

/** Ends the client's TLS with a certificate for the very host that the tunnel was asked for. */
export function terminate(socket: Duplex, route: Route, needs: TerminateNeeds): void {
  const { authority, limits, onTunnel, onFailure } = needs
  const { host } = route.authority
  const { certificatePem, keyPem } = authority.leafFor(host)
  const server = createServer({
    cert: certificatePem,
    key: keyPem,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: limits.handshakeSeconds * 1000,
  })
  server.once('tlsClientError', (error: NodeJS.ErrnoException) => {
    const what = error.code ?? error.name
    onFailure(`TLS handshake failed (${what}). The client must speak TLS and trust the sandbox's CA.`)
    socket.destroy()
  })
  server.once('secureConnection', (tls) => {
    tls.setTimeout(limits.idleSeconds * 1000, () => tls.destroy())
    onTunnel(tls, { route, serverName: serverNameOf(tls, host) })
  })
  socket.once('close', () => route.agent.destroy())
  server.emit('connection', socket)
}

/** What the client called the server in its greeting; an address has no name to be called by. */
function serverNameOf(tls: TLSSocket, host: string): string | false {
  const { servername } = tls as TLSSocket & { servername?: string | false | null }
  if (isIP(host) !== 0 && !servername) return false
  return servername || ''
}
