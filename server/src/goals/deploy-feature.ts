import type { Json } from '@keyward/contract'
import { z } from 'zod'
import type { Flow } from '../catalogue/index.ts'
import { AppError, type Principal } from '../core/index.ts'
import type { PlannedTask } from '../workflow/index.ts'
import { completedInput, type DeployInput, deployInput, type Known } from './deploy-input.ts'

type Connection = {
  readonly name: string
  readonly connector: string
  readonly settings: Json
  readonly secretPath: string | null
}

type Needs = {
  connections: () => Promise<readonly Connection[]>
  /** What a connector's action says of itself. */
  factsOf: (action: string) => Pick<PlannedTask, 'risk' | 'reversible'> | undefined
  agents: () => Promise<Known['agents']>
  /** Throws `policy.denied`. */
  assertMayLend: (by: Principal, path: string) => void
}

/** All that the tasks are made of. */
type Given = DeployInput & {
  readonly agentId: string
  kindOf(connection: string): string
}

/**
 * From a pull request to what runs, by one question: the head that was tested and the change that was previewed are what is approved, and
 * exactly these are merged and made.
 */
export function deployFeatureFlow(needs: Needs): Flow {
  return {
    name: 'deploy-feature',
    title: 'Test, approve, merge, deploy and watch a pull request',
    goals: [
      'deploy [the] [feature of] [the] (pull request|pr) {pullRequest}',
      'deploy [the] [feature of] [the] (pull request|pr) {pullRequest} (of|in) {repository}',
    ],
    input: deployInput,
    async plan(rawInput, by) {
      const [listed, agents] = await Promise.all([needs.connections(), needs.agents()])
      const input = completedInput(deployInput.parse(rawInput), { connections: listed, agents }, by)
      for (const { secretPath } of [...input.tests.secrets, ...input.lint.secrets])
        needs.assertMayLend(by, secretPath)
      const agent = agents.find(({ name }) => name === input.agent)
      if (!agent) throw new AppError('agent.not_found', `there is no agent '${input.agent}'`)
      // Its commands borrow in that agent's name.
      if (by.kind === 'agent' && by.id !== agent.id)
        throw new AppError('policy.denied', 'an agent deploys by commands of its own, not of another agent')
      const connections = new Map(listed.map((one) => [one.name, one]))
      const kindOf = (name: string): string => {
        const found = connections.get(name)
        if (!found) throw new AppError('run.plan_invalid', `there is no connection '${name}'`)
        return found.connector
      }
      for (const name of [input.github, input.monitor.connection]) kindOf(name)
      return {
        flow: 'deploy-feature',
        title: `Deploy ${nameOf(input)}`,
        input: rawInput,
        tasks: drafts({ ...input, agentId: agent.id, kindOf }).map((draft) =>
          whole(needs, connections, draft),
        ),
      }
    },
  }
}

type Draft = Pick<PlannedTask, 'id' | 'title' | 'action' | 'needs'> & {
  readonly args: { readonly [name: string]: Json }
} & Partial<
    Pick<
      PlannedTask,
      'approval' | 'fallbackFor' | 'rollsBack' | 'after' | 'retry' | 'timeoutSeconds' | 'concurrencyKey'
    >
  >

const drafts = (given: Given): Draft[] => [
  ...untilAsked(given),
  ...onceApproved(given),
  ...whenDenied(given),
  ...whenNotWell(given),
  ...told(given),
]

const approvalSeconds = 3 * 24 * 3600
const longSeconds = 25 * 3600
/** Of what is safe to repeat. */
const retry = { maxAttempts: 3, backoffSeconds: 5 }
const headSha = { $from: 'fetch', path: 'head.sha' }

const nameOf = ({ pullRequest, repository }: DeployInput): string =>
  `pull request ${pullRequest} of ${repository}`
const onGitHub = ({ github: connection, repository, pullRequest: number }: DeployInput) => ({
  connection,
  repository,
  number,
})

