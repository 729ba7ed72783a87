import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import type * as Cedar from '@cedar-policy/cedar-wasm/nodejs'
import { AppError } from '../core/index.ts'
import type { CompiledSchema, Engine, EngineRequest, Entity, EntityRef, PolicyMap, Value } from './engine.ts'

export type PolicyText = { readonly name: string; readonly text: string }

/**
 * Cedar's own library, loaded when it is first needed: its parser and code take about 60 MB of memory, which a server
 * that only evaluates compiled policies does not have to pay. The module loader keeps it from being loaded twice.
 */
const cedar = (): typeof Cedar => createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs')

/** `file:line:column` of a byte offset; Cedar counts in UTF-8. */
function placeOf(file: PolicyText, offset: number | undefined): string {
  if (offset === undefined) return file.name
  const before = Buffer.from(file.text).subarray(0, offset).toString().split('\n')
  return `${file.name}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}

function refuse(file: PolicyText, errors: readonly Cedar.DetailedError[]): never {
  const lines = errors.map((error) => {
    const help = error.help === null ? '' : ` (${error.help})`
    return `${placeOf(file, error.sourceLocations?.[0]?.start)}: ${error.message}${help}`
  })
  throw new AppError('policy.invalid', lines.join('\n'))
}

export function parseSchema(file: PolicyText): CompiledSchema {
  const answer = cedar().schemaToJson(file.text)
  return answer.type === 'success' ? answer.json : refuse(file, answer.errors)
}

/** Parses one file and checks it against the schema. What Cedar only warns of (a policy that can never apply) is refused too. */
export function parsePolicies(file: PolicyText, schema: CompiledSchema): PolicyMap {
  const library = cedar()
  const checked = library.validate({ schema, policies: { staticPolicies: file.text } })
  if (checked.type === 'failure') return refuse(file, checked.errors)
  const found = [...checked.validationErrors, ...checked.validationWarnings].map(({ error }) => error)
  if (found.length > 0) return refuse(file, found)
  const parts = library.policySetTextToParts(file.text)
  if (parts.type === 'failure') return refuse(file, parts.errors)
  if (parts.policy_templates.length > 0) {
    throw new AppError('policy.invalid', `${file.name}: templates (?principal, ?resource) are not supported`)
  }
  const policies: Record<string, Cedar.PolicyJson> = {}
  for (const text of parts.policies) {
    const answer = library.policyToJson(text)
    if (answer.type === 'failure') return refuse(file, answer.errors)
    const id = idOf(file, text, answer.json)
    if (Object.hasOwn(policies, id)) {
      throw new AppError('policy.invalid', `${file.name}: two policies have the id ${id}`)
    }
    policies[id] = answer.json
  }
  return policies
}

function idOf(file: PolicyText, text: string, policy: Cedar.PolicyJson): string {
  const id = policy.annotations?.['id']
  if (id !== undefined && /^[A-Za-z][\w.-]{0,99}$/.test(id)) return id
  const rule = 'every policy needs an annotation @id("…") of letters, digits, dots and dashes'
  throw new AppError('policy.invalid', `${file.name}: ${rule}: ${firstLine(text)}`)
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''

/** Evaluates with Cedar's library: the reference, and the only engine that knows Cedar's extension types. */
export function createCedarEngine(schema: CompiledSchema, policies: PolicyMap): Engine {
  const library = cedar()
  // The library keeps prepared sets by name for the life of the process; a name of its own per engine keeps them apart.
  const name = randomUUID()
  const prepared = [
    library.preparseSchema(name, schema),
    library.preparsePolicySet(name, { staticPolicies: { ...policies } }),
  ]
  for (const answer of prepared) {
    if (answer.type === 'failure') refuse({ name: 'compiled policies', text: '' }, answer.errors)
  }
  return {
    authorize(request) {
      const answer = library.statefulIsAuthorized({
        ...callOf(request),
        preparsedSchemaName: name,
        preparsedPolicySetId: name,
      })
      if (answer.type === 'failure') {
        throw new Error(
          `Cedar refused a checked request: ${answer.errors.map((error) => error.message).join('; ')}`,
        )
      }
      const { decision, diagnostics } = answer.response
      return {
        allow: decision === 'allow',
        policies: diagnostics.reason.sort(),
        failed: diagnostics.errors.map((error) => error.policyId).sort(),
      }
    },
  }
}

function callOf({ principal, action, resource, context, now }: EngineRequest) {
  return {
    principal: refOf(principal),
    action: { type: 'Action', id: action },
    resource: refOf(resource),
    context: { ...recordOf(context), now: { __extn: { fn: 'datetime', arg: now.toISOString() } } },
    validateRequest: true,
    entities: [entityOf(principal), entityOf(resource)],
  }
}

const refOf = ({ type, id }: EntityRef): Cedar.TypeAndId => ({ type, id })

const entityOf = (entity: Entity): Cedar.EntityJson => ({
  uid: refOf(entity),
  attrs: recordOf(entity.attributes),
  parents: entity.parents.map(refOf),
})

const recordOf = (record: Readonly<Record<string, Value>>): Record<string, Cedar.CedarValueJson> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, cedarValueOf(value)]))

function cedarValueOf(value: Value): Cedar.CedarValueJson {
  if (isList(value)) return value.map(cedarValueOf)
  return typeof value === 'object' ? recordOf(value) : value
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value)
