import type { ApprovalState, ApprovalView, Risk } from '@keyward/contract'
import { type Migration, type Reader, type Sql, sql, type Tx } from '../store/index.ts'

export const approvalsMigrations: readonly Migration[] = [
  {
    id: '0070-approvals',
    up: ({ int8 }) => [
      `create table approvals (
        id text primary key, run_id text not null, task_id text not null, action text not null, title text not null,
        target text not null, requested_by text not null, risk text not null, reversible integer not null,
        unattended integer not null, preview text not null, digest text not null, plan_digest text not null,
        state text not null, mode text, decided_by text, reason text, requested_at ${int8} not null, decided_at ${int8},
        expires_at ${int8} not null, redeemed_at ${int8})`,
      'create index approvals_state on approvals (state, id)',
      'create index approvals_run on approvals (run_id)',
    ],
  },
]

export type ApprovalMode = NonNullable<ApprovalView['mode']>

export type Approval = {
  readonly id: string
  readonly runId: string
  readonly taskId: string
  readonly action: string
  readonly title: string
  readonly target: string
  readonly requestedBy: string
  readonly risk: Risk
  readonly reversible: boolean
  readonly unattended: boolean
  /** JSON as it was stored. */
  readonly preview: string
  readonly digest: string
  readonly planDigest: string
  readonly state: ApprovalState
  readonly mode: ApprovalMode | null
  readonly decidedBy: string | null
  readonly reason: string | null
  readonly requestedAt: number
  readonly decidedAt: number | null
  readonly expiresAt: number
  readonly redeemedAt: number | null
}

type Row = {
  id: string
  run_id: string
  task_id: string
  action: string
  title: string
  target: string
  requested_by: string
  risk: Risk
  reversible: number
  unattended: number
  preview: string
  digest: string
  plan_digest: string
  state: ApprovalState
  mode: ApprovalMode | null
  decided_by: string | null
  reason: string | null
  requested_at: number
  decided_at: number | null
  expires_at: number
  redeemed_at: number | null
}

const approvalOf = (row: Row): Approval => ({
  id: row.id,
  runId: row.run_id,
  taskId: row.task_id,
  action: row.action,
  title: row.title,
  target: row.target,
  requestedBy: row.requested_by,
  risk: row.risk,
  reversible: row.reversible === 1,
  unattended: row.unattended === 1,
  preview: row.preview,
  digest: row.digest,
  planDigest: row.plan_digest,
  state: row.state,
  mode: row.mode,
  decidedBy: row.decided_by,
  reason: row.reason,
  requestedAt: row.requested_at,
  decidedAt: row.decided_at,
  expiresAt: row.expires_at,
  redeemedAt: row.redeemed_at,
})

export async function insertApproval(tx: Tx, a: Approval): Promise<void> {
  await tx.run(sql`insert into approvals (id, run_id, task_id, action, title, target, requested_by, risk, reversible,
      unattended, preview, digest, plan_digest, state, requested_at, expires_at)
    values (${a.id}, ${a.runId}, ${a.taskId}, ${a.action}, ${a.title}, ${a.target}, ${a.requestedBy}, ${a.risk},
      ${a.reversible ? 1 : 0}, ${a.unattended ? 1 : 0}, ${a.preview}, ${a.digest}, ${a.planDigest}, ${a.state},
      ${a.requestedAt}, ${a.expiresAt})`)
}

export async function readApproval(reader: Reader, id: string): Promise<Approval | undefined> {
  const row = await reader.get<Row>(sql`select * from approvals where id = ${id}`)
  return row && approvalOf(row)
}

export type End = {
  readonly state: Exclude<ApprovalState, 'pending'>
  readonly mode: ApprovalMode | null
  readonly decidedBy: string
  readonly reason: string | null
  readonly decidedAt: number
}

/** Ends what is pending; undefined when somebody else was first. */
export async function endPending(tx: Tx, id: string, end: End): Promise<Approval | undefined> {
  const row = await tx.get<Row>(sql`update approvals set state = ${end.state}, mode = ${end.mode},
      decided_by = ${end.decidedBy}, reason = ${end.reason}, decided_at = ${end.decidedAt}
    where id = ${id} and state = 'pending' returning *`)
  return row && approvalOf(row)
}

/** Who decided, and when, stays: it was a good answer to a question that is no longer the same. */
export async function voidApproval(tx: Tx, id: string, reason: string): Promise<void> {
  await tx.run(sql`update approvals set state = 'voided', reason = ${reason} where id = ${id}`)
}

export async function markRedeemed(tx: Tx, id: string, at: number): Promise<void> {
  await tx.run(sql`update approvals set redeemed_at = ${at} where id = ${id} and redeemed_at is null`)
}

export async function pendingOfRun(reader: Reader, runId: string): Promise<Approval[]> {
  const rows = await reader.all<Row>(
    sql`select * from approvals where run_id = ${runId} and state = 'pending' order by id`,
  )
  return rows.map(approvalOf)
}

export type Pending = Pick<Approval, 'id' | 'unattended' | 'requestedAt' | 'expiresAt'>

export async function readPending(reader: Reader): Promise<Pending[]> {
  const rows = await reader.all<Pick<Row, 'id' | 'unattended' | 'requested_at' | 'expires_at'>>(
    sql`select id, unattended, requested_at, expires_at from approvals where state = 'pending' order by id`,
  )
  return rows.map((row) => ({
    id: row.id,
    unattended: row.unattended === 1,
    requestedAt: row.requested_at,
    expiresAt: row.expires_at,
  }))
}

/** Newest first, after the approval `cursor`. */
export async function readApprovals(
  reader: Reader,
  query: { cursor: string | undefined; limit: number; state: ApprovalState | undefined },
): Promise<Approval[]> {
  const after: Sql = query.cursor === undefined ? sql`1 = 1` : sql`id < ${query.cursor}`
  const state: Sql = query.state === undefined ? sql`1 = 1` : sql`state = ${query.state}`
  const rows = await reader.all<Row>(
    sql`select * from approvals where ${after} and ${state} order by id desc limit ${query.limit}`,
  )
  return rows.map(approvalOf)
}

export async function countPendingApprovals(reader: Reader): Promise<number> {
  const row = await reader.get<{ n: number }>(
    sql`select count(*) as n from approvals where state = 'pending'`,
  )
  return Number(row?.n ?? 0)
}
