import type { Json } from '@keyward/contract'
import { z } from 'zod'
import type { Action } from './action.ts'
import { askedIn, type Reference, referencesIn } from './data.ts'
import { type PlannedTask, planInvalid } from './plan.ts'

type Around = {
  readonly tasks: ReadonlyMap<string, PlannedTask>
  readonly actions: ReadonlyMap<string, Action>
}

/**
 * What flows between tasks, before anything runs: each reference names a task that comes before, what it names can be there, and its
 * type is one that the action takes. Throws `run.plan_invalid` with the place.
 */
export function checkData(task: PlannedTask, place: string, around: Around): void {
  checkCalled(task, { action: task.action, args: task.args, place: `${place}.args`, own: false }, around)
  const { compensate, forEach, when } = task
  if (compensate) {
    const called = { ...compensate, place: `${place}.compensate.args`, own: true }
    checkCalled(task, called, around)
  }
  if (task.subrun) checkSources(task, referencesIn(task.subrun.input, `${place}.subrun.input`), false)
  const asked = [...(forEach ? [forEach.$from] : []), ...(when ? askedIn(when) : [])]
  const unknown = asked.find((id) => !task.needs.includes(id))
  if (unknown !== undefined) throw planInvalid(place, `asks about '${unknown}', which is not among its needs`)
}

type Called = { readonly action: string; readonly args: Json; readonly place: string; readonly own: boolean }

function checkCalled(task: PlannedTask, { action, args, place, own }: Called, around: Around): void {
  const references = referencesIn(args, place)
  checkSources(task, references, own)
  const input = around.actions.get(action)?.input
  if (!input) return
  const issue = input
    .safeParse(args)
    .error?.issues.find(({ path }) => !references.some((reference) => overlap(reference.path, path)))
  if (issue) throw planInvalid([place, ...issue.path.map(String)].join('.'), issue.message)
  const wanted = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' })
  for (const reference of references) checkType(reference, wanted, around)
}

/** A problem above or below a reference may go away with its value. */
const overlap = (a: readonly PropertyKey[], b: readonly PropertyKey[]): boolean =>
  a.slice(0, b.length).every((part, i) => part === b[i])

function checkSources(task: PlannedTask, references: readonly Reference[], own: boolean): void {
  for (const { place, from } of references) {
    if (from === null && !task.forEach) throw planInvalid(place, 'only a task with forEach has an item')
    if (from === null || task.needs.includes(from) || (own && from === task.id)) continue
    throw planInvalid(place, `'${from}' is not among the task's needs`)
  }
}

function checkType({ place, path, from, data }: Reference, wanted: Schema, { tasks, actions }: Around): void {
  const source = from === null ? undefined : tasks.get(from)
  const output = source && !source.forEach ? actions.get(source.action)?.output : undefined
  if (!output) return
  const given = schemaAt(
    z.toJSONSchema(output, { io: 'output', unrepresentable: 'any' }),
    data === '' ? [] : data.split('.'),
  )
  if (given === 'absent') throw planInvalid(place, `'${from}' gives nothing at '${data}'`)
  const taken = schemaAt(wanted, path.map(String))
  if (taken === 'absent') return
  const [gives, takes] = [typesOf(given), typesOf(taken)]
  if (!gives || !takes || gives.some((type) => takes.includes(type))) return
  throw planInvalid(
    place,
    `'${from}' gives ${gives.join(' or ')} at '${data}', and ${takes.join(' or ')} is needed`,
  )
}

type Schema = z.core.JSONSchema.BaseSchema

/** The schema of a part; undefined when it cannot be told, `absent` when there can be none. */
function schemaAt(schema: Schema, path: readonly string[]): Schema | undefined | 'absent' {
  let found: Schema | undefined = schema
  for (const part of path) {
    if (!found || found.$ref || found.anyOf || found.oneOf || found.allOf) return undefined
    const next: unknown =
      found.type === 'array' ? found.items : (found.properties?.[part] ?? found.additionalProperties)
    if (next === false) return 'absent'
    found = isSchema(next) ? next : undefined
  }
  return found
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function typesOf(schema: Schema | undefined): string[] | undefined {
  if (!schema) return undefined
  const parts = schema.anyOf ?? schema.oneOf
  if (parts) {
    const types = parts.map((part) => (isSchema(part) ? typesOf(part) : undefined))
    return types.every((type) => type !== undefined) ? types.flat() : undefined
  }
  const { type } = schema
  if (type === undefined) return undefined
  return [type].flat().map((one) => (one === 'integer' ? 'number' : one))
}
