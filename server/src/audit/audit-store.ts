import type { AuditEntry, Json } from '@keyward/contract'
import {
  type Migration,
  type Reader,
  type Sql,
  type SqlValue,
  sql,
  sqlList,
  type Tx,
} from '../store/index.ts'

export const auditMigrations: readonly Migration[] = [
  {
    id: '0010-audit-entries',
    up: ({ int8 }) => [
      `create table audit_entries (
        seq ${int8} primary key, id text not null, at ${int8} not null, type text not null, outcome text not null,
        actor text not null, target text not null, correlation text not null, detail text not null,
        previous text not null, hash text not null)`,
      'create index audit_entries_correlation on audit_entries (correlation, seq)',
      'create index audit_entries_type on audit_entries (type, seq)',
    ],
  },
  {
    id: '0011-audit-journal',
    up: ({ int8 }) => [`create table audit_journal (id ${int8} primary key, position ${int8} not null)`],
  },
]

type Row = Omit<AuditEntry, 'at' | 'detail'> & { at: number; detail: string }

export type Tip = { readonly seq: number; readonly hash: string }

/** The `previous` of the first entry. */
const beforeFirst: Tip = { seq: 0, hash: '0'.repeat(64) }

export async function readTip(reader: Pick<Reader, 'get'>): Promise<Tip> {
  return (
    (await reader.get<Tip>(sql`select seq, hash from audit_entries order by seq desc limit 1`)) ?? beforeFirst
  )
}

export async function hashAt(reader: Reader, seq: number): Promise<string | undefined> {
  if (seq === 0) return beforeFirst.hash
  return (await reader.get<{ hash: string }>(sql`select hash from audit_entries where seq = ${seq}`))?.hash
}

/** Up to where the entries of the journal are in the chain; undefined when this database has had none. */
export async function readPosition(reader: Pick<Reader, 'get'>): Promise<number | undefined> {
  const row = await reader.get<{ position: number }>(sql`select position from audit_journal where id = 1`)
  return row?.position
}

export async function putPosition(tx: Pick<Tx, 'run'>, position: number): Promise<void> {
  await tx.run(sql`insert into audit_journal (id, position) values (1, ${position})
    on conflict (id) do update set position = excluded.position`)
}

/** An entry as it is stored: `detail` is canonical JSON. */
export type NewEntry = Omit<AuditEntry, 'detail'> & {
  readonly atMilliseconds: number
  readonly detailText: string
}

const columns =
  'insert into audit_entries (seq, id, at, type, outcome, actor, target, correlation, detail, previous, hash) values '
const row = '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'
/** Of one statement. */
export const mostRows = 32
/** How many entries a statement stores: few statements to prepare, and few to run for any number. */
const inserts = [mostRows, 16, 8, 4, 2, 1].map((rows) => ({
  rows,
  text: columns + Array<string>(rows).fill(row).join(', '),
}))

const valuesOf = (entry: NewEntry): SqlValue[] => [
  entry.seq,
  entry.id,
  entry.atMilliseconds,
  entry.type,
  entry.outcome,
  entry.actor,
  entry.target,
  entry.correlation,
  entry.detailText,
  entry.previous,
  entry.hash,
]

export async function insertEntries(tx: Pick<Tx, 'run'>, entries: readonly NewEntry[]): Promise<void> {
  for (let at = 0; at < entries.length; ) {
    const fits = inserts.find(({ rows }) => rows <= entries.length - at)
    if (!fits) return
    await tx.run({ text: fits.text, values: entries.slice(at, at + fits.rows).flatMap(valuesOf) })
    at += fits.rows
  }
}

export type EntryFilter = {
  readonly order: 'asc' | 'desc'
  /** One event, or any of several. */
  readonly type?: string | readonly string[] | undefined
  readonly correlation?: string | undefined
  readonly actor?: string | undefined
  readonly outcome?: string | undefined
  /** What the target begins with; ASCII. */
  readonly targetPrefix?: string | undefined
}

type EntryQuery = EntryFilter & { readonly after: number | undefined; readonly limit: number }

export async function readEntries(reader: Reader, query: EntryQuery): Promise<AuditEntry[]> {
  const ascending = query.order === 'asc'
  const from = query.after ?? (ascending ? 0 : Number.MAX_SAFE_INTEGER)
  const place = ascending ? sql`seq > ${from}` : sql`seq < ${from}`
  const type = query.type === undefined ? nothing : sql` and type in (${sqlList([query.type].flat())})`
  const correlation = query.correlation === undefined ? nothing : sql` and correlation = ${query.correlation}`
  const actor = query.actor === undefined ? nothing : sql` and actor = ${query.actor}`
  const outcome = query.outcome === undefined ? nothing : sql` and outcome = ${query.outcome}`
  const prefix = query.targetPrefix
  const target = prefix === undefined ? nothing : sql` and target >= ${prefix} and target < ${`${prefix}~`}`
  const order = ascending ? sql`order by seq asc` : sql`order by seq desc`
  const rows = await reader.all<Row>(
    sql`select * from audit_entries where ${place}${type}${correlation}${actor}${outcome}${target} ${order} limit ${query.limit}`,
  )
  return rows.map(entryFrom)
}

const entryFrom = (row: Row): AuditEntry => ({
  ...row,
  at: new Date(row.at).toISOString(),
  detail: JSON.parse(row.detail) as Json,
})

/** The entry that a row of a copied store holds; undefined when the table is another. */
export function entryFromCopy(
  table: string,
  columns: readonly string[],
  row: readonly unknown[],
): AuditEntry | undefined {
  if (table !== 'audit_entries') return undefined
  return entryFrom(Object.fromEntries(columns.map((column, i) => [column, row[i]])) as Row)
}

const nothing: Sql = { text: '', values: [] }
