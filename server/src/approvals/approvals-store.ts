import type { ApprovalChannel, ApprovalState, ApprovalView, Risk } from '@keyward/contract'
import { type Migration, type Reader, type Sql, sql, type Tx } from '../store/index.ts'
import { delegationsMigration } from './delegations-store.ts'
import { grantsMigration } from './grants-store.ts'
import { rulesMigration } from './rules-store.ts'
import { waitingMigration } from './waiting-store.ts'

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
  {
    id: '0071-approvals-of-many',
    up: ({ int8 }) => [
      // What was asked before this had no bytes kept beside its digest: an empty subject.
      ...[
        `subject text not null default ''`,
        `policy_version text not null default ''`,
        `nonce text not null default ''`,
        'blast_radius text',
        'rollback text',
        'quorum integer not null default 1',
        `group_names text not null default '[]'`,
        'second_factor integer not null default 0',
        `escalate_to text not null default '[]'`,
        `remind_at ${int8}`,
        `escalate_at ${int8}`,
        `reminded_at ${int8}`,
        `escalated_at ${int8}`,
        'superseded_by text',
        'grant_id text',
        'channel text',
      ].map((column) => `alter table approvals add column ${column}`),
      `create table approval_answers (
        approval_id text not null, answered_by text not null, on_behalf_of text, decision text not null,
        answered_at ${int8} not null, channel text not null, reason text, digest text not null,
        second_factor_at ${int8}, primary key (approval_id, answered_by))`,
    ],
  },
  rulesMigration,
  delegationsMigration,
  grantsMigration,
  {
    id: '0075-approvals-changed',
    up: () => [
      'alter table approvals add column changeable integer not null default 0',
      `alter table approvals add column changed_by text not null default '[]'`,
      'alter table approvals add column replaces text',
      'alter table approvals add column carried_from text',
      'alter table approvals add column carried_to text',
      `create index approvals_unused on approvals (requested_by, plan_digest)
        where state = 'approved' and redeemed_at is null`,
    ],
  },
  {
    // Those of one run are few, and all that wait are many: no database is to choose the index over what waits for a question about a run.
    id: '0076-approvals-of-run',
    up: () => [
      'drop index approvals_run',
      'create index approvals_run on approvals (run_id, state, id)',
      "create index approvals_expiring on approvals (expires_at) where state = 'pending'",
    ],
  },
  waitingMigration,
  {
    // With the id in it, it gives them in order: else SQLite takes the index over all that were ever approved.
    id: '0078-approvals-unused',
    up: () => [
      'drop index approvals_unused',
      `create index approvals_unused on approvals (requested_by, plan_digest, id)
        where state = 'approved' and redeemed_at is null`,
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
  readonly subject: string
  readonly digest: string
  readonly planDigest: string
  readonly policyVersion: string
  readonly nonce: string
  readonly blastRadius: string | null
  readonly rollback: string | null
  readonly quorum: number
  readonly groups: readonly string[]
  readonly needsSecondFactor: boolean
  readonly escalateTo: readonly string[]
  readonly remindAt: number | null
  readonly escalateAt: number | null
  readonly remindedAt: number | null
  readonly escalatedAt: number | null
  readonly supersededBy: string | null
  readonly grantId: string | null
  readonly changeable: boolean
  /** Actors. */
  readonly changedBy: readonly string[]
  readonly replaces: string | null
  /** The unused approval of the same that may answer this one, and the question that this one has answered. */
  readonly carriedFrom: string | null
  readonly carriedTo: string | null
  readonly state: ApprovalState
  readonly mode: ApprovalMode | null
  readonly channel: ApprovalChannel | null
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
  subject: string
  digest: string
  plan_digest: string
  policy_version: string
  nonce: string
  blast_radius: string | null
  rollback: string | null
  quorum: number
  group_names: string
  second_factor: number
  escalate_to: string
  remind_at: number | null
  escalate_at: number | null
  reminded_at: number | null
  escalated_at: number | null
  superseded_by: string | null
  grant_id: string | null
  changeable: number
  changed_by: string
  replaces: string | null
  carried_from: string | null
  carried_to: string | null
  state: ApprovalState
  mode: ApprovalMode | null
  channel: ApprovalChannel | null
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
  subject: row.subject,
  digest: row.digest,
  planDigest: row.plan_digest,
  policyVersion: row.policy_version,
  nonce: row.nonce,
  blastRadius: row.blast_radius,
  rollback: row.rollback,
  quorum: row.quorum,
  groups: JSON.parse(row.group_names),
  needsSecondFactor: row.second_factor === 1,
  escalateTo: JSON.parse(row.escalate_to),
  remindAt: row.remind_at,
  escalateAt: row.escalate_at,
  remindedAt: row.reminded_at,
  escalatedAt: row.escalated_at,
  supersededBy: row.superseded_by,
  grantId: row.grant_id,
  changeable: row.changeable === 1,
  changedBy: JSON.parse(row.changed_by),
  replaces: row.replaces,
  carriedFrom: row.carried_from,
  carriedTo: row.carried_to,
  state: row.state,
  mode: row.mode,
  channel: row.channel,
  decidedBy: row.decided_by,
  reason: row.reason,
  requestedAt: row.requested_at,
  decidedAt: row.decided_at,
  expiresAt: row.expires_at,
  redeemedAt: row.redeemed_at,
})

