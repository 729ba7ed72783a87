import { type GrantView, injectionText, type Json } from '@keyward/contract'
import { AppError, actorOf, newId, type Principal } from '../core/index.ts'
import type { Sql, Tx } from '../store/index.ts'
import { describeDestination, placesToLend } from './destinations.ts'
import type { Needs, NewGrant } from './lend.ts'
import {
  budgetOf,
  byId,
  destinationsOf,
  endGrants,
  type GrantRow,
  injectionOf,
  insertGrant,
} from './lend-store.ts'
import { withLook } from './new-placeholder.ts'

export function createGrants({ audit, bus, clock, policy, identity, placeholderForm }: Needs) {
  return {
    async make(tx: Tx, grant: NewGrant): Promise<{ grantId: string }> {
      const agent = await identity.agent(grant.agentId, tx)
      if (!agent) throw new AppError('agent.not_found', `No agent has the id ${grant.agentId}.`)
      const decision = policy.decide({
        principal: grant.by,
        action: 'leases.grant',
        resource: { type: 'Secret', id: grant.secretPath, attributes: { path: grant.secretPath } },
      })
      if (!decision.allow) throw new AppError('policy.denied', decision.reason)
      const destinations = placesToLend(grant.destinations, grant.injection)
      const injection = await withLook(grant.injection, placeholderForm)
      const row = newRow({ ...grant, destinations, injection }, clock.now())
      await insertGrant(tx, row)
      await audit.record(tx, {
        type: 'lease.granted',
        outcome: 'done',
        actor: actorOf(grant.by),
        target: `grant:${row.id}`,
        correlation: grant.runId ?? '',
        detail: { ...detailOf(row), policies: [...decision.policies] },
      })
      await bus.publish(tx, { type: 'lease.granted', subject: `agent:${grant.agentId}` })
      return { grantId: row.id }
    },

    async end(tx: Tx, grantId: string, reason: string, by: Principal): Promise<void> {
      await endGrantsWhere(tx, byId(grantId), reason, by, { audit, bus, clock })
    },
  }
}

const newRow = (grant: NewGrant, now: Date): GrantRow => ({
  id: newId('grt', now),
  agent_id: grant.agentId,
  secret_path: grant.secretPath,
  field: grant.field ?? null,
  destinations: JSON.stringify(grant.destinations),
  injection: grant.injection ? JSON.stringify(grant.injection) : null,
  budget: grant.budget ? JSON.stringify(grant.budget) : null,
  max_ttl_seconds: grant.maxTtlSeconds,
  leases_left: grant.maxLeases ?? null,
  run_id: grant.runId ?? null,
  task_id: grant.taskId ?? null,
  delegable: grant.delegable ? 1 : 0,
  made_by: actorOf(grant.by),
  reason: grant.reason,
  created_at: now.getTime(),
  expires_at: grant.expiresAt?.getTime() ?? null,
  ended_at: null,
  end_reason: null,
})

export const grantView = (row: GrantRow, now: Date): GrantView => ({
  id: row.id,
  agentId: row.agent_id,
  secretPath: row.secret_path,
  field: row.field,
  destinations: destinationsOf(row),
  injection: injectionOf(row),
  budget: budgetOf(row),
  maxTtlSeconds: row.max_ttl_seconds,
  leasesLeft: row.leases_left,
  runId: row.run_id,
  taskId: row.task_id,
  delegable: row.delegable === 1,
  madeBy: row.made_by,
  reason: row.reason,
  state: stateOf(row, now.getTime()),
  createdAt: new Date(row.created_at).toISOString(),
  expiresAt: isoOf(row.expires_at),
  endedAt: isoOf(row.ended_at),
  endReason: row.end_reason,
})

function stateOf(row: GrantRow, now: number): GrantView['state'] {
  if (row.ended_at !== null) return 'ended'
  if (row.expires_at !== null && row.expires_at <= now) return 'expired'
  return row.leases_left === 0 ? 'used_up' : 'live'
}

const isoOf = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())

const detailOf = (row: GrantRow) => ({
  agent: `agent:${row.agent_id}`,
  secretPath: row.secret_path,
  field: row.field,
  destinations: destinationsOf(row).map(describeDestination),
  injection: injectionText(injectionOf(row)),
  budget: row.budget === null ? null : (JSON.parse(row.budget) as Json),
  maxTtlSeconds: row.max_ttl_seconds,
  maxLeases: row.leases_left,
  delegable: row.delegable === 1,
  expiresAt: isoOf(row.expires_at),
  reason: row.reason,
})

export async function endGrantsWhere(
  tx: Tx,
  which: Sql,
  reason: string,
  by: Principal,
  { audit, bus, clock }: Pick<Needs, 'audit' | 'bus' | 'clock'>,
): Promise<void> {
  for (const row of await endGrants(tx, which, clock.now().getTime(), reason)) {
    await audit.record(tx, {
      type: 'lease.grant_ended',
      outcome: 'done',
      actor: actorOf(by),
      target: `grant:${row.id}`,
      correlation: row.run_id ?? '',
      detail: { reason },
    })
    await bus.publish(tx, { type: 'lease.grant_ended', subject: `agent:${row.agent_id}` })
  }
}
