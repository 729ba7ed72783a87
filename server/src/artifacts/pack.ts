import { createHash } from 'node:crypto'
import { z } from 'zod'
import { AppError, digestOf, type TreeEntry, type TreeTaker } from '../core/index.ts'

// A tree of files as one stream of bytes: lines of JSON, those of files followed by their bytes.

const head = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('directory'), path: z.string() }),
  z.strictObject({
    kind: z.literal('file'),
    path: z.string(),
    size: z.int().min(0),
    executable: z.boolean(),
  }),
])
type Head = z.output<typeof head>

const longestLine = 32 * 1024

/** Of what a tree holds, in whatever order it came. */
type Manifest = Map<string, string>

/** `sha256` of the names, modes and contents of all that was added. */
const manifestDigest = (manifest: Manifest): string =>
  digestOf([...manifest].sort(([a], [b]) => (a < b ? -1 : 1)))

const noteOf = (entry: Head, hash: string): string =>
  entry.kind === 'file' ? `file ${entry.executable ? 'x' : '-'} ${hash}` : 'directory'

export type Packer = TreeTaker & {
  /** Of what was taken so far. */
  facts(): { digest: string; sizeBytes: number }
}

/** Hands the stream to `write`, piece by piece. */
export function createPacker(write: (bytes: Uint8Array) => Promise<void>): Packer {
  const manifest: Manifest = new Map()
  let sizeBytes = 0

  const begin = (entry: Head): Promise<void> => write(Buffer.from(`${JSON.stringify(entry)}\n`))
  return {
    async directory(path) {
      const entry = { kind: 'directory', path } as const
      await begin(entry)
      manifest.set(path, noteOf(entry, ''))
    },
    async file({ path, size, executable }, body) {
      const entry = { kind: 'file', path, size, executable } as const
      await begin(entry)
      const hash = createHash('sha256')
      for await (const part of body) {
        hash.update(part)
        await write(part)
      }
      sizeBytes += size
      manifest.set(path, noteOf(entry, hash.digest('hex')))
    },
    facts: () => ({ digest: manifestDigest(manifest), sizeBytes }),
  }
}

/** The tree of a stream that a packer wrote. Throws `artifact.corrupt` at its end when it has not this digest. */
export async function* unpacked(stream: AsyncIterable<Buffer>, digest: string): AsyncGenerator<TreeEntry> {
  const manifest: Manifest = new Map()
  const bytes = createBytes(stream)
  for (let line = await bytes.line(); line !== undefined; line = await bytes.line()) {
    const entry = head.parse(JSON.parse(line))
    if (entry.kind === 'directory') {
      manifest.set(entry.path, noteOf(entry, ''))
      yield entry
      continue
    }
    const hash = createHash('sha256')
    const body = bytes.body(entry.size, hash)
    yield { ...entry, body }
    // What nobody wanted of it stands before the next line.
    for await (const part of body) void part
    manifest.set(entry.path, noteOf(entry, hash.digest('hex')))
  }
  if (manifestDigest(manifest) !== digest)
    throw new AppError('artifact.corrupt', 'what it holds has another digest; run its task again')
}

function createBytes(stream: AsyncIterable<Buffer>) {
  const parts = stream[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)

  async function more(): Promise<boolean> {
    const { value, done } = await parts.next()
    if (done) return false
    held = held.length === 0 ? value : Buffer.concat([held, value])
    return true
  }

  return {
    /** Undefined at the end. */
    async line(): Promise<string | undefined> {
      let end = held.indexOf(10)
      while (end < 0) {
        if (held.length > longestLine || !(await more())) {
          if (held.length === 0) return undefined
          throw new AppError('artifact.corrupt', 'it ends within a line; run its task again')
        }
        end = held.indexOf(10)
      }
      const line = held.subarray(0, end).toString('utf8')
      held = held.subarray(end + 1)
      return line
    },
    async *body(size: number, hash: { update(part: Buffer): unknown }): AsyncGenerator<Buffer> {
      let left = size
      while (left > 0) {
        if (held.length === 0 && !(await more()))
          throw new AppError('artifact.corrupt', 'it ends within a file; run its task again')
        const part = held.subarray(0, left)
        held = held.subarray(part.length)
        left -= part.length
        hash.update(part)
        yield part
      }
    },
  }
}
