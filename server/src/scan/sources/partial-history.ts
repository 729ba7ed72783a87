import type { ScanEvent } from '../finding.ts'
import type { Crew } from '../threads/crew.ts'
import type { Job } from '../threads/job.ts'
import { type HistoryOptions, jobOf, revisionsOf, withoutKnown } from './every-commit.ts'
import { contentsOfBatch, isBinary, runGit } from './git.ts'
import { eventsOf } from './looked-events.ts'

type Options = HistoryOptions & { readonly searchPath: string }
type Commit = { readonly id: string; readonly author: string; readonly committedAt: Date }
/** One content of one file, and the commit that brought it. */
type Version = { readonly blob: string; readonly file: string; readonly commit: Commit }

/** Whether the repository was cloned without all of its files, to fetch them when they are needed. */
export async function isPartialClone(path: string, searchPath: string): Promise<boolean> {
  const setting = '^(remote\\..*\\.promisor|extensions\\.partialclone)$'
  return (await runGit(['config', '--get-regexp', setting], { path, searchPath })).status === 0
}

/**
 * The history of a repository that lacks files. Differences cannot be told where one side is missing, and nothing is fetched,
 * so each content that is there is looked through whole, the earliest first.
 */
export async function* scanPartialHistory(
  crew: Crew,
  path: string,
  options: Options,
): AsyncGenerator<ScanEvent> {
  const missing = await missingObjects(path, options)
  const versions = await versionsIn(path, options)
  const there = versions.filter(({ blob }) => !missing.has(blob))
  const state = { bytesScanned: 0, commitsScanned: new Set(versions.map(({ commit }) => commit.id)).size }
  for await (const looked of crew.look(jobsOf(path, there, options, state), options.signal))
    yield* eventsOf(looked, options.baseline)
  const lacking = new Set(versions.map(({ blob }) => blob)).size - new Set(there.map(({ blob }) => blob)).size
  if (lacking > 0) {
    const reason = `${lacking} contents of files are missing from this repository, so they were not scanned`
    yield { kind: 'problem', file: '.git', reason }
  }
  yield { kind: 'progress', filesScanned: 0, filesTotal: null, ...state }
}

async function missingObjects(path: string, options: Options): Promise<ReadonlySet<string>> {
  const args = ['rev-list', '--objects', '--no-object-names', '--missing=print', ...revisionsOf(options)]
  const { output } = await runGit([...args, '--stdin'], { ...options, path, input: withoutKnown(options) })
  const lines = output.toString('latin1').split('\n')
  return new Set(lines.filter((line) => line.startsWith('?')).map((line) => line.slice(1)))
}

const listing = [
  'log',
  '--raw',
  '-z',
  '-m',
  '--root',
  '--reverse',
  '--no-abbrev',
  '--no-renames',
  '--no-notes',
  '--no-show-signature',
  '--ignore-submodules=all',
  '--full-history',
  '--relative',
  '--encoding=UTF-8',
  '--format=tformat:%x01%H%x01%ct%x01%an',
]

/** Each content of each file once, at its earliest commit. */
async function versionsIn(path: string, options: Options): Promise<Version[]> {
  const { output } = await runGit([...listing, ...revisionsOf(options), '--stdin', '--', '.'], {
    ...options,
    path,
    input: withoutKnown(options),
  })
  const versions = new Map<string, Version>()
  let commit: Commit | undefined
  const tokens = output.toString('utf8').split('\0')
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]?.trimStart() ?? ''
    if (token.startsWith('\x01')) {
      const [, id = '', seconds = '0', author = ''] = token.split('\x01')
      commit = { id, author, committedAt: new Date(Number(seconds) * 1000) }
    } else if (token.startsWith(':')) {
      const file = tokens[++i] ?? ''
      const [, mode = '', , blob = ''] = token.split(' ')
      const key = `${blob} ${file}`
      if (commit && mode.startsWith('100') && !versions.has(key)) versions.set(key, { blob, file, commit })
    }
  }
  return [...versions.values()]
}

const jobBytes = 4 * 1024 * 1024
const longestBytes = 64 * 1024 * 1024

async function* jobsOf(
  path: string,
  versions: readonly Version[],
  options: Options,
  state: { bytesScanned: number },
): AsyncGenerator<Job> {
  const sizes = await sizesOf(path, versions, options)
  let gathered: Version[] = []
  let sizeBytes = 0
  for (const version of versions) {
    const size = sizes.get(version.blob) ?? 0
    if (size === 0 || size > longestBytes) continue
    gathered.push(version)
    sizeBytes += size
    if (sizeBytes < jobBytes) continue
    yield await jobFor(path, gathered, options)
    state.bytesScanned += sizeBytes
    gathered = []
    sizeBytes = 0
  }
  if (gathered.length > 0) yield await jobFor(path, gathered, options)
  state.bytesScanned += sizeBytes
}

const blobsOf = (versions: readonly Version[]): string =>
  [...new Set(versions.map(({ blob }) => `${blob}\n`))].join('')

async function sizesOf(
  path: string,
  versions: readonly Version[],
  options: Options,
): Promise<ReadonlyMap<string, number>> {
  const { output } = await runGit(['cat-file', '--batch-check'], {
    ...options,
    path,
    input: blobsOf(versions),
  })
  const lines = output.toString('latin1').split('\n')
  return new Map(lines.map((line) => line.split(' ')).map(([blob = '', , size]) => [blob, Number(size ?? 0)]))
}

async function jobFor(path: string, versions: readonly Version[], options: Options): Promise<Job> {
  const { output } = await runGit(['cat-file', '--batch'], { ...options, path, input: blobsOf(versions) })
  const contents = contentsOfBatch(output)
  return jobOf(
    versions.flatMap(({ blob, file, commit }) => {
      const bytes = contents.get(blob)
      return bytes && !isBinary(bytes) ? [{ bytes, file, commit, line: 1 }] : []
    }),
  )
}
