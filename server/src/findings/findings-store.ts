import type { FindingPlace, FindingView, ScanView } from '@keyward/contract'
import type { GroupedFinding, Place } from '../scan/index.ts'
import { type Migration, type Reader, type Sql, sql, sqlList, type Tx } from '../store/index.ts'

export const findingsMigrations: readonly Migration[] = [
  {
    id: '0040-findings',
    up: ({ int8 }) => [
      `create table scans (
        id text primary key, project text not null, root text not null, state text not null, files_scanned ${int8} not null,
        files_total ${int8}, bytes_scanned ${int8} not null, commits_scanned ${int8} not null, findings ${int8} not null,
        problems text not null, started_at ${int8} not null, finished_at ${int8})`,
      `create table findings (
        id text primary key, project text not null, root text not null, fingerprint text not null, rule text not null,
        provider text not null, title text not null, confidence text not null, masked text not null, state text not null,
        secret_path text not null, reference text, run_id text, reason text, first_seen_at ${int8} not null,
        last_seen_at ${int8} not null, unique (root, fingerprint), unique (secret_path))`,
      'create index findings_state on findings (state, id)',
      'create index findings_run on findings (run_id)',
      `create table finding_places (
        finding_id text not null references findings (id), file text not null, line ${int8} not null, end_line ${int8} not null,
        col ${int8} not null, wrapping text not null, commit_id text, author text, committed_at ${int8})`,
      'create index finding_places_finding on finding_places (finding_id)',
      `create table file_changes (
        run_id text not null, root text not null, file text not null, sha_before text not null, sha_after text not null,
        undo_path text not null, state text not null, primary key (run_id, file))`,
    ],
  },
]

export type FindingRow = {
  readonly id: string
  readonly project: string
  readonly root: string
  readonly fingerprint: string
  readonly rule: string
  readonly provider: string
  readonly title: string
  readonly confidence: FindingView['confidence']
  readonly masked: string
  readonly state: FindingView['state']
  /** Where its value goes: `<mount>/<path>`. */
  readonly secret_path: string
  readonly reference: string | null
  readonly run_id: string | null
  readonly reason: string | null
  readonly first_seen_at: number
  readonly last_seen_at: number
}

export type PlaceRow = {
  readonly finding_id: string
  readonly file: string
  readonly line: number
  readonly end_line: number
  readonly col: number
  readonly wrapping: Place['wrapping']
  readonly commit_id: string | null
  readonly author: string | null
  readonly committed_at: number | null
}

export type FileChangeRow = {
  readonly run_id: string
  readonly root: string
  readonly file: string
  readonly sha_before: string
  readonly sha_after: string
  /** Where the vault keeps the encrypted bytes of the file as it was. */
  readonly undo_path: string
  readonly state: 'prepared' | 'rewritten' | 'restored'
}

const nothing: Sql = { text: '', values: [] }
const iso = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : new Date(milliseconds).toISOString()

// ── Scans ──────────────────────────────────────────────────────────────────────────────────────────────────────
type StoredScan = {
  id: string
  project: string
  root: string
  state: ScanView['state']
  files_scanned: number
  files_total: number | null
  bytes_scanned: number
  commits_scanned: number
  findings: number
  problems: string
  started_at: number
  finished_at: number | null
}

export async function putScan(tx: Tx, scan: ScanView): Promise<void> {
  await tx.run(sql`insert into scans (id, project, root, state, files_scanned, files_total, bytes_scanned, commits_scanned,
      findings, problems, started_at, finished_at)
    values (${scan.id}, ${scan.project}, ${scan.path}, ${scan.state}, ${scan.filesScanned}, ${scan.filesTotal}, ${scan.bytesScanned},
      ${scan.commitsScanned}, ${scan.findings}, ${JSON.stringify(scan.problems)}, ${Date.parse(scan.startedAt)},
      ${scan.finishedAt === null ? null : Date.parse(scan.finishedAt)})
    on conflict (id) do update set state = excluded.state, files_scanned = excluded.files_scanned,
      files_total = excluded.files_total, bytes_scanned = excluded.bytes_scanned, commits_scanned = excluded.commits_scanned,
      findings = excluded.findings, problems = excluded.problems, finished_at = excluded.finished_at`)
}

