import type { Json } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const grantsMigration: Migration = {
  id: '0074-approval-grants',
  up: ({ int8 }) => [
    `create table approval_grants (
      id text primary key, action text not null, target text not null, args text not null, requested_by text,
      max_risk text not null, reason text not null, created_by text not null, created_at ${int8} not null,
      until_at ${int8} not null, ended_at ${int8}, ended_by text)`,
    'create index approval_grants_action on approval_grants (action, target)',
  ],
}

/** Actors; milliseconds since 1970. */
export type ApprovalGrant = {
  readonly id: string
  readonly action: string
  readonly target: string
  readonly args: Readonly<Record<string, Json>>
  readonly requestedBy: string | null
  readonly maxRisk: 'low' | 'medium'
  readonly reason: string
  readonly createdBy: string
  readonly createdAt: number
  readonly untilAt: number
  readonly endedAt: number | null
  readonly endedBy: string | null
}

type Row = {
  id: string
  action: string
  target: string
  args: string
  requested_by: string | null
  max_risk: 'low' | 'medium'
  reason: string
  created_by: string
  created_at: number
  until_at: number
  ended_at: number | null
  ended_by: string | null
}

const grantOf = (row: Row): ApprovalGrant => ({
  id: row.id,
  action: row.action,
  target: row.target,
  args: JSON.parse(row.args),
  requestedBy: row.requested_by,
  maxRisk: row.max_risk,
  reason: row.reason,
  createdBy: row.created_by,
  createdAt: row.created_at,
  untilAt: row.until_at,
  endedAt: row.ended_at,
  endedBy: row.ended_by,
})

export async function insertGrant(tx: Tx, g: ApprovalGrant): Promise<void> {
  await tx.run(sql`insert into approval_grants (id, action, target, args, requested_by, max_risk, reason, created_by,
      created_at, until_at)
    values (${g.id}, ${g.action}, ${g.target}, ${JSON.stringify(g.args)}, ${g.requestedBy}, ${g.maxRisk}, ${g.reason},
      ${g.createdBy}, ${g.createdAt}, ${g.untilAt})`)
}

export async function readGrant(reader: Reader, id: string): Promise<ApprovalGrant | undefined> {
  const row = await reader.get<Row>(sql`select * from approval_grants where id = ${id}`)
  return row && grantOf(row)
}

/** Those in force for an action on a target, the oldest first. */
export async function grantsFor(
  reader: Reader,
  action: string,
  target: string,
  now: number,
): Promise<ApprovalGrant[]> {
  const rows = await reader.all<Row>(sql`select * from approval_grants where action = ${action}
    and target = ${target} and ended_at is null and until_at > ${now} and created_at <= ${now} order by id`)
  return rows.map(grantOf)
}

/** False when it had ended already. */
export async function endGrant(tx: Tx, id: string, by: string, at: number): Promise<boolean> {
  const count = await tx.run(sql`update approval_grants set ended_at = ${at}, ended_by = ${by}
    where id = ${id} and ended_at is null`)
  return count === 1
}

/** Newest first. */
export async function readGrants(
  reader: Reader,
  query: { cursor: string | undefined; limit: number },
): Promise<ApprovalGrant[]> {
  const rows = await reader.all<Row>(sql`select * from approval_grants
    where id < ${query.cursor ?? '~'} order by id desc limit ${query.limit}`)
  return rows.map(grantOf)
}
