import type { FindingView } from '@keyward/contract'
import { type Migration, type Reader, sql, sqlList, type Tx } from '../store/index.ts'
import { inChunks, type PlaceRow, placeViewOf } from './places-store.ts'

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
  {
    id: '0041-finding-history',
    up: ({ int8 }) => [
      `alter table findings add column reasons text not null default '[]'`,
      'alter table findings add column entropy double precision',
      `alter table findings add column ignored_until ${int8}`,
      `alter table findings add column state_since ${int8} not null default 0`,
      `alter table findings add column place_count ${int8} not null default 0`,
      `update findings set state_since = last_seen_at, place_count =
        (select count(*) from finding_places where finding_id = findings.id)`,
      'create index findings_root on findings (root)',
      `alter table finding_places add column first_seen_at ${int8} not null default 0`,
      `alter table finding_places add column last_seen_at ${int8}`,
      `alter table finding_places add column gone_at ${int8}`,
      `update finding_places set first_seen_at = (select first_seen_at from findings where findings.id = finding_id)`,
      'create index finding_places_file on finding_places (file)',
      `alter table scans add column opened ${int8} not null default 0`,
      `alter table scans add column fixed ${int8} not null default 0`,
      `alter table scans add column cause text not null default 'person'`,
      'alter table scans add column schedule_id text',
      `alter table scans add column history text not null default 'all'`,
      `create table finding_moves (
        finding_id text not null references findings (id), project text not null, at ${int8} not null, from_state text,
        to_state text not null, actor text not null, reason text, scan_id text, run_id text)`,
      'create index finding_moves_finding on finding_moves (finding_id)',
      'create index finding_moves_at on finding_moves (at)',
      'create index finding_moves_scan on finding_moves (scan_id)',
      `insert into finding_moves (finding_id, project, at, from_state, to_state, actor)
        select id, project, first_seen_at, null, 'open', 'system:scan' from findings`,
      `insert into finding_moves (finding_id, project, at, from_state, to_state, actor, reason, run_id)
        select id, project, last_seen_at, 'open', state, 'system:scan', reason, run_id from findings where state <> 'open'`,
      'create table scanned_histories (root text not null primary key, rules text not null, commits text not null)',
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
  /** JSON: a list of sentences. */
  readonly reasons: string
  readonly entropy: number | null
  readonly masked: string
  readonly state: FindingView['state']
  /** Where its value goes: `<mount>/<path>`. */
  readonly secret_path: string
  readonly reference: string | null
  readonly run_id: string | null
  readonly reason: string | null
  readonly ignored_until: number | null
  readonly state_since: number
  readonly place_count: number
  readonly first_seen_at: number
  readonly last_seen_at: number
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

// ── Findings ───────────────────────────────────────────────────────────────────────────────────────────────────
export const findingsBelow = (reader: Reader, root: string): Promise<FindingRow[]> =>
  reader.all<FindingRow>(sql`select * from findings where root = ${root}`)

/** Of a project those that any of these files, or of these values, may concern. */
export function findingsTouched(
  reader: Reader,
  root: string,
  { files, fingerprints }: { files: readonly string[]; fingerprints: readonly string[] },
): Promise<FindingRow[]> {
  // What is gone may have been a folder; what lies inside an archive is few, and looked at by the caller.
  const below = files.map((file) => sql` or substr(file, 1, ${file.length + 1}) = ${`${file}/`}`)
  const folders = below.reduce((all, one) => sql`${all}${one}`, sql``)
  return reader.all<FindingRow>(sql`select * from findings where root = ${root} and (fingerprint in (${sqlList(['', ...fingerprints])})
    or id in (select finding_id from finding_places where file in (${sqlList(['', ...files])}) or file like '%!%'${folders}))`)
}

export async function knownFingerprints(reader: Reader, root: string): Promise<Set<string>> {
  const rows = await reader.all<{ fingerprint: string }>(
    sql`select fingerprint from findings where root = ${root}`,
  )
  return new Set(rows.map(({ fingerprint }) => fingerprint))
}

export async function takenSecretPaths(reader: Reader): Promise<Set<string>> {
  const rows = await reader.all<{ path: string }>(sql`select secret_path as path from findings`)
  return new Set(rows.map(({ path }) => path))
}

type Insert = Omit<FindingRow, 'state' | 'reference' | 'run_id' | 'reason' | 'ignored_until' | 'place_count'>

/** A new one, open. */
export async function insertFinding(tx: Tx, row: Insert, scanId: string): Promise<void> {
  await tx.run(sql`insert into findings (id, project, root, fingerprint, rule, provider, title, confidence, reasons, entropy, masked,
      state, secret_path, first_seen_at, last_seen_at, state_since)
    values (${row.id}, ${row.project}, ${row.root}, ${row.fingerprint}, ${row.rule}, ${row.provider}, ${row.title},
      ${row.confidence}, ${row.reasons}, ${row.entropy}, ${row.masked}, 'open', ${row.secret_path}, ${row.first_seen_at},
      ${row.last_seen_at}, ${row.state_since})`)
  await tx.run(sql`insert into finding_moves (finding_id, project, at, from_state, to_state, actor, scan_id)
    values (${row.id}, ${row.project}, ${row.state_since}, null, 'open', 'system:scan', ${scanId})`)
}

export async function touchFindings(tx: Tx, ids: readonly string[], now: Date): Promise<void> {
  await inChunks(ids, async (chunk) => {
    await tx.run(sql`update findings set last_seen_at = ${now.getTime()} where id in (${sqlList(chunk)})`)
    return []
  })
}

type Judged = Pick<
  FindingRow,
  'rule' | 'provider' | 'title' | 'confidence' | 'reasons' | 'entropy' | 'masked'
>

/** What the rules of today say of a value that is known. */
export async function setJudgement(tx: Tx, id: string, row: Judged): Promise<void> {
  await tx.run(sql`update findings set rule = ${row.rule}, provider = ${row.provider}, title = ${row.title},
    confidence = ${row.confidence}, reasons = ${row.reasons}, entropy = ${row.entropy}, masked = ${row.masked} where id = ${id}`)
}

export const findingsById = (reader: Reader, ids: readonly string[]): Promise<FindingRow[]> =>
  inChunks([...ids].sort(), (chunk) =>
    reader.all<FindingRow>(sql`select * from findings where id in (${sqlList(chunk)}) order by id`),
  )

type Move = {
  readonly state: FindingView['state']
  readonly runId: string | null
  readonly reason: string | null
  readonly until?: number | null
  readonly at: Date
  readonly actor: string
  readonly scanId?: string
}

/** Moves findings from one of the states `from`, and remembers it; returns the ids that moved. */
export const moveFindings = (
  tx: Tx,
  ids: readonly string[],
  from: readonly FindingView['state'][],
  to: Move,
): Promise<string[]> =>
  inChunks(ids, async (chunk) => {
    const at = to.at.getTime()
    await tx.run(sql`insert into finding_moves (finding_id, project, at, from_state, to_state, actor, reason, scan_id, run_id)
      select id, project, ${at}, state, ${to.state}, ${to.actor}, ${to.reason}, ${to.scanId ?? null}, ${to.runId} from findings
      where id in (${sqlList(chunk)}) and state in (${sqlList(from)})`)
    const rows = await tx.all<{
      id: string
    }>(sql`update findings set state = ${to.state}, run_id = ${to.runId},
      reason = ${to.reason}, ignored_until = ${to.until ?? null}, state_since = ${at}
      where id in (${sqlList(chunk)}) and state in (${sqlList(from)}) returning id`)
    return rows.map((row) => row.id).sort()
  })

/** What became open by a scan, still is, and is more than a guess; not what somebody has put back on purpose. */
export async function worthProposing(reader: Reader, scanId: string): Promise<string[]> {
  const rows = await reader.all<{ id: string }>(sql`select distinct f.id as id from finding_moves m
    join findings f on f.id = m.finding_id where m.scan_id = ${scanId} and m.to_state = 'open' and f.state = 'open'
    and f.confidence <> 'low' and coalesce(m.from_state, '') <> 'restored' order by f.id`)
  return rows.map((row) => row.id)
}

type MoveRow = {
  at: number
  to_state: FindingView['state']
  actor: string
  reason: string | null
  scan_id: string | null
  run_id: string | null
}

/** What happened to a finding, newest first. */
export const movesOf = (reader: Reader, findingId: string, most: number): Promise<MoveRow[]> =>
  reader.all<MoveRow>(
    sql`select at, to_state, actor, reason, scan_id, run_id from finding_moves where finding_id = ${findingId}
      order by at desc limit ${most}`,
  )

/** Ignored ones whose last moment has gone by. */
export async function expiredIgnores(reader: Reader, now: Date): Promise<string[]> {
  const rows = await reader.all<{ id: string }>(
    sql`select id from findings where state = 'ignored' and ignored_until <= ${now.getTime()} order by id`,
  )
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
export const findingViewOf = (row: FindingRow, places: readonly PlaceRow[]): FindingView => ({
  id: row.id,
  project: row.project,
  fingerprint: row.fingerprint,
  rule: row.rule,
  provider: row.provider,
  title: row.title,
  confidence: row.confidence,
  reasons: JSON.parse(row.reasons) as string[],
  entropy: row.entropy,
  masked: row.masked,
  state: row.state,
  stateSince: new Date(row.state_since).toISOString(),
  places: places.map((place) => placeViewOf(place, row.last_seen_at)),
  placeCount: row.place_count,
  reference: row.reference,
  runId: row.run_id,
  reason: row.reason,
  ignoredUntil: row.ignored_until === null ? null : new Date(row.ignored_until).toISOString(),
  firstSeenAt: new Date(row.first_seen_at).toISOString(),
  lastSeenAt: new Date(row.last_seen_at).toISOString(),
})
