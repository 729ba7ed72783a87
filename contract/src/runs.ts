import { z } from 'zod'
import { json, operation, page, paging, timestamp } from './operation.ts'
import { planDraft, planPreview, risk } from './plans.ts'

export const taskState = z.enum([
  'Pending',
  'Running',
  'AwaitingApproval',
  'Succeeded',
  'Failed',
  'Cancelled',
  'Skipped',
  'Ambiguous',
])
export type TaskState = z.output<typeof taskState>
export const runState = z.enum([
  'Running',
  'AwaitingApproval',
  /** Nobody knows whether a task had its effect, and a person has to say. */
  'AwaitingPerson',
  'Paused',
  'Succeeded',
  'Failed',
  'Cancelled',
])
export type RunState = z.output<typeof runState>
/**
 * What came of an ended run. Its state says how it ended by itself: one whose fallback has done its work has succeeded, and what was
 * wanted was denied all the same.
 */
export const runOutcome = z.enum([
  'Done',
  /** A person said no. */
  'Denied',
  /** Nobody answered in time. */
  'Expired',
  /** Something failed, and a fallback made up for it. */
  'MadeGood',
  /** Something failed, and what was before is back. */
  'RolledBack',
  'Failed',
  'Cancelled',
])
export type RunOutcome = z.output<typeof runOutcome>
/** What carries a run from its start to its end: the server's own process, or a Temporal. */
export const runHost = z.enum(['embedded', 'temporal'])

export const taskView = z.object({
  id: z.string(),
  title: z.string(),
  action: z.string(),
  needs: z.array(z.string()),
  risk,
  reversible: z.boolean(),
  /** Names (paths), never values. */
  secrets: z.array(z.string()),
  state: taskState,
  attempt: z.int(),
  /** Why it is in this state, in words, when that is not obvious. */
  reason: z.string().nullable(),
  output: json.nullable(),
  approvalId: z.string().nullable(),
  /** `item`: one of a fanned-out task; `undo`: takes back what one did. They are not in the plan by themselves. */
  kind: z.enum(['task', 'item', 'undo']).optional(),
  /** The task of the plan that an item or an undo belongs to. */
  of: z.string().nullable().optional(),
  /** The run that this task is. */
  childRunId: z.string().nullable().optional(),
  startedAt: timestamp.nullable(),
  finishedAt: timestamp.nullable(),
})
export type TaskView = z.output<typeof taskView>

export const runView = z.object({
  id: z.string(),
  flow: z.string(),
  title: z.string(),
  state: runState,
  /** Null until it has ended. */
  outcome: runOutcome.nullable().optional(),
  /** Why it did not succeed: the task to blame and its reason, which begins with an error code where one fits. */
  reason: z.string().nullable().optional(),
  requestedBy: z.string(),
  /** A run started without a person at the terminal. */
  unattended: z.boolean(),
  host: runHost.optional(),
  planDigest: z.string(),
  createdAt: timestamp,
  finishedAt: timestamp.nullable(),
  taskCount: z.int(),
  doneCount: z.int(),
  /** The run of which this one is a task. */
  parentRunId: z.string().nullable().optional(),
})
export const runDetail = runView.extend({ tasks: z.array(taskView) })
export type RunView = z.output<typeof runView>
export type RunDetail = z.output<typeof runDetail>

/** A piece of what a task printed, with the values that were lent to it taken out. */
export const outputChunk = z.object({
  /** Counts up from 1 for each task, over all its attempts. */
  seq: z.int(),
  at: timestamp,
  attempt: z.int(),
  stream: z.enum(['stdout', 'stderr']),
  text: z.string(),
})
export type OutputChunk = z.output<typeof outputChunk>

