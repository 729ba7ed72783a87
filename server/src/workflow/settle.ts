import type { RunState } from '@keyward/contract'
import { undoId } from './derived.ts'
import { isUnderWay } from './due.ts'
import {
  isEnded,
  isRunEnded,
  newTask,
  type RunStatus,
  type TaskRules,
  type TaskStatus,
} from './run-status.ts'

type Tasks = ReadonlyMap<string, TaskStatus>

function some(tasks: Tasks, test: (task: TaskStatus) => boolean): boolean {
  for (const task of tasks.values()) if (test(task)) return true
  return false
}

/** Draws the conclusions: what is over with its items, what can no longer run, what is to be undone, where the run stands. */
export function settle(run: RunStatus): RunStatus {
  if (run.state === 'New' || isRunEnded(run.state)) return run
  const tasks = withUndone(run, skipped(gathered(run.tasks)))
  const settled = { ...run, tasks: tasks === run.tasks ? tasks : skipped(tasks) }
  const [state, reason] = standing(settled)
  const same = state === run.state && reason === run.reason && settled.tasks === run.tasks
  return same ? run : { ...settled, state, reason }
}

/** A fanned-out task ends when its items have. */
function gathered(before: Tasks): Tasks {
  if (!some(before, ({ items }) => items !== null)) return before
  let tasks = before
  for (const [id, task] of before) {
    if (task.state !== 'Pending' || task.items === null) continue
    const items = itemsOf(before, id)
    if (!items.every(([, item]) => isEnded(item.state))) continue
    const lost = items.filter(([, item]) => item.state !== 'Succeeded')
    const worst = lost.find(([, item]) => item.state === 'Failed') ?? lost[0]
    const after: TaskStatus = worst
      ? { ...task, state: worst[1].state, reason: `${lost.length} of ${items.length}: ${blame(worst)}` }
      : { ...task, state: 'Succeeded', reason: null }
    tasks = new Map(tasks).set(id, after)
  }
  return tasks
}

const itemsOf = (tasks: Tasks, id: string): [string, TaskStatus][] =>
  [...tasks].filter(([, { rules }]) => rules.kind === 'item' && rules.of === id)

function skipped(before: Tasks): Tasks {
  // Most runs have nothing that could keep another task from beginning.
  if (!some(before, (task) => isLost(task) || task.rules.fallbackFor !== undefined)) return before
  let tasks = before
  let changed = true
  while (changed) {
    changed = false
    for (const [id, task] of tasks) {
      const reason = task.state === 'Pending' && task.items === null ? whyNever(tasks, task.rules) : undefined
      if (reason === undefined) continue
      tasks = new Map(tasks).set(id, { ...task, state: 'Skipped', retryAt: null, reason })
      changed = true
    }
  }
  return tasks
}

/** Why a task can no longer begin. */
function whyNever(tasks: Tasks, { needs, afterEnd, fallbackFor }: TaskRules): string | undefined {
  const other = fallbackFor === undefined ? undefined : tasks.get(fallbackFor)
  if (other && isEnded(other.state) && !isMissed(other))
    return `not needed: '${fallbackFor}' is ${other.state.toLowerCase()}`
  if (afterEnd) return undefined
  const missing = needs.find((need) => isLost(tasks.get(need)))
  return missing && `needs '${missing}', which is ${tasks.get(missing)?.state.toLowerCase()}`
}

const isLost = (task: TaskStatus | undefined): boolean =>
  task !== undefined && isEnded(task.state) && task.state !== 'Succeeded'

/** It failed or was denied: what a fallback is for. */
export const isMissed = (task: TaskStatus | undefined): boolean =>
  task?.state === 'Failed' || task?.state === 'Cancelled'

