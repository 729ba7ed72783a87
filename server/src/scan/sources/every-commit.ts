import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { AppError } from '../../core/index.ts'
import type { ScanEvent } from '../finding.ts'
import type { Crew } from '../threads/crew.ts'
import type { Job, Part } from '../threads/job.ts'
import { gitEnvironment, harmless } from './git.ts'
import { eventsOf } from './looked-events.ts'
import { createPatchReader } from './patch.ts'

export type HistoryOptions = {
  /** Only this commit, by its full hash. */
  readonly commit?: string
  /** Also what only the reflog still reaches. */
  readonly dangling?: boolean
  /** Commits that are known, with all that came before them. Those that are gone do not matter. */
  readonly known?: readonly string[]
  /** Fingerprints that are known and not to be reported again. */
  readonly baseline?: ReadonlySet<string>
  readonly signal?: AbortSignal
}

const logArguments = [
  'log',
  '--patch',
  '--unified=0',
  '--cc',
  '--no-color',
  '--no-ext-diff',
  '--no-textconv',
  // Attributes of the repository must not declare a file binary to hide it.
  '--text',
  '--no-renames',
  '--no-notes',
  '--no-show-signature',
  '--no-indent-heuristic',
  '--ignore-submodules=all',
  '--src-prefix=a/',
  '--dst-prefix=b/',
  '--encoding=UTF-8',
  '--full-history',
  '--relative',
  '--format=tformat:%x00%H%x00%ct%x00%an',
]

type Child = ChildProcessByStdio<Writable, Readable, Readable>

type Options = HistoryOptions & {
  readonly searchPath: string
  /** Git ended because it lacks the contents of a file: what changed in the commits before is not known. */
  readonly onLacking: () => void
}

/** Scans every line that any commit of the repository at `path` added, and that lies below `path`. */
export async function* scanEveryCommit(
  crew: Crew,
  path: string,
  options: Options,
): AsyncGenerator<ScanEvent> {
  const revisions = revisionsOf(options)
  const child = spawn('git', [...harmless, '-C', path, ...logArguments, ...revisions, '--stdin', '--', '.'], {
    env: gitEnvironment(options.searchPath),
    stdio: 'pipe',
  })
  // Git may end before it has read everything; its status tells.
  child.stdin.on('error', () => {})
  child.stdin.end(withoutKnown(options))
  const ended = endOf(child)
  const abort = (): void => void child.kill('SIGKILL')
  options.signal?.addEventListener('abort', abort, { once: true })
  const state = { bytesScanned: 0, commitsScanned: 0 }
  const progress = (): ScanEvent => ({ kind: 'progress', filesScanned: 0, filesTotal: null, ...state })
  try {
    let told = 0
    for await (const looked of crew.look(jobsOf(child.stdout, state), options.signal)) {
      yield* eventsOf(looked, options.baseline)
      if (state.commitsScanned - told < 100) continue
      told = state.commitsScanned
      yield progress()
    }
    const end = await ended
    options.signal?.throwIfAborted()
    const reason = problemOf(end)
    if (/unable to read [0-9a-f]{40}/.test(end.words)) options.onLacking()
    else if (reason) yield { kind: 'problem', file: '.git', reason }
    yield progress()
  } finally {
    options.signal?.removeEventListener('abort', abort)
    abort()
    await ended
  }
}

export function revisionsOf({ commit, dangling }: HistoryOptions): string[] {
  const from = commit === undefined ? ['--all'] : ['--max-count=1', oneCommit(commit)]
  return [...from, ...(dangling ? ['--reflog'] : []), '--ignore-missing']
}

/** For `--stdin`. */
export const withoutKnown = ({ known = [] }: HistoryOptions): string =>
  known.map((commit) => `^${oneCommit(commit)}\n`).join('')

/** Never an option: the hash comes from a stored finding. */
function oneCommit(hash: string): string {
  if (/^[0-9a-f]{40,64}$/.test(hash)) return hash
  throw new AppError('scan.path_unreadable', `'${hash.slice(0, 80)}' is no commit hash`)
}

type Added = ReturnType<ReturnType<typeof createPatchReader>['push']>

const jobBytes = 1024 * 1024

/** What git prints, as jobs of about a megabyte. */
async function* jobsOf(
  chunks: AsyncIterable<Buffer>,
  state: { bytesScanned: number; commitsScanned: number },
): AsyncGenerator<Job> {
  const reader = createPatchReader()
  let gathered: Added = []
  let sizeBytes = 0
  for await (const chunk of chunks) {
    state.bytesScanned += chunk.length
    for (const added of reader.push(chunk)) {
      gathered.push(added)
      sizeBytes += added.bytes.length
    }
    if (sizeBytes < jobBytes) continue
    yield jobOf(gathered)
    state.commitsScanned = reader.commits()
    gathered = []
    sizeBytes = 0
  }
  gathered.push(...reader.end())
  if (gathered.length > 0) yield jobOf(gathered)
  state.commitsScanned = reader.commits()
}

export function jobOf(gathered: readonly Added[number][]): Job {
  const bytes = new Uint8Array(gathered.reduce((sum, added) => sum + added.bytes.length, 0))
  const items: Part[] = []
  let at = 0
  for (const { bytes: part, ...about } of gathered) {
    bytes.set(part, at)
    items.push({ ...about, start: at, end: at + part.length })
    at += part.length
  }
  return { kind: 'passages', bytes, items }
}

type End = { missing: boolean; status: number | null; words: string }

/** Settles when the process is gone; never rejects. */
function endOf(child: Child): Promise<End> {
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => {
    if (words.length < 4096) words += chunk.toString()
  })
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      resolve({ missing: error.code === 'ENOENT', status: null, words: error.message })
    })
    child.once('close', (status) => resolve({ missing: false, status, words }))
  })
}

/** A folder without history is not a problem; anything else that git says is. */
function problemOf({ missing, status, words }: End): string | undefined {
  if (missing) return 'git is not installed, so the history was not scanned'
  if (status === 0 || /not a git repository/.test(words)) return
  const said = words.split('\n').find((line) => line.trim() !== '')
  return `git could not read the whole history: ${said ?? `it ended with ${status}`}`
}
