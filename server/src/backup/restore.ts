import { existsSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { createAudit, createFileAnchor } from '../audit/index.ts'
import { AppError, type Clock, type Secret } from '../core/index.ts'
import { fillStore, type Migration, type Store } from '../store/index.ts'
import { readArchive } from './archive.ts'
import { type CheckedBackup, checkArchive, unsealKeyFile } from './check-archive.ts'
import { decryptWith } from './encryption.ts'
import { readBackupFile, syncFolder } from './files.ts'

type Source = { readonly file: string; readonly identities: Secret }

/** Proves a backup without restoring it. */
export async function verifyBackup({ file, identities }: Source): Promise<CheckedBackup> {
  return checkArchive(await opened({ file, identities }))
}

const opened = async ({ file, identities }: Source) => {
  if (!existsSync(file)) throw new AppError('request.invalid', `${file} does not exist`)
  return readArchive(await decryptWith(identities, readBackupFile(file)))
}

type Target = {
  /** Locked by this process. */
  readonly dataDir: string
  readonly openStore: () => Promise<Store>
  /** The database is no file of the data folder. */
  readonly elsewhere: boolean
  readonly migrations: readonly Migration[]
  readonly clock: Pick<Clock, 'now'>
  /** Moves aside what lies in the data folder, instead of refusing. Never a database of PostgreSQL. */
  readonly replace: boolean
}

const marker = 'restore.unfinished'
const databaseFiles = ['keyward.db', 'keyward.db-wal', 'keyward.db-shm']
const replacedFiles = [...databaseFiles, unsealKeyFile, 'root.token', 'audit.anchor', 'audit.journal']

/** A server must not start on half of a restore. */
export function assertNotHalfRestored(dataDir: string): void {
  if (existsSync(join(dataDir, marker)))
    throw new AppError(
      'store.restoring',
      `${dataDir}: repeat the restore that did not come to its end, or take an empty folder`,
    )
}

/** Puts a backup into an empty place, after it has been read and proved as a whole. */
export async function restoreBackup(source: Source, target: Target): Promise<CheckedBackup> {
  const { dataDir, clock } = target
  const checked = await verifyBackup(source)
  const again = existsSync(join(dataDir, marker))
  // Before anything is moved: what lies elsewhere is never moved aside.
  if (target.elsewhere) await assertEmpty(target)
  if (again) for (const name of databaseFiles) rmSync(join(dataDir, name), { force: true })
  else if (target.replace) await moveAside(dataDir, clock.now())
  const archive = await opened(source)
  assertNoOtherKey(dataDir, archive.header.files[unsealKeyFile])
  const store = await target.openStore()
  try {
    await assertEmptyStore(store, dataDir)
    await writeWhole(dataDir, marker, Buffer.from(`${source.file}\n`))
    const { migrations } = archive.header
    const counts = await fillStore(store, target.migrations, { migrations, parts: archive.parts })
    for (const [table, { rows }] of Object.entries(checked.tables))
      if ((counts.get(table) ?? 0) !== rows)
        throw new AppError(
          'backup.invalid',
          `${counts.get(table) ?? 0} rows of ${table} came instead of ${rows}`,
        )
    for (const [name, content] of Object.entries(archive.header.files))
      if (name === unsealKeyFile) await writeWhole(dataDir, name, Buffer.from(content, 'base64'))
    await record(store, target, checked)
  } finally {
    await store.close()
  }
  rmSync(join(dataDir, marker))
  await syncFolder(dataDir)
  return checked
}

async function assertEmpty({ openStore, dataDir }: Target): Promise<void> {
  const store = await openStore()
  try {
    await assertEmptyStore(store, dataDir)
  } finally {
    await store.close()
  }
}

/** Nothing of ours may be in it: it is new, or a restore into it was rolled back. */
async function assertEmptyStore(store: Pick<Store, 'copy'>, dataDir: string): Promise<void> {
  const used = await store.copy(async (tables) => {
    for (const { rows } of tables) for await (const chunk of rows()) if (chunk.length > 0) return true
    return false
  })
  if (used) throw new AppError('backup.target_used', `the database of ${dataDir} is in use`)
}

/** The restored chain goes on with the entry of its restore, and the anchor is set to it. */
async function record(
  store: Store,
  { dataDir, clock }: Target,
  { audit, createdAt }: CheckedBackup,
): Promise<void> {
  const anchor = join(dataDir, 'audit.anchor')
  rmSync(anchor, { force: true })
  // Its entries are of after the backup, and of another chain.
  rmSync(join(dataDir, 'audit.journal'), { force: true })
  const log = createAudit({
    store,
    clock,
    anchor: createFileAnchor(anchor),
    signingKey: async () => undefined,
  })
  await log.recordNow({
    type: 'backup.restored',
    outcome: 'done',
    actor: 'system:restore',
    target: 'server:keyward',
    detail: { createdAt, entries: audit.entries, hash: audit.lastHash },
  })
  await log.anchor()
}

/** The key of another vault is never overwritten: it may be the only copy. */
function assertNoOtherKey(dataDir: string, wanted: string | undefined): void {
  const path = join(dataDir, unsealKeyFile)
  if (wanted === undefined || !existsSync(path)) return
  if (readFileSync(path).toString('base64') !== wanted)
    throw new AppError('backup.target_used', `${path} is the key of another vault`)
}

async function moveAside(dataDir: string, now: Date): Promise<void> {
  const present = replacedFiles.filter((name) => existsSync(join(dataDir, name)))
  if (present.length === 0) return
  const aside = join(dataDir, `replaced-${now.toISOString().replaceAll(/[:.]/g, '-')}`)
  await mkdir(aside, { mode: 0o700 })
  for (const name of present) await rename(join(dataDir, name), join(aside, name))
}

async function writeWhole(folder: string, name: string, content: Uint8Array): Promise<void> {
  const file = await open(join(folder, name), 'w', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await syncFolder(folder)
}
