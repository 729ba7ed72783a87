import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { AppError, reasonOf } from '../../core/index.ts'
import type { Engine } from '../engine.ts'
import type { Encoding, RawFinding, ScanEvent } from '../finding.ts'
import { type Loaded, load, stretchesOf } from './read-file.ts'
import { reasonWithout, skippedFolders, walk } from './walk.ts'

export type DirectoryOptions = {
  /** `.gitignore`, `.git/info/exclude` and `.keywardignore` are obeyed unless this is false. */
  readonly ignoreFiles?: boolean
  /** Names of folders that are not entered; replaces the default list. */
  readonly skipFolders?: readonly string[]
  /** Fingerprints that are known and not to be reported again. */
  readonly baseline?: ReadonlySet<string>
  readonly signal?: AbortSignal
}

const progressEvery = { files: 256, bytes: 8 * 1024 * 1024 }
/** After this much the event loop gets its turn: a server scans while it serves. */
const breatheEvery = { files: 32, bytes: 1024 * 1024 }

/** Scans a folder, or one file, for secrets. */
export async function* scanDirectory(
  engine: Engine,
  path: string,
  options: DirectoryOptions = {},
): AsyncGenerator<ScanEvent> {
  const { root, files, problems } = await listFiles(path, options)
  yield* problems
  const done = { filesScanned: 0, bytesScanned: 0 }
  const progressDue = everySoOften(done, progressEvery)
  const breathDue = everySoOften(done, breatheEvery)
  yield { kind: 'progress', ...done, filesTotal: files.length, commitsScanned: 0 }
  for (const file of files) {
    for (const event of eventsOf(engine, root, file)) {
      if ('bytes' in event) done.bytesScanned += event.bytes
      else if (event.kind !== 'finding' || !options.baseline?.has(event.finding.fingerprint)) yield event
      if (breathDue()) await setImmediate()
      options.signal?.throwIfAborted()
    }
    done.filesScanned++
    if (progressDue()) yield { kind: 'progress', ...done, filesTotal: files.length, commitsScanned: 0 }
  }
  yield { kind: 'progress', ...done, filesTotal: files.length, commitsScanned: 0 }
}

type Amount = { files: number; bytes: number }

/** True once each time that another `step` of files or bytes is done. */
function everySoOften(done: { filesScanned: number; bytesScanned: number }, step: Amount): () => boolean {
  let last = { ...done }
  return () => {
    const files = done.filesScanned - last.filesScanned
    if (files < step.files && done.bytesScanned - last.bytesScanned < step.bytes) return false
    last = { ...done }
    return true
  }
}

type Listed = { root: string; files: string[]; problems: ScanEvent[] }

async function listFiles(path: string, options: DirectoryOptions): Promise<Listed> {
  let root: string
  try {
    root = await realpath(path)
    if ((await stat(root)).isFile()) return { root: dirname(root), files: [basename(root)], problems: [] }
  } catch (error) {
    throw new AppError('scan.path_unreadable', `${path}: ${reasonOf(error)}`, { cause: error })
  }
  const files: string[] = []
  const problems: ScanEvent[] = []
  const walked = walk(root, {
    ignoreFiles: options.ignoreFiles ?? true,
    skipFolders: new Set(options.skipFolders ?? skippedFolders),
    signal: options.signal,
  })
  for await (const found of walked) {
    if (found.kind === 'file') files.push(found.path)
    else if (found.file === '.') throw new AppError('scan.path_unreadable', `${path}: ${found.reason}`)
    else problems.push(found)
  }
  return { root, files, problems }
}

type Counted = { bytes: number }

function* eventsOf(engine: Engine, root: string, file: string): Generator<ScanEvent | Counted> {
  let loaded: Loaded
  try {
    loaded = load(join(root, file))
  } catch (error) {
    yield { kind: 'problem', file, reason: reasonWithout(root, error) }
    return
  }
  switch (loaded.kind) {
    case 'binary':
      yield { bytes: 0 }
      return
    case 'skipped':
      yield { kind: 'problem', file, reason: loaded.reason }
      return
    case 'whole':
      for (const finding of detectIn(engine, file, loaded.bytes, loaded.encoding))
        yield { kind: 'finding', finding }
      yield { bytes: loaded.bytes.length }
      return
    case 'large':
      for (const stretch of stretchesOf(loaded.descriptor, loaded.sizeBytes)) {
        for (const finding of engine.detect({ ...stretch, file })) yield { kind: 'finding', finding }
        yield { bytes: Math.min(stretch.bytes.length, stretch.emitTo) - stretch.emitFrom }
      }
  }
}

/** What stands in a whole file; offsets of UTF-16 text are brought back to the bytes of the file. */
export function detectIn(engine: Engine, file: string, bytes: Buffer, encoding: Encoding): RawFinding[] {
  if (encoding === 'utf8') return engine.detect({ bytes, file })
  const even = bytes.subarray(2, bytes.length - (bytes.length % 2))
  const little = encoding === 'utf16le' ? even : Buffer.from(even).swap16()
  const text = Buffer.from(little.toString('utf16le'), 'utf8')
  const inFile = (at: number): number => 2 + 2 * text.toString('utf8', 0, at).length
  return engine.detect({ bytes: text, file, encoding }).map((finding) => ({
    ...finding,
    place: { ...finding.place, start: inFile(finding.place.start), end: inFile(finding.place.end) },
  }))
}
