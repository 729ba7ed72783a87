import type { Detector } from './detector.ts'
import { detectors } from './detectors/index.ts'
import { createEngine } from './engine.ts'
import type { Encoding, Place, RawFinding, ScanEvent } from './finding.ts'
import { type DirectoryOptions, detectIn, scanDirectory } from './sources/directory.ts'
import { type HistoryOptions, scanHistory } from './sources/git-history.ts'

type Needs = {
  /** Keys the fingerprints: 32 random bytes that stay the same as long as findings are to be recognised. */
  readonly fingerprintKey: Buffer
  /** What to look for besides, or with `only`, instead of, the built-in detectors. */
  readonly rules?: { readonly detectors: readonly Detector[]; readonly only?: boolean }
  /** Where git is looked for; `PATH` by default. */
  readonly searchPath?: string
}

export type Scanner = {
  /** A folder or a single file. Throws `scan.path_unreadable` when it cannot be read at all. */
  directory(path: string, options?: DirectoryOptions): AsyncIterable<ScanEvent>
  /** Every line that was ever committed below `path`. Says nothing where there is no repository. */
  gitHistory(path: string, options?: HistoryOptions): AsyncIterable<ScanEvent>
  /** The folder, then its history, with progress that counts on. */
  project(
    path: string,
    options?: DirectoryOptions & HistoryOptions & { history?: boolean },
  ): AsyncIterable<ScanEvent>
  text(
    name: string,
    text: string | Buffer,
    options?: { baseline?: ReadonlySet<string> },
  ): AsyncIterable<ScanEvent>
  /** Every value in the contents of one file, in any encoding that a scan of a folder reads. */
  contents(contents: Buffer, file: string): RawFinding[]
  /** Where a value stands now in the contents of `file`; empty when it is gone or changed. */
  locate(contents: string | Buffer, file: string, fingerprint: string): Place[]
}

export function createScanner(needs: Needs): Scanner {
  const extra = needs.rules?.detectors ?? []
  const engine = createEngine({
    detectors: needs.rules?.only ? extra : [...detectors, ...extra],
    fingerprintKey: needs.fingerprintKey,
  })
  const searchPath = needs.searchPath ?? process.env['PATH'] ?? ''

  const gitHistory: Scanner['gitHistory'] = (path, options = {}) =>
    scanHistory(engine, path, { ...options, searchPath })
  const directory: Scanner['directory'] = (path, options) => scanDirectory(engine, path, options)

  return {
    directory,
    gitHistory,
    async *project(path, options = {}) {
      let done = { filesScanned: 0, bytesScanned: 0, filesTotal: null as number | null }
      for await (const event of directory(path, options)) {
        if (event.kind === 'progress') done = event
        yield event
      }
      if (options.history === false) return
      for await (const event of gitHistory(path, options)) {
        if (event.kind !== 'progress') yield event
        else
          yield {
            ...event,
            filesScanned: done.filesScanned,
            filesTotal: done.filesTotal,
            bytesScanned: done.bytesScanned + event.bytesScanned,
          }
      }
    },
    async *text(name, text, options = {}) {
      const bytes = Buffer.from(text)
      for (const finding of engine.detect({ bytes, file: name })) {
        if (!options.baseline?.has(finding.fingerprint)) yield { kind: 'finding', finding }
      }
      yield {
        kind: 'progress',
        filesScanned: 1,
        filesTotal: 1,
        bytesScanned: bytes.length,
        commitsScanned: 0,
      }
    },
    contents: (contents, file) => detectIn(engine, file, contents, encodingOf(contents)),
    locate(contents, file, fingerprint) {
      const bytes = Buffer.from(contents)
      return detectIn(engine, file, bytes, encodingOf(bytes))
        .filter((finding) => finding.fingerprint === fingerprint)
        .map((finding) => finding.place)
    },
  }
}

/** By the byte order mark. */
function encodingOf(bytes: Buffer): Encoding {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf16le'
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf16be' : 'utf8'
}
