import { type Migration, type Reader, type SqlValue, sql, type Tx } from '../store/index.ts'
import { factorsMigration } from './factors/factors-store.ts'

export const identityMigrations: readonly Migration[] = [
  {
    id: '0020-identity',
    up: ({ int8 }) => [
      `create table people (
        id text not null primary key, name text not null unique, roles text not null, password_hash text,
        disabled_at ${int8}, created_at ${int8} not null)`,
      `create table sign_in_codes (
        hash text not null primary key, person_id text not null references people (id),
        created_at ${int8} not null, expires_at ${int8} not null, used_at ${int8})`,
      `create table sessions (
        id text not null primary key, hash text not null unique, person_id text not null references people (id),
        kind text not null, signed_in_at ${int8} not null, expires_at ${int8} not null,
        last_seen_at ${int8} not null, ended_at ${int8})`,
      'create index sessions_person on sessions (person_id)',
      `create table agents (
        id text not null primary key, name text not null unique, description text not null, owner text not null,
        state text not null, created_at ${int8} not null, last_used_at ${int8})`,
      `create table agent_keys (
        id text not null primary key, hash text not null unique, agent_id text not null references agents (id),
        scopes text not null, created_at ${int8} not null, expires_at ${int8})`,
      'create index agent_keys_agent on agent_keys (agent_id)',
    ],
  },
  {
    id: '0021-groups-of-people',
    up: () => [`alter table people add column group_names text not null default '[]'`],
  },
  factorsMigration,
]

export type PersonRow = {
  id: string
  name: string
  roles: string
  group_names: string
  disabled_at: number | null
  created_at: number
}
export type CodeRow = {
  hash: string
  person_id: string
  created_at: number
  expires_at: number
  used_at: number | null
}
export type SessionRow = {
  /** When the session last showed a second factor, and when a recovery code instead. */
  second_factor_at?: number | null
  recovered_at?: number | null
  id: string
  hash: string
  person_id: string
  kind: string
  signed_in_at: number
  expires_at: number
  last_seen_at: number
  ended_at: number | null
}
export type AgentRow = {
  id: string
  name: string
  description: string
  owner: string
  state: 'active' | 'quarantined'
  created_at: number
  last_used_at: number | null
}
export type KeyRow = {
  id: string
  hash: string
  agent_id: string
  scopes: string
  created_at: number
  expires_at: number | null
}

// ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────

const personColumns = sql`id, name, roles, group_names, disabled_at, created_at`

/** False when the name is taken. */
export async function insertPerson(tx: Tx, row: PersonRow): Promise<boolean> {
  const count = await tx.run(sql`insert into people (id, name, roles, group_names, disabled_at, created_at)
    values (${row.id}, ${row.name}, ${row.roles}, ${row.group_names}, ${row.disabled_at}, ${row.created_at})
    on conflict (name) do nothing`)
  return count === 1
}

export const personById = (reader: Reader, id: string): Promise<PersonRow | undefined> =>
  reader.get(sql`select ${personColumns} from people where id = ${id}`)

export const firstPerson = (reader: Reader): Promise<PersonRow | undefined> =>
  reader.get(sql`select ${personColumns} from people order by id limit 1`)

export async function countActivePeople(reader: Reader): Promise<number> {
  const row = await reader.get<{ count: number }>(
    sql`select count(*) as count from people where disabled_at is null`,
  )
  return Number(row?.count ?? 0)
}

/** Newest first; ids sort by time. */
export const peopleBefore = (
  reader: Reader,
  cursor: string | undefined,
  limit: number,
): Promise<PersonRow[]> =>
  reader.all(
    sql`select ${personColumns} from people where id < ${cursor ?? '~'} order by id desc limit ${limit}`,
  )

export const activePeople = (reader: Reader): Promise<PersonRow[]> =>
  reader.all(sql`select ${personColumns} from people where disabled_at is null order by id`)

export const setPersonRow = (
  tx: Tx,
  id: string,
  set: { roles: string } | { groups: string },
): Promise<PersonRow | undefined> => {
  const change = 'roles' in set ? sql`roles = ${set.roles}` : sql`group_names = ${set.groups}`
  return tx.get(sql`update people set ${change} where id = ${id} returning ${personColumns}`)
}

export const disablePersonRow = (tx: Tx, id: string, at: number): Promise<number> =>
  tx.run(sql`update people set disabled_at = ${at} where id = ${id} and disabled_at is null`)

// ── Sign-in codes ────────────────────────────────────────────────────────────────────────────────────────────────

/** Also forgets the codes that nobody can use any more. */
export async function insertCode(tx: Tx, row: CodeRow): Promise<void> {
  await tx.run(sql`delete from sign_in_codes where expires_at < ${row.created_at}`)
  await tx.run(sql`insert into sign_in_codes (hash, person_id, created_at, expires_at)
    values (${row.hash}, ${row.person_id}, ${row.created_at}, ${row.expires_at})`)
}

