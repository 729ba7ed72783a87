import type { Budget, Destination, Injection, LeaseView } from '@keyward/contract'
import { type Migration, type Reader, type Sql, sql, sqlList, type Tx } from '../store/index.ts'
import { askMigration } from './ask-store.ts'

export const lendMigrations: readonly Migration[] = [
  {
    id: '0050-leases',
    up: ({ int8 }) => [
      `create table lend_grants (
        id text not null primary key, agent_id text not null, secret_path text not null, field text,
        destinations text not null, max_ttl_seconds ${int8} not null, leases_left ${int8}, run_id text, task_id text,
        made_by text not null, reason text not null, created_at ${int8} not null, expires_at ${int8},
        ended_at ${int8}, end_reason text)`,
      'create index lend_grants_agent on lend_grants (agent_id, secret_path)',
      'create index lend_grants_run on lend_grants (run_id, task_id)',
      `create table leases (
        id text not null primary key, placeholder_hash text not null unique, agent_id text not null,
        agent_name text not null, run_id text, task_id text, grant_id text, secret_path text not null,
        field text not null, purpose text not null, destinations text not null, state text not null,
        uses ${int8} not null, uses_left ${int8}, issued_at ${int8} not null, expires_at ${int8} not null,
        last_used_at ${int8}, ended_at ${int8}, end_reason text)`,
      'create index leases_agent on leases (agent_id, state)',
      'create index leases_run on leases (run_id, task_id)',
      'create index leases_due on leases (state, expires_at)',
    ],
  },
  {
    id: '0051-injection',
    up: () => [
      'alter table lend_grants add column injection text',
      'alter table leases add column injection text',
    ],
  },
  {
    id: '0052-budgets',
    up: ({ int8 }) => [
      'alter table lend_grants add column budget text',
      `alter table leases add column uses_per_minute ${int8}`,
      `alter table leases add column minute_at ${int8}`,
      `alter table leases add column minute_uses ${int8}`,
      `alter table leases add column bytes_left ${int8}`,
    ],
  },
  {
    id: '0053-receipts',
    up: ({ int8 }) => [
      'alter table leases add column receipt text',
      `alter table leases add column probe_attempts ${int8}`,
      `alter table leases add column probe_due_at ${int8}`,
      'create index leases_probe on leases (probe_due_at) where probe_due_at is not null',
      `create table lend_tokens (
        id text not null primary key, secret_path text not null, field text not null, how text not null,
        revoke_url text, probe_url text, minted_at ${int8} not null, expires_at ${int8}, ending_at ${int8}, proof text)`,
      'create table lend_token_leases (token_id text not null, lease_id text not null, primary key (token_id, lease_id))',
      'create index lend_token_leases_lease on lend_token_leases (lease_id)',
    ],
  },
  askMigration,
  {
    id: '0055-delegation',
    up: ({ int8 }) => [
      `alter table lend_grants add column delegable ${int8}`,
      `alter table leases add column delegable ${int8}`,
      'alter table leases add column parent_id text',
      'alter table leases add column ancestors text',
      'create index leases_parent on leases (parent_id) where parent_id is not null',
    ],
  },
]

export type LeaseRow = {
  id: string
  placeholder_hash: string
  agent_id: string
  agent_name: string
  run_id: string | null
  task_id: string | null
  grant_id: string | null
  secret_path: string
  field: string
  purpose: string
  destinations: string
  injection: string | null
  state: LeaseView['state']
  uses: number
  uses_left: number | null
  uses_per_minute: number | null
  /** When the minute began that `minute_uses` counts. */
  minute_at: number | null
  minute_uses: number | null
  bytes_left: number | null
  issued_at: number
  expires_at: number
  last_used_at: number | null
  ended_at: number | null
  end_reason: string | null
  /** What was last shown of its end, as the contract has it. */
  receipt: string | null
  probe_attempts: number | null
  /** When its end is to be shown, next; null when it has been, and before the end. */
  probe_due_at: number | null
  /** The lease that this one is a part of, and those which that one is a part of, nearest first, as JSON. */
  parent_id: string | null
  ancestors: string | null
  /** 1: a part of it may be passed on. */
  delegable: number | null
}

