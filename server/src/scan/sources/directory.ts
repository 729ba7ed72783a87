import { realpath, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { AppError, reasonOf } from '../../core/index.ts'
import type { ScanEvent } from '../finding.ts'
import type { Crew } from '../threads/crew.ts'
import type { Job, Problem } from '../threads/job.ts'
import { eventsOf } from './looked-events.ts'
import { type ListFolder, skippedFolders, type Walked, walk } from './walk.ts'

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
const filesInJob = 32

/** How far a scan has come. */
type Done = { filesScanned: number; bytesScanned: number; filesTotal: number | null }

/** Scans a folder, or one file, for secrets. The folder is listed while its first files are looked through. */
export async function* scanDirectory(
  { crew, list }: { readonly crew: Crew; readonly list: ListFolder },
  path: string,
  options: DirectoryOptions = {},
): AsyncGenerator<ScanEvent> {
  const done: Done = { filesScanned: 0, bytesScanned: 0, filesTotal: null }
  const progress = (): ScanEvent => ({ kind: 'progress', ...done, commitsScanned: 0 })
  const progressDue = everySoOften(done, progressEvery)
  yield progress()
  for await (const looked of crew.look(jobsIn(path, { ...options, list }, done), options.signal)) {
    yield* eventsOf(looked, options.baseline)
    for (const { bytesScanned, isFile } of looked) {
      done.bytesScanned += bytesScanned
      done.filesScanned += isFile ? 1 : 0
    }
    if (progressDue()) yield progress()
  }
  yield progress()
}

type Amount = { files: number; bytes: number }

/** True once each time that another `step` of files or bytes is done. */
function everySoOften(done: Readonly<Done>, step: Amount): () => boolean {
  let last = { ...done }
  return () => {
    const files = done.filesScanned - last.filesScanned
    if (files < step.files && done.bytesScanned - last.bytesScanned < step.bytes) return false
    last = { ...done }
    return true
  }
}

type WalkedOptions = DirectoryOptions & { readonly list: ListFolder }

/** The files below `path`, some at a time. Sets the total when all are known. */
async function* jobsIn(path: string, options: WalkedOptions, done: Done): AsyncGenerator<Job> {
  const { root, file } = await rootOf(path)
  let items: string[] = file === undefined ? [] : [file]
  let problems: Problem[] = []
  let total = items.length
  const note = (found: Walked): void => {
    if (found.kind === 'file') {
      items.push(found.path)
      total++
    } else if (found.file === '.') throw new AppError('scan.path_unreadable', `${path}: ${found.reason}`)
    else problems.push({ file: found.file, reason: found.reason })
  }
  for await (const walked of file === undefined ? walk(root, walkOptions(options)) : []) {
    for (const found of walked) {
      note(found)
      if (items.length < filesInJob) continue
      yield { kind: 'files', root, items, problems }
      items = []
      problems = []
    }
  }
  done.filesTotal = total
  if (items.length + problems.length > 0) yield { kind: 'files', root, items, problems }
}

const walkOptions = ({ list, ...options }: WalkedOptions): Parameters<typeof walk>[1] => ({
  list,
  ignoreFiles: options.ignoreFiles ?? true,
  skipFolders: new Set(options.skipFolders ?? skippedFolders),
  signal: options.signal,
})

/** The folder to walk through, or the folder of the one file. */
async function rootOf(path: string): Promise<{ root: string; file?: string }> {
  try {
    const root = await realpath(path)
    return (await stat(root)).isFile() ? { root: dirname(root), file: basename(root) } : { root }
  } catch (error) {
    throw new AppError('scan.path_unreadable', `${path}: ${reasonOf(error)}`, { cause: error })
  }
}
