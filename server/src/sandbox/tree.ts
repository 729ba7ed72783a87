import { constants, type Dirent } from 'node:fs'
import { mkdir, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** A folder, a link or a file with its bytes. Paths are relative, with `/`. */
type TreeEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | (FileHead & { readonly kind: 'file'; readonly body: AsyncIterable<Uint8Array> })

export type FileHead = { readonly path: string; readonly size: number; readonly executable: boolean }

/** What goes into a sandbox: each folder before what is in it, each body read before the next entry is asked for. */
export type FileTree = AsyncIterable<TreeEntry>

/** Takes what comes out of a sandbox, by names that were checked: each folder before what is in it. */
export type TreeTaker = {
  directory(path: string): Promise<void>
  /** Must read the body whole. */
  file(head: FileHead, body: AsyncIterable<Uint8Array>): Promise<void>
}

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