export const codeByHash = (reader: Reader, hash: string): Promise<CodeRow | undefined> =>
  reader.get(
    sql`select hash, person_id, created_at, expires_at, used_at from sign_in_codes where hash = ${hash}`,
  )

/** False when somebody else used it first. */
export async function takeCode(tx: Tx, hash: string, at: number): Promise<boolean> {
  const count = await tx.run(
    sql`update sign_in_codes set used_at = ${at} where hash = ${hash} and used_at is null`,
  )
  return count === 1
}

// ── Sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────

export async function insertSession(tx: Tx, row: SessionRow): Promise<void> {
  await tx.run(sql`insert into sessions (id, hash, person_id, kind, signed_in_at, expires_at, last_seen_at, ended_at)
    values (${row.id}, ${row.hash}, ${row.person_id}, ${row.kind}, ${row.signed_in_at}, ${row.expires_at},
      ${row.last_seen_at}, ${row.ended_at})`)
}

export const sessionByHash = (reader: Reader, hash: string): Promise<SessionRow | undefined> =>
  reader.get(sql`select id, hash, person_id, kind, signed_in_at, expires_at, last_seen_at, ended_at,
      second_factor_at, recovered_at
    from sessions where hash = ${hash}`)

/** The sessions that ended by this. */
export const endSessionRows = (
  tx: Tx,
  where: 'hash' | 'person',
  value: string,
  at: number,
): Promise<SessionRow[]> => {
  const which = where === 'hash' ? sql`hash = ${value}` : sql`person_id = ${value}`
  return tx.all(sql`update sessions set ended_at = ${at} where ${which} and ended_at is null
    returning id, hash, person_id, kind, signed_in_at, expires_at, last_seen_at, ended_at`)
}

export const touchSession = (tx: Tx, id: string, at: number): Promise<number> =>
  tx.run(sql`update sessions set last_seen_at = ${at} where id = ${id} and last_seen_at < ${at}`)

// ── Agents ───────────────────────────────────────────────────────────────────────────────────────────────────────

const agentColumns = sql`id, name, description, owner, state, created_at, last_used_at`

/** False when the name is taken. */
export async function insertAgent(tx: Tx, row: AgentRow): Promise<boolean> {
  const count =
    await tx.run(sql`insert into agents (id, name, description, owner, state, created_at, last_used_at)
    values (${row.id}, ${row.name}, ${row.description}, ${row.owner}, ${row.state}, ${row.created_at},
      ${row.last_used_at}) on conflict (name) do nothing`)
  return count === 1
}

export const agentByName = (reader: Reader, name: string): Promise<AgentRow | undefined> =>
  reader.get(sql`select ${agentColumns} from agents where name = ${name}`)

export const agentById = (reader: Reader, id: string): Promise<AgentRow | undefined> =>
  reader.get(sql`select ${agentColumns} from agents where id = ${id}`)

/** Newest first; ids sort by time. */
export const agentsBefore = (
  reader: Reader,
  cursor: string | undefined,
  limit: number,
): Promise<AgentRow[]> => {
  const from: SqlValue = cursor ?? '~'
  return reader.all(
    sql`select ${agentColumns} from agents where id < ${from} order by id desc limit ${limit}`,
  )
}

export async function countAgentRows(reader: Reader): Promise<number> {
  return Number((await reader.get<{ count: number }>(sql`select count(*) as count from agents`))?.count ?? 0)
}

export const setAgentStateRow = (
  tx: Tx,
  id: string,
  state: AgentRow['state'],
): Promise<AgentRow | undefined> =>
  tx.get(sql`update agents set state = ${state} where id = ${id} returning ${agentColumns}`)

export const touchAgent = (tx: Tx, id: string, at: number): Promise<number> =>
  tx.run(sql`update agents set last_used_at = ${at}
    where id = ${id} and (last_used_at is null or last_used_at < ${at})`)

export async function insertKey(tx: Tx, row: KeyRow): Promise<void> {
  await tx.run(sql`insert into agent_keys (id, hash, agent_id, scopes, created_at, expires_at)
    values (${row.id}, ${row.hash}, ${row.agent_id}, ${row.scopes}, ${row.created_at}, ${row.expires_at})`)
}

export const keyByHash = (reader: Reader, hash: string): Promise<KeyRow | undefined> =>
  reader.get(
    sql`select id, hash, agent_id, scopes, created_at, expires_at from agent_keys where hash = ${hash}`,
  )

/** Every key of the agent that lives longer ends at `at`. */
export const expireKeys = (tx: Tx, agentId: string, at: number): Promise<number> =>
  tx.run(sql`update agent_keys set expires_at = ${at}
    where agent_id = ${agentId} and (expires_at is null or expires_at > ${at})`)

export const newestKey = (reader: Reader, agentId: string): Promise<KeyRow | undefined> =>
  reader.get(sql`select id, hash, agent_id, scopes, created_at, expires_at from agent_keys
    where agent_id = ${agentId} order by id desc limit 1`)