export type GrantRow = {
  id: string
  agent_id: string
  secret_path: string
  field: string | null
  destinations: string
  injection: string | null
  budget: string | null
  max_ttl_seconds: number
  leases_left: number | null
  run_id: string | null
  task_id: string | null
  /** 1: leases of it may be passed on. */
  delegable: number | null
  made_by: string
  reason: string
  created_at: number
  expires_at: number | null
  ended_at: number | null
  end_reason: string | null
}

export const destinationsOf = ({ destinations }: { destinations: string }): Destination[] =>
  JSON.parse(destinations) as Destination[]

export const injectionOf = ({ injection }: { injection: string | null }): Injection =>
  injection === null ? { kind: 'anywhere' } : (JSON.parse(injection) as Injection)

export const budgetOf = ({ budget }: { budget: string | null }): Budget =>
  budget === null ? {} : (JSON.parse(budget) as Budget)

export const ancestorsOf = ({ ancestors }: { ancestors: string | null }): string[] =>
  ancestors === null ? [] : (JSON.parse(ancestors) as string[])

// ── Grants ───────────────────────────────────────────────────────────────────────────────────────────────────────

const grantColumns = sql`id, agent_id, secret_path, field, destinations, injection, budget, max_ttl_seconds, leases_left, run_id, task_id,
  delegable, made_by, reason, created_at, expires_at, ended_at, end_reason`

export async function insertGrant(tx: Tx, row: GrantRow): Promise<void> {
  await tx.run(sql`insert into lend_grants (${grantColumns}) values (${row.id}, ${row.agent_id}, ${row.secret_path},
    ${row.field}, ${row.destinations}, ${row.injection}, ${row.budget}, ${row.max_ttl_seconds}, ${row.leases_left}, ${row.run_id}, ${row.task_id},
    ${row.delegable}, ${row.made_by}, ${row.reason}, ${row.created_at}, ${row.expires_at}, ${row.ended_at}, ${row.end_reason})`)
}

/** Live grants of a secret to an agent, newest first. */
export const liveGrants = (
  reader: Reader,
  agentId: string,
  secretPath: string,
  now: number,
): Promise<GrantRow[]> =>
  reader.all(sql`select ${grantColumns} from lend_grants
    where agent_id = ${agentId} and secret_path = ${secretPath} and ended_at is null
      and (expires_at is null or expires_at > ${now}) and (leases_left is null or leases_left > 0)
    order by id desc limit 100`)

export const liveGrantsOf = (reader: Reader, agentId: string, now: number): Promise<GrantRow[]> =>
  reader.all(sql`select ${grantColumns} from lend_grants
    where agent_id = ${agentId} and ended_at is null and (expires_at is null or expires_at > ${now})
      and (leases_left is null or leases_left > 0)
    order by id desc limit 100`)

export const grantById = (reader: Reader, id: string): Promise<GrantRow | undefined> =>
  reader.get(sql`select ${grantColumns} from lend_grants where id = ${id}`)

export type GrantQuery = {
  readonly cursor?: string | undefined
  readonly limit: number
  readonly agentId?: string | undefined
}

/** Newest first. */
export function grantsBefore(reader: Reader, { cursor, limit, agentId }: GrantQuery): Promise<GrantRow[]> {
  const agent = agentId === undefined ? nothing : sql` and agent_id = ${agentId}`
  return reader.all(sql`select ${grantColumns} from lend_grants
    where id < ${cursor ?? '~'}${agent} order by id desc limit ${limit}`)
}

/** False when the grant ended or was used up meanwhile. */
export async function spendGrant(tx: Tx, id: string): Promise<boolean> {
  const count = await tx.run(sql`update lend_grants set leases_left = leases_left - 1
    where id = ${id} and ended_at is null and (leases_left is null or leases_left > 0)`)
  return count === 1
}

export const endGrants = (tx: Tx, which: Sql, at: number, reason: string): Promise<GrantRow[]> =>
  tx.all(sql`update lend_grants set ended_at = ${at}, end_reason = ${reason}
    where ended_at is null and ${which} returning ${grantColumns}`)

// ── Leases ───────────────────────────────────────────────────────────────────────────────────────────────────────

