import { type Command, isEnded, isRunEnded, type RunStatus, type TaskStatus } from './run-status.ts'

/** Everything that a host has to do for a run, from its state alone: what it asks itself after a restart. */
export function due(run: RunStatus): Command[] {
  if (run.state === 'New' || isRunEnded(run.state)) return []
  const commands: Command[] = []
  run.tasks.forEach((task, taskId) => {
    const { attempt, state } = task
    if (state === 'Running' && run.cancelReason !== null)
      commands.push({ type: 'CancelTask', taskId, attempt })
    if (state === 'Ambiguous') commands.push({ type: 'Reconcile', taskId, attempt })
    const command = run.pauseReason === null ? toBegin(run, taskId, task) : undefined
    if (command) commands.push(command)
  })
  return commands
}

/** Whether something of it is under way, or could be with no more than the host. */
export function isUnderWay(run: RunStatus): boolean {
  for (const [taskId, task] of run.tasks)
    if (task.state === 'Running' || (run.pauseReason === null && toBegin(run, taskId, task))) return true
  return false
}

function toBegin(run: RunStatus, taskId: string, task: TaskStatus): Command | undefined {
  const { state, items, attempt, retryAt, rules } = task
  if (state !== 'Pending' || items !== null || !needsMet(run, task)) return undefined
  if (retryAt !== null) return { type: 'SetTimer', taskId, attempt, at: retryAt }
  if (rules.evaluated && !task.isEvaluated) return { type: 'Evaluate', taskId }
  if (rules.gated && !task.approved) return { type: 'RequestApproval', taskId }
  return { type: 'StartTask', taskId, attempt: attempt + 1 }
}

function needsMet({ tasks }: Pick<RunStatus, 'tasks'>, { rules }: TaskStatus): boolean {
  const other = rules.fallbackFor === undefined ? undefined : tasks.get(rules.fallbackFor)
  if (rules.fallbackFor !== undefined && !(other && isEnded(other.state))) return false
  return rules.needs.every((need) => {
    const state = tasks.get(need)?.state ?? 'Pending'
    return rules.afterEnd ? isEnded(state) : state === 'Succeeded'
  })
}

/** It may go on now: nothing that it waits for is left. */
export const isFree = (run: RunStatus, task: TaskStatus): boolean =>
  task.state === 'Pending' &&
  task.retryAt === null &&
  task.items === null &&
  run.pauseReason === null &&
  needsMet(run, task)
