import { link, mkdir, open, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { createReader } from '../sandbox/index.ts'

// What an archive holds comes out of a sandbox as frames, told by a program that the archive may have misled. Each is checked here
// before it touches the disk: nothing is written through a link, over something else, or outside of the folder.

const longestPath = 4096
const path = z.string().min(1).max(longestPath)

const frame = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('directory'), path }),
  z.object({ kind: z.literal('file'), path, size: z.int().min(0), executable: z.boolean() }),
  /** Another name of a file that was told before. */
  z.object({ kind: z.literal('same'), path, as: path }),
  z.object({ kind: z.literal('link'), path, target: path }),
  z.object({ kind: z.literal('left'), path: z.string(), reason: z.string() }),
  z.object({
    kind: z.literal('end'),
    environment: z.record(z.string().regex(/^[A-Za-z_]\w*$/), z.string().regex(/^[^\0]*$/)),
    left: z.int().min(0),
  }),
])
type Frame = z.output<typeof frame>

export type Bounds = { entries: number; bytes: number }

export type Written = {
  environment: Readonly<Record<string, string>>
  /** How many members of the archive are not there, or not as they were, and the first of them. */
  left: number
  examples: readonly { path: string; reason: string }[]
}

/** Writes below `root`, an empty folder that nobody else writes to. Throws at the first word that does not fit, with what is wrong. */
export async function writeTree(incoming: Readable, root: string, bounds: Bounds): Promise<Written> {
  const frames = createReader(incoming, frame)
  const maker = createMaker(root, bounds)
  const examples: { path: string; reason: string }[] = []
  for (let next = await frames.next(); next; next = await frames.next()) {
    if (next.kind === 'left') {
      if (examples.length < 200) examples.push({ path: next.path, reason: next.reason })
    } else if (next.kind === 'end') return { environment: next.environment, left: next.left, examples }
    else if (next.kind === 'file') await maker.file(next, frames.body(next.size))
    else await maker.make(next)
  }
  throw new Error('it ended before the last file')
}

function createMaker(root: string, bounds: Bounds) {
  const folders = new Set(['.'])
  const files = new Set<string>()
  let entries = 0
  let bytes = 0

  /** The place on disk, whose folder was made here and is no link. */
  function placeOf(path: string): string {
    entries += 1
    if (entries > bounds.entries) throw new Error(`it holds more than ${bounds.entries} files and folders`)
    if (!path.split('/').every(isName)) throw new Error(`"${path.slice(0, 200)}" is no path in an image`)
    if (!folders.has(dirname(path)))
      throw new Error(`the folder of "${path.slice(0, 200)}" was not made before`)
    return join(root, path)
  }

  return {
    async make(told: Extract<Frame, { kind: 'directory' | 'same' | 'link' }>): Promise<void> {
      const place = placeOf(told.path)
      if (told.kind === 'directory') {
        await mkdir(place, { mode: 0o755 })
        folders.add(told.path)
      } else if (told.kind === 'link') {
        if (told.target.includes('\0')) throw new Error('a link leads to no path')
        await symlink(told.target, place)
      } else if (files.has(told.as)) await link(join(root, told.as), place)
      else throw new Error('a file has the name of one that is not there')
    },
    async file(
      { path, size, executable }: Extract<Frame, { kind: 'file' }>,
      body: AsyncIterable<Uint8Array>,
    ): Promise<void> {
      const place = placeOf(path)
      bytes += size
      if (bytes > bounds.bytes) throw new Error(`it holds more than ${bounds.bytes} bytes`)
      const file = await open(place, 'wx', 0o600)
      try {
        for await (const part of body) await file.writeFile(part)
        // Whatever the mask of this process: every user of a sandbox reads it, and nobody writes.
        await file.chmod(executable ? 0o555 : 0o444)
      } finally {
        await file.close()
      }
      files.add(path)
    },
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const control = /[\u0000-\u001f\u007f]/

/** As Linux takes it, and as a person can read it. */
const isName = (name: string): boolean =>
  !['', '.', '..'].includes(name) && Buffer.byteLength(name) <= 255 && !control.test(name)