const leaseColumns = sql`id, placeholder_hash, agent_id, agent_name, run_id, task_id, grant_id, secret_path, field, purpose,
  destinations, injection, state, uses, uses_left, uses_per_minute, minute_at, minute_uses, bytes_left, issued_at, expires_at,
  last_used_at, ended_at, end_reason, receipt, probe_attempts, probe_due_at,
  parent_id, ancestors, delegable`

export async function insertLease(tx: Tx, row: LeaseRow): Promise<void> {
  await tx.run(sql`insert into leases (${leaseColumns}) values (${row.id}, ${row.placeholder_hash}, ${row.agent_id},
    ${row.agent_name}, ${row.run_id}, ${row.task_id}, ${row.grant_id}, ${row.secret_path}, ${row.field}, ${row.purpose},
    ${row.destinations}, ${row.injection}, ${row.state}, ${row.uses}, ${row.uses_left},
    ${row.uses_per_minute}, ${row.minute_at}, ${row.minute_uses}, ${row.bytes_left}, ${row.issued_at}, ${row.expires_at},
    ${row.last_used_at}, ${row.ended_at}, ${row.end_reason}, ${row.receipt}, ${row.probe_attempts}, ${row.probe_due_at},
    ${row.parent_id}, ${row.ancestors}, ${row.delegable})`)
}

export const leaseById = (reader: Reader, id: string): Promise<LeaseRow | undefined> =>
  reader.get(sql`select ${leaseColumns} from leases where id = ${id}`)

export const isActive = async (reader: Reader, id: string): Promise<boolean> =>
  (await reader.get(sql`select 1 from leases where id = ${id} and state = 'active'`)) !== undefined

export const leasesById = (reader: Reader, ids: readonly string[]): Promise<LeaseRow[]> =>
  reader.all(sql`select ${leaseColumns} from leases where id in (${sqlList(ids)})`)

export const leaseByPlaceholder = (reader: Reader, hash: string): Promise<LeaseRow | undefined> =>
  reader.get(sql`select ${leaseColumns} from leases where placeholder_hash = ${hash}`)

export const liveLeases = (reader: Reader, which: Sql, now: number): Promise<LeaseRow[]> =>
  reader.all(
    sql`select ${leaseColumns} from leases where state = 'active' and expires_at > ${now} and ${which}`,
  )

export async function prolongLease(tx: Tx, id: string, expiresAt: number): Promise<void> {
  await tx.run(sql`update leases set expires_at = ${expiresAt} where id = ${id} and state = 'active'`)
}

export const minuteMs = 60_000

/** What the leases of a task on this field have left, each of which began with what the one before had left. */
export async function leftOfTask(
  reader: Reader,
  { runId, taskId, secretPath, field }: { runId: string; taskId: string; secretPath: string; field: string },
): Promise<{ uses: number | null; bytes: number | null }> {
  const row = await reader.get<{
    uses: number | null
    bytes: number | null
  }>(sql`select min(uses_left) as uses,
    min(bytes_left) as bytes from leases where run_id = ${runId} and task_id = ${taskId}
    and secret_path = ${secretPath} and field = ${field}`)
  const { uses = null, bytes = null } = row ?? {}
  return { uses: uses === null ? null : Number(uses), bytes: bytes === null ? null : Number(bytes) }
}

/** Which of these leases, and of those that they are parts of, count bytes. */
export async function meteredLeases(reader: Reader, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await reader.all<{ id: string; ancestors: string | null; bytes_left: number | null }>(
    sql`select id, ancestors, bytes_left from leases where id in (${sqlList(ids)})`,
  )
  const own = rows.filter(({ bytes_left }) => bytes_left !== null).map(({ id }) => id)
  const above = await meteredLeases(reader, rows.flatMap(ancestorsOf))
  return [...new Set([...own, ...above])]
}

export async function spendBytes(tx: Tx, ids: readonly string[], bytes: number): Promise<void> {
  await tx.run(sql`update leases set bytes_left = case when bytes_left > ${bytes} then bytes_left - ${bytes} else 0 end
    where bytes_left is not null and id in (${sqlList(ids)})`)
}

