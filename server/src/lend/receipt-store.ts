import { type Reader, sql, type Tx } from '../store/index.ts'

/** A lease that has ended, and whose end is to be shown. */
export type DueProbe = {
  readonly id: string
  readonly agent_id: string
  readonly run_id: string | null
  readonly task_id: string | null
  readonly destinations: string
  readonly injection: string | null
  readonly ended_at: number
  readonly probe_attempts: number | null
}

export const dueProbes = (reader: Reader, now: number, limit: number): Promise<DueProbe[]> =>
  reader.all(sql`select id, agent_id, run_id, task_id, destinations, injection, ended_at, probe_attempts
    from leases where probe_due_at is not null and probe_due_at <= ${now} order by probe_due_at limit ${limit}`)

export async function keepReceipt(
  tx: Tx,
  id: string,
  { receipt, attempts, dueAt }: { receipt: string; attempts: number; dueAt: number | null },
): Promise<void> {
  await tx.run(sql`update leases set receipt = ${receipt}, probe_attempts = ${attempts}, probe_due_at = ${dueAt}
    where id = ${id}`)
}

/** Ends that were tried to be shown, in vain so far. */
export async function readUnproved(reader: Reader): Promise<{ count: number; oldestAt: number | null }> {
  const row = await reader.get<{ count: number; at: number | null }>(
    sql`select count(*) as count, min(ended_at) as at from leases where probe_due_at is not null and probe_attempts > 0`,
  )
  return { count: Number(row?.count ?? 0), oldestAt: row?.at == null ? null : Number(row.at) }
}
