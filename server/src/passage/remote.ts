import type { Bus } from '../bus/index.ts'
import { type Clock, type Log, reasonOf, repeat } from '../core/index.ts'
import type { Lend } from '../lend/index.ts'
import { type Proxy as EgressProxy, type EgressRule, type FrontOptions, relayRuleOf } from '../proxy/index.ts'
import { agentAuthority, type SealedStorage } from '../vault/index.ts'
import { createAuthorities, machineOf } from './authorities.ts'
import { type CertificateNeeds, type Certificates, createCertificates } from './certificates.ts'

/** Where agents on other machines come: TLS 1.3, and a certificate of theirs in every handshake. */
export type Listen = {
  readonly host: string
  readonly port: number
  /** By which the server is called there. */
  readonly names: readonly string[]
}

export type Remote = Certificates & {
  /** `host:port`; null while nothing listens. */
  address(): string | null
  state(): ReturnType<Front['state']> | undefined
  /** Listens once the vault is open; tries until then. Returns what ends it. Throws `server.cannot_listen`. */
  start(): Promise<() => Promise<void>>
}

type Needs = Omit<CertificateNeeds, 'sealed'> & {
  vault: { readonly sealed: SealedStorage; status(): { readonly sealed: boolean } }
  bus: Pick<Bus, 'publish' | 'subscribe'>
  clock: Clock
  log: Log
  lend: Pick<Lend, 'liveGrants' | 'page'>
  proxy: Pick<EgressProxy, 'open' | 'allow' | 'close' | 'listen'>
  /** Absent: nobody may come. */
  listen: Listen | undefined
  frontLimits?: FrontOptions['limits']
  /** Where an agent may go; by its leases and grants when absent. */
  rulesOf?: ((agentId: string) => Promise<readonly EgressRule[]>) | undefined
}

type Front = ReturnType<EgressProxy['listen']>
type Visitor = Parameters<FrontOptions['enter']>[0]
type Way = Awaited<ReturnType<FrontOptions['enter']>>

/** The channel of one agent, for as long as it is connected and a little longer. */
type Channel = {
  readonly opened: Promise<{ socketPath: string }>
  readonly visitors: Set<number>
  cancel: () => void
}

const idleMs = 60_000
const frontDays = 30
const dayMs = 86_400_000
const retryMs = 2000

export function createRemote(needs: Needs): Remote {
  const { bus, clock, log, proxy, vault, listen, frontLimits } = needs
  const { sealed } = vault
  const certificates = createCertificates({ ...needs, sealed })
  const authorities = createAuthorities({ ...needs, sealed })
  const rulesOf = needs.rulesOf ?? ((agentId) => lentPlaces(needs.lend, agentId))
  const channels = new Map<string, Channel>()
  /** A channel that is being closed: the next one of the same agent waits for that. */
  const closing = new Map<string, Promise<void>>()
  let front: Front | undefined

  function channelFor(agentId: string, allow: readonly EgressRule[]): Channel {
    const known = channels.get(agentId)
    if (known) return known
    const sandboxId = machineOf(agentId)
    // Named, so that what was lent for a task of the same agent is not used here.
    const owner = { sandboxId, agentId, runId: sandboxId, taskId: 'machine' }
    const opened = (closing.get(agentId) ?? Promise.resolve())
      .then(() => authorities.egress(agentId))
      .then((authority) => proxy.open({ ...owner, allow, authority }))
    const channel = { opened, visitors: new Set<number>(), cancel: () => undefined }
    channels.set(agentId, channel)
    opened.catch(() => channels.delete(agentId))
    return channel
  }

  /** The list is taken anew for each connection: what was granted or ended since holds for it. */
  async function enter({ id, fingerprint, address }: Visitor): Promise<Way> {
    const { agentId, until } = await certificates.holder(fingerprint, address)
    const allow = await rulesOf(agentId)
    const channel = channelFor(agentId, allow)
    channel.visitors.add(id)
    channel.cancel()
    try {
      const { socketPath } = await channel.opened
      proxy.allow(machineOf(agentId), allow)
      return { socketPath, until: until.getTime() }
    } catch (error) {
      channel.visitors.delete(id)
      throw error
    }
  }

  function close(agentId: string): Promise<void> {
    channels.get(agentId)?.cancel()
    channels.delete(agentId)
    const closed = proxy
      .close(machineOf(agentId))
      .catch((error: unknown) => log.error({ reason: reasonOf(error) }, 'a channel could not be closed'))
      .finally(() => closing.delete(agentId))
    closing.set(agentId, closed)
    return closed
  }

  function left(id: number): void {
    for (const [agentId, channel] of channels) {
      if (!channel.visitors.delete(id) || channel.visitors.size > 0) continue
      channel.cancel = clock.after(idleMs, () => void close(agentId))
    }
  }

  function lost(): void {
    for (const { visitors } of channels.values()) for (const id of [...visitors]) left(id)
  }

  async function identityOf({ names }: Listen): Promise<FrontOptions['identity']> {
    const authority = await authorities.agents()
    const from = clock.now()
    const until = new Date(from.getTime() + frontDays * dayMs)
    const own = await agentAuthority.signForFront(authority, { names, from, until })
    return { ...own, clientAuthorityPem: authority.certificatePem }
  }

  async function begin(at: Listen): Promise<void> {
    if (front || vault.status().sealed) return
    const { host, port } = at
    const identity = await identityOf(at)
    front = proxy.listen({ host, port, identity, limits: frontLimits, enter, left, lost })
    await front.listening
  }

  return {
    ...certificates,
    address: () => addressOf(front?.state().address ?? null, listen),
    state: () => front?.state(),
    async start() {
      if (!listen) return async () => undefined
      await begin(listen)
      const stops = [
        repeat(
          { clock, log },
          { name: 'listening for agents', milliseconds: retryMs, work: () => begin(listen) },
        ),
        repeat(
          { clock, log },
          {
            name: 'certificate for agents',
            milliseconds: dayMs,
            work: async () => front?.renew(await identityOf(listen)),
          },
        ),
        bus.subscribe(({ type, data }) => {
          const revoked = type === 'certificate.revoked' && data !== null && typeof data === 'object'
          if (revoked && 'fingerprint' in data) front?.drop([String(data['fingerprint'])])
        }),
      ]
      return async () => {
        for (const stop of stops) stop()
        await front?.stop()
        front = undefined
        await Promise.all([...channels.keys()].map(close))
      }
    },
  }
}

/** What listens at every address is reached by its name. */
function addressOf(bound: string | null, listen: Listen | undefined): string | null {
  if (bound === null || !listen || !['0.0.0.0', '::'].includes(listen.host)) return bound
  return `${listen.names[0] ?? listen.host}:${bound.split(':').at(-1)}`
}

/** What an agent on another machine may reach: where something was lent to it, or may be. */
export async function lentPlaces(
  lend: Pick<Lend, 'liveGrants' | 'page'>,
  agentId: string,
): Promise<EgressRule[]> {
  const leases = await lend.page({ agentId, state: 'active', limit: 500 })
  const grants = await lend.liveGrants(agentId)
  return [...leases.items, ...grants].flatMap(({ destinations, injection }) =>
    destinations.map((place) => ({ ...place, ...relayRuleOf(injection) })),
  )
}
