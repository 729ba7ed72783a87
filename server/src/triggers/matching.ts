import type { Json, TriggerView } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import type { Fields, Occasion } from './github-event.ts'

export type Filters = Pick<TriggerView, 'event' | 'repository' | 'actions' | 'branches' | 'labels' | 'forks'>

export function matches(filters: Filters, occasion: Occasion): boolean {
  const { event, repository, actions, branches, labels, forks } = filters
  const { action, branch } = occasion
  if (event !== occasion.event || repository.toLowerCase() !== occasion.repository.toLowerCase()) return false
  if (occasion.isFork && !forks) return false
  if (actions.length > 0 && (action === null || !actions.includes(action))) return false
  if (branches.length > 0 && (branch === null || !branches.some((pattern) => fits(pattern, branch))))
    return false
  return labels.length === 0 || labels.some((label) => occasion.labels.includes(label))
}

/** `*` stands for any letters. In a time that grows with the product of both: who names a branch may be anybody. */
export function fits(pattern: string, name: string): boolean {
  let [p, n, star, from] = [0, 0, -1, 0]
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++
      from = n
    } else if (pattern[p] === name[n]) {
      p++
      n++
    } else if (star >= 0) {
      p = star + 1
      n = ++from
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

const isReference = (value: Json): value is { $event: string } =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.keys(value).length === 1 &&
  typeof value['$event'] === 'string'

/** An input with fields of the event in their places. Throws `run.plan_invalid` for a field that the event has not. */
export function filledInput(input: Json, fields: Fields): Json {
  if (isReference(input)) return fieldOf(fields, input.$event)
  if (Array.isArray(input)) return input.map((item) => filledInput(item, fields))
  if (typeof input === 'object' && input !== null)
    return Object.fromEntries(
      Object.entries(input).map(([name, value]) => [name, filledInput(value, fields)]),
    )
  return input
}

/** Words with fields of the event in place of `{field}`. */
export const filledGoal = (goal: string, fields: Fields): string =>
  goal.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => String(fieldOf(fields, name)))

function fieldOf(fields: Fields, name: string): string | number {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (value !== undefined) return value
  const known = Object.keys(fields).sort().join(', ')
  throw new AppError('run.plan_invalid', `the event has no field '${name}'; it has ${known}`)
}