/** Takes one use; the last one uses the lease up. Undefined when none is left. `counted` is what it counts for in the row. */
export const takeUse = (tx: Tx, id: string, at: number, counted: number): Promise<LeaseRow | undefined> =>
  tx.get(sql`update leases set uses = uses + ${counted}, uses_left = uses_left - 1, last_used_at = ${at},
      state = case when uses_left = 1 then 'used_up' else state end,
      ended_at = case when uses_left = 1 then ${at} else ended_at end,
      end_reason = case when uses_left = 1 then 'its last use was made' else end_reason end,
      probe_due_at = case when uses_left = 1 then ${at} else probe_due_at end,
      minute_uses = case when minute_at > ${at - minuteMs} then minute_uses + 1 else 1 end,
      minute_at = case when minute_at > ${at - minuteMs} then minute_at else ${at} end
    where id = ${id} and state = 'active' and (uses_left is null or uses_left > 0) returning ${leaseColumns}`)

export async function changeUses(tx: Tx, id: string, by: number): Promise<void> {
  await tx.run(sql`update leases set uses = uses + ${by} where id = ${id}`)
}

export const endLeases = (
  tx: Tx,
  which: Sql,
  end: { state: 'revoked' | 'expired'; at: number; reason: string },
): Promise<LeaseRow[]> =>
  tx.all(sql`update leases set state = ${end.state}, ended_at = ${end.at}, end_reason = ${end.reason},
      probe_due_at = ${end.at}
    where state = 'active' and ${which} returning ${leaseColumns}`)

export const byId = (id: string): Sql => sql`id = ${id}`
export const byParents = (ids: readonly string[]): Sql => sql`parent_id in (${sqlList(ids)})`
export const byAgent = (agentId: string): Sql => sql`agent_id = ${agentId}`
export const byTask = (runId: string, taskId: string): Sql => sql`run_id = ${runId} and task_id = ${taskId}`
/** The oldest `limit` that are past their time. */
export const byDue = (now: number, limit: number): Sql => sql`id in
  (select id from leases where state = 'active' and expires_at <= ${now} order by expires_at limit ${limit})`

export async function nextExpiry(reader: Reader): Promise<number | undefined> {
  const row = await reader.get<{ at: number | null }>(
    sql`select min(expires_at) as at from leases where state = 'active'`,
  )
  return row?.at == null ? undefined : Number(row.at)
}

export type LeaseQuery = {
  readonly cursor?: string | undefined
  readonly limit: number
  readonly agentId?: string | undefined
  readonly runId?: string | undefined
  readonly parentId?: string | undefined
  readonly state?: LeaseView['state'] | undefined
}

/** Newest first; ids sort by time. A lease past its time counts as expired before anything has marked it so. */
export function leasesBefore(reader: Reader, query: LeaseQuery, now: number): Promise<LeaseRow[]> {
  const from = query.cursor ?? '~'
  const agent = query.agentId === undefined ? nothing : sql` and agent_id = ${query.agentId}`
  const parent = query.parentId === undefined ? nothing : sql` and parent_id = ${query.parentId}`
  const run = query.runId === undefined ? nothing : sql` and run_id = ${query.runId}`
  return reader.all(sql`select ${leaseColumns} from leases
    where id < ${from}${agent}${run}${parent}${stateIs(query.state, now)} order by id desc limit ${query.limit}`)
}

function stateIs(state: LeaseView['state'] | undefined, now: number): Sql {
  switch (state) {
    case undefined:
      return nothing
    case 'active':
      return sql` and state = 'active' and expires_at > ${now}`
    case 'expired':
      return sql` and (state = 'expired' or (state = 'active' and expires_at <= ${now}))`
    default:
      return sql` and state = ${state}`
  }
}

export async function countActiveLeases(
  reader: Reader,
  agentIds: readonly string[] | undefined,
  now: number,
): Promise<Map<string, number>> {
  if (agentIds?.length === 0) return new Map()
  const agents = agentIds ? sql` and agent_id in (${sqlList(agentIds)})` : nothing
  const rows = await reader.all<{
    agent_id: string
    count: number
  }>(sql`select agent_id, count(*) as count from leases
    where state = 'active' and expires_at > ${now}${agents} group by agent_id`)
  return new Map(rows.map((row) => [row.agent_id, Number(row.count)]))
}

const nothing: Sql = { text: '', values: [] }
