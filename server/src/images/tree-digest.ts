import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

export type TreeFacts = { digest: string; sizeBytes: number; files: number }

const atOnce = 8

/**
 * The digest of a folder of folders, files and links: SHA-256 over a line of JSON for each, in the order of their paths, with the
 * kind, the path, whether it can be run, and the digest of the content or where the link leads. Links are not followed.
 */
export async function treeDigest(root: string): Promise<TreeFacts> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  let files = 0
  let waiting: Promise<Line>[] = []

  async function drain(): Promise<void> {
    for (const { line, size } of await Promise.all(waiting)) {
      hash.update(`${JSON.stringify(line)}\n`)
      sizeBytes += size
      files += 1
    }
    waiting = []
  }

  async function walk(folder: string): Promise<void> {
    const entries = await readdir(join(root, folder), { withFileTypes: true })
    for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
      const path = join(folder, entry.name)
      waiting.push(lineOf(root, path, entry))
      if (waiting.length >= atOnce) await drain()
      if (entry.isDirectory()) await walk(path)
    }
  }

  await walk('')
  await drain()
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes, files }
}

type Line = { line: readonly unknown[]; size: number }
type Kind = { isDirectory(): boolean; isSymbolicLink(): boolean; isFile(): boolean }

async function lineOf(root: string, path: string, entry: Kind): Promise<Line> {
  if (entry.isDirectory()) return { line: ['directory', path], size: 0 }
  if (entry.isSymbolicLink()) return { line: ['link', path, await readlink(join(root, path))], size: 0 }
  if (!entry.isFile()) return { line: ['special', path], size: 0 }
  const file = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { mode, size } = await file.stat()
    const hash = createHash('sha256')
    for await (const part of file.createReadStream({ autoClose: false })) hash.update(part)
    return { line: ['file', path, (mode & 0o111) !== 0, size, hash.digest('hex')], size }
  } finally {
    await file.close()
  }
}
