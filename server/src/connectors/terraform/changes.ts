import type { Json } from '@keyward/contract'
import { z } from 'zod'

// What `terraform show -json` says of a plan, as far as a person who answers for it has to know:
// https://developer.hashicorp.com/terraform/internals/json-format

const change = z.looseObject({
  actions: z.array(z.string()),
  before: z.unknown(),
  after: z.unknown(),
  after_unknown: z.unknown(),
  before_sensitive: z.unknown(),
  after_sensitive: z.unknown(),
})
type Change = z.output<typeof change>

const plan = z.looseObject({
  terraform_version: z.string().optional(),
  resource_changes: z.array(z.looseObject({ address: z.string(), change })).default([]),
  output_changes: z.record(z.string(), change).default({}),
})

const attributeChange = z.object({ attribute: z.string(), before: z.string(), after: z.string() })
const resourceChange = z.object({
  address: z.string(),
  action: z.enum(['create', 'update', 'delete', 'replace', 'read', 'forget']),
  /** At its top level; of those that stay as they are there is none. */
  attributes: z.array(attributeChange),
})
export const planSummary = z.object({
  add: z.int(),
  change: z.int(),
  destroy: z.int(),
  /** In all; of the changes shown there may be fewer. */
  resources: z.int(),
})
export const plannedChanges = z.object({
  summary: planSummary,
  changes: z.array(resourceChange),
  outputs: z.array(attributeChange),
})
export type PlannedChanges = z.output<typeof plannedChanges>

const mostShown = 500
const longestValue = 300
const sensitive = '(sensitive)'
const unknown = '(known after apply)'

/** Sensitive values masked as the plan says; nothing of what is only read or stays. Throws what does not fit. */
export function plannedChangesOf(json: string): PlannedChanges {
  const { resource_changes: resources, output_changes: outputs } = plan.parse(JSON.parse(json))
  const changing = resources.flatMap(({ address, change: one }) => {
    const action = actionOf(one.actions)
    return action === undefined ? [] : [{ address, action, attributes: attributesOf(one) }]
  })
  const count = (...actions: string[]): number =>
    changing.filter(({ action }) => actions.includes(action)).length
  return {
    summary: {
      add: count('create', 'replace'),
      change: count('update'),
      destroy: count('delete', 'replace'),
      resources: changing.length,
    },
    changes: changing.slice(0, mostShown),
    outputs: Object.entries(outputs)
      .filter(([, { actions }]) => actionOf(actions) !== undefined)
      .slice(0, mostShown)
      .map(([attribute, one]) => ({ attribute, ...shownOf(one) })),
  }
}

/** Undefined for what changes nothing. */
function actionOf(actions: readonly string[]): z.output<typeof resourceChange>['action'] | undefined {
  const [first] = actions
  if (actions.length === 2) return 'replace'
  if (first === 'create' || first === 'update' || first === 'delete' || first === 'forget') return first
  // A data source that is read while applying runs its provider, which may do anything.
  return first === 'read' ? 'read' : undefined
}

function attributesOf(one: Change): z.output<typeof attributeChange>[] {
  const names = [one.before, one.after, one.after_unknown].flatMap((side) => Object.keys(objectOf(side)))
  return [...new Set(names)].sort().flatMap((attribute) => {
    const part: Change = {
      actions: one.actions,
      before: objectOf(one.before)[attribute],
      after: objectOf(one.after)[attribute],
      after_unknown: partOf(one.after_unknown, attribute),
      before_sensitive: partOf(one.before_sensitive, attribute),
      after_sensitive: partOf(one.after_sensitive, attribute),
    }
    const same = JSON.stringify(part.before ?? null) === JSON.stringify(part.after ?? null)
    return same && !isMarked(part.after_unknown) ? [] : [{ attribute, ...shownOf(part) }]
  })
}

const shownOf = (one: Change): { before: string; after: string } => ({
  before: wordsOf(masked(one.before, one.before_sensitive)),
  after: wordsOf(masked(completed(one.after, one.after_unknown), one.after_sensitive)),
})

/** Marks come as `true` for the whole of a value, or in the value's own shape. */
function masked(value: unknown, marks: unknown): Json {
  if (marks === true) return sensitive
  if (Array.isArray(value)) return value.map((item, i) => masked(item, partOf(marks, i)))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, masked(item, partOf(marks, name))]),
    )
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}

/** With a word in the place of what is not known yet. */
function completed(value: unknown, marks: unknown): unknown {
  if (marks === true) return unknown
  if (Array.isArray(marks)) {
    const items = Array.isArray(value) ? value : []
    return Array.from({ length: Math.max(items.length, marks.length) }, (_, i) =>
      completed(items[i], marks[i]),
    )
  }
  if (typeof marks !== 'object' || marks === null || Object.keys(marks).length === 0) return value
  const given = objectOf(value)
  const names = new Set([...Object.keys(given), ...Object.keys(marks)])
  return Object.fromEntries([...names].map((name) => [name, completed(given[name], partOf(marks, name))]))
}

const isMarked = (marks: unknown): boolean =>
  marks === true || (typeof marks === 'object' && marks !== null && Object.values(marks).some(isMarked))

function partOf(marks: unknown, key: string | number): unknown {
  if (marks === true) return true
  return typeof marks === 'object' && marks !== null && Object.hasOwn(marks, key)
    ? (marks as Record<string | number, unknown>)[key]
    : undefined
}

const objectOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}

function wordsOf(value: Json): string {
  const words = typeof value === 'string' ? value : JSON.stringify(value)
  return words.length > longestValue ? `${words.slice(0, longestValue)}… (${words.length} characters)` : words
}
