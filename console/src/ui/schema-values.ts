import type { Json } from '@keyward/contract'

/** A field of an object that a JSON Schema describes, as a form asks for it. `json`: for what has no simple form. */
export type SchemaField = {
  readonly name: string
  readonly hint: string | undefined
  readonly required: boolean
  readonly kind: 'text' | 'number' | 'boolean' | 'choice' | 'list' | 'json'
  readonly choices: readonly Json[]
  readonly placeholder: string
}
export type Written = Readonly<Record<string, string>>

type JsonObject = { [name: string]: Json }

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const kinds: Readonly<Record<string, SchemaField['kind']>> = {
  string: 'text',
  integer: 'number',
  number: 'number',
  boolean: 'boolean',
}

/** Of `enum`. */
const choicesOf = ({ enum: choices }: JsonObject): readonly Json[] => (Array.isArray(choices) ? choices : [])

function kindOf(schema: JsonObject): SchemaField['kind'] {
  const { type, items } = schema
  if (choicesOf(schema).length > 0) return 'choice'
  if (type === 'array') return isObject(items) && items['type'] === 'string' ? 'list' : 'json'
  return kinds[String(type)] ?? 'json'
}

export function schemaFields(schema: Json): SchemaField[] {
  if (!isObject(schema) || !isObject(schema['properties'])) return []
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  return Object.entries(schema['properties']).map(([name, described]) => {
    const field = isObject(described) ? described : {}
    const { description, default: usual } = field
    return {
      name,
      hint: typeof description === 'string' ? description : undefined,
      required: required.includes(name),
      kind: kindOf(field),
      choices: choicesOf(field),
      placeholder: typeof usual === 'object' || usual === undefined ? '' : String(usual),
    }
  })
}

/** What was written, without what was left empty; lists are separated by commas or spaces. Undefined while something should be JSON and is not. */
export function valuesOf(fields: readonly SchemaField[], written: Written): Record<string, Json> | undefined {
  const values: Record<string, Json> = {}
  for (const field of fields) {
    const text = written[field.name]?.trim() ?? ''
    const value = text === '' ? undefined : read(field, text)
    if (value !== undefined) values[field.name] = value
    else if (text !== '') return undefined
  }
  return values
}

function read({ kind, choices }: SchemaField, text: string): Json | undefined {
  if (kind === 'choice') return choices.find((choice) => String(choice) === text)
  if (kind === 'list') return text.split(/[\s,]+/).filter(Boolean)
  if (kind === 'number') return Number(text)
  if (kind === 'boolean') return text === 'true'
  if (kind !== 'json') return text
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The way back: what a form shows of values that there are. */
export function writtenOf(values: Json): Written {
  if (!isObject(values)) return {}
  const texts = Object.entries(values).map(([name, value]) => {
    const simple = Array.isArray(value) && value.every((one) => typeof one === 'string')
    return [name, simple ? value.join(', ') : typeof value === 'string' ? value : JSON.stringify(value)]
  })
  return Object.fromEntries(texts)
}
