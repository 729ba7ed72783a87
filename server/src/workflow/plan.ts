import type { Json, Risk } from '@keyward/contract'
import { AppError, digestOf } from '../core/index.ts'
import type { TaskRules } from './reducer.ts'

/** A run as data, before it runs: everything that a person can be shown and that an approval is bound to. */
export type Plan = {
  readonly flow: string
  readonly title: string
  readonly input: Json
  readonly tasks: readonly PlannedTask[]
}

export type PlannedTask = {
  /** Unique in the plan; with the run's id it is the idempotency key of every effect. */
  readonly id: string
  readonly title: string
  readonly action: string
  readonly args: Json
  /** Ids of the tasks that must have succeeded before; their outputs are handed to this one. */
  readonly needs: readonly string[]
  readonly risk: Risk
  readonly reversible: boolean
  /** Paths in the vault; never values. */
  readonly secrets: readonly string[]
  readonly approval?: GateRules
  readonly retry?: { readonly maxAttempts: number; readonly backoffSeconds: number }
  readonly timeoutSeconds?: number
}

/** How a gated task is asked for. A rule of the server may ask for more than the plan does, never for less. */
export type GateRules = {
  readonly target: string
  readonly expiresInSeconds: number
  /** How many people have to allow it. */
  readonly quorum?: number
  /** Who may answer: people in one of these groups. */
  readonly groups?: readonly string[]
  readonly secondFactor?: boolean
  /** For the approver, in words: what is hit when it goes wrong, and how it is taken back. */
  readonly blastRadius?: string
  readonly rollback?: string
}

const mostTasks = 1000
const taskId = /^[a-z0-9][a-z0-9._-]{0,99}$/
const longestSeconds = 30 * 24 * 3600

/**
 * The plan as it will be stored, read back and hashed: what JSON cannot hold is gone. Throws `run.plan_invalid` with the
 * place of the first thing that is wrong.
 */
export function checkedPlan(plan: Plan, hasAction: (name: string) => boolean): Plan {
  const stored: Plan = plainJson(plan)
  if (stored.tasks.length === 0) throw invalid('tasks', 'is empty; a run needs at least one task')
  if (stored.tasks.length > mostTasks) throw invalid('tasks', `has more than ${mostTasks} entries`)
  const known = new Set<string>()
  stored.tasks.forEach((task, i) => {
    checkTask(task, `tasks[${i}]`, hasAction)
    if (known.has(task.id)) throw invalid(`tasks[${i}].id`, `'${task.id}' is used twice`)
    known.add(task.id)
  })
  stored.tasks.forEach((task, i) => {
    const unknown = task.needs.find((need) => !known.has(need))
    if (unknown !== undefined) throw invalid(`tasks[${i}].needs`, `there is no task '${unknown}'`)
  })
  checkAcyclic(stored.tasks)
  return stored
}

/** What the reducer has to know of a task. */
export const rulesOf = (task: PlannedTask): TaskRules => ({
  needs: task.needs,
  gated: task.approval !== undefined,
  maxAttempts: task.retry?.maxAttempts ?? 1,
  backoffSeconds: task.retry?.backoffSeconds ?? 1,
})

export const planDigestOf = (plan: Plan): string => digestOf(plainJson<Json>(plan))

/** What a value is after it was stored as JSON: the only form that may be hashed, because it is the form that is read again. */
export function plainJson<T extends Json | Plan>(value: Json | Plan): T {
  return JSON.parse(JSON.stringify(value ?? null))
}

const invalid = (place: string, what: string): AppError =>
  new AppError('run.plan_invalid', `${place}: ${what}`)

function checkTask(task: PlannedTask, place: string, hasAction: (name: string) => boolean): void {
  if (!taskId.test(task.id)) throw invalid(`${place}.id`, `'${task.id}' must match ${taskId.source}`)
  if (!hasAction(task.action)) throw invalid(`${place}.action`, `there is no action '${task.action}'`)
  if (new Set(task.needs).size < task.needs.length) throw invalid(`${place}.needs`, 'names a task twice')
  checkNumber(task.timeoutSeconds, 1, longestSeconds, `${place}.timeoutSeconds`)
  checkNumber(task.approval?.expiresInSeconds, 1, longestSeconds, `${place}.approval.expiresInSeconds`)
  checkNumber(task.approval?.quorum, 1, 20, `${place}.approval.quorum`)
  checkNumber(task.retry?.maxAttempts, 1, 1000, `${place}.retry.maxAttempts`)
  checkNumber(task.retry?.backoffSeconds, 0, 3600, `${place}.retry.backoffSeconds`)
}

function checkNumber(value: number | undefined, least: number, most: number, place: string): void {
  if (value === undefined) return
  if (!Number.isFinite(value) || value < least || value > most) {
    throw invalid(place, `is ${value}; it must be from ${least} to ${most}`)
  }
}

/** Takes away, again and again, the tasks whose needs are all taken away; what stays forms a cycle or hangs on one. */
function checkAcyclic(tasks: readonly PlannedTask[]): void {
  const open = new Map(tasks.map((task) => [task.id, task]))
  let before = -1
  while (open.size !== before) {
    before = open.size
    for (const task of open.values()) {
      if (!task.needs.some((need) => open.has(need))) open.delete(task.id)
    }
  }
  const [first] = open.values()
  if (first) throw invalid('tasks', `need each other in a circle: ${circleFrom(first, open)}`)
}

function circleFrom(start: PlannedTask, open: ReadonlyMap<string, PlannedTask>): string {
  const path: string[] = []
  let task: PlannedTask | undefined = start
  while (task && !path.includes(task.id)) {
    path.push(task.id)
    const need: string | undefined = task.needs.find((id) => open.has(id))
    task = need === undefined ? undefined : open.get(need)
  }
  if (!task) return path.join(' → ')
  return [...path.slice(path.indexOf(task.id)), task.id].join(' → ')
}
