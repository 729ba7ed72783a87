import { isUtf8 } from 'node:buffer'
import { type ArtifactRef, artifactRef, type Json } from '@keyward/contract'
import { z } from 'zod'
import type { Flow } from '../catalogue/index.ts'
import { AppError, type FileTree, isPortable, type TreeEntry } from '../core/index.ts'
import type { Action, PlannedTask } from '../workflow/index.ts'

const path = z
  .string()
  .max(4096)
  .refine(isPortable, 'a path below the top of the files, with /, without . or ..')
/** More belongs into an artifact: what a task gives is stored with its run, and shown. */
const mostBytes = z
  .int()
  .min(1)
  .max(256 * 1024)
  .default(64 * 1024)

const readFileInput = z
  .strictObject({
    /** `owner/name`. */
    repository: z
      .string()
      .max(140)
      .regex(/^[\w.-]+\/[\w.-]+$/),
    /** A commit; no branch, which could be another one in a moment. */
    sha: z
      .string()
      .regex(/^[0-9a-f]{40}$/, 'a whole commit id')
      .optional(),
    /** Instead of a commit: the head of this pull request. */
    pullRequest: z.coerce.number().int().min(1).optional(),
    path,
    /** A connection to GitHub. */
    github: z.string().min(1).max(60).default('github'),
    /** Whether a person is asked before it is read; the question says what would be shown. */
    ask: z.boolean().default(false),
    mostBytes,
  })
  .refine(
    ({ sha, pullRequest }) => (sha === undefined) !== (pullRequest === undefined),
    'give a commit or a pull request',
  )

const readArgs = z.strictObject({
  artifact: artifactRef.pick({ id: true, digest: true }).loose(),
  path,
  mostBytes,
})
const contents = z.strictObject({
  path: z.string(),
  sizeBytes: z.int(),
  /** Null for what is no text in UTF-8. */
  text: z.string().nullable(),
  /** How many values that look like secrets were taken out of the text. */
  takenOut: z.int(),
})
type Contents = z.output<typeof contents>

type Connection = { readonly name: string; readonly connector: string; readonly secretPath: string | null }
type FlowNeeds = {
  connections: () => Promise<readonly Connection[]>
  /** What a connector's action says of itself. */
  factsOf: (action: string) => Pick<PlannedTask, 'risk' | 'reversible'> | undefined
}

/** One file as it is in a commit. Nothing of the repository is executed, so there is nothing to isolate. */
export function readFileFlow({ connections, factsOf }: FlowNeeds): Flow {
  return {
    name: 'read-file',
    title: 'Read a file of a repository',
    goals: [
      '(read|show) [the] [file] {path} of {repository} (at|in) [commit] {sha}',
      '(read|show) [the] [file] {path} of {repository} in pull request {pullRequest}',
    ],
    input: readFileInput,
    async plan(rawInput) {
      const input = readFileInput.parse(rawInput)
      const { repository, pullRequest, ask, github: connection } = input
      const hub = (await connections()).find(({ name }) => name === connection)
      if (hub?.connector !== 'github')
        throw new AppError('run.plan_invalid', `there is no connection '${connection}' to GitHub`)
      const secrets = hub.secretPath === null ? [] : [hub.secretPath]
      const ofHub = (task: Pick<PlannedTask, 'id' | 'title' | 'action' | 'args' | 'needs'>): PlannedTask => {
        const facts = factsOf(task.action)
        if (!facts) throw new AppError('run.plan_invalid', `there is no action '${task.action}'`)
        const { risk, reversible } = facts
        return { ...task, risk, reversible, secrets, retry: { maxAttempts: 3, backoffSeconds: 5 } }
      }
      const fetch = ofHub({
        id: 'fetch',
        title: `Look up pull request ${pullRequest}`,
        action: 'github.get-pull-request',
        args: { connection, repository, number: pullRequest ?? 0 },
        needs: [],
      })
      const checkout = ofHub({
        id: 'checkout',
        title: `Fetch the files of ${repository}`,
        action: 'github.checkout',
        args: { connection, repository, sha: input.sha ?? { $from: 'fetch', path: 'head.sha' } },
        needs: pullRequest === undefined ? [] : ['fetch'],
      })
      const tasks = [...(pullRequest === undefined ? [] : [fetch]), checkout, readTask(input)]
      const asked = ask ? ', once a person agrees' : ''
      return {
        flow: 'read-file',
        title: `Read ${input.path} of ${repository}${asked}`.slice(0, 200),
        input: rawInput,
        tasks,
      }
    },
  }
}

