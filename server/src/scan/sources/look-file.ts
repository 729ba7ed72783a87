import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { encodingOf, kindOfContents } from '../archive/contents-kind.ts'
import { archiveProblem, filesInside, type Inner, limitsFor } from '../archive/look-inside.ts'
import type { Bytes } from '../archive/zip.ts'
import { type Budget, createBudget } from '../budget.ts'
import { wideTexts } from '../decode/wide.ts'
import type { Engine, Passage } from '../engine.ts'
import type { Encoding, RawFinding } from '../finding.ts'
import type { Looked } from '../threads/job.ts'
import { type FileReader, type Loaded, readAt, stretchesOf, stretchesOfStream } from './read-file.ts'
import { reasonWithout } from './walk.ts'

type FileAt = { readonly root: string; readonly file: string; readonly signal: AbortSignal | undefined }
type Tools = { readonly engine: Engine; readonly reader: FileReader }

/** Everything that one file of a folder holds. */
export async function lookThroughFile(tools: Tools, { root, file, signal }: FileAt): Promise<Looked> {
  let loaded: Loaded
  try {
    loaded = tools.reader.load(join(root, file))
  } catch (error) {
    return lookedAt({ problem: reasonWithout(root, error), file })
  }
  if (loaded.kind === 'nothing') return lookedAt({ file })
  if (loaded.kind === 'skipped') return lookedAt({ problem: loaded.reason, file })
  if (loaded.kind === 'whole') {
    const { bytes, encoding, binary } = loaded
    const budget = createBudget(bytes.length)
    const findings = detectIn(tools.engine, { file, bytes, encoding, budget, wrapping: wrappingOf(binary) })
    return lookedAt({ file, findings, problem: budget.exceeded, bytesScanned: bytes.length })
  }
  const { descriptor } = loaded
  try {
    if (loaded.kind === 'archive') {
      const read = (at: number, length: number): Buffer => readAt(descriptor, at, length)
      return await lookInside(tools, { archive: { sizeBytes: loaded.sizeBytes, read }, file, signal })
    }
    return await lookThroughLarge(tools.engine, { ...loaded, file, signal })
  } finally {
    closeSync(descriptor)
  }
}

/** The same for a file that is in memory already, such as one that is staged. */
export async function lookThroughContents(
  tools: Tools,
  {
    file,
    bytes,
    signal,
  }: { readonly file: string; readonly bytes: Buffer; signal?: AbortSignal | undefined },
): Promise<Looked> {
  const kind = kindOfContents(bytes)
  if (kind === 'media') return lookedAt({ file })
  if (kind === 'archive') {
    const read = (at: number, length: number): Buffer => bytes.subarray(at, at + length)
    return await lookInside(tools, { archive: { sizeBytes: bytes.length, read }, file, signal })
  }
  const budget = createBudget(bytes.length)
  const encoding = kind === 'binary' ? 'utf8' : encodingOf(bytes)
  const wrapping = wrappingOf(kind === 'binary')
  const findings = detectIn(tools.engine, { file, bytes, encoding, budget, wrapping })
  return lookedAt({ file, findings, problem: budget.exceeded, bytesScanned: bytes.length })
}

type About = { file: string; findings?: RawFinding[]; problem?: string | undefined; bytesScanned?: number }

const lookedAt = ({ file, findings = [], problem, bytesScanned = 0 }: About): Looked => ({
  isFile: true,
  findings,
  problems: problem === undefined ? [] : [{ file, reason: problem }],
  bytesScanned,
})

type Wrapping = 'binary' | 'archive' | undefined
const wrappingOf = (binary: boolean): Wrapping => (binary ? 'binary' : undefined)

type Open = { descriptor: number; sizeBytes: number; file: string; signal: AbortSignal | undefined }

async function lookThroughLarge(engine: Engine, large: Open & { binary: boolean }): Promise<Looked> {
  const { descriptor, sizeBytes, file, signal, binary } = large
  const budget = createBudget(sizeBytes)
  const findings: RawFinding[] = []
  let bytesScanned = 0
  for (const stretch of stretchesOf(descriptor, sizeBytes)) {
    const found = detectIn(engine, { ...stretch, file, budget, wrapping: wrappingOf(binary) })
    for (const finding of found) findings.push(finding)
    bytesScanned += Math.min(stretch.bytes.length, stretch.emitTo) - stretch.emitFrom
    if (budget.exceeded !== undefined) break
    await turnForOthers(signal)
  }
  return lookedAt({ file, findings, problem: budget.exceeded, bytesScanned })
}

/** Whoever shares this thread has a turn, and may call the scan off. */
async function turnForOthers(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate()
  signal?.throwIfAborted()
}

type Archive = { archive: Bytes; file: string; signal: AbortSignal | undefined }

