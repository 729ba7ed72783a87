import type { ChannelKind } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'
import { accountTables } from './accounts-store.ts'
import { deliveryTables } from './deliveries-store.ts'

export const channelsMigrations: readonly Migration[] = [
  {
    id: '0095-channels',
    up: (types) => [
      `create table channels (
        id text not null primary key, name text not null unique, kind text not null, settings text not null,
        secret_path text, allow_private integer not null, paused integer not null, routes text not null,
        created_by text not null, created_at ${types.int8} not null, health text not null, held_until ${types.int8} not null)`,
      ...deliveryTables(types),
      ...accountTables(types),
    ],
  },
]

export type ChannelRow = {
  readonly id: string
  readonly name: string
  readonly kind: ChannelKind
  readonly settings: string
  readonly secret_path: string | null
  readonly allow_private: number
  readonly paused: number
  readonly routes: string
  readonly created_by: string
  readonly created_at: number
  readonly health: string
}

export const readChannels = (reader: Reader): Promise<ChannelRow[]> =>
  reader.all<ChannelRow>(sql`select * from channels order by name`)

export const readChannel = (reader: Reader, id: string): Promise<ChannelRow | undefined> =>
  reader.get<ChannelRow>(sql`select * from channels where id = ${id}`)

/** False when the name is taken. */
export async function insertChannel(tx: Tx, row: ChannelRow): Promise<boolean> {
  const count =
    await tx.run(sql`insert into channels (id, name, kind, settings, secret_path, allow_private, paused, routes,
      created_by, created_at, health, held_until)
    values (${row.id}, ${row.name}, ${row.kind}, ${row.settings}, ${row.secret_path}, ${row.allow_private}, ${row.paused},
      ${row.routes}, ${row.created_by}, ${row.created_at}, ${row.health}, 0) on conflict (name) do nothing`)
  return count === 1
}

export async function putChannel(tx: Tx, row: ChannelRow): Promise<void> {
  await tx.run(sql`update channels set settings = ${row.settings}, secret_path = ${row.secret_path},
    allow_private = ${row.allow_private}, paused = ${row.paused}, routes = ${row.routes} where id = ${row.id}`)
}

export async function putHealth(tx: Tx, id: string, health: string): Promise<void> {
  await tx.run(sql`update channels set health = ${health} where id = ${id}`)
}

export async function deleteChannel(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from channel_deliveries where channel_id = ${id}`)
  await tx.run(sql`delete from channel_messages where channel_id = ${id}`)
  await tx.run(sql`delete from channels where id = ${id}`)
}
