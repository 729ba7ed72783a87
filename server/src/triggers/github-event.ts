import type { TriggerEvent } from '@keyward/contract'
import { z } from 'zod'

/**
 * What is taken of a delivery: https://docs.github.com/en/webhooks/webhook-events-and-payloads . No free text: titles and messages
 * are anybody's words, and what is started by them would be, too.
 */
export type GitHubEvent = {
  readonly action: string | null
  /** `owner/name`. */
  readonly repository: string | null
  /** An App has one address and one secret for all who have installed it. */
  readonly installationId: string | null
  /** When it happened, as far as the event says; milliseconds. */
  readonly at: number | undefined
  /** What triggers look at; absent where none can be for it. */
  readonly occasion?: Occasion
  /** Commits and branches whose checks may stand differently now. */
  readonly checked: readonly string[]
}

export type Fields = Readonly<Record<string, string | number>>
export type Occasion = {
  readonly event: TriggerEvent
  readonly action: string | null
  readonly repository: string
  /** Of a pull request, the one that it goes into. */
  readonly branch: string | null
  readonly labels: readonly string[]
  /** Its code lies in another repository. */
  readonly isFork: boolean
  /** What inputs may take. */
  readonly fields: Fields
}

const repositoryShape = z.object({
  full_name: z.string().regex(/^[A-Za-z0-9_.-]{1,100}\/[A-Za-z0-9_.-]{1,100}$/),
})
const sha = z.string().regex(/^[0-9a-f]{40}$/)
const time = z.string().refine((text) => !Number.isNaN(Date.parse(text)))
const number = z.int().min(1)
const labels = z.array(z.object({ name: z.string() })).default([])
const outer = z.object({
  action: z
    .string()
    .regex(/^[a-z_]{1,60}$/)
    .nullish(),
  repository: repositoryShape.nullish(),
  installation: z.object({ id: z.int() }).nullish(),
  sender: z.object({ login: z.string().regex(/^[A-Za-z0-9-]{1,60}(?:\[bot\])?$/) }).nullish(),
})
type Outer = z.output<typeof outer>

/** A name that can be an argument anywhere; others of git's are left out. */
const plainName = /^(?![./-])(?!.*(?:\.\.|\/\/))[\w./-]{1,200}$/
const named = (field: string, name: string | null): Fields =>
  name !== null && plainName.test(name) ? { [field]: name } : {}
const namesOf = (...names: readonly (string | null)[]): string[] => names.filter((name) => name !== null)

type Told = Pick<GitHubEvent, 'at' | 'checked'> & {
  readonly occasion?: Pick<Occasion, 'branch' | 'labels' | 'isFork' | 'fields'>
}
type Reader = (body: unknown) => Told | undefined

const reading =
  <T>(schema: z.ZodType<T>, told: (body: T) => Told): Reader =>
  (body) => {
    const parsed = schema.safeParse(body)
    return parsed.success ? told(parsed.data) : undefined
  }

const push = reading(
  z.object({
    ref: z.string(),
    after: sha,
    deleted: z.boolean(),
    repository: z.object({ pushed_at: z.int().optional() }),
  }),
  ({ ref, after, deleted, repository: { pushed_at: seconds } }) => {
    const at = seconds === undefined ? undefined : seconds * 1000
    if (deleted) return { at, checked: [] }
    const [, kind, name = ''] = /^refs\/(heads|tags)\/(.+)$/.exec(ref) ?? []
    const branch = kind === 'heads' ? name : null
    const fields = { ...named(kind === 'tags' ? 'tag' : 'branch', name), sha: after }
    return { at, checked: [], occasion: { branch, labels: [], isFork: false, fields } }
  },
)

const side = z.object({ ref: z.string(), sha, repo: z.object({ full_name: z.string() }).nullable() })

const pullRequest = reading(
  z.object({
    number,
    pull_request: z.object({ updated_at: time, labels, head: side, base: side }),
  }),
  ({ number: pull, pull_request: { updated_at, labels: marked, head, base } }) => ({
    at: Date.parse(updated_at),
    checked: [head.sha, head.ref],
    occasion: {
      branch: base.ref,
      labels: marked.map(({ name }) => name),
      isFork: head.repo === null || head.repo.full_name !== base.repo?.full_name,
      fields: { number: pull, ...named('branch', head.ref), ...named('base', base.ref), sha: head.sha },
    },
  }),
)

