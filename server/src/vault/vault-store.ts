import type { Migration, Reader, Tx } from '../store/index.ts'
import { sql } from '../store/index.ts'

/** Keeps what the barrier has already encrypted: no column tells a secret's path, name or value. */
export const vaultMigrations: readonly Migration[] = [
  {
    id: '0030-vault',
    up: ({ bytes, int8 }) => [
      `create table vault_keys (id text primary key, value ${bytes} not null)`,
      `create table vault_entries (
        id ${bytes} primary key, parent ${bytes}, name ${bytes}, value ${bytes} not null)`,
      'create index vault_entries_parent on vault_entries (parent)',
      `create table vault_tokens (
        id ${bytes} primary key, accessor ${bytes} not null unique, parent ${bytes}, expires_at ${int8},
        value ${bytes} not null)`,
      'create index vault_tokens_parent on vault_tokens (parent)',
      'create index vault_tokens_expires_at on vault_tokens (expires_at)',
    ],
  },
]

/** `parent` and `name` are null for an entry that no listing shows. */
export type EntryRow = {
  id: Uint8Array
  parent: Uint8Array | null
  name: Uint8Array | null
  value: Uint8Array
}
export type TokenRow = {
  id: Uint8Array
  accessor: Uint8Array
  parent: Uint8Array | null
  expiresAt: number | null
  value: Uint8Array
}
export type KeyRowId = 'seal' | 'root' | 'keyring'

export async function readKey(reader: Reader, id: KeyRowId): Promise<Uint8Array | undefined> {
  const row = await reader.get<{ value: Uint8Array }>(sql`select value from vault_keys where id = ${id}`)
  return row?.value
}

export async function putKey(tx: Tx, id: KeyRowId, value: Uint8Array): Promise<void> {
  await tx.run(sql`insert into vault_keys (id, value) values (${id}, ${value})
    on conflict (id) do update set value = excluded.value`)
}

export function readEntry(reader: Reader, id: Uint8Array): Promise<Pick<EntryRow, 'value'> | undefined> {
  return reader.get(sql`select value from vault_entries where id = ${id}`)
}

/** Of an entry that is there. */
export function changeEntry(tx: Tx, id: Uint8Array, value: Uint8Array): void {
  tx.put(sql`update vault_entries set value = ${value} where id = ${id}`)
}

/** Returns whether the entry was there. */
export async function updateEntry(tx: Tx, id: Uint8Array, value: Uint8Array): Promise<boolean> {
  return (await tx.run(sql`update vault_entries set value = ${value} where id = ${id}`)) > 0
}

/** Adds an entry; an existing one gets the new value. */
export function putEntry(tx: Tx, row: EntryRow): void {
  tx.put(sql`insert into vault_entries (id, parent, name, value)
    values (${row.id}, ${row.parent}, ${row.name}, ${row.value})
    on conflict (id) do update set value = excluded.value`)
}

export async function hasEntry(tx: Tx, id: Uint8Array): Promise<boolean> {
  return (await tx.get(sql`select 1 as found from vault_entries where id = ${id}`)) !== undefined
}

export async function deleteEntry(tx: Tx, id: Uint8Array): Promise<boolean> {
  return (await tx.run(sql`delete from vault_entries where id = ${id}`)) > 0
}

export async function hasChildren(tx: Tx, parent: Uint8Array): Promise<boolean> {
  const row = await tx.get(sql`select 1 as found from vault_entries where parent = ${parent} limit 1`)
  return row !== undefined
}

export function readChildren(
  reader: Reader,
  parent: Uint8Array,
): Promise<{ id: Uint8Array; name: Uint8Array }[]> {
  return reader.all(sql`select id, name from vault_entries where parent = ${parent}`)
}

const tokenColumns = sql`id, accessor, parent, expires_at as "expiresAt", value`

export function readToken(reader: Reader, id: Uint8Array): Promise<TokenRow | undefined> {
  return reader.get(sql`select ${tokenColumns} from vault_tokens where id = ${id}`)
}

export function readTokenByAccessor(reader: Reader, accessor: Uint8Array): Promise<TokenRow | undefined> {
  return reader.get(sql`select ${tokenColumns} from vault_tokens where accessor = ${accessor}`)
}

export function readTokenChildren(reader: Reader, parent: Uint8Array): Promise<TokenRow[]> {
  return reader.all(sql`select ${tokenColumns} from vault_tokens where parent = ${parent}`)
}

export function readTokens(reader: Reader): Promise<TokenRow[]> {
  return reader.all(sql`select ${tokenColumns} from vault_tokens`)
}

/** In the order of their accessors' digests, after the one given. */
export function readTokensAfter(reader: Reader, accessor: Uint8Array, limit: number): Promise<TokenRow[]> {
  return reader.all(sql`select ${tokenColumns} from vault_tokens
    where accessor > ${accessor} order by accessor limit ${limit}`)
}

export function readExpiredTokens(reader: Reader, now: number, limit: number): Promise<TokenRow[]> {
  return reader.all(sql`select ${tokenColumns} from vault_tokens
    where expires_at <= ${now} order by expires_at limit ${limit}`)
}

export function putToken(tx: Tx, row: TokenRow): void {
  tx.put(sql`insert into vault_tokens (id, accessor, parent, expires_at, value)
    values (${row.id}, ${row.accessor}, ${row.parent}, ${row.expiresAt}, ${row.value})
    on conflict (id) do update set accessor = excluded.accessor, parent = excluded.parent,
      expires_at = excluded.expires_at, value = excluded.value`)
}

export async function deleteToken(tx: Tx, id: Uint8Array): Promise<void> {
  await tx.run(sql`delete from vault_tokens where id = ${id}`)
}