export const runsApi = {
  start: operation({
    name: 'runs.start',
    method: 'POST',
    path: '/runs',
    summary: 'Start a flow or a plan as a durable run; the same idempotency key starts it once',
    body: {
      /** A flow by its name, or a whole plan. */
      flow: z.string().min(1).max(100).optional(),
      input: z.record(z.string(), json).default({}),
      plan: planDraft.optional(),
      idempotencyKey: z.string().min(1).max(200).optional(),
    },
    result: runDetail,
    fails: ['run.plan_invalid', 'finding.not_found', 'finding.changed', 'finding.state'],
  }),
  list: operation({
    name: 'runs.list',
    method: 'GET',
    path: '/runs',
    summary: 'Runs, newest first',
    query: { ...paging, state: runState.optional() },
    result: page(runView),
  }),
  read: operation({
    name: 'runs.read',
    method: 'GET',
    path: '/runs/{runId}',
    summary: 'One run with its tasks',
    params: { runId: z.string() },
    result: runDetail,
    fails: ['run.not_found'],
  }),
  cancel: operation({
    name: 'runs.cancel',
    method: 'POST',
    path: '/runs/{runId}/cancel',
    summary: 'Cancel a run; tasks that have not started never will',
    params: { runId: z.string() },
    result: runDetail,
    fails: ['run.not_found', 'run.state'],
  }),
  plan: operation({
    name: 'runs.plan',
    method: 'POST',
    path: '/runs/plan',
    summary: 'Check a flow or a plan, and show what each task would do; nothing runs',
    body: {
      flow: z.string().min(1).max(100).optional(),
      input: z.record(z.string(), json).default({}),
      plan: planDraft.optional(),
    },
    result: planPreview,
    fails: ['run.plan_invalid', 'finding.not_found', 'finding.changed', 'finding.state'],
  }),
  pause: operation({
    name: 'runs.pause',
    method: 'POST',
    path: '/runs/{runId}/pause',
    summary: 'Begin nothing more of a run; what runs ends by itself',
    params: { runId: z.string() },
    body: { reason: z.string().max(1000).optional() },
    result: runDetail,
    fails: ['run.not_found', 'run.state'],
  }),
  resume: operation({
    name: 'runs.resume',
    method: 'POST',
    path: '/runs/{runId}/resume',
    summary: 'Go on with a paused run',
    params: { runId: z.string() },
    result: runDetail,
    fails: ['run.not_found', 'run.state'],
  }),
  retry: operation({
    name: 'runs.retry',
    method: 'POST',
    path: '/runs/{runId}/retry',
    summary: 'Go on with a run that failed or was cancelled; approvals are asked for anew',
    params: { runId: z.string() },
    body: {
      /** From this task on; every task that failed or was cancelled when absent. */
      taskId: z.string().max(200).optional(),
    },
    result: runDetail,
    fails: ['run.not_found', 'run.state'],
  }),
  resolve: operation({
    name: 'runs.resolve',
    method: 'POST',
    path: '/runs/{runId}/tasks/{taskId}/resolve',
    summary: 'Say whether a task whose outcome is unknown had its effect',
    params: { runId: z.string(), taskId: z.string() },
    body: {
      /** `none`: it did not happen, and the task runs again. */
      effect: z.enum(['done', 'none']),
      /** For `done`: what the task would have given to those that need it. */
      output: json.optional(),
      reason: z.string().min(1).max(1000),
    },
    result: runDetail,
    fails: ['run.not_found', 'run.state'],
  }),
  output: operation({
    name: 'runs.output',
    method: 'GET',
    path: '/runs/{runId}/tasks/{taskId}/output',
    summary: 'What a task has printed so far, redacted; the end of it stays until the server restarts',
    params: { runId: z.string(), taskId: z.string() },
    query: { after: z.coerce.number().int().min(0).default(0) },
    result: z.object({
      chunks: z.array(outputChunk),
      /** Give it as `after` to go on from here. */
      last: z.int(),
      /** Something between `after` and the first chunk is kept no longer. */
      missed: z.boolean(),
      /** The task has ended, and nothing more comes. */
      ended: z.boolean(),
    }),
    fails: ['run.not_found'],
  }),
}
