import { artifactFolder, destination, type Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError, type Principal } from '../core/index.ts'

const connectionName = z.string().min(1).max(60)
const plainData = z.record(z.string(), z.json())

/** A command in a sandbox, which begins in the code of the pull request. It has REPOSITORY, PULL_REQUEST and HEAD_SHA in its environment. */
const check = z.strictObject({
  command: z.array(z.string()).min(1),
  environment: z.record(z.string(), z.string()).default({}),
  destinations: z.array(destination).max(50).default([]),
  /** As `sandbox.command` takes them. */
  secrets: z
    .array(z.looseObject({ secretPath: z.string() }))
    .max(20)
    .default([]),
  limits: z.record(z.string(), z.int()).optional(),
})

/** A connection to Pulumi or Terraform. */
const infrastructure = z.strictObject({
  connection: connectionName,
  /** Of Terraform alone. `{ "$from": "fetch", "path": "head.sha" }` is the commit that is deployed. */
  variables: plainData.default({}),
})

/** What is to run. */
const next = infrastructure.extend({
  /**
   * Where in the code of the pull request the configuration lies: it is previewed, and made, as it is at the head that is merged. The
   * folder of the connection when absent.
   */
  path: artifactFolder.optional(),
  /** A connection to the same stack or state that previews, with credentials that only read; the one that makes it when absent. */
  previewBy: connectionName.optional(),
})

const whole = z.strictObject({
  pullRequest: z.int().min(1),
  /** `owner/name`. */
  repository: z
    .string()
    .max(140)
    .regex(/^[\w.-]+\/[\w.-]+$/),
  method: z.enum(['merge', 'squash', 'rebase']).default('merge'),
  github: connectionName,
  /** The name of the agent in whose name the commands run. */
  agent: z.string().min(1).max(100),
  tests: check,
  lint: check,
  infrastructure: next,
  monitor: z.strictObject({
    connection: connectionName,
    /** What `monitor.health` takes, or with a `query` what `monitor.query` takes. */
    check: plainData.default({}),
  }),
  /** A connection to Slack, Teams or a webhook. */
  notify: connectionName,
  /** What ran before. Offered when it is not well after the update; nothing is offered when absent. */
  rollback: infrastructure.optional(),
})
export type DeployInput = z.output<typeof whole>

/** Only the number has to be said: where there is one of what is left out, that is meant. */
export const deployInput = whole.partial().required({ pullRequest: true })
type Said = z.output<typeof deployInput>

type Connection = { readonly name: string; readonly connector: string; readonly settings: Json }
type Agent = { readonly id: string; readonly name: string; readonly state: string }
export type Known = { readonly connections: readonly Connection[]; readonly agents: readonly Agent[] }

const notices = ['slack', 'teams', 'webhook'] as const

/** A program of the repository, so that whoever writes the code says how it is tried. */
const ownCheck = (name: 'tests' | 'lint'): z.output<typeof check> => ({
  command: [
    '/bin/sh',
    '-c',
    'if [ -x "$0" ]; then exec "$0"; fi; echo "there is no program $0 in the repository" >&2; exit 1',
    `.keyward/${name}`,
  ],
  environment: {},
  destinations: [],
  secrets: [],
})

/** Throws `run.plan_invalid` with all that is missing. */
export function completedInput(said: Said, known: Known, by: Principal): DeployInput {
  const missing: string[] = []
  const only = (field: string, what: string, names: readonly string[]): string => {
    const [name = '', ...others] = names
    if (name === '') missing.push(`${field} (there is no ${what})`)
    if (others.length > 0) missing.push(`${field} (there are several: ${names.join(', ')})`)
    return name
  }
  const connected = (field: string, what: string, kinds: readonly string[]): string =>
    only(
      field,
      `connection to ${what}`,
      known.connections.filter(({ connector }) => kinds.includes(connector)).map(({ name }) => name),
    )
  const github = said.github ?? connected('github', 'GitHub', ['github'])
  const settings = known.connections.find(({ name }) => name === github)?.settings
  const agents = known.agents.filter(({ name, state }) => state === 'active' && !name.startsWith('keyward-'))
  const input = {
    ...said,
    method: said.method ?? 'merge',
    github,
    repository:
      said.repository ?? only('repository', 'repository that its connection names', repositoriesIn(settings)),
    agent:
      said.agent ??
      (by.kind === 'agent'
        ? by.name
        : only(
            'agent',
            'agent',
            agents.map(({ name }) => name),
          )),
    tests: said.tests ?? ownCheck('tests'),
    lint: said.lint ?? ownCheck('lint'),
    infrastructure: said.infrastructure ?? {
      connection: connected('infrastructure', 'Pulumi or Terraform', ['pulumi', 'terraform']),
      variables: {},
    },
    monitor: said.monitor ?? { connection: connected('monitor', 'what is watched', ['monitor']), check: {} },
    notify: said.notify ?? connected('notify', 'Slack, Teams or a webhook', notices),
  }
  if (missing.length === 0) return input
  throw new AppError(
    'run.plan_invalid',
    `to deploy this, say ${missing.join('; ')}: in the input, or in a flow that you save for it`,
  )
}

const repositoriesIn = (settings: Json | undefined): string[] =>
  z.object({ repositories: z.array(z.string()) }).safeParse(settings).data?.repositories ?? []
