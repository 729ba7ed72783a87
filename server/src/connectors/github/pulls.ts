import { z } from 'zod'
import { AppError } from '../../core/index.ts'
import { type ActionContext, defineAction, type Reconciled } from '../connector.ts'
import { checksOf, checksOutput } from './checks.ts'
import {
  type GitHub,
  headSha,
  hiddenMark,
  openGitHub,
  permissionsOf,
  privateKeyField,
  refName,
  repositoryName,
} from './client.ts'

const side = z.object({ ref: z.string(), sha: z.string() })
const pull = z.object({
  number: z.int(),
  title: z.string(),
  state: z.string(),
  draft: z.boolean().optional(),
  merged: z.boolean(),
  mergeable: z.boolean().nullish(),
  merge_commit_sha: z.string().nullable(),
  html_url: z.string(),
  user: z.object({ login: z.string() }).nullable(),
  head: side,
  base: side,
})
type Pull = z.output<typeof pull>

const files = z.array(
  z.object({ filename: z.string(), status: z.string(), additions: z.int(), deletions: z.int() }),
)
/** GitHub lists 3,000 at most; an approver reads fewer. */
const mostFiles = 300

const pullNumber = z.int().min(1)
const ofPull = z.strictObject({ repository: repositoryName, number: pullNumber })
const readPermissions = ['pull_requests:read', 'checks:read'] as const

const detailsOutput = z.strictObject({
  number: z.int(),
  title: z.string(),
  url: z.string(),
  state: z.string(),
  draft: z.boolean(),
  merged: z.boolean(),
  /** Null while GitHub works it out. */
  mergeable: z.boolean().nullable(),
  author: z.string().nullable(),
  base: side,
  head: side,
  files: z.array(
    z.strictObject({ path: z.string(), status: z.string(), additions: z.int(), deletions: z.int() }),
  ),
  /** There are more files than these. */
  filesCut: z.boolean(),
  checks: checksOutput,
})

const read = (github: GitHub, number: number): Promise<Pull> =>
  github.call('GET /repos/{owner}/{repo}/pulls/{pull_number}', { pull_number: number }, pull)

async function detailsOf(github: GitHub, number: number): Promise<z.output<typeof detailsOutput>> {
  const found = await read(github, number)
  const changed = await github.pages(
    'GET /repos/{owner}/{repo}/pulls/{pull_number}/files',
    { pull_number: number },
    files,
    mostFiles,
  )
  return {
    number: found.number,
    title: found.title,
    url: found.html_url,
    state: found.state,
    draft: found.draft ?? false,
    merged: found.merged,
    mergeable: found.mergeable ?? null,
    author: found.user?.login ?? null,
    base: found.base,
    head: found.head,
    files: changed.items.map(({ filename: path, status, additions, deletions }) => ({
      path,
      status,
      additions,
      deletions,
    })),
    filesCut: changed.cut,
    checks: await checksOf(github, found.head.sha),
  }
}

export const getPullRequest = defineAction({
  name: 'github.get-pull-request',
  title: 'Read a pull request: its files, its head and its checks',
  input: ofPull,
  output: detailsOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  effect: 'read',
  permissions: readPermissions,
  secretFields: [privateKeyField],
  execute: (context) =>
    detailsOf(
      openGitHub(context, context.input.repository, permissionsOf(readPermissions)),
      context.input.number,
    ),
})

const createInput = z.strictObject({
  repository: repositoryName,
  head: refName,
  base: refName,
  title: z.string().min(1).max(250),
  body: z.string().max(60_000).default(''),
  draft: z.boolean().default(false),
})
const createdOutput = z.strictObject({ number: z.int(), url: z.string(), headSha: z.string() })
const writePermissions = ['pull_requests:write'] as const
const listed = z.array(
  z.object({ number: z.int(), html_url: z.string(), body: z.string().nullable(), head: side }),
)

