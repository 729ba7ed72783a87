import { type Condition, itemReference, type Json, outputReference } from '@keyward/contract'
import { AppError } from '../core/index.ts'

/** What a task's arguments and conditions may speak of. */
export type Scope = {
  /** Of a task that has succeeded; undefined for any other. */
  output(taskId: string): Json | undefined
  readonly item?: Json | undefined
}

export type Reference =
  | {
      readonly place: string
      readonly path: readonly PropertyKey[]
      readonly from: string
      readonly data: string
    }
  | {
      readonly place: string
      readonly path: readonly PropertyKey[]
      readonly from: null
      readonly data: string
    }

const isMap = (value: Json): value is { [key: string]: Json } =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

/** An object with a name that begins with `$` means something; a misspelt one must not pass for data. */
function referenceIn(value: Json): { from: string | null; data: string } | 'malformed' | undefined {
  if (!isMap(value) || !('$from' in value || '$item' in value)) return undefined
  const output = outputReference.safeParse(value)
  if (output.success) return { from: output.data.$from, data: output.data.path ?? '' }
  const item = itemReference.safeParse(value)
  return item.success ? { from: null, data: item.data.$item } : 'malformed'
}

/** Every reference in these arguments with its place. Throws `run.plan_invalid` for one that is not spelt as one. */
export function referencesIn(value: Json, place: string, path: readonly PropertyKey[] = []): Reference[] {
  const found = referenceIn(value)
  if (found === 'malformed')
    throw new AppError(
      'run.plan_invalid',
      `${place}: a reference is {"$from": "<task>", "path": "a.b.0"} or {"$item": "a.b"}, with nothing beside it`,
    )
  if (found) return [{ place, path, ...found }]
  if (Array.isArray(value))
    return value.flatMap((part, i) => referencesIn(part, `${place}[${i}]`, [...path, i]))
  if (!isMap(value)) return []
  return Object.entries(value).flatMap(([key, part]) => referencesIn(part, `${place}.${key}`, [...path, key]))
}

/** The value with each reference replaced. Throws `task.data_missing` with the place of the first that leads nowhere. */
export function resolved(value: Json, scope: Scope, place = 'args'): Json {
  const reference = referenceIn(value)
  if (reference && reference !== 'malformed') {
    return found(reference, scope, place)
  }
  if (Array.isArray(value)) return value.map((part, i) => resolved(part, scope, `${place}[${i}]`))
  if (!isMap(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, resolved(part, scope, `${place}.${key}`)]),
  )
}

/** What a reference leads to. Throws `task.data_missing`. */
export function found(
  { from, data }: { from: string | null; data: string },
  scope: Scope,
  place: string,
): Json {
  const value = at(from === null ? scope.item : scope.output(from), data)
  if (value !== undefined) return value
  const source = from === null ? 'the item' : `'${from}'`
  throw new AppError('task.data_missing', `${place}: ${source} gave nothing${data ? ` at '${data}'` : ''}`)
}

/** What lies at a dotted path; only what the value has of its own. */
function at(value: Json | undefined, path: string): Json | undefined {
  let found: Json | undefined = value
  for (const part of path === '' ? [] : path.split('.')) {
    if (found === undefined || found === null || typeof found !== 'object' || !Object.hasOwn(found, part))
      return undefined
    found = Array.isArray(found) ? found[Number(part)] : found[part]
  }
  return found
}

/** The tasks that a condition asks about. */
export function askedIn(condition: Condition): string[] {
  if ('all' in condition) return condition.all.flatMap(askedIn)
  if ('any' in condition) return condition.any.flatMap(askedIn)
  return 'not' in condition ? askedIn(condition.not) : [condition.$from]
}

export function holds(condition: Condition, scope: Scope, same: (a: Json, b: Json) => boolean): boolean {
  if ('all' in condition) return condition.all.every((part) => holds(part, scope, same))
  if ('any' in condition) return condition.any.some((part) => holds(part, scope, same))
  if ('not' in condition) return !holds(condition.not, scope, same)
  const { equals, oneOf, exists, above, below } = condition
  const found = at(scope.output(condition.$from), condition.path ?? '')
  if (exists !== undefined) return (found !== undefined) === exists
  if (found === undefined) return false
  if (oneOf !== undefined) return oneOf.some((one) => same(one, found))
  if (above !== undefined) return typeof found === 'number' && found > above
  if (below !== undefined) return typeof found === 'number' && found < below
  return equals !== undefined && same(equals, found)
}
