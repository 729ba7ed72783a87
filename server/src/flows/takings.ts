import type { ArtifactRef } from '@keyward/contract'
import type { Artifacts } from '../artifacts/index.ts'
import type { SandboxedCommand } from '../connectors/index.ts'
import type { TreeTaker } from '../core/index.ts'

/** What of a sandbox's files a task wants. */
export type Takings = TreeTaker & {
  readonly files: Map<string, Buffer>
  /** Those that were kept; undefined when none were to be. */
  finish(): Promise<ArtifactRef | undefined>
  discard(): Promise<void>
}

const mostReadBytes = 16 * 1024 * 1024

/** Undefined when nothing is wanted. */
export async function createTakings(
  { keep = [], read = [] }: Pick<SandboxedCommand, 'keep' | 'read'>,
  owner: { runId: string; taskId: string },
  artifacts: Pick<Artifacts, 'create'>,
): Promise<Takings | undefined> {
  if (keep.length === 0 && read.length === 0) return undefined
  const kept = keep.length === 0 ? undefined : await artifacts.create(owner)
  const files = new Map<string, Buffer>()
  let roomBytes = mostReadBytes

  return {
    files,
    async directory(path) {
      if (kept && isKept(path, keep)) await kept.directory(path)
    },
    async file(head, body) {
      const { path, size } = head
      let bytes: AsyncIterable<Uint8Array> = body
      if (read.includes(path) && size <= roomBytes) {
        roomBytes -= size
        const whole = await wholeOf(body)
        files.set(path, whole)
        bytes = onceOf(whole)
      }
      if (kept && isKept(path, keep)) await kept.file(head, bytes)
      // What is not wanted stands between two that may be.
      else for await (const part of bytes) void part
    },
    finish: async () => kept?.finish(),
    discard: async () => kept?.discard(),
  }
}

/** Also a folder on the way to what is kept. */
const isKept = (path: string, keep: readonly string[]): boolean =>
  keep.some((wanted) => wanted === '.' || path === wanted || isBelow(path, wanted) || isBelow(wanted, path))

const isBelow = (path: string, folder: string): boolean => path.startsWith(`${folder}/`)

async function wholeOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  return Buffer.concat(parts)
}

async function* onceOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
