import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
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

const readsAhead = 8
const progressEvery = { files: 256, bytes: 8 * 1024 * 1024 }

type Read = { path: string; loaded: Loaded } | { path: string; error: unknown }

/** Scans a folder, or one file, for secrets. */
export async function* scanDirectory(
  engine: Engine,
  path: string,
  options: DirectoryOptions = {},
): AsyncGenerator<ScanEvent> {
  const { root, files, problems } = await listFiles(path, options)
  yield* problems
  const state = { filesScanned: 0, bytesScanned: 0 }
  let reported = { ...state }
  const progress = (filesTotal: number | null): ScanEvent => {
    reported = { ...state }
    return { kind: 'progress', ...state, filesTotal, commitsScanned: 0 }
  }
  yield progress(files.length)
  for await (const read of readAhead(root, files, options.signal)) {
    state.filesScanned++
    for await (const event of eventsOf(engine, root, read)) {
      if ('bytes' in event) state.bytesScanned += event.bytes
      else if (event.kind !== 'finding' || !options.baseline?.has(event.finding.fingerprint)) yield event
      if (state.bytesScanned - reported.bytesScanned >= progressEvery.bytes) yield progress(files.length)
    }
    if (state.filesScanned - reported.filesScanned >= progressEvery.files) yield progress(files.length)
  }
  yield progress(files.length)
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

/** Opens and reads a few files ahead of the one being looked through, and gives them back in order. */
async function* readAhead(
  root: string,
  files: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Read> {
  const pending: Promise<Read>[] = []
  let next = 0
  const refill = (): void => {
    while (pending.length < readsAhead && next < files.length) {
      const path = files[next++] ?? ''
      pending.push(
        load(join(root, path)).then(
          (loaded) => ({ path, loaded }),
          (error: unknown) => ({ path, error }),
        ),
      )
    }
  }
  try {
    for (refill(); pending.length > 0; refill()) {
      signal?.throwIfAborted()
      const read = await pending.shift()
      if (read) yield read
    }
  } finally {
    for (const read of await Promise.all(pending)) {
      if ('loaded' in read && read.loaded.kind === 'large') await read.loaded.handle.close()
    }
  }
}

type Counted = { bytes: number }

async function* eventsOf(engine: Engine, root: string, read: Read): AsyncGenerator<ScanEvent | Counted> {
  const file = read.path
  if ('error' in read) {
    yield { kind: 'problem', file, reason: reasonWithout(root, read.error) }
    return
  }
  const { loaded } = read
  switch (loaded.kind) {
    case 'binary':
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
      for await (const stretch of stretchesOf(loaded.handle, loaded.sizeBytes)) {
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
