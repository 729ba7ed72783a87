import { undoId } from './derived.ts'
import { due } from './due.ts'
import { isRunEnded, newTask, type RunStatus, type TaskStatus } from './run-status.ts'
import { dependentsOf, isMissed, settle } from './settle.ts'

/**
 * An ended run that goes on. What failed is tried again, and all that hangs on it; what was undone meanwhile, or hangs on something
 * that is done anew, is done once more, as another effect. Approvals are asked for again. Where that leads nowhere, nothing changes.
 */
export function retried(run: RunStatus, taskId: string | null): RunStatus {
  if (!isRunEnded(run.state) || run.state === 'Succeeded') return run
  const planned = [...run.tasks].filter(([, { rules }]) => rules.kind === undefined)
  const roots = planned.filter(([id, task]) => (taskId === null ? isMissed(task) : id === taskId))
  if (roots.length === 0) return run
  const undone = undoneIn(run)
  const anew = new Set([...roots.map(([id]) => id), ...undone])
  for (const id of [...anew]) for (const other of dependentsOf(run.tasks, id)) anew.add(ownOf(run, other))
  const own = planned.map(([id, task]): [string, TaskStatus] => [
    id,
    anew.has(id) ? again(task, { anew, isUndone: undone.has(id) }) : task,
  ])
  const tasks = new Map([...own, ...itemsOf(run, new Map(own), anew)])
  const after: RunStatus = { ...run, state: 'Running', cancelReason: null, reason: null, tasks }
  return due(settle(after)).length > 0 ? after : run
}

/** Of the plan's tasks, those that were taken back, or are partly. */
const undoneIn = (run: RunStatus): ReadonlySet<string> =>
  new Set(
    [...run.tasks.keys()]
      .filter((id) => (run.tasks.get(undoId(id))?.attempt ?? 0) > 0)
      .map((id) => ownOf(run, id)),
  )

/** A fanned-out task whose list stays keeps its items, and those that succeeded stay as they are. */
function again(
  task: TaskStatus,
  { anew, isUndone }: { anew: ReadonlySet<string>; isUndone: boolean },
): TaskStatus {
  const { items, rules, state } = task
  if (items !== null && !isUndone && !rules.needs.some((need) => anew.has(need)))
    return { ...renewed(task, false), isEvaluated: true, items }
  return renewed(task, state === 'Succeeded' || isUndone || items !== null)
}

function itemsOf(
  run: RunStatus,
  own: ReadonlyMap<string, TaskStatus>,
  anew: ReadonlySet<string>,
): [string, TaskStatus][] {
  return [...run.tasks]
    .filter(([, { rules }]) => rules.kind === 'item' && own.get(rules.of ?? '')?.items != null)
    .map(([id, task]) => {
      const isAnew = anew.has(task.rules.of ?? '') && task.state !== 'Succeeded'
      return [id, isAnew ? renewed(task, false) : task]
    })
}

/** The task of the plan that this one is, or is an item of. */
function ownOf(run: RunStatus, id: string): string {
  const rules = run.tasks.get(id)?.rules
  return rules?.kind === undefined ? id : (rules.of ?? id)
}

/** Done again after it went through, it is another effect, with an idempotency key of its own. */
const renewed = ({ rules, attempt, round }: TaskStatus, isOther: boolean): TaskStatus => ({
  ...newTask(rules, isOther ? round + 1 : round),
  attempt,
  priorAttempts: attempt,
})
