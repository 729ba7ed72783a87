import { AppError } from '../../core/index.ts'
import { assertGivable } from '../acl/policies.ts'
import { checkedCidrs, shownCidr } from '../cidr.ts'
import type { Body } from '../engine.ts'
import { booleanField, countField, durationField, listField, textField } from '../fields.ts'

export const termTypes = ['default', 'service', 'batch', 'default-service', 'default-batch'] as const
export type TermType = (typeof termTypes)[number]

/** What a role or a user of an auth method says about the tokens it gets: the `token_*` fields. 0 is the default. */
export type TokenTerms = {
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
  readonly explicitMaxTtlSeconds: number
  readonly periodSeconds: number
  readonly policies: readonly string[]
  readonly noDefaultPolicy: boolean
  readonly boundCidrs: readonly string[]
  readonly uses: number
  readonly type: TermType
  /** What was last written by its older name, without `token_`: it is shown by both, for the clients that wrote it so. */
  readonly olderNames?: readonly OlderName[]
}

const olderNames = ['policies', 'ttl', 'max_ttl', 'period', 'bound_cidrs'] as const
type OlderName = (typeof olderNames)[number]

export const plainTerms: TokenTerms = {
  ttlSeconds: 0,
  maxTtlSeconds: 0,
  explicitMaxTtlSeconds: 0,
  periodSeconds: 0,
  policies: [],
  noDefaultPolicy: false,
  boundCidrs: [],
  uses: 0,
  type: 'default',
}

/** The terms with what a body changes of them. The names without `token_` are older ones. */
export function termsFrom(body: Body, current: TokenTerms): TokenTerms {
  const cidrs = listField(body, 'token_bound_cidrs') ?? listField(body, 'bound_cidrs')
  const policies = listField(body, 'token_policies') ?? listField(body, 'policies')
  const terms: TokenTerms = {
    ttlSeconds: durationField(body, 'token_ttl') ?? durationField(body, 'ttl') ?? current.ttlSeconds,
    maxTtlSeconds:
      durationField(body, 'token_max_ttl') ?? durationField(body, 'max_ttl') ?? current.maxTtlSeconds,
    explicitMaxTtlSeconds: durationField(body, 'token_explicit_max_ttl') ?? current.explicitMaxTtlSeconds,
    periodSeconds:
      durationField(body, 'token_period') ?? durationField(body, 'period') ?? current.periodSeconds,
    policies: policies ? policyNames(policies) : current.policies,
    noDefaultPolicy: booleanField(body, 'token_no_default_policy') ?? current.noDefaultPolicy,
    boundCidrs: cidrs ? checkedCidrs(cidrs, 'token_bound_cidrs') : current.boundCidrs,
    uses: countField(body, 'token_num_uses', "'token_num_uses' cannot be negative") ?? current.uses,
    type: typeFrom(textField(body, 'token_type')) ?? current.type,
    olderNames: olderNames.filter((name) => isWrittenOlder(body, name, current)),
  }
  assertConsistent(terms)
  return terms
}

/** The newer name wins where both are written. */
function isWrittenOlder(body: Body, name: OlderName, current: TokenTerms): boolean {
  if (isGiven(body, `token_${name}`)) return false
  return isGiven(body, name) || (current.olderNames ?? []).includes(name)
}

const isGiven = (body: Body, name: string): boolean => body[name] !== undefined && body[name] !== null

export function termsView(terms: TokenTerms): Record<string, unknown> {
  const view: Record<string, unknown> = viewOf(terms)
  const older = (terms.olderNames ?? []).map((name) => [name, view[`token_${name}`]] as const)
  return { ...view, ...Object.fromEntries(older.filter(([, value]) => isSomething(value))) }
}

const isSomething = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value))

function viewOf(terms: TokenTerms): Record<string, unknown> {
  return {
    token_bound_cidrs: terms.boundCidrs.map(shownCidr),
    token_explicit_max_ttl: terms.explicitMaxTtlSeconds,
    token_max_ttl: terms.maxTtlSeconds,
    token_no_default_policy: terms.noDefaultPolicy,
    token_num_uses: terms.uses,
    token_period: terms.periodSeconds,
    token_policies: terms.policies,
    token_ttl: terms.ttlSeconds,
    token_type: terms.type,
  }
}

/** In lower case, once each, sorted; refuses what no token may be given. */
function policyNames(written: readonly string[]): string[] {
  const names = [...new Set(written.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''))]
  for (const name of names) assertGivable(name)
  return names.sort()
}

function typeFrom(written: string | undefined): TermType | undefined {
  if (written === undefined || written === '') return undefined
  // `bao` and Terraform write the two forms with either sign.
  const found = termTypes.find((type) => type === written.replace('_', '-'))
  if (!found) throw new AppError('request.invalid', `invalid 'token_type' value "${written}"`)
  return found
}

function assertConsistent({ ttlSeconds, maxTtlSeconds, type, periodSeconds, uses }: TokenTerms): void {
  if (maxTtlSeconds > 0 && ttlSeconds > maxTtlSeconds)
    throw new AppError('request.invalid', "'token_ttl' cannot be greater than 'token_max_ttl'")
  if (type !== 'batch' && type !== 'default-batch') return
  if (periodSeconds > 0)
    throw new AppError(
      'request.invalid',
      "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
    )
  if (uses > 0)
    throw new AppError(
      'request.invalid',
      "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
    )
}
