import { lookup as systemLookup } from 'node:dns/promises'
import { Agent } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  getCACertificates,
  type SecureContext,
} from 'node:tls'
import { addressRefusal } from './address.ts'
import { type Authority, type EgressRule, parseAddress } from './destination.ts'
import type { Limits, Refusal } from './messages.ts'

/** A checked way to one destination: connections go to these addresses and no others, however DNS changes its mind. */
export type Route = {
  readonly authority: Authority
  readonly rules: readonly EgressRule[]
  readonly agent: Agent
  readonly target: Target
  /** How TLS to it is made and verified. */
  readonly tls: ConnectionOptions
}

/** What the proxy shows of itself where that is asked for. */
export type ClientCertificate = { readonly certificatePem: string; readonly keyPem: string }

export type Lookup = (host: string) => Promise<string[]>

export const machineLookup: Lookup = async (host) =>
  (await systemLookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address)

type Target = { readonly addresses: readonly string[]; readonly port: number }

function listedTarget(authority: Authority, rules: readonly EgressRule[]): Target | undefined {
  const { address } = rules.find((rule) => rule.address !== undefined) ?? {}
  const parsed = address === undefined ? undefined : parseAddress(address, authority.port)
  return parsed && { addresses: [parsed.address], port: parsed.port }
}

async function resolvedTarget(
  { host, port }: Authority,
  rules: readonly EgressRule[],
  lookup: Lookup,
): Promise<Target | Refusal> {
  let addresses: string[]
  try {
    addresses = isIP(host) === 0 ? await lookup(host) : [host]
  } catch {
    return {
      code: 'egress.unreachable',
      reason: `The name ${host} does not resolve. Check its spelling and the server's DNS.`,
    }
  }
  if (addresses.length === 0)
    return { code: 'egress.unreachable', reason: `The name ${host} has no address.` }
  if (rules.some((rule) => rule.allowPrivate)) return { addresses, port }
  // One bad address condemns the name: a mixture is how rebinding looks.
  for (const address of addresses) {
    const why = addressRefusal(address)
    if (why === undefined) continue
    const reason = `${host} is at ${address} (${why}). If that is meant, the allow list must say so: allowPrivate, or the address.`
    return { code: 'egress.denied', reason }
  }
  return { addresses, port }
}

/** Answers Node's own resolver calls with the addresses that were checked. */
export function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, options, callback) => {
    if (options.all) callback(null, all)
    else callback(null, all[0]?.address ?? '', all[0]?.family)
  }
}

/** What upstream certificates are checked against. Made once for each set: reading the well-known roots takes a while. */
export type Trust = (extra: readonly string[]) => { secureContext?: SecureContext }

const contextFor = (extra: readonly string[], shown?: ClientCertificate): SecureContext =>
  createSecureContext({
    ...(extra.length > 0 ? { ca: [...getCACertificates('default'), ...extra] } : {}),
    ...(shown ? { cert: shown.certificatePem, key: shown.keyPem } : {}),
    minVersion: 'TLSv1.2',
  })

const authoritiesOf = (rules: readonly EgressRule[]): string[] => rules.flatMap(({ caPem }) => caPem ?? [])

export function createTrust(): Trust {
  const known = new Map<string, SecureContext>()
  return (extra) => {
    if (extra.length === 0) return {}
    const key = extra.join('\n')
    const secureContext = known.get(key) ?? contextFor(extra)
    known.set(key, secureContext)
    return { secureContext }
  }
}

export async function findRoute(
  authority: Authority,
  rules: readonly EgressRule[],
  { lookup, limits, trust }: { lookup: Lookup; limits: Limits; trust: Trust },
): Promise<Route | Refusal> {
  const target = listedTarget(authority, rules) ?? (await resolvedTarget(authority, rules, lookup))
  if ('code' in target) return target
  const { host } = authority
  const tls: ConnectionOptions = {
    servername: isIP(host) === 0 ? host : '',
    minVersion: 'TLSv1.2',
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
    ...trust(authoritiesOf(rules)),
  }
  const way = { authority, rules, target, tls }
  return { ...way, agent: agentFor(way, limits, true) }
}

/**
 * The same way with a certificate to show. Its connections serve one request each, so that what was shown for one is never there for
 * another; nothing of the key is left when its agent is destroyed.
 */
export function showing(route: Route, shown: ClientCertificate, limits: Limits): Route {
  const tls = { ...route.tls, secureContext: contextFor(authoritiesOf(route.rules), shown) }
  return { ...route, tls, agent: agentFor({ ...route, tls }, limits, false) }
}

function agentFor(
  { authority: { host }, target, tls }: Omit<Route, 'agent'>,
  limits: Limits,
  keepAlive: boolean,
): Agent {
  const agent = new Agent({
    ...tls,
    keepAlive,
    maxSockets: 16,
    maxFreeSockets: 2,
    timeout: limits.idleSeconds * 1000,
    host: isIP(host) === 0 ? host : target.addresses[0],
    port: target.port,
    lookup: pinned(target.addresses),
    autoSelectFamily: true,
    ALPNProtocols: ['http/1.1'],
  })
  // All of its connections lead to the same place in the same way, so that none needs to be told from another.
  agent.getName = () => host
  return agent
}
