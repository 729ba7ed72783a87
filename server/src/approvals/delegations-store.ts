import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const delegationsMigration: Migration = {
  id: '0073-approval-delegations',
  up: ({ int8 }) => [
    `create table approval_delegations (
      id text primary key, from_person text not null, to_person text not null, reason text not null,
      created_at ${int8} not null, until_at ${int8} not null, ended_at ${int8}, ended_by text)`,
    'create index approval_delegations_to on approval_delegations (to_person)',
  ],
}

/** The right of `from` to answer approvals, lent to `to` for a time. Actors; milliseconds since 1970. */
export type Delegation = {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly reason: string
  readonly createdAt: number
  readonly untilAt: number
  readonly endedAt: number | null
  readonly endedBy: string | null
}

type Row = {
  id: string
  from_person: string
  to_person: string
  reason: string
  created_at: number
  until_at: number
  ended_at: number | null
  ended_by: string | null
}

const delegationOf = (row: Row): Delegation => ({
  id: row.id,
  from: row.from_person,
  to: row.to_person,
  reason: row.reason,
  createdAt: row.created_at,
  untilAt: row.until_at,
  endedAt: row.ended_at,
  endedBy: row.ended_by,
})

export async function insertDelegation(tx: Tx, d: Delegation): Promise<void> {
  await tx.run(sql`insert into approval_delegations (id, from_person, to_person, reason, created_at, until_at)
    values (${d.id}, ${d.from}, ${d.to}, ${d.reason}, ${d.createdAt}, ${d.untilAt})`)
}

export async function readDelegation(reader: Reader, id: string): Promise<Delegation | undefined> {
  const row = await reader.get<Row>(sql`select * from approval_delegations where id = ${id}`)
  return row && delegationOf(row)
}

/** False when it had ended already. */
export async function endDelegation(tx: Tx, id: string, by: string, at: number): Promise<boolean> {
  const count = await tx.run(sql`update approval_delegations set ended_at = ${at}, ended_by = ${by}
    where id = ${id} and ended_at is null`)
  return count === 1
}

/** Newest first. */
export async function readDelegations(
  reader: Reader,
  query: { cursor: string | undefined; limit: number },
): Promise<Delegation[]> {
  const rows = await reader.all<Row>(sql`select * from approval_delegations
    where id < ${query.cursor ?? '~'} order by id desc limit ${query.limit}`)
  return rows.map(delegationOf)
}

/** Whose right somebody may use now. */
export async function delegatorsOf(reader: Reader, to: string, now: number): Promise<string[]> {
  const rows = await reader.all<{
    from_person: string
  }>(sql`select distinct from_person from approval_delegations
    where to_person = ${to} and ended_at is null and until_at > ${now} and created_at <= ${now} order by from_person`)
  return rows.map((row) => row.from_person)
}
