import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { AppError } from '../core/index.ts'
import { type PolicyText, parsePolicies, parseSchema } from './cedar.ts'
import type { CompiledSchema, PolicyMap } from './engine.ts'

export type PolicySource = { readonly schema: PolicyText; readonly policies: readonly PolicyText[] }

/** `digest` ties the compiled form to the text that it was compiled from. */
export type CompiledPolicies = {
  readonly digest: string
  readonly schema: CompiledSchema
  readonly policies: PolicyMap
}

const folder = new URL('./defaults/', import.meta.url)
export const compiledFile = new URL('compiled.json', folder)

const read = (name: string): PolicyText => ({ name, text: readFileSync(new URL(name, folder), 'utf8') })

export function readDefaults(): PolicySource {
  const names = readdirSync(folder).filter((name) => name.endsWith('.cedar'))
  return { schema: read('schema.cedarschema'), policies: names.sort().map(read) }
}

/** The compiled defaults, from the file beside them; when somebody edited the text, the text counts and is compiled anew. */
export function compiledDefaults(source: PolicySource): CompiledPolicies {
  const stored: CompiledPolicies = JSON.parse(readFileSync(compiledFile, 'utf8'))
  return stored.digest === digestOfSource(source) ? stored : compile(source)
}

export function compile(source: PolicySource): CompiledPolicies {
  const schema = parseSchema(source.schema)
  const policies = mergePolicies(source.policies.map((file) => parsePolicies(file, schema)))
  return { digest: digestOfSource(source), schema, policies }
}

/** All the maps as one. Ids must differ, or one policy would silently replace another. */
export function mergePolicies(maps: readonly PolicyMap[]): PolicyMap {
  const entries = maps.flatMap((map) => Object.entries(map))
  const merged = Object.fromEntries(entries)
  if (Object.keys(merged).length === entries.length) return merged
  const ids = entries.map(([id]) => id)
  throw new AppError(
    'policy.invalid',
    `two policies have the id ${ids.find((id, i) => ids.indexOf(id) !== i)}`,
  )
}

function digestOfSource({ schema, policies }: PolicySource): string {
  const hash = createHash('sha256')
  for (const { name, text } of [schema, ...policies]) hash.update(JSON.stringify([name, text]))
  return hash.digest('hex')
}
