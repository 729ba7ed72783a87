import { AppError } from '../../core/index.ts'
import type { RawFinding, ScanEvent } from '../finding.ts'
import { type ContentsOptions, createTally, isNew } from './contents.ts'
import { contentsOfBatch, type GitEnd, runGit } from './git.ts'
import { createPatchReader } from './patch.ts'

export type StagedOptions = ContentsOptions & {
  /** The index that is looked at, when it is not the repository's own: git makes one for `git commit -a`. */
  readonly indexFile?: string
}

/** What one file holds, archives opened. */
export type LookAtFile = (
  contents: Buffer,
  file: string,
) => Promise<{
  readonly findings: readonly RawFinding[]
  readonly problems: readonly { readonly file: string; readonly reason: string }[]
}>

type Needs = { readonly lookAt: LookAtFile; readonly searchPath: string }

/** First and last line of a stretch that the next commit adds. */
type Lines = { readonly first: number; readonly last: number }
type Staged = { readonly blob: string; readonly file: string }

const diff = [
  'diff',
  '--cached',
  '--no-renames',
  '--no-color',
  '--no-ext-diff',
  '--no-textconv',
  '--ignore-submodules=all',
  '--relative',
  '--diff-filter=ACMT',
]
/** Longer files are data; a hook must not wait for them. */
const longestBytes = 64 * 1024 * 1024

/**
 * What the next commit would add. Each changed file is looked through whole, as it is staged, so that a line is judged
 * with what stands around it; told is what touches an added line.
 */
export async function* scanStaged(
  { lookAt, searchPath }: Needs,
  path: string,
  options: StagedOptions = {},
): AsyncGenerator<ScanEvent> {
  // While git reads, the engine is built: a commit waits for both.
  const [files] = await Promise.all([
    readStaged(path, searchPath, options),
    lookAt(Buffer.alloc(0), 'nothing.txt'),
  ])
  const tally = createTally(files.length)
  for (const { file, bytes, lines } of files) {
    options.signal?.throwIfAborted()
    const reason = whyNot(bytes)
    if (reason) yield { kind: 'problem', file, reason }
    else {
      const { findings, problems } = await lookAt(bytes, file)
      yield* problems.map((problem) => ({ kind: 'problem', ...problem }) as const)
      yield* findings
        .filter((finding) => touches(finding, file, lines) && isNew(finding, options))
        .map((finding) => ({ kind: 'finding', finding }) as const)
      tally.add(bytes.length)
    }
  }
  yield tally.event()
}

type StagedFile = { readonly file: string; readonly bytes: Buffer; readonly lines: readonly Lines[] }
const missing = Buffer.alloc(0)

async function readStaged(
  path: string,
  searchPath: string,
  { indexFile, signal }: StagedOptions,
): Promise<StagedFile[]> {
  const run = { searchPath, path, signal, ...(indexFile && { env: { GIT_INDEX_FILE: indexFile } }) }
  const [list, patch] = await Promise.all([
    runGit([...diff, '--raw', '-z', '--no-abbrev', '--', '.'], run),
    runGit(
      [...diff, '--patch', '--unified=0', '--text', '--src-prefix=a/', '--dst-prefix=b/', '--', '.'],
      run,
    ),
  ])
  const staged = stagedIn(outputOf(list, path))
  if (staged.length === 0) return []
  const added = addedLinesIn(outputOf(patch, path))
  const input = staged.map(({ blob }) => `${blob}\n`).join('')
  const contents = contentsOfBatch(outputOf(await runGit(['cat-file', '--batch'], { ...run, input }), path))
  return staged.map(({ blob, file }) => ({
    file,
    bytes: contents.get(blob) ?? missing,
    lines: added.get(file) ?? [],
  }))
}

function outputOf({ missing, status, words, output }: GitEnd, path: string): Buffer {
  if (status === 0) return output
  if (missing) throw new AppError('scan.path_unreadable', 'git is not installed, so nothing is staged')
  const said = words.split('\n').find((line) => line.trim() !== '')
  throw new AppError('scan.path_unreadable', `${path}: git says: ${said ?? `it ended with ${status}`}`)
}

/** `:old-mode new-mode old-blob new-blob status NUL path NUL`, of which plain files are kept. */
function stagedIn(raw: Buffer): Staged[] {
  const parts = raw.toString('utf8').split('\0')
  const staged: Staged[] = []
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const [, mode = '', , blob = ''] = parts[i]?.split(' ') ?? []
    if (mode.startsWith('100')) staged.push({ blob, file: parts[i + 1] ?? '' })
  }
  return staged
}

function addedLinesIn(patch: Buffer): Map<string, Lines[]> {
  const reader = createPatchReader()
  // The reader knows the patches of commits; this one has none yet.
  const hunks = [...reader.push(Buffer.from('\0\x000\0\n')), ...reader.push(patch), ...reader.end()]
  const added = new Map<string, Lines[]>()
  for (const { file, line, bytes } of hunks) {
    const lines = added.get(file) ?? []
    lines.push({ first: line, last: line + countLines(bytes) - 1 })
    added.set(file, lines)
  }
  return added
}

function countLines(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

function whyNot(bytes: Buffer): string | undefined {
  if (bytes === missing) return 'git does not have what is staged'
  return bytes.length > longestBytes ? 'staged with more than 64 MB' : undefined
}

/** A file of which git tells no lines, such as UTF-16, a program or an archive, counts whole. */
function touches({ place }: RawFinding, file: string, lines: readonly Lines[]): boolean {
  if (place.encoding !== 'utf8' || place.wrapping === 'binary' || place.file !== file) return true
  return lines.some(({ first, last }) => place.line <= last && place.endLine >= first)
}
