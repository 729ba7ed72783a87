import type { ConnectionHealth } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const connectorsMigrations: readonly Migration[] = [
  {
    id: '0100-connections',
    up: ({ int8 }) => [
      `create table connections (
        id text not null primary key, name text not null, connector text not null, settings text not null, secret_path text,
        created_by text not null, created_at ${int8} not null, health_state text, health_detail text, health_latency_ms ${int8},
        health_at ${int8}, unique (name))`,
    ],
  },
  {
    id: '0101-connection-tokens',
    up: ({ int8 }) => [
      `create table connection_tokens (
        id text not null primary key, connection_id text not null, run_id text not null, task_id text not null, how text not null,
        revoke_url text, minted_at ${int8} not null, expires_at ${int8}, ending_at ${int8})`,
    ],
  },
  {
    id: '0104-connection-environment',
    up: () => ['alter table connections add column environment text'],
  },
]

export type ConnectionRow = {
  readonly id: string
  readonly name: string
  readonly connector: string
  /** JSON. */
  readonly settings: string
  readonly secret_path: string | null
  readonly environment: string | null
  readonly created_by: string
  readonly created_at: number
  readonly health_state: ConnectionHealth['state'] | null
  readonly health_detail: string | null
  readonly health_latency_ms: number | null
  readonly health_at: number | null
}

/** False when the name is taken. */
export const insertConnection = async (tx: Tx, row: ConnectionRow): Promise<boolean> =>
  (await tx.run(sql`insert into connections (id, name, connector, settings, secret_path, environment, created_by, created_at)
    values (${row.id}, ${row.name}, ${row.connector}, ${row.settings}, ${row.secret_path}, ${row.environment}, ${row.created_by},
      ${row.created_at})
    on conflict (name) do nothing`)) === 1

export const readConnections = (reader: Reader): Promise<ConnectionRow[]> =>
  reader.all<ConnectionRow>(sql`select * from connections order by name`)

export const connectionById = (reader: Reader, id: string): Promise<ConnectionRow | undefined> =>
  reader.get<ConnectionRow>(sql`select * from connections where id = ${id}`)

export const connectionByName = (reader: Reader, name: string): Promise<ConnectionRow | undefined> =>
  reader.get<ConnectionRow>(sql`select * from connections where name = ${name}`)

export type KindCounts = {
  readonly connector: string
  readonly up: number
  readonly degraded: number
  readonly down: number
  readonly unknown: number
  /** Of the last answers; null before there was one. */
  readonly slowest_ms: number | null
}

export const countConnections = (reader: Reader): Promise<KindCounts[]> =>
  reader.all<KindCounts>(sql`select connector, sum(case when health_state = 'up' then 1 else 0 end) as up,
    sum(case when health_state = 'degraded' then 1 else 0 end) as degraded,
    sum(case when health_state = 'down' then 1 else 0 end) as down,
    sum(case when health_state is null then 1 else 0 end) as unknown,
    max(health_latency_ms) as slowest_ms from connections group by connector order by connector`)

type ConnectionChange = {
  readonly settings: string
  readonly secretPath: string | null
  readonly environment: string | null
}

/** What was known of its health was about the old settings. */
export async function putConnection(
  tx: Tx,
  id: string,
  { settings, secretPath, environment }: ConnectionChange,
): Promise<void> {
  await tx.run(sql`update connections set settings = ${settings}, secret_path = ${secretPath}, environment = ${environment},
    health_state = null, health_detail = null, health_latency_ms = null, health_at = null where id = ${id}`)
}

/** Only for the settings that it was asked with: a change meanwhile counts more. False when they are others now. */
export const putHealth = async (
  tx: Tx,
  { id, settings }: Pick<ConnectionRow, 'id' | 'settings'>,
  { state, detail, latencyMs, checkedAt }: ConnectionHealth,
): Promise<boolean> =>
  (await tx.run(sql`update connections set health_state = ${state}, health_detail = ${detail}, health_latency_ms = ${latencyMs},
    health_at = ${Date.parse(checkedAt)} where id = ${id} and settings = ${settings}`)) === 1

export async function deleteConnection(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from connections where id = ${id}`)
}

/** An access token of a task that has not been ended at its server yet. The token itself is kept encrypted. */
export type TaskTokenRow = {
  readonly id: string
  readonly connection_id: string
  readonly run_id: string
  readonly task_id: string
  /** The way in which it was asked for, JSON. */
  readonly how: string
  readonly revoke_url: string | null
  readonly minted_at: number
  /** Null when its server did not say. */
  readonly expires_at: number | null
  /** Since when its task needs it no more; null while it works. */
  readonly ending_at: number | null
}

export async function insertTaskToken(tx: Tx, row: TaskTokenRow): Promise<void> {
  await tx.run(sql`insert into connection_tokens (id, connection_id, run_id, task_id, how, revoke_url, minted_at, expires_at)
    values (${row.id}, ${row.connection_id}, ${row.run_id}, ${row.task_id}, ${row.how}, ${row.revoke_url}, ${row.minted_at},
      ${row.expires_at})`)
}

export async function markTaskToken(tx: Tx, id: string, now: number): Promise<void> {
  await tx.run(sql`update connection_tokens set ending_at = ${now} where id = ${id} and ending_at is null`)
}

/** Those of a task, however its attempt ended. */
export async function markTaskTokensOf(tx: Tx, runId: string, taskId: string, now: number): Promise<void> {
  await tx.run(sql`update connection_tokens set ending_at = ${now}
    where run_id = ${runId} and task_id = ${taskId} and ending_at is null`)
}

/** A process that begins has no attempts yet: what is not ended belonged to one that is gone. */
export async function markAllTaskTokens(tx: Tx, now: number): Promise<void> {
  await tx.run(sql`update connection_tokens set ending_at = ${now} where ending_at is null`)
}

export const endingTaskTokens = (reader: Reader): Promise<TaskTokenRow[]> =>
  reader.all<TaskTokenRow>(sql`select * from connection_tokens where ending_at is not null order by id`)

/** False when somebody else has ended it meanwhile. */
export const deleteTaskToken = async (tx: Tx, id: string): Promise<boolean> =>
  (await tx.run(sql`delete from connection_tokens where id = ${id}`)) === 1
