import { createHash } from 'node:crypto'
import { artifactRef } from '@keyward/contract'
import { z } from 'zod'
import { AppError, isPortable, type TreeTaker, tarEntries } from '../../core/index.ts'
import { type ActionContext, defineAction } from '../connector.ts'
import { type GitHub, headSha, openGitHub, permissionsOf, privateKeyField, repositoryName } from './client.ts'

const permissions = ['contents:read'] as const
const checkoutInput = z.strictObject({
  repository: repositoryName,
  /** The commit; no branch, which could be another one in a moment. */
  sha: headSha,
})
type Context = ActionContext<z.output<typeof checkoutInput>>

const checkoutOutput = z.strictObject({
  sha: z.string(),
  artifact: artifactRef,
  files: z.int(),
  /** Symbolic links and submodules: an artifact has none. */
  leftOut: z.int(),
})

/** https://docs.github.com/en/rest/git/trees : 100,000 entries and 7 MB at most, else `truncated`. */
const listing = z.object({
  truncated: z.boolean(),
  tree: z.array(
    z.object({
      path: z.string(),
      mode: z.string(),
      type: z.string(),
      sha: z.string(),
      size: z.int().optional(),
    }),
  ),
})
type File = {
  readonly path: string
  readonly sha: string
  readonly size: number
  readonly executable: boolean
}
type Commit = { readonly files: ReadonlyMap<string, File>; readonly leftOut: number }

const mostFiles = 50_000
const largestFileBytes = 64 * 1024 ** 2
const mostBytes = 512 * 1024 ** 2
/** Those that the archive does not hold as they are in the commit, each of which costs a request. */
const mostSingles = 500
const downloadMilliseconds = 10 * 60_000

const isFile = (mode: string): boolean => mode === '100644' || mode === '100755' || mode === '100664'

async function commitOf(github: GitHub, sha: string): Promise<Commit> {
  const { tree, truncated } = await github.call(
    'GET /repos/{owner}/{repo}/git/trees/{tree_sha}',
    { tree_sha: sha, recursive: '1' },
    listing,
  )
  const files = tree
    .filter(({ type, mode }) => type === 'blob' && isFile(mode))
    .map(({ path, sha: blob, size = 0, mode }) => ({ path, sha: blob, size, executable: mode === '100755' }))
  const why = tooMuch(files, truncated)
  if (why !== undefined) throw new AppError('connector.refused', `${sha} is not checked out: ${why}`)
  const leftOut = tree.filter(({ type }) => type !== 'tree').length - files.length
  return { files: new Map(files.map((file) => [file.path, file])), leftOut }
}

function tooMuch(files: readonly File[], truncated: boolean): string | undefined {
  if (truncated || files.length > mostFiles) return `it has more than ${mostFiles} files`
  const strange = files.find(({ path }) => !isPortable(path))
  if (strange) return `${JSON.stringify(strange.path.slice(0, 200))} is no name that every system takes`
  const large = files.find(({ size }) => size > largestFileBytes)
  if (large) return `${large.path} has more than ${largestFileBytes} bytes`
  const total = files.reduce((sum, { size }) => sum + size, 0)
  return total > mostBytes ? `its files have more than ${mostBytes} bytes` : undefined
}

/** As git names a file's content. https://git-scm.com/book/en/v2/Git-Internals-Git-Objects */
const blobSha = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

type Placed = {
  readonly missing: () => File[]
  /** Whether these are the bytes that the commit has; they are kept then, once. */
  place(file: File, bytes: Buffer): Promise<boolean>
}

function placing({ files }: Commit, taker: TreeTaker): Placed {
  const placed = new Set<string>()
  const folders = new Set<string>()
  return {
    missing: () => [...files.values()].filter(({ path }) => !placed.has(path)),
    async place(file, bytes) {
      const { path, executable } = file
      if (placed.has(path)) return true
      if (blobSha(bytes) !== file.sha) return false
      placed.add(path)
      const parts = path.split('/')
      for (let depth = 1; depth < parts.length; depth++) {
        const folder = parts.slice(0, depth).join('/')
        if (!folders.has(folder)) await taker.directory(folder)
        folders.add(folder)
      }
      await taker.file({ path, size: bytes.length, executable }, once(bytes))
      return true
    },
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/**
 * GitHub's archive leaves out and changes what the repository's own `.gitattributes` say, so it is no more than the quick way: what is
 * not in it as it is in the commit is asked for by itself. So nobody hides from tests what is merged.
 */
async function fill(context: Context, github: GitHub, commit: Commit, taker: TreeTaker): Promise<void> {
  const placed = placing(commit, taker)
  if (commit.files.size > 0) await fromArchive(context, github, commit, placed)
  const missing = placed.missing()
  if (missing.length > mostSingles)
    throw new AppError(
      'connector.refused',
      `the archive of ${context.input.repository} holds ${missing.length} files not as they are in the commit`,
    )
  for (const file of missing) {
    context.signal.throwIfAborted()
    const { content } = await github.call(
      'GET /repos/{owner}/{repo}/git/blobs/{file_sha}',
      { file_sha: file.sha },
      z.object({ content: z.string(), encoding: z.literal('base64') }),
    )
    if (!(await placed.place(file, Buffer.from(content, 'base64'))))
      throw new AppError('connector.unavailable', `GitHub gave another content for ${file.path}`)
  }
}

async function fromArchive(
  context: Context,
  github: GitHub,
  { files }: Commit,
  placed: Placed,
): Promise<void> {
  const { signal, input } = context
  const location = await github.elsewhere('GET /repos/{owner}/{repo}/tarball/{ref}', { ref: input.sha })
  try {
    for await (const { name, body } of tarEntries(unpackedAt(location, signal))) {
      // All of it lies in one folder, which is named for the commit.
      const file = files.get(name.slice(name.indexOf('/') + 1))
      const bytes = file && (await wholeOf(body, file.size))
      if (bytes) await placed.place(file, bytes)
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AppError) throw error
    // Its words may have the address in them.
    throw new AppError('connector.unavailable', `the archive of ${input.repository} could not be read whole`)
  }
}

async function* unpackedAt(location: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { body, status } = await fetch(location, {
    redirect: 'error',
    headers: { 'user-agent': 'keyward' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(downloadMilliseconds)]),
  })
  if (status !== 200 || !body)
    throw new AppError('connector.unavailable', `GitHub answered ${status} for an archive`)
  for await (const part of body.pipeThrough(new DecompressionStream('gzip'))) yield Buffer.from(part)
}

/** Undefined when there is more of it. */
async function wholeOf(body: AsyncIterable<Buffer>, sizeBytes: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let room = sizeBytes
  for await (const part of body) {
    room -= part.length
    if (room < 0) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** The token is for this attempt, and in nothing that is kept. */
export const checkout = defineAction({
  name: 'github.checkout',
  title: 'Fetch the files of a commit for later tasks of the run',
  input: checkoutInput,
  output: checkoutOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  effect: 'read',
  permissions,
  secretFields: [privateKeyField],
  async execute(context: Context) {
    const { repository, sha } = context.input
    const github = openGitHub(context, repository, permissionsOf(permissions))
    const commit = await commitOf(github, sha)
    const artifact = await context.keep((taker) => fill(context, github, commit, taker))
    return { sha, artifact, files: commit.files.size, leftOut: commit.leftOut }
  },
})