const issues = reading(
  z.object({ issue: z.object({ number, updated_at: time, labels }) }),
  ({ issue: { number: issue, updated_at, labels: marked } }) => ({
    at: Date.parse(updated_at),
    checked: [],
    occasion: {
      branch: null,
      labels: marked.map(({ name }) => name),
      isFork: false,
      fields: { number: issue },
    },
  }),
)

const release = reading(
  z.object({ release: z.object({ tag_name: z.string(), target_commitish: z.string() }) }),
  ({ release: { tag_name, target_commitish: branch } }) => ({
    at: undefined,
    checked: [],
    occasion: { branch, labels: [], isFork: false, fields: named('tag', tag_name) },
  }),
)

/** Of code in another repository GitHub names no branch. */
const headBranch = z.string().nullable()

const checkSuite = reading(
  z.object({
    check_suite: z.object({
      head_sha: sha,
      head_branch: headBranch,
      conclusion: z
        .string()
        .regex(/^[a-z_]{1,40}$/)
        .nullable(),
      updated_at: time,
    }),
  }),
  ({ check_suite: { head_sha, head_branch: branch, conclusion, updated_at } }) => ({
    at: Date.parse(updated_at),
    checked: namesOf(head_sha, branch),
    occasion: {
      branch,
      labels: [],
      isFork: branch === null,
      fields: { sha: head_sha, ...named('branch', branch), ...(conclusion === null ? {} : { conclusion }) },
    },
  }),
)

const checkRun = reading(
  z.object({ check_run: z.object({ head_sha: sha, check_suite: z.object({ head_branch: headBranch }) }) }),
  ({ check_run: { head_sha, check_suite } }) => ({
    at: undefined,
    checked: namesOf(head_sha, check_suite.head_branch),
  }),
)

const status = reading(
  z.object({ sha, branches: z.array(z.object({ name: z.string() })).max(100) }),
  ({ sha: commit, branches }) => ({ at: undefined, checked: [commit, ...branches.map(({ name }) => name)] }),
)

const starting = { push, pull_request: pullRequest, issues, release, check_suite: checkSuite } as const
const readers: Readonly<Record<string, Reader>> = { ...starting, check_run: checkRun, status }

const isStarting = (name: string): name is TriggerEvent => Object.hasOwn(starting, name)

/** Undefined for a body that is not what GitHub documents for an event of this name; nothing is used of events with other names. */
export function readGitHubEvent(name: string, body: unknown): GitHubEvent | undefined {
  const said = outer.safeParse(body)
  if (!said.success) return undefined
  const about = {
    action: said.data.action ?? null,
    repository: said.data.repository?.full_name ?? null,
    installationId: said.data.installation ? String(said.data.installation.id) : null,
  }
  const reader = Object.hasOwn(readers, name) ? readers[name] : undefined
  if (!reader) return { ...about, at: undefined, checked: [] }
  const told = reader(body)
  if (!told) return undefined
  const { occasion, ...rest } = told
  if (!occasion || !isStarting(name) || about.repository === null) return { ...about, ...rest }
  return { ...about, ...rest, occasion: { ...occasion, ...wholeOf(name, said.data, occasion.fields) } }
}

export const isKnownEvent = (name: string): boolean => Object.hasOwn(readers, name)

function wholeOf(event: TriggerEvent, { action, repository: where, sender }: Outer, fields: Fields) {
  const known = {
    repository: where?.full_name ?? '',
    ...(action ? { action } : {}),
    ...(sender ? { sender: sender.login } : {}),
  }
  return { event, action: action ?? null, repository: known.repository, fields: { ...known, ...fields } }
}

/** What an event may bring, with values of its kind: by these an input is tried before an event comes. */
export const sampleFields = (event: TriggerEvent, repository: string): Fields => ({
  repository,
  sender: 'somebody',
  ...samples[event],
})

const samples: Readonly<Record<TriggerEvent, Fields>> = {
  push: { branch: 'main', tag: 'v1', sha: '0'.repeat(40) },
  pull_request: { number: 1, branch: 'feature', base: 'main', sha: '0'.repeat(40), action: 'opened' },
  issues: { number: 1, action: 'opened' },
  release: { tag: 'v1', action: 'published' },
  check_suite: { branch: 'main', sha: '0'.repeat(40), conclusion: 'success', action: 'completed' },
}