/** When all has ended and it did not end well, what succeeded and can be undone is undone. A person's cancel leaves it. */
function withUndone(run: RunStatus, tasks: Tasks): Tasks {
  if (run.cancelReason !== null || some(tasks, ({ state }) => !isEnded(state))) return tasks
  if (verdict({ ...run, tasks })[0] === 'Succeeded') return tasks
  const open = [...tasks].filter(
    ([id, { rules, state, items }]) =>
      state === 'Succeeded' && rules.undo && items === null && !tasks.has(undoId(id)),
  )
  if (open.length === 0) return tasks
  const added = new Map(tasks)
  for (const [id, { round }] of open)
    added.set(undoId(id), newTask({ needs: [], gated: false, maxAttempts: 1, backoffSeconds: 1 }, round))
  for (const [id, task] of open) added.set(undoId(id), newTask(undoRules(added, id, task), task.round))
  return added
}

/** What came last is undone first: the undo of a task waits for those of all that hung on it. */
export function undoRules(tasks: Tasks, id: string, { rules }: TaskStatus): TaskRules {
  const asking = rules.undo ?? { gated: false, maxAttempts: 1, backoffSeconds: 1 }
  const needs = [...dependentsOf(tasks, id)].map(undoId).filter((undo) => tasks.has(undo))
  return { ...asking, needs, kind: 'undo', of: id }
}

/** Everything that waits for this task, through others too. */
export function dependentsOf(tasks: Tasks, id: string): Set<string> {
  const found = new Set<string>()
  const open = [id]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const names = [next, tasks.get(next)?.rules.kind === 'item' ? tasks.get(next)?.rules.of : undefined]
    for (const [other, { rules }] of tasks) {
      if (rules.kind === 'undo' || found.has(other) || other === id) continue
      if (![...rules.needs, rules.fallbackFor].some((need) => need !== undefined && names.includes(need)))
        continue
      found.add(other)
      open.push(other)
    }
  }
  return found
}

/** Where the run stands as a whole, and why. */
function standing(run: RunStatus): [RunState, string | null] {
  if (!some(run.tasks, ({ state }) => !isEnded(state))) return verdict(run)
  if (run.pauseReason !== null) return ['Paused', run.pauseReason]
  if (isUnderWay(run)) return ['Running', run.cancelReason]
  const unknown = [...run.tasks].find(([, { state }]) => state === 'Ambiguous')
  if (unknown) return ['AwaitingPerson', blame(unknown)]
  return ['AwaitingApproval', run.cancelReason]
}

/** Failed wins over cancelled, and names the first task to blame; a person's own cancel is said as that. */
function verdict(run: RunStatus): [RunState, string | null] {
  const tasks = [...run.tasks].filter(([, { rules }]) => rules.kind === undefined)
  const missed = tasks.filter(([, task]) => isMissed(task))
  const blamed = missed.filter(([id]) => !isMadeGood(run.tasks, id))
  const failed = blamed.find(([, { state }]) => state === 'Failed')
  if (failed) return ['Failed', withUndo(run.tasks, blame(failed))]
  if (run.cancelReason !== null) return ['Cancelled', run.cancelReason]
  const [stopped] = blamed
  if (stopped) return ['Cancelled', withUndo(run.tasks, blame(stopped))]
  const [good] = missed
  return ['Succeeded', good ? `made good after ${blame(good)}` : null]
}

/** Its fallback has done what it could not, or the fallback's own has. */
function isMadeGood(tasks: Tasks, id: string): boolean {
  const other = [...tasks].find(([, { rules }]) => rules.fallbackFor === id)
  return (
    other !== undefined &&
    (other[1].state === 'Succeeded' || (isMissed(other[1]) && isMadeGood(tasks, other[0])))
  )
}

/** That something could not be undone is said in the same breath. */
function withUndo(tasks: Tasks, reason: string): string {
  const left = [...tasks].find(
    ([, { rules, state }]) => rules.kind === 'undo' && state !== 'Succeeded' && isEnded(state),
  )
  return left ? `${reason}; not undone: ${blame(left)}` : reason
}

const blame = ([id, task]: readonly [string, TaskStatus]): string => `${id}: ${task.reason ?? task.state}`
