import { constants, mkdirSync, realpathSync } from 'node:fs'
import { appendFile, open } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, sep } from 'node:path'
import { AppError, reasonOf } from '../../core/index.ts'

export type DeviceFile = {
  /** Resolves when the operating system has the line. */
  write(line: string): Promise<void>
}

/** A link in the place of the file is not followed, whoever has put it there: it would lead out of the folder. */
const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

/** What stands in `file_path`; other files only in folders that the server's owner has named. */
export async function openDeviceFile(
  written: string,
  mode: number,
  folders: readonly string[],
): Promise<DeviceFile> {
  if (written === 'discard') return { write: async () => undefined }
  if (written === 'stdout') return { write: async (line) => void process.stdout.write(line) }
  const path = allowedPath(written, folders)
  try {
    const handle = await open(path, appending, mode)
    await handle.close()
  } catch (error) {
    throw new AppError('request.invalid', `sanity check failed; unable to open "${path}": ${reasonOf(error)}`)
  }
  return { write: createAppender(path, mode) }
}

/** Opened for each batch, so that a file that was rotated away is made anew. What comes meanwhile shares the next batch. */
function createAppender(path: string, mode: number): (line: string) => Promise<void> {
  let waiting: string[] = []
  let next: Promise<void> | undefined
  let running: Promise<void> = Promise.resolve()
  return (line) => {
    waiting.push(line)
    next ??= running
      .catch(() => undefined)
      .then(() => {
        const lines = waiting
        waiting = []
        next = undefined
        running = appendFile(path, lines.join(''), { mode, flag: appending })
        return running
      })
    return next
  }
}

function allowedPath(written: string, folders: readonly string[]): string {
  if (!isAbsolute(written)) throw new AppError('request.invalid', 'file_path must be an absolute path')
  for (const folder of folders) {
    const inside = pathIn(folder, written)
    if (inside !== undefined) return inside
  }
  throw new AppError(
    'request.invalid',
    `file_path must lie in ${folders.join(' or ')}: whoever has a token must not choose where the server writes. KEYWARD_AUDIT_FOLDER names another folder`,
  )
}

/** Without links: a planted one would lead out of the folder. */
function pathIn(folder: string, written: string): string | undefined {
  if (!written.startsWith(folder + sep)) return undefined
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  try {
    const parent = realpathSync(dirname(written))
    const root = realpathSync(folder)
    return parent === root || parent.startsWith(root + sep) ? join(parent, basename(written)) : undefined
  } catch {
    throw new AppError('request.invalid', `the folder ${dirname(written)} does not exist`)
  }
}