function untilAsked(given: Given): Draft[] {
  const { method, repository, pullRequest, infrastructure: to } = given
  const target = `${repository}#${pullRequest} by ${to.connection}`
  return [
    {
      id: 'fetch',
      title: `Read ${nameOf(given)}`,
      action: 'github.get-pull-request',
      args: onGitHub(given),
      needs: [],
      retry,
    },
    {
      id: 'checkout',
      title: `Fetch the code of ${nameOf(given)}`,
      action: 'github.checkout',
      args: { connection: given.github, repository, sha: headSha },
      needs: ['fetch'],
      retry,
      timeoutSeconds: longSeconds,
    },
    checkTask('tests', 'Unit tests in a sandbox', given),
    checkTask('lint', 'Lint in a sandbox', given),
    lookTask('preview', given, to, { needs: ['fetch', 'checkout', 'tests', 'lint'] }),
    {
      id: 'approve',
      title: `Merge and deploy ${nameOf(given)}`,
      action: 'deploy.approve',
      args: {
        pullRequest: {
          connection: given.github,
          repository,
          number: pullRequest,
          method,
          title: { $from: 'fetch', path: 'title' },
        },
        headSha,
        files: { $from: 'fetch', path: 'files' },
        action: toolOf(given, to).change,
        change: changeArgs(given, to, 'preview'),
        preview: { $from: 'preview' },
      },
      needs: ['fetch', 'preview'],
      approval: { target, expiresInSeconds: approvalSeconds },
    },
  ]
}

function checkTask(id: 'tests' | 'lint', title: string, given: Given): Draft {
  const { command, environment, destinations, secrets, limits } = given[id]
  const known = {
    REPOSITORY: given.repository,
    PULL_REQUEST: String(given.pullRequest),
    HEAD_SHA: headSha,
  }
  return {
    id,
    title,
    action: 'sandbox.command',
    args: plain({
      agentId: given.agentId,
      title,
      command,
      artifact: { $from: 'checkout', path: 'artifact' },
      environment: { ...environment, ...known },
      destinations,
      secrets,
      limits,
    }),
    needs: ['fetch', 'checkout'],
    timeoutSeconds: longSeconds,
  }
}

const tools: Readonly<Record<string, Tool>> = {
  pulumi: {
    look: 'pulumi.preview',
    change: 'pulumi.up',
    handed: ['artifact', 'planSha256', 'version', 'path'],
  },
  terraform: {
    look: 'terraform.plan',
    change: 'terraform.apply',
    handed: ['artifact', 'planSha256', 'serial', 'lineage', 'path'],
  },
}
type Tool = { readonly look: string; readonly change: string; readonly handed: readonly string[] }
/** The rollback's is a part of it. */
type Infrastructure = DeployInput['infrastructure']

function toolOf({ kindOf }: Given, { connection }: Infrastructure): Tool {
  const kind = kindOf(connection)
  const tool = tools[kind]
  if (!tool)
    throw new AppError(
      'run.plan_invalid',
      `${connection} is a connection to ${kind}, not to Pulumi or Terraform`,
    )
  return tool
}

function lookTask(
  id: string,
  given: Given,
  to: Infrastructure,
  more: Pick<Draft, 'needs' | 'fallbackFor' | 'rollsBack'>,
): Draft {
  const { look } = toolOf(given, to)
  const takesVariables = look === 'terraform.plan'
  if (!takesVariables && Object.keys(to.variables).length > 0)
    throw new AppError('run.plan_invalid', `${to.connection} takes no variables`)
  const { connection, variables, path, previewBy = connection } = to
  assertAlike(given, connection, previewBy)
  const code =
    path === undefined
      ? {}
      : {
          code: {
            artifact: { $from: 'checkout', path: 'artifact' },
            sha: { $from: 'checkout', path: 'sha' },
            path,
          },
        }
  return {
    id,
    title: `Preview the changes of ${connection}`,
    action: look,
    args: { connection: previewBy, ...(takesVariables ? { variables } : {}), ...code },
    timeoutSeconds: longSeconds,
    ...more,
  }
}

function assertAlike({ kindOf }: Given, connection: string, previewBy: string): void {
  const [one, other] = [kindOf(connection), kindOf(previewBy)]
  if (one !== other)
    throw new AppError(
      'run.plan_invalid',
      `${previewBy} is a connection to ${other}, and ${connection} to ${one}`,
    )
}

/** What was looked at, and nothing else. */
function changeArgs(given: Given, to: Infrastructure, look: string): Draft['args'] {
  const handed = toolOf(given, to).handed.map((path) => [path, { $from: look, path }])
  return { connection: to.connection, ...Object.fromEntries(handed) }
}

