// Goals: one that fits several things, one that is planned, one whose run goes on.
import type { GoalView, PlanPreview, ProposalView, TaskPreview } from '@keyward/contract'
import type { Handlers } from './console-server.ts'
import { ago, sha256 } from './made-up.ts'
import { deployRun } from './run-fixtures.ts'

const gated = new Set(['merge', 'up'])
const secretsOf = (id: string): string[] => (id === 'merge' ? ['secret/connections/github'] : [])

const tasks: TaskPreview[] = deployRun.tasks.map(({ id, title, action, needs, risk, reversible }) => ({
  id,
  title,
  action,
  needs,
  risk,
  reversible,
  target: id === 'lint' ? null : 'example/shop#123',
  idempotent: !gated.has(id),
  gated: gated.has(id),
  permissions: id === 'merge' ? ['contents:write', 'pull_requests:write'] : [],
  secrets: secretsOf(id),
  expectedSeconds: id === 'notify' ? null : 42,
  preview: id === 'pull-request' ? { files: 3, additions: 120, deletions: 8 } : null,
  rollback: id === 'up' ? 'Update shop/production back to what it was' : null,
}))

const plan: PlanPreview = {
  planDigest: sha256('deploy'),
  expectedSeconds: 340,
  tasks,
  plan: {
    version: 1,
    flow: 'deploy-feature',
    title: 'Deploy the feature of pull request 123',
    input: { pullRequest: 123 },
    tasks: tasks.map(({ id, title, action, needs, risk, reversible, secrets }) => ({
      id,
      title,
      action,
      needs,
      risk,
      reversible,
      secrets,
      args: {},
    })),
  },
}

const proposal: ProposalView = {
  number: 1,
  source: 'rules',
  model: null,
  flow: 'deploy-feature',
  title: 'Deploy with Pulumi',
  input: { pullRequest: 123 },
  plan,
  problem: null,
}

const planned: GoalView = {
  id: 'gol_1',
  text: 'deploy the feature of pull request 123',
  state: 'proposed',
  choices: [],
  proposals: [
    proposal,
    {
      ...proposal,
      number: 2,
      source: 'model',
      model: 'planner-1',
      title: 'Deploy with Terraform',
      plan: null,
      problem: 'There is no connection to Terraform.',
    },
  ],
  chosen: null,
  runId: null,
  outcome: null,
  createdBy: 'person:per_01',
  createdAt: ago(2),
  startedAt: null,
}

export const goals: GoalView[] = [
  planned,
  {
    ...planned,
    id: 'gol_2',
    text: 'rotate the keys',
    state: 'unclear',
    choices: [
      { title: 'Passwords of the database shop', text: 'rotate the keys of database shop' },
      { title: 'The transit key orders', text: 'rotate the keys of transit orders' },
    ],
    proposals: [],
  },
  {
    ...planned,
    id: 'gol_3',
    state: 'started',
    chosen: 1,
    runId: deployRun.id,
    outcome: 'Running',
    startedAt: deployRun.createdAt,
  },
]

export const goalHandlers = (): Handlers => ({
  'goals.list': () => ({ items: goals, next: null }),
  'goals.read': ({ goalId }) => goals.find(({ id }) => id === goalId) ?? planned,
  'goals.propose': () => planned,
  'goals.start': () => deployRun,
})
