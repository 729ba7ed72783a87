import type { LeaseView } from '@keyward/contract'
import { AppError, actorOf, type Principal, systemPrincipal } from '../core/index.ts'
import type { Sql, Tx } from '../store/index.ts'
import type { CountedAhead } from './counted-ahead.ts'
import { endGrantsWhere } from './grants.ts'
import type { Needs } from './lend.ts'
import {
  byAgent,
  byDue,
  byId,
  byParents,
  byTask,
  endLeases,
  type LeaseRow,
  leaseById,
  nextExpiry,
} from './lend-store.ts'

/** Rows that one transaction marks, so that nothing else waits long behind a great expiry. */
const batch = 200

export async function recordExpiry(
  tx: Tx,
  row: LeaseRow,
  { audit, bus }: Pick<Needs, 'audit' | 'bus'>,
): Promise<void> {
  const target = `lease:${row.id}`
  await audit.record(tx, {
    type: 'lease.expired',
    outcome: 'done',
    actor: actorOf(systemPrincipal('lend')),
    target,
    correlation: row.run_id ?? '',
    detail: { agent: `agent:${row.agent_id}`, expiresAt: new Date(row.expires_at).toISOString() },
  })
  await bus.publish(tx, { type: 'lease.expired', subject: target })
}

type EndNeeds = Needs & { view: (row: LeaseRow) => LeaseView; ahead: Pick<CountedAhead, 'giveBack'> }

export function createEnds(needs: EndNeeds) {
  const { store, audit, bus, clock, view, ahead } = needs

  async function revokeWhere(tx: Tx, which: Sql, reason: string, by: Principal): Promise<LeaseRow[]> {
    const end = { state: 'revoked' as const, at: clock.now().getTime(), reason }
    const rows = await ahead.giveBack(tx, await endLeases(tx, which, end))
    for (const row of rows) {
      const target = `lease:${row.id}`
      await audit.record(tx, {
        type: 'lease.revoked',
        outcome: 'done',
        actor: actorOf(by),
        target,
        correlation: row.run_id ?? '',
        detail: { agent: `agent:${row.agent_id}`, secretPath: row.secret_path, reason },
      })
      await bus.publish(tx, { type: 'lease.revoked', subject: target })
    }
    return [...rows, ...(await endParts(tx, rows, by))]
  }

  /** What was passed on of leases ends with them. */
  async function endParts(tx: Tx, ended: readonly LeaseRow[], by: Principal): Promise<LeaseRow[]> {
    if (ended.length === 0) return []
    return revokeWhere(
      tx,
      byParents(ended.map(({ id }) => id)),
      'the lease that it was a part of is over',
      by,
    )
  }

  return {
    endParts: async (tx: Tx, ended: readonly LeaseRow[]): Promise<void> => {
      await endParts(tx, ended, systemPrincipal('lend'))
    },

    async revoke(tx: Tx, leaseId: string, reason: string, by: Principal): Promise<LeaseView> {
      const [revoked] = await revokeWhere(tx, byId(leaseId), reason, by)
      const row = revoked ?? (await leaseById(tx, leaseId))
      if (!row) throw new AppError('lease.not_found', `No lease has the id ${leaseId}.`)
      return view(row)
    },

    async endForTask(tx: Tx, runId: string, taskId: string, reason: string): Promise<number> {
      const by = systemPrincipal('workflow')
      await endGrantsWhere(tx, byTask(runId, taskId), reason, by, needs)
      return (await revokeWhere(tx, byTask(runId, taskId), reason, by)).length
    },

    async endForAgent(tx: Tx, agentId: string, reason: string, by: Principal = systemPrincipal('lend')) {
      return (await revokeWhere(tx, byAgent(agentId), reason, by)).length
    },

    async expireDue(): Promise<{ expired: number; nextAt: Date | undefined }> {
      let expired = 0
      let count: number
      do {
        count = await store.write(async (tx) => {
          const now = clock.now().getTime()
          const end = { state: 'expired' as const, at: now, reason: 'its time was over' }
          const rows = await ahead.giveBack(tx, await endLeases(tx, byDue(now, batch), end))
          for (const row of rows) await recordExpiry(tx, row, needs)
          await endParts(tx, rows, systemPrincipal('lend'))
          return rows.length
        })
        expired += count
      } while (count === batch)
      const next = await nextExpiry(store)
      return { expired, nextAt: next === undefined ? undefined : new Date(next) }
    },
  }
}
