import type { Migration, Reader, Tx } from '../../store/index.ts'
import { type Sql, sql } from '../../store/index.ts'

/**
 * `pending`: being made, or its maker died. `live`: given out. `ending`: was live and has to end. `unmade`: never was live and has
 * to end. `checking`: as `unmade`, ended once; ended again a little later, because what a dead maker had sent may arrive late.
 */
export type LeaseStage = 'pending' | 'live' | 'ending' | 'unmade' | 'checking'

/** No column tells a path, a role or a token: they are keyed digests, and the rest is closed by the barrier. */
export const leaseMigrations: readonly Migration[] = [
  {
    id: '0032-vault-leases',
    up: ({ bytes, int8 }) => [
      `create table vault_leases (
        id ${bytes} primary key, mount ${bytes} not null, folder ${bytes} not null, token ${bytes}, role ${bytes},
        stage text not null, expires_at ${int8} not null, due_at ${int8} not null, marked_at ${int8},
        attempts integer not null, value ${bytes} not null)`,
      'create index vault_leases_due on vault_leases (mount, due_at)',
      'create index vault_leases_folder on vault_leases (folder, id)',
      'create index vault_leases_token on vault_leases (token) where token is not null',
      'create index vault_leases_role on vault_leases (role) where role is not null',
      'create index vault_leases_failing on vault_leases (due_at) where attempts > 0',
      `create table vault_lease_folders (id ${bytes} primary key, parent ${bytes}, name ${bytes} not null)`,
      'create index vault_lease_folders_parent on vault_lease_folders (parent)',
    ],
  },
]

export type LeaseRow = {
  readonly id: Uint8Array
  /** Of the mount's id. */
  readonly mount: Uint8Array
  /** Of the path that gave it out. */
  readonly folder: Uint8Array
  /** Row of the token that takes it along when it ends; null for an orphan batch token. */
  readonly token: Uint8Array | null
  /** Of mount and role, where the role has a quota. */
  readonly role: Uint8Array | null
  readonly stage: LeaseStage
  readonly expiresAt: number
  /** When something has to be done about it next. */
  readonly dueAt: number
  /** When it was first to be ended. */
  readonly markedAt: number | null
  /** How often ending it has failed. */
  readonly attempts: number
  readonly value: Uint8Array
}
export type FolderRow = {
  readonly id: Uint8Array
  readonly parent: Uint8Array | null
  readonly name: Uint8Array
}

const columns = sql`id, mount, folder, token, role, stage, expires_at as "expiresAt", due_at as "dueAt",
  marked_at as "markedAt", attempts, value`

export async function insertLease(tx: Tx, row: LeaseRow): Promise<void> {
  await tx.run(sql`insert into vault_leases
    (id, mount, folder, token, role, stage, expires_at, due_at, marked_at, attempts, value)
    values (${row.id}, ${row.mount}, ${row.folder}, ${row.token}, ${row.role}, ${row.stage}, ${row.expiresAt},
      ${row.dueAt}, ${row.markedAt}, ${row.attempts}, ${row.value})`)
}

export function readLease(reader: Reader, id: Uint8Array): Promise<LeaseRow | undefined> {
  return reader.get(sql`select ${columns} from vault_leases where id = ${id}`)
}

/** Says whether it was still waiting for this. */
export async function confirmLease(tx: Tx, id: Uint8Array): Promise<boolean> {
  return (
    (await tx.run(sql`update vault_leases set stage = 'live', due_at = expires_at
      where id = ${id} and stage = 'pending'`)) > 0
  )
}

export async function prolongLease(
  tx: Tx,
  { id, expiresAt, value }: Pick<LeaseRow, 'id' | 'expiresAt' | 'value'>,
): Promise<boolean> {
  return (
    (await tx.run(sql`update vault_leases set expires_at = ${expiresAt}, due_at = ${expiresAt}, value = ${value}
      where id = ${id} and stage = 'live'`)) > 0
  )
}

export type Which =
  | { readonly id: Uint8Array }
  | { readonly token: Uint8Array }
  | { readonly folder: Uint8Array }
  | { readonly mount: Uint8Array }

function condition(which: Which): Sql {
  if ('id' in which) return sql`id = ${which.id}`
  if ('token' in which) return sql`token = ${which.token}`
  return 'folder' in which ? sql`folder = ${which.folder}` : sql`mount = ${which.mount}`
}

/** From now on they have to end; returns how many had not to before. */
export function markLeases(tx: Tx, which: Which, now: number): Promise<number> {
  return tx.run(sql`update vault_leases
    set stage = case stage when 'pending' then 'unmade' else 'ending' end, due_at = ${now}, marked_at = ${now}
    where ${condition(which)} and stage in ('pending', 'live')`)
}

/** As `markLeases` for one whose time has come; a lease that was renewed meanwhile stays. */
export async function markExpired(tx: Tx, id: Uint8Array, now: number): Promise<boolean> {
  return (
    (await tx.run(sql`update vault_leases
      set stage = case stage when 'pending' then 'unmade' else 'ending' end, marked_at = due_at
      where id = ${id} and stage in ('pending', 'live') and due_at <= ${now}`)) > 0
  )
}

export async function failLease(
  tx: Tx,
  { id, attempts, dueAt, value }: Pick<LeaseRow, 'id' | 'attempts' | 'dueAt' | 'value'>,
): Promise<void> {
  await tx.run(sql`update vault_leases set attempts = ${attempts}, due_at = ${dueAt}, value = ${value}
    where id = ${id}`)
}

export async function checkLeaseAgain(tx: Tx, id: Uint8Array, dueAt: number): Promise<void> {
  await tx.run(
    sql`update vault_leases set stage = 'checking', attempts = 0, due_at = ${dueAt} where id = ${id}`,
  )
}

