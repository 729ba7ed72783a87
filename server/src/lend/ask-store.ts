import type { AskView } from '@keyward/contract'
import { type Migration, type Reader, type Sql, sql, type Tx } from '../store/index.ts'

export const askMigration: Migration = {
  id: '0054-asks',
  up: ({ int8 }) => [
    `create table lend_asks (
      id text not null primary key, agent_id text not null, agent_name text not null, name text not null,
      secret_path text not null, field text not null, destinations text not null, injection text, reason text not null,
      state text not null, created_at ${int8} not null, expires_at ${int8} not null, closed_at ${int8}, closed_by text,
      close_reason text, grant_id text)`,
    'create index lend_asks_agent on lend_asks (agent_id, state)',
    'create index lend_asks_due on lend_asks (state, expires_at)',
  ],
}

export type AskRow = {
  id: string
  agent_id: string
  agent_name: string
  name: string
  secret_path: string
  field: string
  destinations: string
  injection: string | null
  reason: string
  state: AskView['state']
  created_at: number
  expires_at: number
  closed_at: number | null
  closed_by: string | null
  close_reason: string | null
  grant_id: string | null
}

const columns = sql`id, agent_id, agent_name, name, secret_path, field, destinations, injection, reason, state, created_at,
  expires_at, closed_at, closed_by, close_reason, grant_id`

export async function insertAsk(tx: Tx, row: AskRow): Promise<void> {
  await tx.run(sql`insert into lend_asks (${columns}) values (${row.id}, ${row.agent_id}, ${row.agent_name}, ${row.name},
    ${row.secret_path}, ${row.field}, ${row.destinations}, ${row.injection}, ${row.reason}, ${row.state}, ${row.created_at},
    ${row.expires_at}, ${row.closed_at}, ${row.closed_by}, ${row.close_reason}, ${row.grant_id})`)
}

export const askById = (reader: Reader, id: string): Promise<AskRow | undefined> =>
  reader.get(sql`select ${columns} from lend_asks where id = ${id}`)

export async function countOpenAsks(reader: Reader, now: number, agentId?: string): Promise<number> {
  const agent = agentId === undefined ? nothing : sql` and agent_id = ${agentId}`
  const row = await reader.get<{ count: number }>(
    sql`select count(*) as count from lend_asks where state = 'open' and expires_at > ${now}${agent}`,
  )
  return Number(row?.count ?? 0)
}

type Close = {
  readonly state: Exclude<AskView['state'], 'open'>
  readonly at: number
  readonly by: string
  readonly reason?: string | undefined
  readonly grantId?: string | undefined
}

/** Undefined when it is not open any more. */
export const closeAsk = (
  tx: Tx,
  id: string,
  { state, at, by, reason, grantId }: Close,
): Promise<AskRow | undefined> =>
  tx.get(sql`update lend_asks set state = ${state}, closed_at = ${at}, closed_by = ${by}, close_reason = ${reason ?? null},
    grant_id = ${grantId ?? null} where id = ${id} and state = 'open' returning ${columns}`)

export const dueAsks = (reader: Reader, now: number, limit: number): Promise<{ id: string }[]> =>
  reader.all(
    sql`select id from lend_asks where state = 'open' and expires_at <= ${now} order by expires_at limit ${limit}`,
  )

export type AskQuery = {
  readonly cursor?: string | undefined
  readonly limit: number
  readonly agentId?: string | undefined
  readonly state?: AskView['state'] | undefined
}

/** Newest first. One past its time counts as expired before anything has marked it so. */
export function asksBefore(
  reader: Reader,
  { cursor, limit, agentId, state }: AskQuery,
  now: number,
): Promise<AskRow[]> {
  const agent = agentId === undefined ? nothing : sql` and agent_id = ${agentId}`
  return reader.all(sql`select ${columns} from lend_asks
    where id < ${cursor ?? '~'}${agent}${stateIs(state, now)} order by id desc limit ${limit}`)
}

function stateIs(state: AskView['state'] | undefined, now: number): Sql {
  if (state === undefined) return nothing
  if (state === 'open') return sql` and state = 'open' and expires_at > ${now}`
  if (state === 'expired') return sql` and (state = 'expired' or (state = 'open' and expires_at <= ${now}))`
  return sql` and state = ${state}`
}

const nothing: Sql = { text: '', values: [] }
