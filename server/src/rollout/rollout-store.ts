import type { Phase } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const rolloutMigrations: readonly Migration[] = [
  {
    id: '0056-rollout',
    up: ({ int8 }) => [
      `create table agent_rollout (
        agent_id text not null primary key, phase text not null, observed integer not null,
        since ${int8} not null, changed_by text not null, reason text not null)`,
    ],
  },
]

/** Where somebody put an agent; one without a row is where it began. */
export type RolloutRow = {
  readonly agent_id: string
  readonly phase: Phase
  readonly observed: number
  /** When it came into its phase. */
  readonly since: number
  readonly changed_by: string
  readonly reason: string
}

export const readRollout = (reader: Reader, agentId: string): Promise<RolloutRow | undefined> =>
  reader.get(sql`select agent_id, phase, observed, since, changed_by, reason from agent_rollout
    where agent_id = ${agentId}`)

export async function putRollout(tx: Tx, row: RolloutRow): Promise<void> {
  await tx.run(sql`insert into agent_rollout (agent_id, phase, observed, since, changed_by, reason)
    values (${row.agent_id}, ${row.phase}, ${row.observed}, ${row.since}, ${row.changed_by}, ${row.reason})
    on conflict (agent_id) do update set phase = excluded.phase, observed = excluded.observed, since = excluded.since,
      changed_by = excluded.changed_by, reason = excluded.reason`)
}
