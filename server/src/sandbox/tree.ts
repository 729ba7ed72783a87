import { constants, type Dirent } from 'node:fs'
import { mkdir, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileTree, TreeEntry, TreeTaker } from '../core/index.ts'

/** A host folder. Links travel as links, so they lead to whatever stands at that path inside; sockets, pipes and devices stay behind. */
export async function* folderTree(root: string, prefix = ''): AsyncGenerator<TreeEntry> {
  for (const entry of await readdir(join(root, prefix), { withFileTypes: true })) {
    const path = prefix + entry.name
    if (entry.isDirectory()) {
      yield { kind: 'directory', path }
      yield* folderTree(root, `${path}/`)
    } else yield* leafOf(root, entry, path)
  }
}

async function* leafOf(root: string, entry: Dirent, path: string): AsyncGenerator<TreeEntry> {
  if (entry.isSymbolicLink()) yield { kind: 'link', path, target: await readlink(join(root, path)) }
  if (!entry.isFile()) return
  const file = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size, mode } = await file.stat()
    const body = file.createReadStream({ start: 0, end: Math.max(0, size - 1), autoClose: false })
    yield { kind: 'file', path, size, executable: (mode & 0o100) !== 0, body }
  } finally {
    await file.close().catch(() => undefined)
  }
}

/** The tree with small files in it, in place of those of the same path, and with the folders that they need. */
export async function* withFiles(
  tree: FileTree | undefined,
  files: Readonly<Record<string, string>>,
): AsyncGenerator<TreeEntry> {
  const folders = new Set<string>()
  for await (const entry of tree ?? []) {
    if (Object.hasOwn(files, entry.path)) continue
    if (entry.kind === 'directory') folders.add(entry.path)
    yield entry
  }
  for (const [path, content] of Object.entries(files)) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/')
      if (!folders.has(folder)) yield { kind: 'directory', path: folder }
      folders.add(folder)
    }
    yield fileOf(path, Buffer.from(content))
  }
}

const fileOf = (path: string, bytes: Buffer): TreeEntry => ({
  kind: 'file',
  path,
  size: bytes.length,
  executable: false,
  body: (async function* () {
    yield bytes
  })(),
})

/** Writes below `target`, never over anything. */
export const folderTaker = (target: string): TreeTaker => ({
  async directory(path) {
    await mkdir(join(target, path), { mode: 0o700 })
  },
  async file({ path, executable }, body) {
    const file = await open(join(target, path), 'wx', executable ? 0o700 : 0o600)
    try {
      for await (const part of body) await file.writeFile(part)
    } finally {
      await file.close()
    }
  },
})
