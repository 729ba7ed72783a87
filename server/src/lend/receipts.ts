import type { Destination, EventName, Injection, Json, Proof, Receipt } from '@keyward/contract'
import { actorOf, digestOf, reasonOf, systemPrincipal } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import type { Needs as LendNeeds, Sealed } from './lend.ts'
import { destinationsOf, injectionOf, type LeaseRow } from './lend-store.ts'
import { type DueProbe, dueProbes, keepReceipt, readUnproved } from './receipt-store.ts'

/** A lease that has ended, as far as who shows its end has to know it. */
export type ProbedLease = {
  readonly leaseId: string
  readonly agentId: string
  readonly runId: string | undefined
  readonly taskId: string | undefined
  /** What the agent held, without the prefix in front of it. */
  readonly placeholder: string
  /** One place that it was lent for. */
  readonly destination: Destination
  readonly injection: Injection
}

/** Shows an ended credential to whom it used to open something. Ends it there first, where that is needed. */
export type Probe = (lease: ProbedLease) => Promise<readonly Proof[]>

type Needs = Pick<LendNeeds, 'store' | 'audit' | 'bus' | 'clock' | 'vault' | 'probesFor'>

const batchSize = 40
const atOnce = 4
const firstRetryMs = 2_000
const longestRetryMs = 15 * 60_000
const actor = actorOf(systemPrincipal('lend'))

const placeOf = (leaseId: string): string => `lend/placeholders/${leaseId}`

/** Until its end has been shown: to show that it is refused, somebody must have it. */
export const keepPlaceholder = (
  tx: Tx,
  sealed: Sealed,
  leaseId: string,
  placeholder: string,
): Promise<void> => sealed.put(tx, placeOf(leaseId), Buffer.from(placeholder))

/** What a lease shows of its end. */
export function receiptOf({ receipt, ended_at, probe_due_at }: LeaseRow): Receipt | null {
  if (receipt !== null) return JSON.parse(receipt) as Receipt
  if (ended_at === null || probe_due_at === null) return null
  return { state: 'waiting', at: null, attempts: 0, nextTryAt: null, proofs: [], digest: null }
}

export function createReceipts({ store, audit, bus, clock, vault, probesFor }: Needs) {
  const { sealed } = vault

  async function proofsOf(row: DueProbe): Promise<Proof[]> {
    const injection = injectionOf(row)
    const kept = await sealed.get(placeOf(row.id))
    const [destination] = destinationsOf(row)
    if (!kept || !destination) return [unanswered('lease', 'its placeholder is not kept any more')]
    const lease: ProbedLease = {
      leaseId: row.id,
      agentId: row.agent_id,
      runId: row.run_id ?? undefined,
      taskId: row.task_id ?? undefined,
      placeholder: kept.toString(),
      destination,
      injection,
    }
    const proofs: Proof[] = []
    for (const probe of probesFor(injection)) proofs.push(...(await probe(lease)))
    return proofs
  }

  async function show(row: DueProbe): Promise<void> {
    const proofs = await proofsOf(row).catch((error: unknown) => [unanswered('keyward', reasonOf(error))])
    const now = clock.now()
    const attempts = (row.probe_attempts ?? 0) + 1
    const state = stateOf(proofs)
    const dueAt = state === 'unproved' ? now.getTime() + retryAfter(attempts) : null
    const shown = {
      lease: row.id,
      agent: `agent:${row.agent_id}`,
      endedAt: new Date(row.ended_at).toISOString(),
      at: now.toISOString(),
      attempts,
      proofs: proofs.map((proof) => ({ ...proof })),
    }
    const digest = digestOf(shown)
    const receipt: Receipt = {
      state,
      at: shown.at,
      attempts,
      nextTryAt: dueAt === null ? null : new Date(dueAt).toISOString(),
      proofs,
      digest,
    }
    await store.write(async (tx) => {
      await keepReceipt(tx, row.id, { receipt: JSON.stringify(receipt), attempts, dueAt })
      if (dueAt === null) await sealed.delete(tx, placeOf(row.id))
      if (dueAt === null || isPowerOfTwo(attempts)) await tell(tx, row, { ...shown, state, digest })
    })
  }

  async function tell(tx: Tx, row: DueProbe, { lease: _, ...detail }: Shown): Promise<void> {
    const target = `lease:${row.id}`
    const type: EventName = detail.state === 'unproved' ? 'lease.unproved' : 'lease.receipt'
    const outcome = detail.state === 'unproved' ? 'failed' : 'done'
    await audit.record(tx, { type, outcome, actor, target, correlation: row.run_id ?? '', detail })
    await bus.publish(tx, { type, subject: target, data: { agent: detail.agent } })
  }

  async function proveAll(): Promise<number> {
    const rows = await dueProbes(store, clock.now().getTime(), batchSize)
    const rest = [...rows].reverse()
    const worker = async (): Promise<void> => {
      for (let row = rest.pop(); row; row = rest.pop()) await show(row)
    }
    await Promise.all(Array.from({ length: Math.min(atOnce, rows.length) }, worker))
    return rows.length
  }

  let proving: Promise<number> | undefined
  return {
    /** Shows the ends that are due; returns how many. */
    proveDue(): Promise<number> {
      proving ??= proveAll().finally(() => {
        proving = undefined
      })
      return proving
    },
    async proved(): Promise<void> {
      await proving?.catch(() => undefined)
    },
    /** Ends that could not be shown, or were shown not to hold. */
    async unproved(): Promise<{ count: number; oldestAt: Date | null }> {
      const { count, oldestAt } = await readUnproved(store)
      return { count, oldestAt: oldestAt === null ? null : new Date(oldestAt) }
    },
  }
}

type Shown = { readonly [key: string]: Json } & {
  readonly agent: string
  readonly lease: string
  readonly state: Receipt['state']
}

export const unanswered = (by: string, answer: string, how = 'could not be asked'): Proof => ({
  by,
  how,
  answer: answer.slice(0, 300),
  result: 'unanswered',
  livesUntil: null,
})

function stateOf(proofs: readonly Proof[]): Receipt['state'] {
  const results = new Set(proofs.map(({ result }) => result))
  if (proofs.length === 0 || results.has('accepted') || results.has('unanswered')) return 'unproved'
  return results.has('lives_on') ? 'lives_on' : 'proved'
}

const retryAfter = (attempts: number): number => Math.min(firstRetryMs * 2 ** (attempts - 1), longestRetryMs)
const isPowerOfTwo = (n: number): boolean => (n & (n - 1)) === 0
