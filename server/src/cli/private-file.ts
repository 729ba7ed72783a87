import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../core/index.ts'

/** Replaces a file that only its user may read: whole or not at all, and never readable by others in between. */
export async function writePrivateFile(path: string, content: string | AsyncIterable<string>): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  if (await isStream(path)) {
    await writeFile(path, content)
    return
  }
  const next = `${path}.${randomBytes(6).toString('hex')}.next`
  try {
    const file = await open(next, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(next, path)
  } catch (error) {
    await rm(next, { force: true })
    throw error
  }
}

/** A device or a pipe, such as /dev/stdout: it is written to. Root could replace it, and with it /dev/null for everybody. */
async function isStream(path: string): Promise<boolean> {
  const there = await stat(path).catch(() => undefined)
  return there !== undefined && !there.isFile() && !there.isDirectory()
}

/** The content of a file that only its user may read; undefined when there is none, refused when others can read it. */
export async function readPrivateFile(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new AppError('request.invalid', `${path} cannot be read (${error.code}). Mend its owner or mode`)
  })
  if (!file) return
  try {
    const { mode } = await file.stat()
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new AppError('request.invalid', `${path} can be read by others. Run: chmod 600 '${path}'`)
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
