import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { actorOf, type Principal } from '../core/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Lend } from '../lend/index.ts'
import type { Policy } from '../policy/index.ts'
import type { EgressRecord, Gate } from '../proxy/index.ts'
import type { Store } from '../store/index.ts'
import { recordedAs, targetOf } from './egress-log.ts'
import { isProbe } from './lease-probe.ts'

type Needs = {
  policy: Pick<Policy, 'decide'>
  identity: Pick<Identity, 'agent'>
  lend: Pick<Lend, 'use' | 'metered' | 'spend'>
  audit: Pick<Audit, 'record' | 'recordOnDisk'>
  bus: Pick<Bus, 'publish'>
  store: Pick<Store, 'write'>
}

/** Requests of sandboxes since the server started, by what became of them. */
type EgressGate = Gate & { counts(): Readonly<Record<EgressRecord['outcome'], number>> }

/** What the egress proxy may ask of the server: policy before a name is looked up, a lease before a value, audit for all. */
export function createEgressGate({ policy, identity, lend, audit, bus, store }: Needs): EgressGate {
  const decide = (
    { agentId, host, port }: Pick<EgressRecord, 'agentId' | 'host' | 'port'>,
    action: 'egress.connect' | 'egress.pass_through' = 'egress.connect',
  ) =>
    policy.decide({
      principal: agentOf(agentId),
      action,
      resource: { type: 'Destination', id: `${host}:${port}`, attributes: { host, port } },
      context: { host, port, listed: true },
    })
  const counts = { allowed: 0, denied: 0, misused: 0, failed: 0 }
  /** By which policies a tunnel was opened, for the records of its requests. */
  const wentBy = new Map<string, readonly string[]>()
  /** Leases that count no bytes, and never will. */
  const unmetered = new Map<string, true>()

  const meteredOf = async (leaseIds: readonly string[]): Promise<string[]> => {
    const unknown = leaseIds.filter((id) => !unmetered.has(id))
    const metered = unknown.length > 0 ? await lend.metered(unknown) : []
    if (metered.length === 0) for (const id of unknown) remember(unmetered, id, true)
    return metered
  }
  const policiesOf = (entry: EgressRecord): readonly string[] =>
    passed(entry) ? (wentBy.get(placeOf(entry)) ?? decide(entry).policies) : []

  return {
    counts: () => ({ ...counts }),
    async admit({ agentId, host, port, passThrough }) {
      if ((await identity.agent(agentId))?.state !== 'active')
        return { allow: false, reason: `the agent ${agentId} is quarantined` }
      const connect = decide({ agentId, host, port })
      remember(wentBy, placeOf({ agentId, host, port }), connect.policies)
      const { allow, reason } =
        passThrough && connect.allow ? decide({ agentId, host, port }, 'egress.pass_through') : connect
      return { allow, reason }
    },
    resolve: ({ runId, taskId, ...claim }) =>
      lend.use({
        ...claim,
        // Whatever the proxy's child adds: a login has a way of its own, on which no value is given.
        login: undefined,
        runId: runId ?? undefined,
        taskId: taskId ?? undefined,
      }),
    async record(entry) {
      const told = {
        ...recordedAs[entry.outcome],
        actor: actorOf(agentOf(entry.agentId)),
        target: targetOf(entry),
        correlation: entry.runId ?? entry.sandboxId,
        detail: { ...detailOf(entry), policies: [...policiesOf(entry)] },
      }
      const metered = await meteredOf(entry.leaseIds)
      const isAlert = entry.outcome === 'misused'
      if (metered.length === 0 && !isAlert) await audit.recordOnDisk(told)
      else
        await store.write(async (tx) => {
          if (metered.length > 0) await lend.spend(tx, metered, entry.bytesIn + entry.bytesOut)
          await audit.record(tx, told)
          const { type, target: subject, actor: agent } = told
          if (isAlert) await bus.publish(tx, { type, subject, data: { agent } })
        })
      if (!isProbe(entry.sandboxId)) counts[entry.outcome]++
    },
  }
}

/** What it went by; what was refused says so itself. */
const passed = ({ outcome }: EgressRecord): boolean => outcome === 'allowed' || outcome === 'failed'

const agentOf = (agentId: string): Principal => ({ kind: 'agent', id: agentId, name: agentId, roles: [] })

const placeOf = ({ agentId, host, port }: Pick<EgressRecord, 'agentId' | 'host' | 'port'>): string =>
  `${agentId} ${host}:${port}`

/** More than are in use at a time; what is forgotten is asked for again. */
const mostRemembered = 5000

function remember<T>(known: Map<string, T>, key: string, value: T): void {
  known.set(key, value)
  if (known.size > mostRemembered) known.delete(known.keys().next().value ?? '')
}

/** Without the names that the entry has elsewhere, or has not. */
function detailOf({ agentId: _, runId: __, taskId, user, ...report }: EgressRecord) {
  const names = { ...(taskId === undefined ? {} : { taskId }), ...(user === undefined ? {} : { user }) }
  return { ...report, leaseIds: [...report.leaseIds], ...names }
}
