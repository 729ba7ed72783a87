import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { type Budget, createBudget } from '../budget.ts'
import type { Engine } from '../engine.ts'
import type { Encoding, RawFinding } from '../finding.ts'
import type { Looked } from '../threads/job.ts'
import { type Loaded, load, stretchesOf } from './read-file.ts'
import { reasonWithout } from './walk.ts'

type FileAt = { readonly root: string; readonly file: string; readonly signal: AbortSignal | undefined }

/** Everything that one file of a folder holds. */
export async function lookThroughFile(engine: Engine, { root, file, signal }: FileAt): Promise<Looked> {
  let loaded: Loaded
  try {
    loaded = load(join(root, file))
  } catch (error) {
    return lookedAt({ problem: reasonWithout(root, error), file })
  }
  if (loaded.kind === 'binary') return lookedAt({ file })
  if (loaded.kind === 'skipped') return lookedAt({ problem: loaded.reason, file })
  if (loaded.kind === 'whole') {
    const { bytes, encoding } = loaded
    const budget = createBudget(bytes.length)
    const findings = detectIn(engine, { file, bytes, encoding, budget })
    return lookedAt({ file, findings, problem: budget.exceeded, bytesScanned: bytes.length })
  }
  return lookThroughLarge(engine, { ...loaded, file, signal })
}

type About = { file: string; findings?: RawFinding[]; problem?: string | undefined; bytesScanned?: number }

const lookedAt = ({ file, findings = [], problem, bytesScanned = 0 }: About): Looked => ({
  isFile: true,
  findings,
  problems: problem === undefined ? [] : [{ file, reason: problem }],
  bytesScanned,
})

type Large = { descriptor: number; sizeBytes: number; file: string; signal: AbortSignal | undefined }

async function lookThroughLarge(engine: Engine, large: Large): Promise<Looked> {
  const { descriptor, sizeBytes, file, signal } = large
  const budget = createBudget(sizeBytes)
  const findings: RawFinding[] = []
  let bytesScanned = 0
  for (const stretch of stretchesOf(descriptor, sizeBytes)) {
    for (const finding of engine.detect({ ...stretch, file, budget })) findings.push(finding)
    bytesScanned += Math.min(stretch.bytes.length, stretch.emitTo) - stretch.emitFrom
    if (budget.exceeded !== undefined) break
    // Whoever shares this thread has a turn, and may call the scan off.
    await setImmediate()
    signal?.throwIfAborted()
  }
  return lookedAt({ file, findings, problem: budget.exceeded, bytesScanned })
}

type Contents = { file: string; bytes: Buffer; encoding?: Encoding; budget?: Budget }

/** What stands in a whole file; offsets of UTF-16 text are brought back to the bytes of the file. */
export function detectIn(engine: Engine, contents: Contents): RawFinding[] {
  const { file, bytes, encoding = 'utf8', budget = createBudget(bytes.length) } = contents
  if (encoding === 'utf8') return engine.detect({ bytes, file, budget })
  const even = bytes.subarray(2, bytes.length - (bytes.length % 2))
  const little = encoding === 'utf16le' ? even : Buffer.from(even).swap16()
  const text = Buffer.from(little.toString('utf16le'), 'utf8')
  const inFile = createUtf16Ruler(text)
  return engine.detect({ bytes: text, file, encoding, budget }).map((finding) => {
    const start = inFile(finding.place.start)
    return { ...finding, place: { ...finding.place, start, end: inFile(finding.place.end) } }
  })
}

/** Where a byte of UTF-8 stood in the UTF-16 file. Goes on from the last one, so many findings cost one pass. */
function createUtf16Ruler(text: Buffer): (at: number) => number {
  let last = { at: 0, inFile: 2 }
  return (at) => {
    if (at < last.at) last = { at: 0, inFile: 2 }
    last = { at, inFile: last.inFile + 2 * text.toString('utf8', last.at, at).length }
    return last.inFile
  }
}
