import { readdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { encodingOf, kindOfContents } from './archive/contents-kind.ts'
import type { Detector } from './detector.ts'
import { type PlaceholderForm, placeholderFormOf } from './detectors/placeholder-form.ts'
import type { Engine } from './engine.ts'
import type { Place, RawFinding, ScanEvent } from './finding.ts'
import { createFullEngine } from './full-engine.ts'
import { type DirectoryOptions, scanDirectory } from './sources/directory.ts'
import { type HistoryOptions, scanHistory } from './sources/git-history.ts'
import { detectIn, lookThroughContents } from './sources/look-file.ts'
import { createFileReader, type FileReader } from './sources/read-file.ts'
import type { ListFolder } from './sources/walk.ts'
import { type Crew, createGrowingCrew, createLoneCrew, createThreadedCrew } from './threads/crew.ts'
import { createLooker, type Looked, type Looker } from './threads/job.ts'

type Needs = {
  /** Keys the fingerprints: 32 random bytes that stay the same as long as findings are to be recognised. */
  readonly fingerprintKey: Buffer
  /** What to look for besides, or with `only`, instead of, the built-in detectors. */
  readonly rules?: { readonly detectors: readonly Detector[]; readonly only?: boolean }
  /** Where git is looked for; `PATH` by default. */
  readonly searchPath?: string
  /**
   * `always`: folders and histories are looked through on other threads, so that the thread of a server is free. By
   * default they help when there is enough to do; `never` for one thread.
   */
  readonly threads?: 'always' | 'never'
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
  /** One file that is in memory, archives opened: what a scan of a folder would tell of it. */
  file(contents: Buffer, file: string): Promise<Pick<Looked, 'findings' | 'problems'>>
  /** How a placeholder is made that looks like a kind of key; undefined for a kind that none can look like. */
  placeholderForm(like: string): PlaceholderForm | undefined
  /** Where a value stands now in the contents of `file`; empty when it is gone or changed. */
  locate(contents: string | Buffer, file: string, fingerprint: string): Place[]
}

export function createScanner(needs: Needs): Scanner {
  const { fingerprintKey, rules } = needs
  const blueprint = {
    fingerprintKey,
    rules: { detectors: rules?.detectors ?? [], only: rules?.only ?? false },
  }
  let built: Engine | undefined
  const engine = (): Engine => {
    built ??= createFullEngine(blueprint)
    return built
  }
  let read: FileReader | undefined
  const reader = (): FileReader => {
    read ??= createFileReader()
    return read
  }
  const crew = crewFor(needs, blueprint, engine)
  const searchPath = needs.searchPath ?? process.env['PATH'] ?? ''

  const gitHistory: Scanner['gitHistory'] = (path, options = {}) =>
    scanHistory(crew, path, { ...options, searchPath })
  // A server's thread must not wait for a folder that hangs.
  const list: ListFolder = (path) =>
    (needs.threads === 'always' ? readdir : readdirSync)(path, { withFileTypes: true })
  const directory: Scanner['directory'] = (path, options) => scanDirectory({ crew, list }, path, options)

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
      for (const finding of detectIn(engine(), { file: name, bytes })) {
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
    contents: (contents, file) => detectIn(engine(), wholeFile(contents, file)),
    file: (bytes, file) => lookThroughContents({ engine: engine(), reader: reader() }, { file, bytes }),
    placeholderForm: placeholderFormOf,
    locate(contents, file, fingerprint) {
      return detectIn(engine(), wholeFile(Buffer.from(contents), file))
        .filter((finding) => finding.fingerprint === fingerprint)
        .map((finding) => finding.place)
    },
  }
}

const wholeFile = (bytes: Buffer, file: string) => ({
  file,
  bytes,
  encoding: encodingOf(bytes),
  wrapping: kindOfContents(bytes) === 'binary' ? ('binary' as const) : undefined,
})

function crewFor(
  { threads }: Needs,
  blueprint: Parameters<typeof createThreadedCrew>[0]['blueprint'],
  engine: () => Engine,
): Crew {
  let made: Looker | undefined
  const looker = (): Looker => {
    made ??= createLooker(engine())
    return made
  }
  // A function cannot be sent to another thread, and a judge is one.
  if (threads === 'never' || blueprint.rules.detectors.some(({ judge }) => judge))
    return createLoneCrew(looker)
  return threads === 'always' ? createThreadedCrew({ blueprint }) : createGrowingCrew(looker, { blueprint })
}
