import { actorOf, type Clock, type Principal } from '../core/index.ts'
import { createCedarEngine, type PolicyText, parsePolicies } from './cedar.ts'
import { compiledDefaults, mergePolicies, readDefaults } from './default-policies.ts'
import { createDirectEngine } from './direct-engine.ts'
import type { Engine, EngineRequest, Entity, PolicyMap, Value } from './engine.ts'
import { forbiddenActions } from './forbids.ts'
import { type ActionShape, misfit, readShapes, type Shapes } from './shapes.ts'

export type ResourceType =
  | 'Secret'
  | 'Finding'
  | 'Scan'
  | 'Run'
  | 'Sandbox'
  | 'Approval'
  | 'RegisteredAgent'
  | 'Lease'
  | 'Destination'
  | 'Flow'
  | 'Goal'
  | 'Task'
  | 'ServiceConnection'
  | 'AuditLog'
  | 'Vault'
  | 'PolicySet'
  | 'Server'
  | 'Session'
  | 'Account'

/** Facts for the policies; `undefined` and null count as absent. */
export type Facts = Readonly<Record<string, Value | null | undefined>>

export type DecisionRequest = {
  /** `scopes` are those of an agent's key. */
  readonly principal: Principal & { readonly scopes?: readonly string[] }
  /** The name of an operation, or of an action that the schema declares. */
  readonly action: string
  /** An id of `*` means all of them. */
  readonly resource: { readonly type: ResourceType; readonly id: string; readonly attributes?: Facts }
  readonly context?: Facts
}

export type Decision = {
  readonly allow: boolean
  /** Ids of the policies that decided; empty when none allowed it. */
  readonly policies: readonly string[]
  /** Why, in words for the caller. */
  readonly reason: string
}

export type PolicyFile = {
  readonly name: string
  readonly text: string
  readonly origin: 'default' | 'custom'
}
export type CustomPolicy = PolicyText & { readonly compiled: PolicyMap }

export type Policy = {
  /** Deny by default; one forbid outweighs every permit; a request that does not fit the schema is denied. */
  decide(request: DecisionRequest): Decision
  files(): { schema: string; policies: PolicyFile[] }
  /** Whether any policy may forbid the action: a caller that only wants a ceiling can skip `decide` when not. */
  hasForbid(action: string): boolean
  /** The type of resource that an action is decided on. */
  resourceTypeOf(action: string): ResourceType | undefined
  /** Parses and checks a file of policies; throws `policy.invalid` with the place. Takes effect by `prepare`. */
  compile(file: PolicyText): CustomPolicy
  /** Makes these the policies beside the default ones when the result is called; throws `policy.invalid` when they contradict. */
  prepare(custom: readonly CustomPolicy[]): () => void
}

type Needs = { clock: Pick<Clock, 'now'> }

type State = {
  readonly engine: Engine
  readonly policies: PolicyMap
  readonly forbidden: ReadonlySet<string>
  readonly custom: readonly CustomPolicy[]
}

export function createPolicy({ clock }: Needs): Policy {
  const source = readDefaults()
  const defaults = compiledDefaults(source)
  const shapes = readShapes(defaults.schema)

  const stateOf = (custom: readonly CustomPolicy[]): State => {
    const policies = mergePolicies([defaults.policies, ...custom.map((file) => file.compiled)])
    const engine = createDirectEngine(shapes, policies) ?? createCedarEngine(defaults.schema, policies)
    return { engine, policies, forbidden: forbiddenActions(shapes, policies), custom }
  }
  let state = stateOf([])

  return {
    decide(request) {
      const fitted = fit(shapes, request, clock.now())
      if (typeof fitted === 'string') {
        return { allow: false, policies: [], reason: `the request does not fit the policy schema: ${fitted}` }
      }
      const { allow, policies, failed } = state.engine.authorize(fitted)
      if (failed.length > 0) {
        return { allow: false, policies: failed, reason: `could not be evaluated: ${failed.join(', ')}` }
      }
      return { allow, policies, reason: explain(request, allow, policies, state.policies) }
    },
    files: () => ({
      schema: source.schema.text,
      policies: [
        ...source.policies.map(({ name, text }) => ({ name, text, origin: 'default' as const })),
        ...state.custom.map(({ name, text }) => ({ name, text, origin: 'custom' as const })),
      ],
    }),
    hasForbid: (action) => state.forbidden.has(action),
    resourceTypeOf(action) {
      const [type] = shapes.actions.get(action)?.resources ?? []
      return type as ResourceType | undefined
    },
    compile: (file) => ({ ...file, compiled: parsePolicies(file, defaults.schema) }),
    prepare(custom) {
      const next = stateOf(custom)
      return () => {
        state = next
      }
    },
  }
}

const principalTypes = { person: 'Person', agent: 'Agent', token: 'Token', system: 'System' } as const

/** The request as the engine takes it, or why it does not fit the schema. */
function fit(shapes: Shapes, request: DecisionRequest, now: Date): EngineRequest | string {
  const shape = shapes.actions.get(request.action)
  if (!shape) return `there is no action ${request.action}`
  const principal = principalOf(request.principal)
  if (!shape.principals.has(principal.type)) return `${request.action} is not for a ${principal.type}`
  const { type, id, attributes = {} } = request.resource
  if (!shape.resources.has(type)) return `${request.action} is not decided on a ${type}`
  const resource = { type, id, attributes: present(attributes), parents: [] }
  const context = contextOf(shape, request, now)
  const entity = shapes.entity(type)
  const problem =
    (entity && misfit(resource.attributes, entity, type)) ?? misfit(context, shape.context, 'context')
  return problem ?? { principal, action: request.action, resource, context, now }
}

function principalOf(principal: DecisionRequest['principal']): Entity {
  const { kind, id, name, roles, scopes = [] } = principal
  const attributes = { actor: actorOf(principal), name }
  return {
    type: principalTypes[kind],
    id,
    attributes: kind === 'agent' ? { ...attributes, scopes } : attributes,
    parents: kind === 'person' || kind === 'token' ? roles.map((role) => ({ type: 'Role', id: role })) : [],
  }
}

function contextOf(shape: ActionShape, { principal, context = {} }: DecisionRequest, now: Date) {
  const facts = present(context)
  const fields = shape.context.kind === 'record' ? shape.context.fields : undefined
  const ages = [
    ['secondsSinceSignIn', principal.signedInAt],
    ['secondsSinceSecondFactor', principal.secondFactorAt],
  ] as const
  for (const [name, since] of ages) {
    if (!since || !fields?.has(name)) continue
    const seconds = Math.floor((now.getTime() - since.getTime()) / 1000)
    // A proof in the future means that the clock went back: then nobody can say how fresh it is.
    if (seconds >= 0) facts[name] = seconds
  }
  return facts
}

function present(facts: Facts): Record<string, Value> {
  const kept: Record<string, Value> = {}
  for (const [key, value] of Object.entries(facts)) {
    if (value !== null && value !== undefined) kept[key] = value
  }
  return kept
}

function explain(
  request: DecisionRequest,
  allow: boolean,
  ids: readonly string[],
  policies: PolicyMap,
): string {
  const what = `${request.action} on ${request.resource.type} ${request.resource.id}`
  if (ids.length === 0) return `no policy allows ${actorOf(request.principal)} ${what}`
  const why = ids.map((id) => `${id} (${policies[id]?.annotations?.['description'] ?? 'no description'})`)
  return `${what} is ${allow ? 'allowed' : 'forbidden'} by ${why.join(', ')}`
}
