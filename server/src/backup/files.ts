import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, reasonOf } from '../core/index.ts'

const partSuffix = '.part'

/** Makes the folder (0700). One that others can look into is refused. */
export async function makeBackupFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { mode } = await stat(folder)
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    throw new AppError('backup.failed', `${folder} is open to other users. Run: chmod 700 '${folder}'`)
}

/** Under another name until all of it is on disk: whatever has the final name is whole. */
export async function writeBackupFile(
  folder: string,
  name: string,
  content: AsyncIterable<Uint8Array>,
): Promise<{ bytes: number; sha256: string }> {
  const part = join(folder, name + partSuffix)
  const digest = createHash('sha256')
  let bytes = 0
  try {
    const file = await open(part, 'wx', 0o600)
    try {
      for await (const chunk of content) {
        digest.update(chunk)
        bytes += chunk.length
        await file.writeFile(chunk)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, join(folder, name))
    await syncFolder(folder)
    return { bytes, sha256: digest.digest('hex') }
  } catch (error) {
    await rm(part, { force: true })
    throw error instanceof AppError
      ? error
      : new AppError('backup.failed', `${folder}: ${reasonOf(error)}`, { cause: error })
  }
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What a killed server left half written. */
export async function removeParts(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names)
    if (name.startsWith(backupPrefix) && name.endsWith(partSuffix))
      await rm(join(folder, name), { force: true })
}

const backupPrefix = 'keyward-'
const backupSuffix = '.backup.age'

export const backupName = (at: Date): string =>
  `${backupPrefix}${at.toISOString().replaceAll(/[:.]/g, '-')}${backupSuffix}`

/** Those of a folder that have a name of ours, with the time that it tells. */
export async function backupFilesIn(folder: string): Promise<{ name: string; at: Date }[]> {
  const names = await readdir(folder).catch(() => [])
  return names.flatMap((name) => {
    const [, date, hour, minute, second, fraction] =
      /^keyward-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z\.backup\.age$/.exec(name) ?? []
    return date ? [{ name, at: new Date(`${date}T${hour}:${minute}:${second}.${fraction}Z`) }] : []
  })
}

export async function measureBackupFile(
  folder: string,
  name: string,
): Promise<{ bytes: number; sha256: string }> {
  const digest = createHash('sha256')
  let bytes = 0
  for await (const chunk of readBackupFile(join(folder, name))) {
    digest.update(chunk)
    bytes += chunk.length
  }
  return { bytes, sha256: digest.digest('hex') }
}

export const readBackupFile = (path: string): AsyncIterable<Uint8Array> => createReadStream(path)
