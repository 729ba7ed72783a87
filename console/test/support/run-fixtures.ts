// Runs in every state, one that waited for two days, and one that was only planned.
import type { RunDetail, TaskState, TaskView } from '@keyward/contract'
import { ago, sha256 } from './made-up.ts'

type Sketch = [id: string, title: string, state: TaskState, needs: string[], more?: Partial<TaskView>]

const sketches: Sketch[] = [
  ['read', 'Read the files again', 'Succeeded', [], { output: { files: 5, findings: 4 } }],
  [
    'approve',
    'Move four secrets into the vault',
    'AwaitingApproval',
    ['read'],
    {
      risk: 'high',
      approvalId: 'apr_1',
      secrets: [
        'secret/leaky-shop/stripe',
        'secret/leaky-shop/aws',
        'secret/leaky-shop/postgresql',
        'secret/leaky-shop/github',
      ],
    },
  ],
  ['store', 'Store the values', 'Pending', ['approve']],
  ['rewrite', 'Put references into the files', 'Pending', ['store'], { risk: 'medium' }],
  ['agent', 'Lend the Stripe key to the shop agent', 'Pending', ['store']],
  ['verify', 'Scan again', 'Pending', ['rewrite']],
  ['call', 'Call the API from the sandbox', 'Pending', ['agent'], { risk: 'medium' }],
  ['report', 'Report', 'Pending', ['verify', 'call']],
]

function task([id, title, state, needs, more]: Sketch): TaskView {
  return {
    id,
    title,
    action: `leaked-key.${id}`,
    needs,
    risk: 'low',
    reversible: true,
    secrets: [],
    state,
    attempt: state === 'Pending' ? 0 : 1,
    reason: null,
    output: null,
    approvalId: null,
    startedAt: state === 'Pending' ? null : ago(9),
    finishedAt: state === 'Succeeded' ? ago(8) : null,
    ...more,
  }
}

export const run: RunDetail = {
  id: 'run_7f3a',
  flow: 'leaked-key',
  title: 'Move leaked secrets of leaky-shop into the vault',
  state: 'AwaitingApproval',
  requestedBy: 'person:per_01',
  unattended: false,
  planDigest: sha256('plan'),
  createdAt: ago(9),
  finishedAt: null,
  taskCount: sketches.length,
  doneCount: 1,
  tasks: sketches.map(task),
}

const everyState: TaskState[] = [
  'Succeeded',
  'Running',
  'Failed',
  'Skipped',
  'Ambiguous',
  'Cancelled',
  'Succeeded',
  'Pending',
]

/** A run that shows a task in every state. */
export const mixedRun: RunDetail = {
  ...run,
  id: 'run_mixed',
  title: 'Deploy the new checkout',
  flow: 'deploy-feature',
  state: 'Failed',
  reason: 'sandbox.failed: the unit tests ended with code 1',
  doneCount: 5,
  finishedAt: ago(2),
  tasks: run.tasks.map((kept, at) => ({
    ...kept,
    state: everyState[at] ?? 'Pending',
    attempt: at === 2 ? 3 : 1,
    reason: at === 2 ? 'The unit tests ended with code 1.' : null,
  })),
}

const days = 24 * 60
const deploying: Sketch[] = [
  ['pull-request', 'Fetch pull request 123', 'Succeeded', [], at(3 * days, 2)],
  ['unit-tests', 'Unit tests', 'Succeeded', ['pull-request'], at(3 * days - 0.05, 95)],
  ['lint', 'Lint', 'Succeeded', ['pull-request'], at(3 * days - 0.05, 22)],
  ['preview', 'Preview of shop/production', 'Succeeded', ['unit-tests', 'lint'], at(3 * days - 1.7, 41)],
  [
    'merge',
    'Merge pull request 123',
    'Succeeded',
    ['preview'],
    { ...at(12, 3), risk: 'high', reversible: false, approvalId: 'apr_deploy' },
  ],
  ['up', 'Update shop/production', 'Succeeded', ['merge'], { ...at(11.9, 130), risk: 'high' }],
  ['monitor', 'Watch the checkout for 15 minutes', 'Running', ['up'], at(9.7, undefined)],
  ['notify', 'Tell #releases', 'Pending', ['monitor']],
]

/** Begun so many minutes ago, over after so many seconds. */
function at(minutes: number, seconds: number | undefined): Partial<TaskView> {
  return { startedAt: ago(minutes), finishedAt: seconds === undefined ? null : ago(minutes - seconds / 60) }
}

/** A run that worked for minutes and waited for a person for days. */
export const deployRun: RunDetail = {
  ...run,
  id: 'run_deploy',
  flow: 'deploy-feature',
  title: 'Deploy the feature of pull request 123',
  state: 'Running',
  createdAt: ago(3 * days),
  taskCount: deploying.length,
  doneCount: 6,
  tasks: deploying.map(task),
}
