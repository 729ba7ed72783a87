import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { PolicyMap } from './engine.ts'
import type { Shapes } from './shapes.ts'

/** The actions that some forbid policy names in its scope, by itself, by a group or by naming none. */
export function forbiddenActions(shapes: Shapes, policies: PolicyMap): Set<string> {
  const found = new Set<string>()
  for (const policy of Object.values(policies)) {
    if (policy.effect !== 'forbid') continue
    const named = namesOf(policy.action)
    for (const [action, { groups }] of shapes.actions) {
      if (named === 'all' || named.some((name) => name === action || groups.has(name))) found.add(action)
    }
  }
  return found
}

function namesOf(constraint: PolicyJson['action']): 'all' | string[] {
  if (constraint.op === 'All') return 'all'
  if ('entities' in constraint) return constraint.entities.map(idOf)
  return 'entity' in constraint ? [idOf(constraint.entity)] : 'all'
}

type Uid = { __entity: { id: string } } | { id: string }
const idOf = (uid: Uid): string => ('__entity' in uid ? uid.__entity.id : uid.id)