export const createPullRequest = defineAction({
  name: 'github.create-pull-request',
  title: 'Open a pull request',
  input: createInput,
  output: createdOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions: writePermissions,
  secretFields: [privateKeyField],
  async preview({ input: { head, base, title, draft } }) {
    return { title, from: head, into: base, draft }
  },
  async execute(context: ActionContext<z.output<typeof createInput>>) {
    const { repository, head, base, title, body, draft } = context.input
    const github = openGitHub(context, repository, permissionsOf(writePermissions))
    const mark = hiddenMark(context)
    const open = await github.call(
      'GET /repos/{owner}/{repo}/pulls',
      { state: 'all', head: `${github.owner}:${head}`, base, per_page: 100 },
      listed,
    )
    const own = open.find((one) => one.body?.includes(mark))
    if (own) return { number: own.number, url: own.html_url, headSha: own.head.sha }
    const made = await github.call(
      'POST /repos/{owner}/{repo}/pulls',
      { title, head, base, draft, body: `${body}\n\n${mark}` },
      pull,
    )
    return { number: made.number, url: made.html_url, headSha: made.head.sha }
  },
})

const mergeInput = ofPull.extend({
  /** What was looked at: when the head is another one by then, nothing is merged. */
  headSha,
  method: z.enum(['merge', 'squash', 'rebase']).default('merge'),
})
const mergedOutput = z.strictObject({ merged: z.literal(true), sha: z.string() })
const mergePermissions = ['contents:write', 'pull_requests:read'] as const
type MergeContext = ActionContext<z.output<typeof mergeInput>>

function assertMergeable(found: Pull, expected: string): void {
  if (found.head.sha !== expected)
    throw new AppError(
      'connector.refused',
      `the head of #${found.number} is ${found.head.sha}, not ${expected}`,
    )
  if (found.merged || found.state !== 'open')
    throw new AppError('connector.refused', `#${found.number} is ${found.merged ? 'merged' : found.state}`)
  if (found.draft) throw new AppError('connector.refused', `#${found.number} is a draft`)
  if (found.mergeable === false)
    throw new AppError('connector.refused', `#${found.number} conflicts with ${found.base.ref}`)
}

export const mergePullRequest = defineAction({
  name: 'github.merge-pull-request',
  title: 'Merge a pull request at exactly this commit',
  input: mergeInput,
  output: mergedOutput,
  risk: 'high',
  reversible: false,
  idempotent: false,
  permissions: mergePermissions,
  secretFields: [privateKeyField],
  async preview(context: MergeContext) {
    const { repository, number, headSha: expected, method } = context.input
    const github = openGitHub(context, repository, permissionsOf(readPermissions))
    const { url, checks, mergeable: _, state, ...details } = await detailsOf(github, number)
    assertMergeable(await read(github, number), expected)
    // States that change by themselves would void the approval: what counts is whether the checks went well.
    return { ...details, state, url, method, checks: checks.state }
  },
  async execute(context: MergeContext) {
    const { repository, number, headSha: expected, method } = context.input
    const github = openGitHub(context, repository, permissionsOf(mergePermissions))
    assertMergeable(await read(github, number), expected)
    const answer = await github.call(
      'PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge',
      { pull_number: number, sha: expected, merge_method: method },
      z.object({ merged: z.literal(true), sha: z.string() }),
    )
    return { merged: answer.merged, sha: answer.sha }
  },
  async reconcile(context: MergeContext): Promise<Reconciled<z.output<typeof mergedOutput>>> {
    const { repository, number, headSha: expected } = context.input
    const found = await read(openGitHub(context, repository, permissionsOf(readPermissions)), number)
    if (!found.merged) return { effect: 'none' }
    if (found.head.sha !== expected || found.merge_commit_sha === null)
      return { effect: 'unknown', reason: `#${number} was merged at ${found.head.sha}, not at ${expected}` }
    return { effect: 'done', output: { merged: true, sha: found.merge_commit_sha } }
  },
})