export async function deleteLease(tx: Tx, id: Uint8Array): Promise<void> {
  await tx.run(sql`delete from vault_leases where id = ${id}`)
}

export function readDueLeases(
  reader: Reader,
  mount: Uint8Array,
  now: number,
  limit: number,
): Promise<LeaseRow[]> {
  return reader.all(sql`select ${columns} from vault_leases
    where mount = ${mount} and due_at <= ${now} order by due_at limit ${limit}`)
}

/** When the first lease of a mount that is not due yet will be. */
export async function readNextDue(
  reader: Reader,
  mount: Uint8Array,
  after: number,
): Promise<number | undefined> {
  const row = await reader.get<{ at: number }>(sql`select due_at as at from vault_leases
    where mount = ${mount} and due_at > ${after} order by due_at limit 1`)
  return row && Number(row.at)
}

/** What failed before is tried again at once. */
export async function hurryFailing(tx: Tx, mount: Uint8Array, now: number): Promise<void> {
  await tx.run(sql`update vault_leases set due_at = ${now}
    where mount = ${mount} and attempts > 0 and due_at > ${now}`)
}

/** Every mount that has leases. One step along the index for each, however many leases there are. */
export async function readMounts(reader: Reader): Promise<Uint8Array[]> {
  const mounts: Uint8Array[] = []
  for (let last = new Uint8Array(); ; ) {
    const row = await reader.get<{ mount: Uint8Array }>(sql`select mount from vault_leases
      where mount > ${last} order by mount limit 1`)
    if (!row) return mounts
    mounts.push(row.mount)
    last = new Uint8Array(row.mount)
  }
}

/** At most `most`: beyond that nobody has to know. */
export async function countRole(reader: Reader, role: Uint8Array, most: number): Promise<number> {
  const row = await reader.get<{ n: number }>(sql`select count(*) as n from
    (select 1 as found from vault_leases where role = ${role} and stage in ('pending', 'live', 'ending') limit ${most})
    as found_rows`)
  return Number(row?.n ?? 0)
}

export async function countLeases(reader: Reader): Promise<number> {
  const row = await reader.get<{ n: number }>(sql`select count(*) as n from vault_leases`)
  return Number(row?.n ?? 0)
}

/** Of one mount, those whose time came before `before` and that are still there. Answered from the index alone. */
export async function readOverdue(
  reader: Reader,
  mount: Uint8Array,
  before: number,
): Promise<{ count: number; oldestAt: number | null }> {
  const row = await reader.get<{ n: number; at: number | null }>(sql`select count(*) as n, min(due_at) as at
    from vault_leases where mount = ${mount} and due_at <= ${before}`)
  return { count: Number(row?.n ?? 0), oldestAt: numberOrNull(row?.at) }
}

/** Those that have failed; `count` is of those that are tried again after `after`. */
export async function readFailing(
  reader: Reader,
  after: number,
): Promise<{ count: number; oldestAt: number | null; nextTryAt: number | null }> {
  const row = await reader.get<{ n: number; oldest: number | null; next: number | null }>(sql`select
    count(case when due_at > ${after} then 1 end) as n, min(marked_at) as oldest, min(due_at) as next
    from vault_leases where attempts > 0`)
  return {
    count: Number(row?.n ?? 0),
    oldestAt: numberOrNull(row?.oldest),
    nextTryAt: numberOrNull(row?.next),
  }
}

/** By id, after one: those that have failed so often or more. */
export function readFailingLeases(
  reader: Reader,
  atLeast: number,
  after: Uint8Array,
  limit: number,
): Promise<LeaseRow[]> {
  return reader.all(sql`select ${columns} from vault_leases
    where attempts > 0 and attempts >= ${atLeast} and id > ${after} order by id limit ${limit}`)
}

/** Of those that have failed, the one that is tried next. */
export function readNextFailing(reader: Reader): Promise<LeaseRow | undefined> {
  return reader.get(sql`select ${columns} from vault_leases where attempts > 0 order by due_at limit 1`)
}

/** By id, after one. */
export function readLeasesOf(
  reader: Reader,
  which: Which,
  after: Uint8Array,
  limit: number,
): Promise<LeaseRow[]> {
  return reader.all(sql`select ${columns} from vault_leases
    where ${condition(which)} and id > ${after} order by id limit ${limit}`)
}

export async function hasFolder(reader: Reader, id: Uint8Array): Promise<boolean> {
  return (
    (await reader.get(sql`select 1 as found from vault_lease_folders where id = ${id} limit 1`)) !== undefined
  )
}

export async function insertFolder(tx: Tx, row: FolderRow): Promise<void> {
  await tx.run(sql`insert into vault_lease_folders (id, parent, name)
    values (${row.id}, ${row.parent}, ${row.name}) on conflict (id) do nothing`)
}

export function readFolders(reader: Reader, parent: Uint8Array): Promise<FolderRow[]> {
  return reader.all(
    sql`select id, parent, name from vault_lease_folders where parent = ${parent} order by id`,
  )
}

/** Removes it if nothing is left in it; returns the one above it when it did. */
export async function deleteEmptyFolder(tx: Tx, id: Uint8Array): Promise<Uint8Array | null> {
  const row = await tx.get<{ parent: Uint8Array | null }>(sql`delete from vault_lease_folders where id = ${id}
    and not exists (select 1 from vault_leases where folder = ${id})
    and not exists (select 1 from vault_lease_folders as inner_folders where inner_folders.parent = ${id})
    returning parent`)
  return row?.parent ?? null
}

const numberOrNull = (value: number | null | undefined): number | null =>
  value === null || value === undefined ? null : Number(value)
