import type { ScanView } from '@keyward/contract'
import { type Reader, sql, type Tx } from '../store/index.ts'

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
  opened: number
  fixed: number
  cause: ScanView['cause']
  schedule_id: string | null
  history: ScanView['history']
  problems: string
  started_at: number
  finished_at: number | null
}

export async function putScan(tx: Tx, scan: ScanView): Promise<void> {
  await tx.run(sql`insert into scans (id, project, root, state, files_scanned, files_total, bytes_scanned, commits_scanned,
      findings, opened, fixed, cause, schedule_id, history, problems, started_at, finished_at)
    values (${scan.id}, ${scan.project}, ${scan.path}, ${scan.state}, ${scan.filesScanned}, ${scan.filesTotal}, ${scan.bytesScanned},
      ${scan.commitsScanned}, ${scan.findings}, ${scan.opened}, ${scan.fixed}, ${scan.cause}, ${scan.scheduleId}, ${scan.history},
      ${JSON.stringify(scan.problems)}, ${Date.parse(scan.startedAt)},
      ${scan.finishedAt === null ? null : Date.parse(scan.finishedAt)})
    on conflict (id) do update set state = excluded.state, files_scanned = excluded.files_scanned,
      files_total = excluded.files_total, bytes_scanned = excluded.bytes_scanned, commits_scanned = excluded.commits_scanned,
      findings = excluded.findings, opened = excluded.opened, fixed = excluded.fixed, problems = excluded.problems,
      finished_at = excluded.finished_at`)
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
    opened: row.opened,
    fixed: row.fixed,
    cause: row.cause,
    scheduleId: row.schedule_id,
    history: row.history,
    problems: JSON.parse(row.problems) as ScanView['problems'],
    startedAt: new Date(row.started_at).toISOString(),
    finishedAt: row.finished_at === null ? null : new Date(row.finished_at).toISOString(),
  }))
}

/** Scans that a stopped server left behind. */
export async function failRunningScans(tx: Tx, now: Date): Promise<number> {
  return tx.run(
    sql`update scans set state = 'failed', finished_at = ${now.getTime()} where state = 'running'`,
  )
}

/** Commits of a repository that a scan has looked through, with all that came before them. */
export async function readKnownCommits(reader: Reader, root: string, rules: string): Promise<string[]> {
  const row = await reader.get<{ commits: string }>(
    sql`select commits from scanned_histories where root = ${root} and rules = ${rules}`,
  )
  return row ? (JSON.parse(row.commits) as string[]) : []
}

export async function putKnownCommits(
  tx: Tx,
  { root, rules, commits }: { root: string; rules: string; commits: readonly string[] },
): Promise<void> {
  await tx.run(sql`insert into scanned_histories (root, rules, commits) values (${root}, ${rules}, ${JSON.stringify(commits)})
    on conflict (root) do update set rules = excluded.rules, commits = excluded.commits`)
}
