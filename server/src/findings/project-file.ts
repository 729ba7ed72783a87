import { createHash } from 'node:crypto'
import { constants, type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import { AppError, reasonOf } from '../core/index.ts'

export type ProjectFile = {
  readonly path: string
  readonly bytes: Buffer
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

const largestFileBytes = 64 * 1024 * 1024

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Reads a regular file that really lies inside the project: no link may lead out of it. */
export async function readProjectFile(root: string, file: string): Promise<ProjectFile> {
  const path = await insideProject(root, file)
  const handle = await opened(path)
  try {
    await assertStillAt(handle, path)
    const info = await handle.stat()
    if (!info.isFile()) throw new AppError('finding.changed', `${file} is no regular file any more`)
    if (info.size > largestFileBytes)
      throw new AppError('finding.changed', `${file} is larger than 64 MiB; move its secret by hand`)
    return { path, bytes: await handle.readFile(), mode: info.mode & 0o7777, uid: info.uid, gid: info.gid }
  } finally {
    await handle.close()
  }
}

async function opened(path: string): Promise<FileHandle> {
  try {
    // Without waiting: it may have become a pipe that nobody writes to.
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    throw new AppError('finding.changed', `${path} cannot be read: ${reasonOf(error)}`)
  }
}

async function insideProject(root: string, file: string): Promise<string> {
  const wanted = join(root, file)
  let real: string
  try {
    real = await realpath(wanted)
  } catch (error) {
    throw new AppError('finding.changed', `${file} is not there any more: ${reasonOf(error)}`)
  }
  const realRoot = await realpath(root)
  if (real !== wanted && !real.startsWith(realRoot + sep))
    throw new AppError('finding.changed', `${file} leads out of the project`)
  return real
}

/**
 * Replaces a file's content in one step: a crash leaves either the old file or the new one, never half of one. Mode and owner
 * stay. What an earlier crash left beside it is removed.
 */
export async function replaceProjectFile(
  target: Omit<ProjectFile, 'bytes'>,
  bytes: Uint8Array,
): Promise<void> {
  const name = basename(target.path)
  const folder = await open(
    dirname(target.path),
    constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
  )
  try {
    await assertStillAt(folder, dirname(target.path))
    // By the open folder and not by its path: whoever may write above it could put a link in its place meanwhile.
    const place = onLinux ? pathOfHandle(folder) : dirname(target.path)
    await replaceIn(place, name, target, bytes)
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function replaceIn(
  place: string,
  name: string,
  target: Omit<ProjectFile, 'bytes'>,
  bytes: Uint8Array,
): Promise<void> {
  const next = nextOf(place, name)
  await unlink(next).catch(() => undefined)
  const handle = await open(next, 'wx', 0o600)
  try {
    await handle.writeFile(bytes)
    const own = await handle.stat()
    if (own.uid !== target.uid || own.gid !== target.gid) await handle.chown(target.uid, target.gid)
    await handle.chmod(target.mode)
    await handle.sync()
    await handle.close()
    await rename(next, join(place, name))
  } catch (error) {
    await handle.close()
    await unlink(next).catch(() => undefined)
    throw error
  }
}

/** Removes what a killed process left beside a file. It may be the file with its values, so it must not stay. */
export async function removeLeftover(root: string, file: string): Promise<void> {
  const path = await insideProject(root, file).catch(() => undefined)
  if (path !== undefined) await unlink(nextOf(dirname(path), basename(path))).catch(() => undefined)
}

const nextOf = (place: string, name: string): string => join(place, `.${name}.keyward-next`)

const onLinux = process.platform === 'linux'
const pathOfHandle = ({ fd }: FileHandle): string => `/proc/self/fd/${fd}`

/** A folder on the way may have become a link after the path was looked at: what is open must be what was meant. */
async function assertStillAt(handle: FileHandle, path: string): Promise<void> {
  if (onLinux && (await realpath(pathOfHandle(handle))) !== path)
    throw new AppError('finding.changed', `${path} is not where it was; it was left alone. Scan again.`)
}

/** The project's folder as an absolute path without links. */
export async function projectRoot(path: string): Promise<string> {
  try {
    const root = await realpath(path)
    if ((await stat(root)).isDirectory()) return root
  } catch (error) {
    throw new AppError('scan.path_unreadable', `${path}: ${reasonOf(error)}`)
  }
  throw new AppError('scan.path_unreadable', `${path} is not a folder`)
}
