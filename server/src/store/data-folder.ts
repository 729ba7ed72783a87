import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError, reasonOf } from '../core/index.ts'

export type DataFolder = { readonly path: string; release(): void }

/**
 * Makes the data folder (0700) and takes its lock for as long as this process lives. The lock is a file lock of the operating
 * system, held through SQLite, so that it ends with the process however the process ends.
 */
export function openDataFolder(path: string): DataFolder {
  makePrivateFolder(path)
  const pidFile = join(path, 'keyward.pid')
  const lock = new DatabaseSync(join(path, 'keyward.lock'), { timeout: 0 })
  try {
    lock.exec('pragma journal_mode = off; begin exclusive')
  } catch (error) {
    lock.close()
    if (!/locked|busy/i.test(reasonOf(error)))
      throw new AppError('store.unavailable', `${path}: ${reasonOf(error)}`)
    throw new AppError(
      'store.locked',
      `${path} is in use by process ${readPid(pidFile)}. Stop that process, or give this one another folder with --data.`,
    )
  }
  chmodSync(join(path, 'keyward.lock'), 0o600)
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 })
  return { path, release: () => lock.close() }
}

/**
 * Whether a path is Keyward's own: the data folder or in it, but for the examples of the guided first run. Both paths without
 * links. Nobody has such a path scanned or copied anywhere.
 */
export function isOwnPath(dataDir: string, path: string): boolean {
  const isIn = (folder: string): boolean => path.startsWith(folder + sep)
  return (path === dataDir || isIn(dataDir)) && !isIn(join(dataDir, 'example'))
}

function makePrivateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const others = statSync(path).mode & 0o077
    if (others === 0) return
  } catch (error) {
    throw new AppError('store.unavailable', `the data folder ${path} cannot be made: ${reasonOf(error)}`)
  }
  throw new AppError(
    'store.unavailable',
    `the data folder ${path} is open to other users. Run: chmod 700 ${path}`,
  )
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}
