import { z } from 'zod'
import { AppError } from '../../core/index.ts'
import { type ActionContext, defineAction } from '../connector.ts'
import {
  type GitHub,
  headSha,
  markOf,
  openGitHub,
  permissionsOf,
  privateKeyField,
  refName,
  repositoryName,
} from './client.ts'

const readPermissions = ['contents:read'] as const
const writePermissions = ['contents:write'] as const

const filePath = z
  .string()
  .min(1)
  .max(500)
  .regex(
    /^(?!\/)(?!(?:.*\/)?\.{1,2}(?:\/|$))(?!(?:.*\/)?\.git(?:\/|$))(?!.*\/\/)[^\p{Cc}]*[^\p{Cc}/]$/u,
    'no path of a file',
  )

const content = z.object({
  type: z.literal('file'),
  sha: z.string(),
  size: z.int(),
  encoding: z.string(),
  content: z.string(),
})
const fileOutput = z.strictObject({
  path: z.string(),
  sha: z.string(),
  sizeBytes: z.int(),
  encoding: z.enum(['utf-8', 'base64']),
  content: z.string(),
})
/** A task's output holds a megabyte. */
const largestFileBytes = 512 * 1024

function textOf(bytes: Buffer): Pick<z.output<typeof fileOutput>, 'encoding' | 'content'> {
  try {
    return { encoding: 'utf-8', content: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    // It is no text, which is no failure.
    return { encoding: 'base64', content: bytes.toString('base64') }
  }
}

const getFileInput = z.strictObject({
  repository: repositoryName,
  path: filePath,
  ref: z.union([headSha, refName]).optional(),
})

export const getFile = defineAction({
  name: 'github.get-file',
  title: 'Read a file of a repository',
  input: getFileInput,
  output: fileOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  effect: 'read',
  permissions: readPermissions,
  secretFields: [privateKeyField],
  async execute(context: ActionContext<z.output<typeof getFileInput>>) {
    const { repository, path, ref } = context.input
    const github = openGitHub(context, repository, permissionsOf(readPermissions))
    const found = await github.call(
      'GET /repos/{owner}/{repo}/contents/{+path}',
      { path: escaped(path), ...(ref === undefined ? {} : { ref }) },
      content,
    )
    if (found.size > largestFileBytes || found.encoding !== 'base64')
      throw new AppError('connector.refused', `${path} has more than ${largestFileBytes} bytes`)
    const bytes = Buffer.from(found.content, 'base64')
    return { path, sha: found.sha, sizeBytes: bytes.length, ...textOf(bytes) }
  },
})

const escaped = (path: string): string => path.split('/').map(encodeURIComponent).join('/')

const reference = z.object({ object: z.object({ sha: z.string() }) })

/** The commit that a branch points to; undefined when there is no such branch. */
async function headOf(github: GitHub, branch: string): Promise<string | undefined> {
  const found = await github.call(
    'GET /repos/{owner}/{repo}/git/matching-refs/{+ref}',
    { ref: `heads/${branch}` },
    z.array(reference.extend({ ref: z.string() })),
  )
  return found.find(({ ref }) => ref === `refs/heads/${branch}`)?.object.sha
}

async function requiredHead(github: GitHub, branch: string): Promise<string> {
  const head = await headOf(github, branch)
  if (head === undefined) throw new AppError('connector.refused', `there is no branch ${branch}`)
  return head
}

const branchInput = z.strictObject({
  repository: repositoryName,
  branch: refName,
  /** A commit, or the branch whose head it is to start at. */
  from: z.union([headSha, refName]),
})

export const createBranch = defineAction({
  name: 'github.create-branch',
  title: 'Make a branch',
  input: branchInput,
  output: z.strictObject({ branch: z.string(), sha: z.string() }),
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions: writePermissions,
  secretFields: [privateKeyField],
  async execute(context: ActionContext<z.output<typeof branchInput>>) {
    const { repository, branch, from } = context.input
    const github = openGitHub(context, repository, permissionsOf(writePermissions))
    const sha = headSha.safeParse(from).success ? from : await requiredHead(github, from)
    const before = await headOf(github, branch)
    if (before === sha) return { branch, sha }
    if (before !== undefined)
      throw new AppError('connector.refused', `there is a branch ${branch} already, at ${before}`)
    const parameters = { ref: `refs/heads/${branch}`, sha }
    await github.call('POST /repos/{owner}/{repo}/git/refs', parameters, reference)
    return { branch, sha }
  },
})

const commitInput = z.strictObject({
  repository: repositoryName,
  branch: refName,
  message: z.string().min(1).max(10_000),
  files: z
    .array(
      z.strictObject({
        path: filePath,
        /** UTF-8 text; null takes the file away. */
        content: z
          .string()
          .max(1024 * 1024)
          .nullable(),
      }),
    )
    .min(1)
    .max(300)
    .refine(
      (files) => new Set(files.map(({ path }) => path)).size === files.length,
      'a path stands there twice',
    ),
  /** Where the branch must be; anywhere when absent. */
  headSha: headSha.optional(),
})
type CommitContext = ActionContext<z.output<typeof commitInput>>

const commit = z.object({
  sha: z.string(),
  message: z.string(),
  tree: z.object({ sha: z.string() }),
  parents: z.array(z.object({ sha: z.string() })),
})
/** So many commits may have come on top of one of an attempt that was lost. */
const mostCommitsBack = 20

/** The commit that an earlier attempt of the same task made, if it is there. */
async function ownCommit(github: GitHub, head: string, mark: string): Promise<string | undefined> {
  const found = await github.call(
    'GET /repos/{owner}/{repo}/commits',
    { sha: head, per_page: mostCommitsBack },
    z.array(z.object({ sha: z.string(), commit: z.object({ message: z.string() }) })),
  )
  return found.find((one) => one.commit.message.includes(mark))?.sha
}

function assertHead(branch: string, head: string, expected: string | undefined): void {
  if (expected !== undefined && expected !== head)
    throw new AppError('connector.refused', `${branch} is at ${head}, not ${expected}`)
}

export const commitFiles = defineAction({
  name: 'github.commit-files',
  title: 'Commit files to a branch, in one commit',
  input: commitInput,
  output: z.strictObject({ sha: z.string(), branch: z.string() }),
  risk: 'medium',
  reversible: true,
  idempotent: true,
  permissions: writePermissions,
  secretFields: [privateKeyField],
  async preview(context: CommitContext) {
    const { repository, branch, message, files, headSha: expected } = context.input
    const github = openGitHub(context, repository, permissionsOf(readPermissions))
    const head = await requiredHead(github, branch)
    assertHead(branch, head, expected)
    return {
      branch,
      onTopOf: head,
      message,
      files: files.map(({ path, content: text }) => ({ path, content: text })),
    }
  },
  async execute(context: CommitContext) {
    const { repository, branch, message, files, headSha: expected } = context.input
    const github = openGitHub(context, repository, permissionsOf(writePermissions))
    const mark = `Keyward-Task: ${markOf(context)}`
    const head = await requiredHead(github, branch)
    const before = await ownCommit(github, head, mark)
    if (before !== undefined) return { sha: before, branch }
    assertHead(branch, head, expected)
    const base = await github.call('GET /repos/{owner}/{repo}/git/commits/{sha}', { sha: head }, commit)
    const tree = await github.call(
      'POST /repos/{owner}/{repo}/git/trees',
      { base_tree: base.tree.sha, tree: files.map(entryOf) },
      z.object({ sha: z.string() }),
    )
    const made = await github.call(
      'POST /repos/{owner}/{repo}/git/commits',
      { message: `${message}\n\n${mark}`, tree: tree.sha, parents: [head] },
      commit,
    )
    // Not forced: what somebody pushed meanwhile stays.
    await github.call(
      'PATCH /repos/{owner}/{repo}/git/refs/{+ref}',
      { ref: `heads/${branch}`, sha: made.sha, force: false },
      reference,
    )
    return { sha: made.sha, branch }
  },
})

/** https://docs.github.com/en/rest/git/trees#create-a-tree : a null `sha` deletes. */
const entryOf = ({ path, content: text }: { path: string; content: string | null }) => ({
  path,
  mode: '100644',
  type: 'blob',
  ...(text === null ? { sha: null } : { content: text }),
})
