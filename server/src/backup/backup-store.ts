import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const backupMigrations: readonly Migration[] = [
  {
    id: '0090-backups',
    up: ({ int8 }) => [
      `create table backup_settings (
        id integer not null primary key, recipients text not null, folder text, every_seconds ${int8}, keep ${int8} not null,
        unseal_key integer not null)`,
      `create table backups (
        name text not null primary key, folder text not null, started_at ${int8} not null, finished_at ${int8} not null,
        state text not null, bytes ${int8} not null, sha256 text not null, audit_seq ${int8} not null, reason text)`,
      'create index backups_started_at on backups (started_at)',
    ],
  },
]

export type Settings = {
  /** Public keys of age. */
  readonly recipients: readonly string[]
  /** Absent: `backups` in the data folder. */
  readonly folder: string | null
  /** Null: only when somebody asks. */
  readonly everySeconds: number | null
  readonly keep: number
  readonly unsealKey: boolean
}

export type BackupRow = {
  readonly name: string
  readonly folder: string
  readonly startedAt: number
  readonly finishedAt: number
  readonly state: 'done' | 'failed'
  readonly bytes: number
  readonly sha256: string
  readonly auditSeq: number
  readonly reason: string | null
}

type SettingsRow = Omit<Settings, 'recipients' | 'unsealKey'> & { recipients: string; unsealKey: number }

export async function readSettings(reader: Reader): Promise<Settings | undefined> {
  const row =
    await reader.get<SettingsRow>(sql`select recipients, folder, every_seconds as "everySeconds", keep,
    unseal_key as "unsealKey" from backup_settings where id = 1`)
  return row && { ...row, recipients: JSON.parse(row.recipients) as string[], unsealKey: row.unsealKey === 1 }
}

export async function putSettings(tx: Tx, settings: Settings): Promise<void> {
  const { recipients, folder, everySeconds, keep, unsealKey } = settings
  await tx.run(sql`insert into backup_settings (id, recipients, folder, every_seconds, keep, unseal_key)
    values (1, ${JSON.stringify(recipients)}, ${folder}, ${everySeconds}, ${keep}, ${unsealKey ? 1 : 0})
    on conflict (id) do update set recipients = excluded.recipients, folder = excluded.folder,
      every_seconds = excluded.every_seconds, keep = excluded.keep, unseal_key = excluded.unseal_key`)
}

export async function insertBackup(tx: Tx, row: BackupRow): Promise<void> {
  await tx.run(sql`insert into backups (name, folder, started_at, finished_at, state, bytes, sha256, audit_seq, reason)
    values (${row.name}, ${row.folder}, ${row.startedAt}, ${row.finishedAt}, ${row.state}, ${row.bytes}, ${row.sha256},
      ${row.auditSeq}, ${row.reason})`)
}

const columns = sql`name, folder, started_at as "startedAt", finished_at as "finishedAt", state, bytes, sha256,
  audit_seq as "auditSeq", reason`

/** Newest first. */
export function readBackups(reader: Reader, limit: number): Promise<BackupRow[]> {
  return reader.all(sql`select ${columns} from backups order by started_at desc, name desc limit ${limit}`)
}

export function readDoneBackups(reader: Reader): Promise<BackupRow[]> {
  return reader.all(
    sql`select ${columns} from backups where state = 'done' order by started_at desc, name desc`,
  )
}

export async function deleteBackup(tx: Tx, name: string): Promise<void> {
  await tx.run(sql`delete from backups where name = ${name}`)
}

/** Failures older than the newest backups that are kept tell nothing any more. */
export async function deleteFailuresBefore(tx: Tx, startedAt: number): Promise<void> {
  await tx.run(sql`delete from backups where state = 'failed' and started_at < ${startedAt}`)
}
