import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const artifactsMigrations: readonly Migration[] = [
  {
    id: '0064-artifacts',
    up: ({ int8 }) => [
      `create table artifacts (
        id text not null primary key, run_id text not null, task_id text not null, digest text not null,
        size_bytes ${int8} not null, created_at ${int8} not null, expires_at ${int8})`,
      'create index artifacts_run on artifacts (run_id)',
    ],
  },
]

export type ArtifactRow = {
  readonly id: string
  readonly run_id: string
  readonly task_id: string
  readonly digest: string
  readonly size_bytes: number
  readonly created_at: number
  /** Null while its run has not ended. */
  readonly expires_at: number | null
}

const columns = sql`id, run_id, task_id, digest, size_bytes, created_at, expires_at`

export async function insertArtifact(tx: Tx, row: ArtifactRow): Promise<void> {
  await tx.run(sql`insert into artifacts (${columns}) values (${row.id}, ${row.run_id}, ${row.task_id}, ${row.digest},
    ${row.size_bytes}, ${row.created_at}, ${row.expires_at})`)
}

export const artifactById = (reader: Reader, id: string): Promise<ArtifactRow | undefined> =>
  reader.get(sql`select ${columns} from artifacts where id = ${id}`)

export const artifactIds = async (reader: Reader): Promise<string[]> =>
  (await reader.all<{ id: string }>(sql`select id from artifacts`)).map(({ id }) => id)

export const keptBytes = async (reader: Reader): Promise<number> =>
  Number(
    (await reader.get<{ bytes: number | null }>(sql`select sum(size_bytes) as bytes from artifacts`))
      ?.bytes ?? 0,
  )

/** Runs with artifacts that no end was set for. */
export const openRuns = async (reader: Reader): Promise<string[]> =>
  (
    await reader.all<{ run_id: string }>(sql`select distinct run_id from artifacts where expires_at is null`)
  ).map(({ run_id }) => run_id)

export const expireRun = (tx: Tx, runId: string, at: number): Promise<number> =>
  tx.run(sql`update artifacts set expires_at = ${at} where run_id = ${runId} and expires_at is null`)

export const dueArtifacts = async (reader: Reader, now: number): Promise<string[]> =>
  (
    await reader.all<{ id: string }>(
      sql`select id from artifacts where expires_at <= ${now} order by id limit 100`,
    )
  ).map(({ id }) => id)

export async function deleteArtifact(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from artifacts where id = ${id}`)
}
