import type { Acl } from '../acl/acl.ts'
import { type Violation, violationOf } from '../acl/limits.ts'
import type { Capability } from '../acl/policy-document.ts'
import type { Body, Operation, PathSpec } from '../engine.ts'
import { needsSudo } from '../request-context.ts'
import type { Match } from '../router.ts'
import { isDeniedOtherwise } from '../spelling.ts'

/** One request, without the token that makes it. */
export type Asked = {
  readonly operation: Operation
  readonly path: string
  readonly body: Body
  readonly wrapSeconds: number | undefined
}

export type Verdict =
  | { readonly kind: 'open' | 'any-token' | 'granted' }
  | { readonly kind: 'refused'; readonly missing: readonly Capability[] }
  | { readonly kind: 'limited'; readonly violation: Violation }

export type Wanted = { readonly capabilities: readonly Capability[]; readonly mode: 'every' | 'some' }

/**
 * What a request needs, as the vault itself asks for it. Whether a write creates or changes is asked of `exists` alone when the
 * answer decides, and there is somebody who could write: a token that may do neither learns nothing about what is there.
 */
export async function wantedBy(
  { operation, path }: Asked,
  spec: PathSpec | undefined,
  acl: Acl,
  exists: (() => Promise<boolean>) | undefined,
): Promise<Wanted> {
  if (!spec) {
    const capabilities: Capability[] =
      operation === 'update' ? ['create', 'update'] : [operation as Capability]
    return { capabilities, mode: 'some' }
  }
  if (spec.anyToken && (operation === 'read' || operation === 'list'))
    return { capabilities: [], mode: 'every' }
  const sudo: Capability[] = needsSudo(spec, operation) ? ['sudo'] : []
  if (operation !== 'update' || !spec.exists || acl.root)
    return { capabilities: [operation as Capability, ...sudo], mode: 'every' }
  const mayCreate = acl.allows(path, 'create')
  const mayUpdate = acl.allows(path, 'update')
  if (exists && mayCreate !== mayUpdate)
    return { capabilities: [(await exists()) ? 'update' : 'create', ...sudo], mode: 'every' }
  if (mayCreate && mayUpdate) return { capabilities: ['create', 'update', ...sudo], mode: 'every' }
  return { capabilities: ['create', 'update'], mode: 'some' }
}

/** Whether the path answers without a token. */
export const isOpen = (spec: PathSpec | undefined, operation: Operation): boolean =>
  Boolean((spec?.open && operation === 'update') || spec?.anybody?.operations.includes(operation))

/** The same judgement as a request gets, in the same order, with what is missing. */
export function judge(
  asked: Asked,
  spec: PathSpec | undefined,
  acl: Acl,
  wanted: Wanted,
  match?: Match,
): Verdict {
  const { operation, path } = asked
  if (isOpen(spec, operation)) return { kind: 'open' }
  if (wanted.capabilities.length === 0) return { kind: 'any-token' }
  const listing = operation === 'list'
  if (isDeniedOtherwise(acl, match, path, operation)) return { kind: 'refused', missing: wanted.capabilities }
  const missing = wanted.capabilities.filter((capability) => !acl.allows(path, capability, listing))
  const enough = wanted.mode === 'every' ? missing.length === 0 : missing.length < wanted.capabilities.length
  if (!enough) return { kind: 'refused', missing }
  const limits = spec ? acl.limitsOn(path, listing) : undefined
  const violation = limits && violationOf(limits, asked)
  return violation ? { kind: 'limited', violation } : { kind: 'granted' }
}
