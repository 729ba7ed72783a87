import type { ApprovalChannel } from '@keyward/contract'
import { type Reader, sql, sqlList, type Tx } from '../store/index.ts'

/** An answer that counted. */
export type Counted = {
  readonly approvalId: string
  readonly by: string
  readonly onBehalfOf: string | null
  readonly decision: 'approved' | 'denied'
  readonly at: number
  readonly channel: ApprovalChannel
  readonly reason: string | null
  readonly digest: string
  readonly secondFactorAt: number | null
}

type Row = {
  approval_id: string
  answered_by: string
  on_behalf_of: string | null
  decision: 'approved' | 'denied'
  answered_at: number
  channel: ApprovalChannel
  reason: string | null
  digest: string
  second_factor_at: number | null
}

export async function insertAnswer(tx: Tx, a: Counted): Promise<void> {
  await tx.run(sql`insert into approval_answers (approval_id, answered_by, on_behalf_of, decision, answered_at, channel,
      reason, digest, second_factor_at)
    values (${a.approvalId}, ${a.by}, ${a.onBehalfOf}, ${a.decision}, ${a.at}, ${a.channel}, ${a.reason}, ${a.digest},
      ${a.secondFactorAt})`)
}

/** Of all these approvals, in the order in which they were given. */
export async function answersOf(reader: Reader, approvalIds: readonly string[]): Promise<Counted[]> {
  if (approvalIds.length === 0) return []
  const rows = await reader.all<Row>(sql`select * from approval_answers
    where approval_id in (${sqlList(approvalIds)}) order by answered_at, answered_by`)
  return rows.map((row) => ({
    approvalId: row.approval_id,
    by: row.answered_by,
    onBehalfOf: row.on_behalf_of,
    decision: row.decision,
    at: row.answered_at,
    channel: row.channel,
    reason: row.reason,
    digest: row.digest,
    secondFactorAt: row.second_factor_at,
  }))
}
