import { AppError, actorOf, type Principal } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import { placeOf } from './destinations.ts'
import type { Needs } from './lend.ts'
import {
  byTask,
  destinationsOf,
  type GrantRow,
  grantById,
  type LeaseRow,
  liveLeases,
  prolongLease,
  spendGrant,
} from './lend-store.ts'

export type Renewal = {
  /** The agent. */
  readonly principal: Principal & { readonly scopes?: readonly string[] }
  readonly runId: string
  readonly taskId: string
  /** From now; each lease gets no more than its grant allows. */
  readonly ttlSeconds: number
}

/**
 * Gives a task's live leases more time, by the same rules as a new lease: the agent is trusted, the grant lives and has one
 * left, policy allows. What they do not allow is left to run out.
 */
export function createRenew({ store, audit, bus, clock, policy, identity }: Needs) {
  function allows(principal: Renewal['principal'], row: LeaseRow, grant: GrantRow, ttlSeconds: number) {
    return policy.decide({
      principal,
      action: 'leases.request',
      resource: { type: 'Secret', id: row.secret_path, attributes: { path: row.secret_path } },
      context: {
        purpose: row.purpose,
        ttlSeconds,
        destinations: destinationsOf(row).map(placeOf),
        grant: {
          id: grant.id,
          agent: `agent:${grant.agent_id}`,
          secretPath: grant.secret_path,
          by: grant.made_by,
          maxTtlSeconds: grant.max_ttl_seconds,
        },
      },
    }).allow
  }

  /** Until when a lease would go; undefined when it has more than half of that left, or nothing gives it more. */
  function dueUntil(row: LeaseRow, grant: GrantRow | undefined, ttlSeconds: number): number | undefined {
    const now = clock.now().getTime()
    if (!isLive(grant, now)) return undefined
    const milliseconds = Math.min(ttlSeconds, grant.max_ttl_seconds) * 1000
    return row.expires_at - now > milliseconds / 2 ? undefined : now + milliseconds
  }

  async function renew(tx: Tx, row: LeaseRow, { principal, runId, ttlSeconds }: Renewal): Promise<void> {
    const grant = await grantOf(tx, row)
    const until = dueUntil(row, grant, ttlSeconds)
    if (!grant || until === undefined) return
    const seconds = Math.min(ttlSeconds, grant.max_ttl_seconds)
    if (!allows(principal, row, grant, seconds) || !(await spendGrant(tx, grant.id))) return
    await prolongLease(tx, row.id, until)
    const target = `lease:${row.id}`
    await audit.record(tx, {
      type: 'lease.renewed',
      outcome: 'done',
      actor: actorOf(principal),
      target,
      correlation: runId,
      detail: { grant: `grant:${grant.id}`, expiresAt: new Date(until).toISOString() },
    })
    await bus.publish(tx, { type: 'lease.renewed', subject: target })
  }

  return async (renewal: Renewal): Promise<void> => {
    const which = byTask(renewal.runId, renewal.taskId)
    const now = clock.now().getTime()
    const due: LeaseRow[] = []
    for (const row of await liveLeases(store, which, now))
      if (dueUntil(row, await grantOf(store, row), renewal.ttlSeconds) !== undefined) due.push(row)
    if (due.length === 0) return
    await store.write(async (tx) => {
      const agent = await identity.agent(renewal.principal.id, tx)
      if (agent?.state !== 'active') throw new AppError('agent.inactive', 'The agent may not borrow.')
      for (const row of await liveLeases(tx, which, now)) await renew(tx, row, renewal)
    })
  }
}

const isLive = (grant: GrantRow | undefined, now: number): grant is GrantRow =>
  grant !== undefined && grant.ended_at === null && (grant.expires_at === null || grant.expires_at > now)

const grantOf = async (reader: Reader, { grant_id }: LeaseRow): Promise<GrantRow | undefined> =>
  grant_id === null ? undefined : grantById(reader, grant_id)
