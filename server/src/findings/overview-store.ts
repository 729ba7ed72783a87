import type { FindingOrder, FindingView } from '@keyward/contract'
import { type Reader, type Sql, sql } from '../store/index.ts'
import type { FindingRow } from './findings-store.ts'

export type FindingFilter = {
  readonly state?: FindingView['state'] | undefined
  readonly confidence?: FindingView['confidence'] | undefined
  readonly rule?: string | undefined
  readonly provider?: string | undefined
  readonly project?: string | undefined
  /** A file, or a folder with all below it. */
  readonly path?: string | undefined
  readonly text?: string | undefined
}

const nothing: Sql = { text: '', values: [] }
const both = (a: Sql, b: Sql): Sql => ({ text: `${a.text}${b.text}`, values: [...a.values, ...b.values] })

/** What LIKE would take for a pattern is taken literally. */
const literally = (text: string): string => text.replace(/[\\%_]/g, '\\$&')

function conditions(filter: FindingFilter): Sql {
  const { state, confidence, rule, provider, project, path, text } = filter
  const parts: Sql[] = []
  if (state !== undefined) parts.push(sql` and state = ${state}`)
  if (confidence !== undefined) parts.push(sql` and confidence = ${confidence}`)
  if (rule !== undefined) parts.push(sql` and rule = ${rule}`)
  if (provider !== undefined) parts.push(sql` and provider = ${provider}`)
  if (project !== undefined) parts.push(sql` and project = ${project}`)
  if (path !== undefined && path !== '') {
    const folder = `${literally(path.replace(/\/+$/, ''))}/%`
    const inside = `${literally(path)}!%`
    parts.push(sql` and exists (select 1 from finding_places p where p.finding_id = findings.id and p.gone_at is null
      and (p.file = ${path} or p.file like ${folder} escape '\\' or p.file like ${inside} escape '\\'))`)
  }
  if (text !== undefined && text !== '') {
    const like = `%${literally(text.toLowerCase())}%`
    parts.push(sql` and (lower(title) like ${like} escape '\\' or lower(rule) like ${like} escape '\\'
      or lower(masked) like ${like} escape '\\' or lower(coalesce(reference, '')) like ${like} escape '\\'
      or exists (select 1 from finding_places p where p.finding_id = findings.id and lower(p.file) like ${like} escape '\\'))`)
  }
  return parts.reduce(both, nothing)
}

const rank = sql`(case confidence when 'high' then 2 when 'medium' then 1 else 0 end)`
const orders: Record<Exclude<FindingOrder, 'newest'>, Sql> = {
  seen: sql`last_seen_at`,
  confidence: rank,
  places: sql`place_count`,
}

/** Where a page ends: the value that it is sorted by, and the id. */
export type Position = { readonly value: number; readonly id: string }
export type Ordered = FindingRow & { readonly position: number }

export function findingsPage(
  reader: Reader,
  query: FindingFilter & { sort: FindingOrder; after: Position | undefined; limit: number },
): Promise<Ordered[]> {
  const { sort, after, limit, ...filter } = query
  const where = conditions(filter)
  if (sort === 'newest') {
    const from = after?.id ?? '~'
    return reader.all<Ordered>(
      sql`select findings.*, 0 as position from findings where id < ${from}${where} order by id desc limit ${limit}`,
    )
  }
  const value = orders[sort]
  const from = after
    ? sql` and (${value} < ${after.value} or (${value} = ${after.value} and id < ${after.id}))`
    : nothing
  return reader.all<Ordered>(
    sql`select findings.*, ${value} as position from findings where 1 = 1${where}${from}
      order by ${value} desc, id desc limit ${limit}`,
  )
}

export type Tally = { name: string; count: number }
type Column = 'state' | 'confidence' | 'rule' | 'provider' | 'project'

const columns: Record<Column, Sql> = {
  state: sql`state`,
  confidence: sql`confidence`,
  rule: sql`rule`,
  provider: sql`provider`,
  project: sql`project`,
}

/** How many findings have each value of a column; the filter's own condition on that column is left out, so that others can be chosen. */
export function tally(reader: Reader, column: Column, filter: FindingFilter): Promise<Tally[]> {
  const name = columns[column]
  return reader.all<Tally>(
    sql`select ${name} as name, count(*) as count from findings where 1 = 1${conditions({ ...filter, [column]: undefined })}
      group by ${name} order by count(*) desc, ${name}`,
  )
}

export type DayMoves = { day: number; from_state: string | null; to_state: string; n: number }
const dayMilliseconds = 86_400_000

/** What changed its state from `from` on, by day (whole days since 1970, UTC). */
export function movesByDay(reader: Reader, from: number, project: string | undefined): Promise<DayMoves[]> {
  const only = project === undefined ? nothing : sql` and project = ${project}`
  return reader.all<DayMoves>(
    sql`select at / ${sql`86400000`} as day, from_state, to_state, count(*) as n from finding_moves
      where at >= ${from * dayMilliseconds}${only} group by at / ${sql`86400000`}, from_state, to_state`,
  )
}

/** How many are open now. */
export async function openNow(reader: Reader, project: string | undefined): Promise<number> {
  const only = project === undefined ? nothing : sql` and project = ${project}`
  const row = await reader.get<{ n: number }>(
    sql`select count(*) as n from findings where state in ('open', 'restored', 'importing')${only}`,
  )
  return row?.n ?? 0
}

export type OpenPlace = { id: string; file: string; confidence: FindingView['confidence'] }

/** Each file that holds a value nobody has dealt with, once for each value. */
export function openPlaces(reader: Reader, project: string | undefined): Promise<OpenPlace[]> {
  const only = project === undefined ? nothing : sql` and f.project = ${project}`
  return reader.all<OpenPlace>(
    sql`select distinct f.id as id, p.file as file, f.confidence as confidence from finding_places p
      join findings f on f.id = p.finding_id
      where f.state in ('open', 'restored', 'importing') and p.gone_at is null${only}`,
  )
}
