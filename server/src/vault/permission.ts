import type { Acl } from './acl/acl.ts'
import { type Violation, violationOf } from './acl/limits.ts'
import type { Capability } from './acl/policy-document.ts'
import type { Body, Call, Operation, PathSpec } from './engine.ts'
import { readHandlerOf, writeHandlerOf } from './request-context.ts'
import type { Match } from './router.ts'
import { isDeniedOtherwise } from './spelling.ts'

/** One request, without the token that makes it. */
export type Asked = {
  readonly operation: Operation
  readonly path: string
  readonly body: Body
  readonly wrapSeconds: number | undefined
}

/** What a request needs on its path: all of it, or any. */
export type Wanted = { readonly capabilities: readonly Capability[]; readonly mode: 'every' | 'some' }

export type Verdict =
  | { readonly kind: 'any-token' | 'granted' }
  | { readonly kind: 'refused'; readonly missing: readonly Capability[] }
  | { readonly kind: 'limited'; readonly violation: Violation }

const servesHolders = (spec: PathSpec, operation: Operation): boolean =>
  Boolean(spec.grant ?? readHandlerOf(spec, operation) ?? writeHandlerOf(spec, operation))

/**
 * How it is answered without a token: to anybody, by a proof of another kind, or, where people sign in, not at all; undefined
 * where it needs one.
 */
export function withoutToken(
  spec: PathSpec,
  operation: Operation,
): 'anybody' | 'proof' | 'unsupported' | undefined {
  const { anybody, open, opens = ['update'] } = spec
  if (anybody?.operations.includes(operation)) return 'anybody'
  if (!open) return undefined
  if (opens.some((each) => each === operation)) return 'proof'
  return servesHolders(spec, operation) ? undefined : 'unsupported'
}

const needsSudo = ({ sudo }: PathSpec, operation: Operation): boolean =>
  sudo === true || (Array.isArray(sudo) && sudo.includes(operation))

const nothing: Wanted = { capabilities: [], mode: 'every' }

/** What is needed, where nothing serves the path. */
export const wantedNowhere = (operation: Operation): Wanted => ({
  capabilities: operation === 'update' ? ['create', 'update'] : [operation],
  mode: 'some',
})

/** What is needed; undefined when that depends on whether there is something at the path already. */
export function wantedAt(
  spec: PathSpec,
  operation: Operation,
  { root }: Pick<Acl, 'root'>,
): Wanted | undefined {
  if (spec.anyToken && (operation === 'read' || operation === 'list')) return nothing
  return operation === 'update' && spec.exists && !root ? undefined : wantedFor(spec, operation, operation)
}

/** To write there, when it is known whether there is something already. */
export const wantedToWrite = (spec: PathSpec, exists: boolean): Wanted =>
  wantedFor(spec, 'update', exists ? 'update' : 'create')

const wantedFor = (spec: PathSpec, operation: Operation, capability: Capability): Wanted => ({
  capabilities: needsSudo(spec, operation) ? [capability, 'sudo'] : [capability],
  mode: 'every',
})

const granted: Verdict = { kind: 'granted' }
const anyToken: Verdict = { kind: 'any-token' }

/** Whether the policies of a token allow a request, however its path is written, with what is missing. */
export function judge(
  asked: Asked,
  acl: Acl,
  { capabilities, mode }: Wanted,
  match: Match | undefined,
): Verdict {
  const { operation, path } = asked
  if (isDeniedOtherwise(acl, match, path, operation)) return { kind: 'refused', missing: capabilities }
  if (capabilities.length === 0) return anyToken
  const listing = operation === 'list'
  const missing = capabilities.filter((capability) => !acl.allows(path, capability, listing))
  const enough = mode === 'every' ? missing.length === 0 : missing.length < capabilities.length
  if (!enough) return { kind: 'refused', missing }
  const limits = match && acl.limitsOn(path, listing)
  const violation = limits && violationOf(limits, asked)
  return violation ? { kind: 'limited', violation } : granted
}

/** `secret/shop/key`, whichever endpoint of its engine is asked; else the path itself. */
export function secretPathOf(path: string, match: Match | undefined, call: Call | undefined): string {
  const target = (call && match?.spec.target?.(call)) ?? ''
  return target.startsWith('secret:') ? target.slice('secret:'.length) : path
}