const changeTask = (
  id: string,
  given: Given,
  { to, look, needs }: { to: Infrastructure; look: string; needs: readonly string[] },
): Draft => ({
  id,
  title: `Make the changes of ${to.connection}`,
  action: toolOf(given, to).change,
  args: changeArgs(given, to, look),
  needs,
  timeoutSeconds: longSeconds,
  concurrencyKey: `connection:${to.connection}`,
})

function onceApproved(given: Given): Draft[] {
  const { method, infrastructure: to, monitor, repository } = given
  return [
    {
      id: 'merge',
      title: `Merge ${nameOf(given)} at the head that was approved`,
      action: 'github.merge-pull-request',
      args: { ...onGitHub(given), headSha, method },
      needs: ['fetch', 'approve'],
      concurrencyKey: `merge:${repository}`,
    },
    changeTask('up', given, { to, look: 'preview', needs: ['preview', 'merge'] }),
    {
      id: 'monitor',
      title: `Watch ${monitor.connection}`,
      action: 'query' in monitor.check ? 'monitor.query' : 'monitor.health',
      args: { ...monitor.check, connection: monitor.connection },
      needs: ['up'],
      timeoutSeconds: longSeconds,
    },
  ]
}

const whenDenied = (given: Given): Draft[] => [
  {
    id: 'explain',
    title: 'Say on the pull request that it was not approved',
    action: 'github.comment',
    args: {
      ...onGitHub(given),
      body: 'This pull request was not approved for deployment as it is now. Nothing was merged or deployed.',
    },
    needs: [],
    fallbackFor: 'approve',
    retry,
  },
]

/** The merge stays: what is taken back is what runs, once a person has seen how. */
function whenNotWell(given: Given): Draft[] {
  const { rollback: to } = given
  if (!to) return []
  return [
    lookTask('preview-rollback', given, to, {
      needs: ['fetch'],
      fallbackFor: 'monitor',
      rollsBack: true,
    }),
    {
      ...changeTask('rollback', given, { to, look: 'preview-rollback', needs: ['preview-rollback'] }),
      title: `Roll back ${nameOf(given)}`,
      concurrencyKey: `connection:${given.infrastructure.connection}`,
      approval: {
        target: `rollback of ${given.repository}#${given.pullRequest} by ${to.connection}`,
        expiresInSeconds: approvalSeconds,
      },
    },
  ]
}

const notices: Readonly<Record<string, string>> = {
  slack: 'slack.post-message',
  teams: 'teams.post-message',
  webhook: 'webhook.send',
}

function told(given: Given): Draft[] {
  const { notify, rollback } = given
  const action = notices[given.kindOf(notify)]
  if (!action)
    throw new AppError('run.plan_invalid', `${notify} is no connection to Slack, Teams or a webhook`)
  return [
    {
      id: 'summary',
      title: 'How it ended',
      action: 'deploy.summary',
      args: {},
      needs: ['monitor', 'explain', ...(rollback ? ['rollback'] : [])],
      after: 'end',
    },
    {
      id: 'notify',
      title: 'Tell people how it ended',
      action,
      args: {
        connection: notify,
        title: `Deployment of ${nameOf(given)}`.slice(0, 150),
        text: { $from: 'summary', path: 'text' },
      },
      needs: ['summary'],
    },
  ]
}

const own: Readonly<Record<string, Pick<PlannedTask, 'risk' | 'reversible'>>> = {
  'sandbox.command': { risk: 'medium', reversible: false },
  'deploy.approve': { risk: 'high', reversible: false },
  'deploy.summary': { risk: 'low', reversible: true },
}

/** With what the action says of itself, and the secrets that it uses. */
function whole({ factsOf }: Needs, connections: ReadonlyMap<string, Connection>, draft: Draft): PlannedTask {
  const facts = own[draft.action] ?? factsOf(draft.action)
  if (!facts) throw new AppError('run.plan_invalid', `there is no action '${draft.action}'`)
  const { risk, reversible } = facts
  const lent = z.array(z.looseObject({ secretPath: z.string() })).safeParse(draft.args['secrets'])
  const connected = connections.get(String(draft.args['connection']))?.secretPath
  const secrets = [
    ...(lent.data ?? []).map(({ secretPath }) => secretPath),
    ...(connected ? [connected] : []),
  ]
  return { ...draft, args: plain(draft.args), risk, reversible, secrets }
}

const plain = <T>(value: T) => JSON.parse(JSON.stringify(value)) as { [name: string]: Json }
