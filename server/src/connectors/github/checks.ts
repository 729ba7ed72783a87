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

const runs = z.object({
  check_runs: z.array(
    z.object({
      id: z.int(),
      name: z.string(),
      status: z.string(),
      conclusion: z.string().nullable(),
      html_url: z.string().nullable(),
      external_id: z.string().nullish(),
    }),
  ),
})

export const checksOutput = z.strictObject({
  /** `none`: nobody checks this commit. */
  state: z.enum(['succeeded', 'failed', 'pending', 'none']),
  checks: z.array(
    z.strictObject({
      id: z.int(),
      name: z.string(),
      status: z.string(),
      conclusion: z.string().nullable(),
      url: z.string().nullable(),
    }),
  ),
})
type Checks = z.output<typeof checksOutput>

const good: ReadonlySet<string | null> = new Set(['success', 'neutral', 'skipped'])
const mostChecks = 300

/** The newest run of each check. https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference */
export async function checksOf(github: GitHub, ref: string): Promise<Checks> {
  const { items } = await github.pages(
    'GET /repos/{owner}/{repo}/commits/{ref}/check-runs',
    { ref },
    runs.transform(({ check_runs }) => check_runs),
    mostChecks,
  )
  const checks = items.map(({ id, name, status, conclusion, html_url: url }) => ({
    id,
    name,
    status,
    conclusion,
    url,
  }))
  return { state: stateOf(checks), checks }
}

function stateOf(checks: Checks['checks']): Checks['state'] {
  if (checks.length === 0) return 'none'
  const ended = checks.filter(({ status }) => status === 'completed')
  if (ended.some(({ conclusion }) => !good.has(conclusion))) return 'failed'
  return ended.length < checks.length ? 'pending' : 'succeeded'
}

const readPermissions = ['checks:read'] as const
const ofRef = z.strictObject({ repository: repositoryName, ref: z.union([headSha, refName]) })

export const listChecks = defineAction({
  name: 'github.list-checks',
  title: 'How the checks of a commit stand',
  input: ofRef,
  output: checksOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  effect: 'read',
  permissions: readPermissions,
  secretFields: [privateKeyField],
  execute: (context) =>
    checksOf(
      openGitHub(context, context.input.repository, permissionsOf(readPermissions)),
      context.input.ref,
    ),
})

const waitInput = ofRef.extend({
  /** Checks that must be there; without it, at least one. */
  required: z.array(z.string().min(1).max(200)).max(50).default([]),
  pollSeconds: z.int().min(5).max(600).default(15),
})

/** How long it is not asked where it tells by itself: a delivery may be lost. */
const unaskedMilliseconds = 600_000

export const waitForChecks = defineAction({
  name: 'github.wait-for-checks',
  title: 'Wait until the checks of a commit have succeeded',
  input: waitInput,
  output: checksOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  effect: 'read',
  permissions: readPermissions,
  secretFields: [privateKeyField],
  async execute(context) {
    const { repository, ref, required, pollSeconds } = context.input
    const github = openGitHub(context, repository, permissionsOf(readPermissions))
    const hearing = context.hear(repository, ref)
    let lookAt = 0
    for (;;) {
      context.heartbeat()
      const heard = hearing.heard()
      if (hearing.isTold() && !heard && context.now().getTime() < lookAt) {
        await context.pause(pollSeconds * 1000, hearing)
        continue
      }
      const found = await checksOf(github, ref)
      lookAt = context.now().getTime() + unaskedMilliseconds
      const bad = found.checks.filter(
        ({ status, conclusion }) => status === 'completed' && !good.has(conclusion),
      )
      if (bad.length > 0)
        throw new AppError('connector.refused', `checks failed: ${bad.map(({ name }) => name).join(', ')}`)
      const missing = required.filter((name) => !found.checks.some((check) => check.name === name))
      if (found.state === 'succeeded' && missing.length === 0) return found
      await context.pause(pollSeconds * 1000, hearing)
    }
  },
})

const conclusion = z.enum([
  'success',
  'failure',
  'neutral',
  'cancelled',
  'skipped',
  'timed_out',
  'action_required',
])
const told = {
  status: z.enum(['queued', 'in_progress', 'completed']),
  /** With the status `completed`. */
  conclusion: conclusion.optional(),
  title: z.string().min(1).max(200),
  summary: z.string().max(60_000),
}
const wholeConclusion = (value: { status: string; conclusion?: string | undefined }): boolean =>
  (value.status === 'completed') === (value.conclusion !== undefined)
const conclusionRule = { message: 'a conclusion belongs to the status completed', path: ['conclusion'] }

const checkRun = z.object({ id: z.int(), html_url: z.string().nullable() })
const checkRunOutput = z.strictObject({ id: z.int(), url: z.string().nullable() })
const writePermissions = ['checks:write'] as const
const outputOf = ({ id, html_url: url }: z.output<typeof checkRun>) => ({ id, url })

type Told = { status: string; conclusion?: string | undefined; title: string; summary: string }
const bodyOf = ({ status, conclusion, title, summary }: Told) => ({
  status,
  ...(conclusion === undefined ? {} : { conclusion }),
  output: { title, summary },
})

const createInput = z
  .strictObject({ repository: repositoryName, name: z.string().min(1).max(100), headSha, ...told })
  .refine(wholeConclusion, conclusionRule)

export const createCheckRun = defineAction({
  name: 'github.create-check-run',
  title: 'Show a check at a commit',
  input: createInput,
  output: checkRunOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions: writePermissions,
  secretFields: [privateKeyField],
  async execute(context: ActionContext<z.output<typeof createInput>>) {
    const { repository, name, headSha: head, ...rest } = context.input
    const github = openGitHub(context, repository, permissionsOf(writePermissions))
    const mark = markOf(context)
    const { items } = await github.pages(
      'GET /repos/{owner}/{repo}/commits/{ref}/check-runs',
      { ref: head, check_name: name, filter: 'all' },
      runs.transform(({ check_runs }) => check_runs),
      mostChecks,
    )
    const own = items.find(({ external_id }) => external_id === mark)
    if (own) return outputOf(own)
    return outputOf(
      await github.call(
        'POST /repos/{owner}/{repo}/check-runs',
        { name, head_sha: head, external_id: mark, ...bodyOf(rest) },
        checkRun,
      ),
    )
  },
})

const updateInput = z
  .strictObject({ repository: repositoryName, checkRunId: z.int().min(1), ...told })
  .refine(wholeConclusion, conclusionRule)

export const updateCheckRun = defineAction({
  name: 'github.update-check-run',
  title: 'Change a check that Keyward shows',
  input: updateInput,
  output: checkRunOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions: writePermissions,
  secretFields: [privateKeyField],
  async execute(context: ActionContext<z.output<typeof updateInput>>) {
    const { repository, checkRunId, ...rest } = context.input
    const github = openGitHub(context, repository, permissionsOf(writePermissions))
    const parameters = { check_run_id: checkRunId, ...bodyOf(rest) }
    return outputOf(
      await github.call('PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}', parameters, checkRun),
    )
  },
})
