import { readFile, rm } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import type { AuditHead, BackupStatus } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  type Log,
  type Principal,
  reasonOf,
  repeat,
  systemPrincipal,
} from '../core/index.ts'
import type { Store } from '../store/index.ts'
import { writeArchive } from './archive.ts'
import {
  type BackupRow,
  deleteBackup,
  deleteFailuresBefore,
  insertBackup,
  putSettings,
  readBackups,
  readDoneBackups,
  readSettings,
  type Settings,
} from './backup-store.ts'
import { unsealKeyFile } from './check-archive.ts'
import { checkRecipients, encryptTo } from './encryption.ts'
import {
  backupFilesIn,
  backupName,
  makeBackupFolder,
  measureBackupFile,
  removeParts,
  writeBackupFile,
} from './files.ts'

export type Backups = {
  /** Writes one now. */
  create(by: Principal): Promise<BackupRow>
  configure(by: Principal, settings: Settings): Promise<void>
  status(): Promise<BackupStatus>
  /**
   * Removes what a killed server left half written, takes in what it had finished and not recorded, and makes those that are due
   * from now on. Returns what ends it, after the one that is being written.
   */
  run(): Promise<() => Promise<void>>
}

type Needs = {
  store: Store
  audit: Pick<Audit, 'record' | 'recordNow' | 'head' | 'health'>
  clock: Clock
  log: Log
  dataDir: string
  version: string
  /** Without its keys nobody can sign where the audit log ended. */
  isSealed: () => boolean
}

const lookEveryMilliseconds = 30_000
/** After a failure it is tried again no sooner. */
const retrySeconds = 900
const shown = 100
const defaultSettings: Settings = {
  recipients: [],
  folder: null,
  everySeconds: null,
  keep: 14,
  unsealKey: true,
}

/**
 * Copies of the whole store in files that are encrypted for somebody else's key: the server can make a backup and cannot open
 * one. The copy shows one moment, while others go on writing.
 */