export async function readScans(
  reader: Reader,
  query: { before?: string | undefined; id?: string; limit: number },
): Promise<ScanView[]> {
  const place = query.id !== undefined ? sql`id = ${query.id}` : sql`id < ${query.before ?? '~'}`
  const rows = await reader.all<StoredScan>(
    sql`select * from scans where ${place} order by id desc limit ${query.limit}`,
  )
  return rows.map((row) => ({
    id: row.id,
    project: row.project,
    path: row.root,
    state: row.state,
    filesScanned: row.files_scanned,
    filesTotal: row.files_total,
    bytesScanned: row.bytes_scanned,
    commitsScanned: row.commits_scanned,
    findings: row.findings,
    problems: JSON.parse(row.problems) as ScanView['problems'],
    startedAt: new Date(row.started_at).toISOString(),
    finishedAt: iso(row.finished_at),
  }))
}

/** Scans that a stopped server left behind. */
export async function failRunningScans(tx: Tx, now: Date): Promise<number> {
  return tx.run(
    sql`update scans set state = 'failed', finished_at = ${now.getTime()} where state = 'running'`,
  )
}

// ── Findings ───────────────────────────────────────────────────────────────────────────────────────────────────
export async function findingByFingerprint(
  reader: Reader,
  root: string,
  fingerprint: string,
): Promise<FindingRow | undefined> {
  return reader.get<FindingRow>(
    sql`select * from findings where root = ${root} and fingerprint = ${fingerprint}`,
  )
}

export async function secretPathTaken(reader: Reader, path: string): Promise<boolean> {
  return (await reader.get(sql`select 1 as taken from findings where secret_path = ${path}`)) !== undefined
}

export async function insertFinding(tx: Tx, row: FindingRow): Promise<void> {
  await tx.run(sql`insert into findings (id, project, root, fingerprint, rule, provider, title, confidence, masked, state,
      secret_path, reference, run_id, reason, first_seen_at, last_seen_at)
    values (${row.id}, ${row.project}, ${row.root}, ${row.fingerprint}, ${row.rule}, ${row.provider}, ${row.title},
      ${row.confidence}, ${row.masked}, ${row.state}, ${row.secret_path}, ${row.reference}, ${row.run_id}, ${row.reason},
      ${row.first_seen_at}, ${row.last_seen_at})`)
}

/** Seen again: in the work tree a value that was imported or restored is open once more; an ignored one stays ignored. */
export async function touchFinding(tx: Tx, id: string, now: Date, reopen: boolean): Promise<void> {
  await tx.run(sql`update findings set last_seen_at = ${now.getTime()} where id = ${id}`)
  if (reopen)
    await tx.run(
      sql`update findings set state = 'open', run_id = null where id = ${id} and state in ('imported', 'restored')`,
    )
}

export async function replacePlaces(
  tx: Tx,
  findingId: string,
  places: GroupedFinding['places'],
): Promise<void> {
  await tx.run(sql`delete from finding_places where finding_id = ${findingId}`)
  for (const place of places)
    await tx.run(sql`insert into finding_places (finding_id, file, line, end_line, col, wrapping, commit_id, author, committed_at)
      values (${findingId}, ${place.file}, ${place.line}, ${place.endLine}, ${place.column}, ${place.wrapping}, ${place.commit},
        ${place.author}, ${place.committedAt?.getTime() ?? null})`)
}

export async function findingsById(reader: Reader, ids: readonly string[]): Promise<FindingRow[]> {
  return reader.all<FindingRow>(sql`select * from findings where id in (${sqlList(ids)}) order by id`)
}

export async function findingsPage(
  reader: Reader,
  query: {
    before: string | undefined
    state: string | undefined
    project: string | undefined
    limit: number
  },
): Promise<FindingRow[]> {
  const state = query.state === undefined ? nothing : sql` and state = ${query.state}`
  const project = query.project === undefined ? nothing : sql` and project = ${query.project}`
  return reader.all<FindingRow>(
    sql`select * from findings where id < ${query.before ?? '~'}${state}${project} order by id desc limit ${query.limit}`,
  )
}

