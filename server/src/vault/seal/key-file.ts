import { randomBytes } from 'node:crypto'
import { link, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, reasonOf } from '../../core/index.ts'
import { keyBytes } from '../barrier/key-ring.ts'

/**
 * Makes the file that unseals the vault at start: 32 random bytes, for its owner only, on disk under its name before it is
 * used. A file left by an initialisation that did not finish is taken as it is, after the usual checks.
 */
export async function createKeyFile(path: string): Promise<Buffer> {
  const key = randomBytes(keyBytes)
  const unfinished = `${path}.new`
  await rm(unfinished, { force: true })
  try {
    await writeSynced(unfinished, key)
    await link(unfinished, path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return await readKeyFile(path)
    throw new AppError('vault.share_invalid', `the key file ${path} cannot be made: ${reasonOf(error)}`)
  } finally {
    await rm(unfinished, { force: true })
  }
  await syncFolder(dirname(path))
  return key
}

async function writeSynced(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A new file's name is only on disk when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

export async function readKeyFile(path: string): Promise<Buffer> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new AppError('vault.share_invalid', `the key file ${path} cannot be read: ${reasonOf(error)}`)
  })
  try {
    const { mode, size } = await file.stat()
    if ((mode & 0o077) !== 0)
      throw new AppError(
        'vault.share_invalid',
        `the key file ${path} is open to others (mode ${(mode & 0o777).toString(8)}). Run: chmod 600 ${path}`,
      )
    if (size !== keyBytes)
      throw new AppError(
        'vault.share_invalid',
        `the key file ${path} has ${size} bytes instead of ${keyBytes}. Put the right file back.`,
      )
    return await file.readFile()
  } finally {
    await file.close()
  }
}