export async function insertApproval(tx: Tx, a: Approval): Promise<void> {
  await tx.run(sql`insert into approvals (id, run_id, task_id, action, title, target, requested_by, risk, reversible,
      unattended, preview, subject, digest, plan_digest, policy_version, nonce, blast_radius, rollback, quorum,
      group_names, second_factor, escalate_to, remind_at, escalate_at, grant_id, changeable, changed_by,
      replaces, carried_from, state, requested_at, expires_at)
    values (${a.id}, ${a.runId}, ${a.taskId}, ${a.action}, ${a.title}, ${a.target}, ${a.requestedBy}, ${a.risk},
      ${a.reversible ? 1 : 0}, ${a.unattended ? 1 : 0}, ${a.preview}, ${a.subject}, ${a.digest}, ${a.planDigest},
      ${a.policyVersion}, ${a.nonce}, ${a.blastRadius}, ${a.rollback}, ${a.quorum}, ${JSON.stringify(a.groups)},
      ${a.needsSecondFactor ? 1 : 0}, ${JSON.stringify(a.escalateTo)}, ${a.remindAt}, ${a.escalateAt}, ${a.grantId},
      ${a.changeable ? 1 : 0}, ${JSON.stringify(a.changedBy)}, ${a.replaces}, ${a.carriedFrom}, ${a.state}, ${a.requestedAt}, ${a.expiresAt})`)
}

export async function readApproval(reader: Reader, id: string): Promise<Approval | undefined> {
  const row = await reader.get<Row>(sql`select * from approvals where id = ${id}`)
  return row && approvalOf(row)
}

export type End = {
  readonly state: Exclude<ApprovalState, 'pending'>
  readonly mode: ApprovalMode | null
  readonly channel: ApprovalChannel | null
  readonly decidedBy: string
  readonly reason: string | null
  readonly decidedAt: number
  readonly supersededBy?: string
}

/** Ends what is pending; undefined when somebody else was first. */
export async function endPending(tx: Tx, id: string, end: End): Promise<Approval | undefined> {
  const row = await tx.get<Row>(sql`update approvals set state = ${end.state}, mode = ${end.mode},
      channel = ${end.channel}, decided_by = ${end.decidedBy}, reason = ${end.reason}, decided_at = ${end.decidedAt},
      superseded_by = ${end.supersededBy ?? null}
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

/** Approvals of this plan's task for this requester that people gave and nothing used, the latest first. */
export async function unusedOf(
  reader: Reader,
  { requestedBy, planDigest, taskId }: Pick<Approval, 'requestedBy' | 'planDigest' | 'taskId'>,
): Promise<Approval[]> {
  const rows = await reader.all<Row>(sql`select * from approvals where requested_by = ${requestedBy}
    and plan_digest = ${planDigest} and task_id = ${taskId} and state = 'approved' and redeemed_at is null
    and carried_to is null and mode in ('person', 'carried') order by id desc`)
  return rows.map(approvalOf)
}

/** Used up by another question; false when it was used before. */
export async function markCarried(tx: Tx, id: string, to: string, at: number): Promise<boolean> {
  const count = await tx.run(sql`update approvals set carried_to = ${to}, redeemed_at = ${at}
    where id = ${id} and state = 'approved' and redeemed_at is null`)
  return count === 1
}

/** What was carried over lives no longer than what it was carried from. */
export async function shortenTo(tx: Tx, id: string, expiresAt: number): Promise<void> {
  await tx.run(
    sql`update approvals set expires_at = ${expiresAt} where id = ${id} and expires_at > ${expiresAt}`,
  )
}

export async function noteReminded(tx: Tx, id: string, at: number): Promise<Approval | undefined> {
  const row = await tx.get<Row>(sql`update approvals set reminded_at = ${at}
    where id = ${id} and state = 'pending' and reminded_at is null returning *`)
  return row && approvalOf(row)
}

/** From now on the people of other groups may answer, too. */
export async function noteEscalated(
  tx: Tx,
  id: string,
  groups: readonly string[],
  at: number,
): Promise<Approval | undefined> {
  const row =
    await tx.get<Row>(sql`update approvals set escalated_at = ${at}, group_names = ${JSON.stringify(groups)}
    where id = ${id} and state = 'pending' and escalated_at is null returning *`)
  return row && approvalOf(row)
}

export async function pendingOfRun(reader: Reader, runId: string): Promise<Approval[]> {
  const rows = await reader.all<Row>(
    sql`select * from approvals where run_id = ${runId} and state = 'pending' order by id`,
  )
  return rows.map(approvalOf)
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

/** When the one that has waited longest was asked for; null when none waits. */
export async function oldestPendingAt(reader: Reader): Promise<number | null> {
  // Ids begin with their time.
  const row = await reader.get<{ requested_at: number }>(
    sql`select requested_at from approvals where state = 'pending' order by id limit 1`,
  )
  return row ? Number(row.requested_at) : null
}

export async function countPendingApprovals(reader: Reader): Promise<number> {
  const row = await reader.get<{ n: number }>(
    sql`select count(*) as n from approvals where state = 'pending'`,
  )
  return Number(row?.n ?? 0)
}