export async function placesOf(reader: Reader, ids: readonly string[]): Promise<PlaceRow[]> {
  if (ids.length === 0) return []
  return reader.all<PlaceRow>(
    sql`select * from finding_places where finding_id in (${sqlList(ids)}) order by finding_id, commit_id is not null, file, line`,
  )
}

/** Moves findings from one of the states `from`; returns the ids that moved. */
export async function moveFindings(
  tx: Tx,
  ids: readonly string[],
  from: readonly FindingView['state'][],
  to: { state: FindingView['state']; runId: string | null; reason: string | null },
): Promise<string[]> {
  const rows = await tx.all<{
    id: string
  }>(sql`update findings set state = ${to.state}, run_id = ${to.runId}, reason = ${to.reason}
    where id in (${sqlList(ids)}) and state in (${sqlList(from)}) returning id`)
  return rows.map((row) => row.id)
}

export async function setReference(tx: Tx, id: string, reference: string): Promise<void> {
  await tx.run(sql`update findings set reference = ${reference} where id = ${id}`)
}

export async function findingIdsOfRun(
  reader: Reader,
  runId: string,
  state: FindingView['state'],
): Promise<string[]> {
  const rows = await reader.all<{ id: string }>(
    sql`select id from findings where run_id = ${runId} and state = ${state} order by id`,
  )
  return rows.map((row) => row.id)
}

export async function importingRuns(reader: Reader): Promise<string[]> {
  const rows = await reader.all<{ run_id: string }>(
    sql`select distinct run_id from findings where state = 'importing' and run_id is not null`,
  )
  return rows.map((row) => row.run_id)
}

export async function countFindings(reader: Reader): Promise<{ open: number; imported: number }> {
  const rows = await reader.all<{ state: string; n: number }>(
    sql`select state, count(*) as n from findings group by state`,
  )
  const of = (state: string): number => rows.find((row) => row.state === state)?.n ?? 0
  return { open: of('open') + of('importing') + of('restored'), imported: of('imported') }
}

// ── Changed files ──────────────────────────────────────────────────────────────────────────────────────────────
export async function putFileChange(tx: Tx, change: FileChangeRow): Promise<void> {
  await tx.run(sql`insert into file_changes (run_id, root, file, sha_before, sha_after, undo_path, state)
    values (${change.run_id}, ${change.root}, ${change.file}, ${change.sha_before}, ${change.sha_after}, ${change.undo_path}, ${change.state})
    on conflict (run_id, file) do update set state = excluded.state`)
}

export async function fileChangesOf(reader: Reader, runId: string): Promise<FileChangeRow[]> {
  return reader.all<FileChangeRow>(sql`select * from file_changes where run_id = ${runId} order by file`)
}

/** Files that a run has begun to write and no undo has put back. */
export async function unrestoredFiles(reader: Reader): Promise<{ root: string; file: string }[]> {
  return reader.all(sql`select distinct root, file from file_changes where state <> 'restored'`)
}

// ── Views ──────────────────────────────────────────────────────────────────────────────────────────────────────
export function findingViewOf(row: FindingRow, places: readonly PlaceRow[]): FindingView {
  return {
    id: row.id,
    project: row.project,
    fingerprint: row.fingerprint,
    rule: row.rule,
    provider: row.provider,
    title: row.title,
    confidence: row.confidence,
    masked: row.masked,
    state: row.state,
    places: places.filter((place) => place.finding_id === row.id).map(placeViewOf),
    reference: row.reference,
    runId: row.run_id,
    reason: row.reason,
    firstSeenAt: new Date(row.first_seen_at).toISOString(),
    lastSeenAt: new Date(row.last_seen_at).toISOString(),
  }
}

const placeViewOf = (place: PlaceRow): FindingPlace => ({
  file: place.file,
  line: place.line,
  endLine: place.end_line,
  column: place.col,
  commit: place.commit_id,
  author: place.author,
  committedAt: iso(place.committed_at),
})
