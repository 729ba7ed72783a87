import { planDocument } from '@keyward/contract'
import { higherRisk } from '../core/index.ts'
import type { Action } from './action.ts'
import { checkData } from './data-types.ts'
import { derivedFrom } from './derived.ts'
import { type Plan, type PlannedTask, plainJson, planInvalid, subrunAction } from './plan.ts'

/**
 * The plan as it will be stored, read back and hashed: what JSON cannot hold is gone. Throws `run.plan_invalid` with the
 * place of the first thing that is wrong.
 */
export function checkedPlan(plan: Plan, actions: ReadonlyMap<string, Action>): Plan {
  const parsed = planDocument.safeParse(plainJson(plan))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw planInvalid(placeOf(issue?.path ?? []), issue?.message ?? 'is not a plan')
  }
  const stored: Plan = parsed.data
  const around = { tasks: new Map(stored.tasks.map((task) => [task.id, task])), actions }
  checkIds(stored.tasks, around)
  stored.tasks.forEach((task, i) => {
    checkTask(task, `tasks[${i}]`, around)
  })
  checkAcyclic(stored.tasks)
  stored.tasks.forEach((task, i) => {
    checkData(task, `tasks[${i}]`, around)
  })
  return stored
}

/** `tasks[0].retry.maxAttempts`. */
const placeOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((place, part) => {
    if (typeof part === 'number') return `${place}[${part}]`
    return place === '' ? String(part) : `${place}.${String(part)}`
  }, '')

/** Every id is used once, also of those that come to be while it runs. */
function checkIds(tasks: readonly PlannedTask[], { tasks: known }: Around): void {
  const seen = new Map<string, PlannedTask>()
  tasks.forEach((task, i) => {
    if (seen.has(task.id)) throw planInvalid(`tasks[${i}].id`, `'${task.id}' is used twice`)
    seen.set(task.id, task)
  })
  tasks.forEach(({ id }, i) => {
    const others = new Map(known)
    others.delete(id)
    const taken = /\./.test(id) ? derivedFrom(others, id) : undefined
    if (taken) throw planInvalid(`tasks[${i}].id`, `'${id}' is what a task of '${taken.of}' will be called`)
  })
}

type Around = {
  readonly tasks: ReadonlyMap<string, PlannedTask>
  readonly actions: ReadonlyMap<string, Action>
}

function checkTask(task: PlannedTask, place: string, { tasks, actions }: Around): void {
  const isSubrun = task.subrun !== undefined
  if (isSubrun !== (task.action === subrunAction))
    throw planInvalid(`${place}.action`, `'${subrunAction}' and a 'subrun' belong together`)
  if (!isSubrun && !actions.has(task.action))
    throw planInvalid(`${place}.action`, `there is no action '${task.action}'`)
  if (task.compensate && !actions.has(task.compensate.action))
    throw planInvalid(`${place}.compensate.action`, `there is no action '${task.compensate.action}'`)
  const least = actions.get(task.action)?.offered?.risk
  // Who approves is shown what the plan says.
  if (least && higherRisk(task.risk, least) !== task.risk)
    throw planInvalid(
      `${place}.risk`,
      `'${task.risk}' is less than what ${task.action} says of itself: '${least}'`,
    )
  if (isSubrun && (task.forEach || task.approval))
    throw planInvalid(place, 'a run of its own asks by itself, and cannot be fanned out')
  if (task.concurrencyLimit !== undefined && task.concurrencyKey === undefined)
    throw planInvalid(`${place}.concurrencyLimit`, 'needs a concurrencyKey')
  if (new Set(task.needs).size < task.needs.length) throw planInvalid(`${place}.needs`, 'names a task twice')
  const unknown = waitedFor(task).find((need) => !tasks.has(need))
  if (unknown !== undefined) throw planInvalid(`${place}.needs`, `there is no task '${unknown}'`)
  checkFallback(task, place, { tasks, actions })
}

function checkFallback({ id, needs, fallbackFor }: PlannedTask, place: string, { tasks }: Around): void {
  if (fallbackFor === undefined) return
  if (needs.includes(fallbackFor))
    throw planInvalid(`${place}.fallbackFor`, `'${fallbackFor}' cannot be needed as well`)
  if ([...tasks.values()].some((other) => other.id !== id && other.fallbackFor === fallbackFor))
    throw planInvalid(`${place}.fallbackFor`, `'${fallbackFor}' has another fallback`)
}

/** Takes away, again and again, the tasks whose needs are all taken away; what stays forms a cycle or hangs on one. */
function checkAcyclic(tasks: readonly PlannedTask[]): void {
  const open = new Map(tasks.map((task) => [task.id, task]))
  let before = -1
  while (open.size !== before) {
    before = open.size
    for (const task of open.values()) {
      if (!waitedFor(task).some((need) => open.has(need))) open.delete(task.id)
    }
  }
  const [first] = open.values()
  if (first) throw planInvalid('tasks', `need each other in a circle: ${circleFrom(first, open)}`)
}

const waitedFor = ({ needs, fallbackFor }: PlannedTask): readonly string[] =>
  fallbackFor === undefined ? needs : [...needs, fallbackFor]

function circleFrom(start: PlannedTask, open: ReadonlyMap<string, PlannedTask>): string {
  const path: string[] = []
  let task: PlannedTask | undefined = start
  while (task && !path.includes(task.id)) {
    path.push(task.id)
    const need: string | undefined = waitedFor(task).find((id) => open.has(id))
    task = need === undefined ? undefined : open.get(need)
  }
  if (!task) return path.join(' → ')
  return [...path.slice(path.indexOf(task.id)), task.id].join(' → ')
}