export function createBackups(needs: Needs): Backups {
  const { store, audit, clock, log } = needs
  let running: Promise<unknown> | undefined
  const settingsOf = async (): Promise<Settings> => (await readSettings(store)) ?? defaultSettings
  const folderOf = ({ folder }: Pick<Settings, 'folder'>): string => folder ?? join(needs.dataDir, 'backups')

  async function files({ unsealKey }: Settings): Promise<Record<string, string>> {
    if (!unsealKey) return {}
    const key = await readFile(join(needs.dataDir, unsealKeyFile)).catch((error: NodeJS.ErrnoException) => {
      // Another seal has none. One that cannot be read would be missed only when the backup is needed.
      if (error.code !== 'ENOENT') throw error
    })
    return key ? { [unsealKeyFile]: key.toString('base64') } : {}
  }

  async function writeFileOf(name: string, settings: Settings): Promise<{ bytes: number; sha256: string }> {
    const head: AuditHead | null = needs.isSealed() ? null : await audit.head()
    const folder = folderOf(settings)
    await makeBackupFolder(folder)
    const about = {
      format: 'keyward-backup',
      version: 1,
      createdAt: clock.now().toISOString(),
      program: needs.version,
      dialect: store.dialect,
      head,
      files: await files(settings),
    } as const
    return store.copy(async (tables, migrations) => {
      const archive = writeArchive({ ...about, migrations }, tables)
      return writeBackupFile(folder, name, await encryptTo(settings.recipients, archive))
    })
  }

  async function finish(by: Principal, row: BackupRow): Promise<void> {
    await store.write(async (tx) => {
      await insertBackup(tx, row)
      await audit.record(tx, {
        type: 'backup.finished',
        outcome: row.state,
        actor: actorOf(by),
        target: `backup:${row.name}`,
        detail: { bytes: row.bytes, sha256: row.sha256, reason: row.reason },
      })
    })
  }

  /** Those beyond the newest `keep`: the file first, so that nothing lies about that nobody knows of. */
  async function removeOld({ keep }: Settings): Promise<void> {
    const done = await readDoneBackups(store)
    for (const { name, folder } of done.slice(keep)) {
      await rm(join(folder, name), { force: true })
      await store.write(async (tx) => {
        await deleteBackup(tx, name)
        await audit.record(tx, {
          type: 'backup.removed',
          outcome: 'done',
          actor: actorOf(systemPrincipal('backup')),
          target: `backup:${name}`,
          detail: { keep },
        })
      })
    }
    const oldest = done.slice(0, keep).at(-1)
    if (oldest) await store.write((tx) => deleteFailuresBefore(tx, oldest.startedAt))
  }

  async function create(by: Principal): Promise<BackupRow> {
    const settings = await settingsOf()
    if (settings.recipients.length === 0) throw new AppError('backup.unconfigured')
    if (running) throw new AppError('request.conflict', 'a backup is being written. Wait for it')
    const made = write(by, settings)
    running = made
      .catch(() => undefined)
      .finally(() => {
        running = undefined
      })
    return made
  }

  async function write(by: Principal, settings: Settings): Promise<BackupRow> {
    const startedAt = clock.now()
    const name = backupName(startedAt)
    const base = { name, folder: folderOf(settings), startedAt: startedAt.getTime() }
    try {
      const entry = { type: 'backup.started', actor: actorOf(by), target: `backup:${name}` } as const
      await audit.recordNow({ ...entry, outcome: 'intent', detail: { folder: base.folder } })
      const auditSeq = audit.health().seq
      const file = await writeFileOf(name, settings)
      const row: BackupRow = {
        ...base,
        ...file,
        auditSeq,
        finishedAt: clock.now().getTime(),
        state: 'done',
        reason: null,
      }
      await finish(by, row)
      await removeOld(settings)
      return row
    } catch (error) {
      const reason = reasonOf(error)
      const none = { bytes: 0, sha256: '', auditSeq: 0, finishedAt: clock.now().getTime() }
      await finish(by, { ...base, ...none, state: 'failed', reason }).catch((failure: unknown) =>
        log.error({ reason: reasonOf(failure) }, 'a failed backup could not be recorded'),
      )
      throw error
    }
  }

  /** Whole files under a final name that no row tells of: the server was killed before it could write one. */
  async function adopt(folder: string): Promise<void> {
    const known = new Set((await readDoneBackups(store)).map(({ name }) => name))
    for (const { name, at } of await backupFilesIn(folder)) {
      if (known.has(name)) continue
      const file = await measureBackupFile(folder, name)
      const times = { startedAt: at.getTime(), finishedAt: at.getTime() }
      await finish(systemPrincipal('backup'), {
        name,
        folder,
        ...file,
        ...times,
        auditSeq: 0,
        state: 'done',
        reason: null,
      })
    }
  }

  async function createWhenDue(): Promise<void> {
    const { everySeconds, recipients } = await settingsOf()
    if (everySeconds === null || recipients.length === 0 || running) return
    const [last] = await readBackups(store, 1)
    const wait = last?.state === 'failed' ? Math.min(everySeconds, retrySeconds) : everySeconds
    if (last && clock.now().getTime() - last.startedAt < wait * 1000) return
    await create(systemPrincipal('backup'))
  }

  return {
    create,
    async configure(by, settings) {
      if (settings.folder !== null && !isAbsolute(settings.folder))
        throw new AppError('request.invalid', 'the folder of backups must be an absolute path')
      if (settings.everySeconds !== null && settings.recipients.length === 0)
        throw new AppError('backup.unconfigured')
      await checkRecipients(settings.recipients)
      await makeBackupFolder(folderOf(settings))
      await store.write(async (tx) => {
        await putSettings(tx, settings)
        const { recipients, ...others } = settings
        await audit.record(tx, {
          type: 'backup.configured',
          outcome: 'done',
          actor: actorOf(by),
          target: 'backup:settings',
          detail: { ...others, recipients: [...recipients] },
        })
      })
    },
    async status() {
      const settings = await settingsOf()
      const rows = await readBackups(store, shown)
      const [lastDone] = await readDoneBackups(store)
      return {
        settings: { ...settings, recipients: [...settings.recipients], folder: folderOf(settings) },
        lastDoneAt: lastDone ? new Date(lastDone.startedAt).toISOString() : null,
        state: stateOf(settings, rows[0], lastDone, clock.now()),
        items: rows.map(viewOf),
      }
    },
    async run() {
      const folder = folderOf(await settingsOf())
      await removeParts(folder)
      await adopt(folder)
      const stop = repeat(
        { clock, log },
        { name: 'backup', milliseconds: lookEveryMilliseconds, work: createWhenDue },
      )
      return async () => {
        stop()
        await running
      }
    },
  }
}

/** `failing`: one is due for longer than its interval, or the last attempt failed. */
function stateOf(
  { everySeconds, recipients }: Settings,
  last: BackupRow | undefined,
  lastDone: BackupRow | undefined,
  now: Date,
): BackupStatus['state'] {
  if (recipients.length === 0) return 'unconfigured'
  if (last?.state === 'failed') return 'failing'
  if (everySeconds === null || !lastDone) return 'ok'
  return now.getTime() - lastDone.startedAt > 2 * everySeconds * 1000 ? 'failing' : 'ok'
}

export const viewOf = (row: BackupRow): BackupStatus['items'][number] => ({
  ...row,
  startedAt: new Date(row.startedAt).toISOString(),
  finishedAt: new Date(row.finishedAt).toISOString(),
})
