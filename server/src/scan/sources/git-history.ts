import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { AppError } from '../../core/index.ts'
import type { Engine } from '../engine.ts'
import type { ScanEvent } from '../finding.ts'
import { createPatchReader } from './patch.ts'

export type HistoryOptions = {
  /** Only this commit, by its full hash. */
  readonly commit?: string
  /** Also what only the reflog still reaches. */
  readonly dangling?: boolean
  /** Fingerprints that are known and not to be reported again. */
  readonly baseline?: ReadonlySet<string>
  readonly signal?: AbortSignal
}

/**
 * Settings of the scanned repository can name programs to run, and it may not be ours: everything that could start one
 * is switched off, by the command line, which stands above the repository's own configuration.
 */
const harmless = [
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  'core.attributesFile=/dev/null',
  'core.pager=cat',
  'core.quotePath=false',
  'core.sshCommand=false',
  'core.alternateRefsCommand=true',
  'protocol.allow=never',
  'gpg.program=false',
  'gpg.ssh.program=false',
  'log.showSignature=false',
  'log.showRoot=true',
  'core.bigFileThreshold=512m',
  'diff.external=',
  'diff.orderFile=/dev/null',
  'diff.interHunkContext=0',
  'safe.directory=*',
].flatMap((setting) => ['-c', setting])

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

/** Nothing of our own environment reaches git but where to find it. */
const environment = (searchPath: string): NodeJS.ProcessEnv => ({
  PATH: searchPath,
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_NO_LAZY_FETCH: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_ALLOW_PROTOCOL: 'none',
  GIT_PAGER: 'cat',
})

type Child = ChildProcessByStdio<null, Readable, Readable>

/** Scans every line that any commit of the repository at `path` added, and that lies below `path`. */
export async function* scanHistory(
  engine: Engine,
  path: string,
  options: HistoryOptions & { searchPath: string },
): AsyncGenerator<ScanEvent> {
  const from = options.commit === undefined ? ['--all'] : ['--max-count=1', oneCommit(options.commit)]
  const reflog = options.dangling ? ['--reflog'] : []
  const child = spawn(
    'git',
    [...harmless, '--no-pager', '-C', path, ...logArguments, ...from, ...reflog, '--', '.'],
    {
      env: environment(options.searchPath),
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const ended = endOf(child)
  const abort = (): void => void child.kill('SIGKILL')
  options.signal?.addEventListener('abort', abort, { once: true })
  const state = { bytesScanned: 0, commitsScanned: 0 }
  try {
    const reader = createPatchReader()
    for await (const chunk of child.stdout) {
      state.bytesScanned += (chunk as Buffer).length
      yield* detectIn(engine, reader.push(chunk as Buffer), options.baseline)
      if (reader.commits() - state.commitsScanned >= 100) {
        state.commitsScanned = reader.commits()
        yield { kind: 'progress', filesScanned: 0, filesTotal: null, ...state }
      }
    }
    yield* detectIn(engine, reader.end(), options.baseline)
    state.commitsScanned = reader.commits()
    const end = await ended
    options.signal?.throwIfAborted()
    const reason = end && problemOf(end)
    if (reason) yield { kind: 'problem', file: '.git', reason }
    yield { kind: 'progress', filesScanned: 0, filesTotal: null, ...state }
  } finally {
    options.signal?.removeEventListener('abort', abort)
    abort()
    await ended
  }
}

/** Never an option: the hash comes from a stored finding. */
function oneCommit(hash: string): string {
  if (/^[0-9a-f]{40,64}$/.test(hash)) return hash
  throw new AppError('scan.path_unreadable', `'${hash.slice(0, 80)}' is no commit hash`)
}

type Added = ReturnType<ReturnType<typeof createPatchReader>['push']>

function* detectIn(
  engine: Engine,
  added: Added,
  baseline: ReadonlySet<string> | undefined,
): Generator<ScanEvent> {
  for (const { bytes, file, line, commit } of added) {
    for (const finding of engine.detect({ bytes, file, line, commit })) {
      if (!baseline?.has(finding.fingerprint)) yield { kind: 'finding', finding }
    }
  }
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
