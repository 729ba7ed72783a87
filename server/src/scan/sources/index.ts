import type { RawFinding, ScanEvent } from '../finding.ts'
import type { ContentsOptions } from './contents.ts'
import { scanEnvironment, variablesOf } from './environment.ts'
import { namesIn, scanListed } from './listed.ts'
import { type LookAtFile, type StagedOptions, scanStaged } from './staged.ts'
import { tipsOf } from './tips.ts'
import { filesOfUser } from './user-files.ts'
import { type ChangedFiles, watchFolder } from './watch.ts'

type Needs = {
  readonly scanner: {
    directory(path: string, options?: ContentsOptions & { ignoreFiles?: boolean }): AsyncIterable<ScanEvent>
    contents(contents: Buffer, file: string): readonly RawFinding[] | Promise<readonly RawFinding[]>
    file: LookAtFile
  }
  /** Where git is looked for. */
  readonly searchPath: string
}

type Variables = Readonly<Record<string, string | undefined>>

/** What can be scanned besides a folder and its history. */
export type Sources = {
  /** What the next commit of the repository at `path` would add. */
  staged(path: string, options?: StagedOptions): AsyncIterable<ScanEvent>
  /** Files by name, one a line; relative names begin at `folder`. */
  fileList(names: string, folder: string, options?: ContentsOptions): AsyncIterable<ScanEvent>
  variables(variables: Variables, options?: ContentsOptions): AsyncIterable<ScanEvent>
  /** The environment that a process was started with. */
  process(pid: number, options?: ContentsOptions): AsyncIterable<ScanEvent>
  /** What the tools of a developer keep in the home folder. */
  user(home: string, options?: ContentsOptions): AsyncIterable<ScanEvent>
  /** The commits that nothing else stands on: they and what came before them are the whole history. */
  tips(path: string, options?: { readonly dangling?: boolean }): Promise<string[]>
  /** What changes in a folder, until `signal`. */
  changes(path: string, options: ContentsOptions & { signal: AbortSignal }): AsyncIterable<ScanEvent>
  /** The names alone, to look at with `fileList`. */
  changedFiles(path: string, signal: AbortSignal): AsyncIterable<ChangedFiles>
}

export function createSources({ scanner, searchPath }: Needs): Sources {
  const lookThrough = scanner.contents
  const fileList: Sources['fileList'] = (names, folder, options) =>
    scanListed(scanner, namesIn(names, folder), options)
  return {
    staged: (path, options) => scanStaged({ lookAt: scanner.file, searchPath }, path, options),
    fileList,
    variables: (variables, options) =>
      scanEnvironment(
        lookThrough,
        Object.entries(variables).map(([name, value = '']) => [name, value] as const),
        { ...options, owner: 'environment' },
      ),
    async *process(pid, options) {
      yield* scanEnvironment(lookThrough, await variablesOf(pid), { ...options, owner: `process ${pid}` })
    },
    async *user(home, options) {
      yield* scanListed(scanner, await filesOfUser(home), options)
    },
    tips: (path, options) => tipsOf(path, { searchPath, ...options }),
    async *changes(path, options) {
      for await (const { present } of watchFolder(path, options.signal))
        if (present.length > 0) yield* fileList(present.join('\0'), path, options)
    },
    changedFiles: watchFolder,
  }
}