const askedForSeconds = 24 * 3600

const readTask = ({
  repository,
  path: file,
  ask,
  mostBytes: most,
}: z.output<typeof readFileInput>): PlannedTask => ({
  id: 'read',
  title: `Read ${file}`.slice(0, 200),
  action: 'file.read',
  args: { artifact: { $from: 'checkout', path: 'artifact' }, path: file, mostBytes: most },
  needs: ['checkout'],
  risk: 'low',
  reversible: true,
  secrets: [],
  ...(ask
    ? { approval: { target: `${repository}: ${file}`.slice(0, 200), expiresInSeconds: askedForSeconds } }
    : {}),
})

/** Where in the bytes of a file values stand that look like secrets. */
type Finder = {
  contents(
    bytes: Buffer,
    file: string,
  ): readonly {
    readonly place: { readonly start: number; readonly end: number; readonly wrapping: string }
  }[]
}
type ActionNeeds = {
  artifacts: { open(runId: string, ref: Pick<ArtifactRef, 'id' | 'digest'>): Promise<FileTree> }
  scanner: () => Promise<Finder>
}

/** A plan that somebody brings may name it: it reads what an earlier task of the same run has left, and nothing else. */
export function readFileAction({ artifacts, scanner }: ActionNeeds): Action {
  async function read(args: Json, runId: string): Promise<Contents> {
    const { artifact, path: file, mostBytes: most } = readArgs.parse(args)
    const bytes = await bytesIn(await artifacts.open(runId, artifact), file, most)
    const sizeBytes = bytes.length
    if (!isUtf8(bytes) || bytes.includes(0)) return { path: file, sizeBytes, text: null, takenOut: 0 }
    return { path: file, sizeBytes, ...redacted(bytes, (await scanner()).contents(bytes, file)) }
  }
  return {
    name: 'file.read',
    idempotent: true,
    effect: 'read',
    input: readArgs,
    output: contents,
    offered: { title: 'Read a file', risk: 'low', reversible: true, permissions: [] },
    preview: async (args, { runId }) => {
      const { path: file, sizeBytes, text, takenOut } = await read(args, runId)
      return { path: file, sizeBytes, kind: text === null ? 'not text' : 'text', takenOut }
    },
    execute: async ({ args, runId }) => ({ output: await read(args, runId) }),
  }
}

async function bytesIn(tree: FileTree, file: string, most: number): Promise<Buffer> {
  let found: Buffer | undefined
  for await (const entry of tree) {
    if (entry.path === file) found = await bytesOf(entry, most)
    else if (entry.kind === 'file') await passOver(entry.body)
  }
  if (!found) throw new AppError('task.failed', `there is no file ${file}`)
  return found
}

async function bytesOf(entry: TreeEntry, most: number): Promise<Buffer> {
  const { path: file, kind } = entry
  if (kind !== 'file') throw new AppError('task.failed', `${file} is a ${kind}, and no file`)
  if (entry.size > most)
    throw new AppError('task.failed', `${file} has ${entry.size} bytes, more than the ${most} that are read`)
  const chunks: Uint8Array[] = []
  for await (const chunk of entry.body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The body of an entry is read before the next one comes. */
async function passOver(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body);
}

const lineFeed = 10

/** The text without what was found in it. Of a value that is written in pieces, all up to the next empty line goes. */
function redacted(bytes: Buffer, found: ReturnType<Finder['contents']>): Pick<Contents, 'text' | 'takenOut'> {
  const spans = found
    .map(({ place: { start, end, wrapping } }) => ({
      start,
      end: wrapping === 'split' ? emptyLineAfter(bytes, end) : end,
    }))
    .toSorted((a, b) => a.start - b.start)
  let text = ''
  let at = 0
  let takenOut = 0
  for (const { start, end } of spans) {
    if (end <= at) continue
    // Where two overlap, one mark stands for both.
    if (start >= at) {
      text += `${bytes.toString('utf8', at, start)}[secret]`
      takenOut += 1
    }
    at = end
  }
  return { text: text + bytes.toString('utf8', at), takenOut }
}

function emptyLineAfter(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(lineFeed, from); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
    const next = bytes[at + 1] === 13 ? bytes[at + 2] : bytes[at + 1]
    if (next === lineFeed) return at
  }
  return bytes.length
}