/** What lies in an archive counts for the archive: one file, with problems of its inner ones. */
const lookInside = (tools: Tools, archive: Archive): Promise<Looked> =>
  tools.reader.withRoom((memory) => lookInsideWith(memory, tools.engine, archive))

async function lookInsideWith(
  memory: Buffer,
  engine: Engine,
  { archive, file, signal }: Archive,
): Promise<Looked> {
  const { sizeBytes } = archive
  const findings: RawFinding[] = []
  const problems: { file: string; reason: string }[] = []
  // One budget for all of it: many files may not cause more work than one.
  const budget = createBudget(16 * sizeBytes)
  let bytesScanned = 0
  try {
    for await (const met of filesInside(file, archive, limitsFor(sizeBytes))) {
      if ('problem' in met) problems.push({ file: met.name, reason: met.problem })
      else bytesScanned += await lookThroughInner(engine, met, { budget, findings, memory })
      if (budget.exceeded !== undefined) break
      await turnForOthers(signal)
    }
  } catch (error) {
    signal?.throwIfAborted()
    problems.push({ file, reason: archiveProblem(error) })
  }
  if (budget.exceeded !== undefined) problems.push({ file, reason: budget.exceeded })
  return { isFile: true, findings, problems, bytesScanned }
}

async function lookThroughInner(
  engine: Engine,
  { name, body }: Inner,
  { budget, findings, memory }: { budget: Budget; findings: RawFinding[]; memory: Buffer },
): Promise<number> {
  let bytesScanned = 0
  let kind: ReturnType<typeof kindOfContents> | undefined
  for await (const stretch of stretchesOfStream(body, memory)) {
    kind ??= kindOfContents(stretch.bytes)
    if (kind === 'media') return bytesScanned
    const encoding = stretch.offset === 0 ? encodingOf(stretch.bytes) : 'utf8'
    const passage = {
      ...stretch,
      file: name,
      budget,
      wrapping: kind === 'binary' ? kind : 'archive',
    } as const
    for (const finding of detectIn(engine, { ...passage, encoding })) findings.push(finding)
    bytesScanned += stretch.emitTo - stretch.emitFrom
  }
  return bytesScanned
}

type Contents = Omit<Passage, 'wrapping'> & { readonly wrapping?: Passage['wrapping'] | undefined }

/** What stands in contents of any encoding; offsets of what was decoded are brought back to the bytes of the file. */
export function detectIn(engine: Engine, contents: Contents): RawFinding[] {
  const { wrapping, encoding = 'utf8', ...rest } = contents
  const passage = { ...rest, encoding, ...(wrapping && { wrapping }) }
  if (encoding !== 'utf8') return detectDecoded(engine, passage, encoding)
  const found = engine.detect(passage)
  return wrapping === 'binary' ? [...found, ...detectWide(engine, passage)] : found
}

function detectDecoded(engine: Engine, passage: Passage, encoding: Encoding): RawFinding[] {
  const { bytes } = passage
  const marked = bytes[0] === 0xfe || bytes[0] === 0xff ? 2 : 0
  const even = bytes.subarray(marked, bytes.length - (bytes.length % 2))
  const little = encoding === 'utf16le' ? even : Buffer.from(even).swap16()
  const text = Buffer.from(little.toString('utf16le'), 'utf8')
  const inFile = createUtf16Ruler(text, marked)
  return engine.detect({ ...passage, bytes: text }).map((finding) => {
    const start = inFile(finding.place.start)
    return { ...finding, place: { ...finding.place, start, end: inFile(finding.place.end) } }
  })
}

/** Programs of Windows and of .NET keep their texts as UTF-16, between other bytes. */
function detectWide(engine: Engine, passage: Passage): RawFinding[] {
  const { bytes, offset = 0, emitFrom = 0, emitTo = bytes.length } = passage
  const wide = wideTexts(bytes)
  if (!wide) return []
  const { emitFrom: _from, emitTo: _to, ...whole } = passage
  return engine.detect({ ...whole, bytes: wide.text, offset: 0 }).flatMap((finding) => {
    const start = wide.originOf(finding.place.start)
    const end = wide.originOf(finding.place.end - 1) + 2
    if (start < emitFrom || start >= emitTo) return []
    return [{ ...finding, place: { ...finding.place, start: offset + start, end: offset + end } }]
  })
}

/** Where a byte of UTF-8 stood in the UTF-16 file. Goes on from the last one, so many findings cost one pass. */
function createUtf16Ruler(text: Buffer, marked: number): (at: number) => number {
  let last = { at: 0, inFile: marked }
  return (at) => {
    if (at < last.at) last = { at: 0, inFile: marked }
    last = { at, inFile: last.inFile + 2 * text.toString('utf8', last.at, at).length }
    return last.inFile
  }
}
