import type { RunOutcome, RunState, TaskState } from '@keyward/contract'
import { derivedFrom, plannedTaskOf } from './derived.ts'
import type { Plan, PlannedTask } from './plan.ts'
import { itemRules } from './reducer.ts'
import { rulesOf } from './rules.ts'
import { newTask, type RunStatus, type TaskRules, type TaskStatus } from './run-status.ts'
import { undoRules } from './settle.ts'

/** A task's row beside its status. Texts are parsed only where they are used. */
export type TaskFacts = {
  readonly preview: string | null
  readonly output: string | null
  /** The run that this task is. */
  readonly childRunId: string | null
  /** The arguments that who answers has put in the place of the plan's. */
  readonly changedArgs: string | null
  readonly startedAt: number | null
  /** When its latest attempt began; `startedAt` is when the first did. */
  readonly attemptAt: number | null
  readonly finishedAt: number | null
}
/** What carries a run from its start to its end. */
export type HostName = 'embedded' | 'temporal'
export type RunHead = {
  readonly id: string
  readonly host: HostName
  readonly flow: string
  readonly title: string
  readonly requestedBy: string
  readonly unattended: boolean
  readonly planDigest: string
  readonly createdAt: number
  readonly parentRunId: string | null
}
export type RunRecord = RunHead & {
  readonly parentTaskId: string | null
  readonly plan: Plan
  readonly revision: number
  readonly finishedAt: number | null
  readonly status: RunStatus
  readonly facts: ReadonlyMap<string, TaskFacts>
}

export type RunRow = {
  id: string
  host: HostName
  flow: string
  title: string
  state: RunState
  outcome: RunOutcome | null
  reason: string | null
  cancel_reason: string | null
  pause_reason: string | null
  parent_run_id: string | null
  parent_task_id: string | null
  requested_by: string
  unattended: number
  plan: string
  plan_digest: string
  revision: number
  task_count: number
  done_count: number
  created_at: number
  finished_at: number | null
}
export type TaskRow = {
  task_id: string
  state: TaskState
  attempt: number
  failures: number
  prior_attempts: number
  round: number
  evaluated: number
  items: number | null
  child_run_id: string | null
  changed_args: string | null
  retry_at: number | null
  approval_id: string | null
  approved: number
  preview: string | null
  reason: string | null
  output: string | null
  started_at: number | null
  attempt_at: number | null
  finished_at: number | null
}

const noFacts: TaskFacts = {
  preview: null,
  output: null,
  childRunId: null,
  changedArgs: null,
  startedAt: null,
  attemptAt: null,
  finishedAt: null,
}
export const factsOf = (run: Pick<RunRecord, 'facts'>, taskId: string): TaskFacts =>
  run.facts.get(taskId) ?? noFacts

/** A run as its rows say. */
export function recordOf(row: RunRow, rows: readonly TaskRow[]): RunRecord {
  const plan: Plan = JSON.parse(row.plan)
  return {
    id: row.id,
    host: row.host,
    flow: row.flow,
    title: row.title,
    requestedBy: row.requested_by,
    unattended: row.unattended === 1,
    plan,
    planDigest: row.plan_digest,
    createdAt: row.created_at,
    parentRunId: row.parent_run_id,
    parentTaskId: row.parent_task_id,
    revision: row.revision,
    finishedAt: row.finished_at,
    status: {
      state: row.state,
      cancelReason: row.cancel_reason,
      pauseReason: row.pause_reason,
      reason: row.reason,
      tasks: statusesOf(plan, rows),
    },
    facts: new Map(rows.map((task) => [task.task_id, factsIn(task)])),
  }
}

/** In the order of the plan, and then what came to be while it ran. */
function statusesOf(plan: Plan, rows: readonly TaskRow[]): Map<string, TaskStatus> {
  const byId = new Map(rows.map((task) => [task.task_id, task]))
  const tasks = new Map<string, TaskStatus>()
  for (const planned of plan.tasks) {
    const task = byId.get(planned.id)
    if (task) tasks.set(planned.id, statusOf(task, rulesOf(planned)))
  }
  if (tasks.size < rows.length) addDerived(plan, rows, tasks)
  return tasks
}

function addDerived(plan: Plan, rows: readonly TaskRow[], tasks: Map<string, TaskStatus>): void {
  const known = new Map(plan.tasks.map((task) => [task.id, task]))
  const derived = rows
    .flatMap((task) => ({ task, from: derivedFrom(known, task.task_id) }))
    .sort((a, b) => (a.from?.item ?? 0) - (b.from?.item ?? 0))
  for (const { task, from } of derived) {
    const base = from?.kind === 'item' ? known.get(from.of) : undefined
    if (base) tasks.set(task.task_id, statusOf(task, itemRules(base.id, rulesOf(base))))
  }
  const undos = derived.filter(({ from }) => from?.kind === 'undo').map(({ task }) => task)
  for (const task of undos) tasks.set(task.task_id, statusOf(task, newUndo))
  for (const task of undos) {
    const undone = task.task_id.slice(0, -'.undo'.length)
    const base = tasks.get(undone)
    if (base) tasks.set(task.task_id, statusOf(task, undoRules(tasks, undone, base)))
  }
}

/** Until all are known: what an undo waits for hangs on which others there are. */
const newUndo: TaskRules = { needs: [], gated: false, maxAttempts: 1, backoffSeconds: 1, kind: 'undo' }

const statusOf = (task: TaskRow, rules: TaskRules): TaskStatus => ({
  ...newTask(rules, task.round),
  state: task.state,
  attempt: task.attempt,
  priorAttempts: task.prior_attempts,
  failures: task.failures,
  retryAt: task.retry_at,
  approvalId: task.approval_id,
  approved: task.approved === 1,
  isEvaluated: task.evaluated === 1,
  items: task.items,
  reason: task.reason,
})

const factsIn = (task: TaskRow): TaskFacts => ({
  preview: task.preview,
  output: task.output,
  childRunId: task.child_run_id,
  changedArgs: task.changed_args,
  startedAt: task.started_at,
  attemptAt: task.attempt_at,
  finishedAt: task.finished_at,
})

/** The task by this id, as the plan means it, with the arguments that it was approved with where those were changed. */
export function plannedOf(run: Pick<RunRecord, 'plan' | 'facts'>, taskId: string): PlannedTask | undefined {
  const { tasks } = run.plan
  const planned =
    tasks.find((task) => task.id === taskId) ??
    plannedTaskOf(new Map(tasks.map((task) => [task.id, task])), taskId)
  const { changedArgs } = factsOf(run, taskId)
  return planned && changedArgs !== null ? { ...planned, args: JSON.parse(changedArgs) } : planned
}
