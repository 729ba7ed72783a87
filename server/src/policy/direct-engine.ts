import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Engine, EntityRef, PolicyMap } from './engine.ts'
import { compileExpression, type Environment, isUnsupported, unsupported } from './expression.ts'
import type { Shapes } from './shapes.ts'

type Compiled = { readonly id: string; readonly forbids: boolean; applies(env: Environment): boolean }

/**
 * Evaluates compiled policies in this process, in microseconds, without Cedar's library in memory. It knows the part of
 * the language that needs no extension types and no arithmetic; for a set that goes beyond it, it answers undefined, and
 * the library evaluates that set. Only policies that the library has parsed and validated come here, and a test compares
 * the two engines on generated policies and requests.
 */
export function createDirectEngine(shapes: Shapes, policies: PolicyMap): Engine | undefined {
  try {
    const compiled = Object.entries(policies).map(([id, policy]) => compilePolicy(id, policy))
    return { authorize: (request) => authorize(compiled, environmentOf(shapes, request)) }
  } catch (error) {
    if (isUnsupported(error)) return undefined
    throw error
  }
}

function environmentOf(shapes: Shapes, request: Parameters<Engine['authorize']>[0]): Environment {
  const { principal, resource, context } = request
  const groups = [...(shapes.actions.get(request.action)?.groups ?? [])]
  const action = {
    type: 'Action',
    id: request.action,
    attributes: {},
    parents: groups.map((id) => ({ type: 'Action', id })),
  }
  return { principal, action, resource, context }
}

function authorize(policies: readonly Compiled[], env: Environment): ReturnType<Engine['authorize']> {
  const permits: string[] = []
  const forbids: string[] = []
  const failed: string[] = []
  for (const policy of policies) {
    try {
      if (policy.applies(env)) (policy.forbids ? forbids : permits).push(policy.id)
    } catch {
      failed.push(policy.id)
    }
  }
  const allow = forbids.length === 0 && permits.length > 0
  return { allow, policies: (allow ? permits : forbids).sort(), failed: failed.sort() }
}

function compilePolicy(id: string, policy: PolicyJson): Compiled {
  const tests = [
    ...scopeOf('principal', policy.principal),
    ...scopeOf('action', policy.action),
    ...scopeOf('resource', policy.resource),
    ...policy.conditions.map(({ kind, body }): Expr => (kind === 'when' ? body : { '!': { arg: body } })),
  ].map(compileExpression)
  return {
    id,
    forbids: policy.effect === 'forbid',
    applies: (env) =>
      tests.every((test) => {
        const answer = test(env)
        if (typeof answer !== 'boolean') throw new Error(`a condition of ${id} is not a boolean`)
        return answer
      }),
  }
}

type Constraint = PolicyJson['principal'] | PolicyJson['action'] | PolicyJson['resource']

/** The scope of a policy is a shorthand for conditions. */
function scopeOf(name: 'principal' | 'action' | 'resource', constraint: Constraint): Expr[] {
  const left: Expr = { Var: name }
  if (constraint.op === 'All') return []
  if (constraint.op === 'is') {
    const { entity_type, in: parent } = constraint
    return [{ is: { left, entity_type, ...(parent ? { in: literal(parent) } : {}) } }]
  }
  if ('entities' in constraint) {
    return [{ in: { left, right: { Set: constraint.entities.map((entity) => literal({ entity })) } } }]
  }
  const right = literal(constraint)
  return [constraint.op === '==' ? { '==': { left, right } } : { in: { left, right } }]
}

function literal(named: { entity: unknown } | { slot: string }): Expr {
  if ('slot' in named) throw unsupported('a template')
  const entity = named.entity as { __entity: EntityRef } | EntityRef
  return { Value: { __entity: '__entity' in entity ? entity.__entity : entity } }
}
