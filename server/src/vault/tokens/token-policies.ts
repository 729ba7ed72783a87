import { AppError } from '../../core/index.ts'
import { assertGivable } from '../acl/policies.ts'
import { fitsGlob } from '../glob.ts'
import type { TokenRecord } from './token-record.ts'
import type { TokenRole } from './token-roles.ts'

type Wanted = {
  /** As the caller wrote them; empty when nothing was asked. */
  readonly asked: readonly string[]
  readonly parent: Pick<TokenRecord, 'policies'>
  readonly role: TokenRole | undefined
  readonly noDefaultPolicy: boolean
  /** Root, or `sudo` on the path. */
  readonly mighty: boolean
}

/**
 * A child gets its parent's policies unless it asks for fewer; more needs `sudo`, or a role that allows them. Root only comes
 * from root.
 */
export function policiesFor(wanted: Wanted): string[] {
  const asked = clean(wanted.asked)
  const chosen =
    wanted.role && hasRules(wanted.role) ? byRole(wanted, wanted.role, asked) : byParent(wanted, asked)
  if (chosen.includes('root')) {
    if (!wanted.parent.policies.includes('root'))
      throw new AppError('request.invalid', 'root tokens may not be created without parent token being root')
    return ['root']
  }
  for (const name of chosen) assertGivable(name)
  return clean(chosen)
}

const clean = (names: readonly string[]): string[] =>
  [...new Set(names.map((name) => name.trim().toLowerCase()))].filter((name) => name !== '').sort()

const hasRules = (role: TokenRole): boolean =>
  role.allowedPolicies.length +
    role.allowedPoliciesGlob.length +
    role.disallowedPolicies.length +
    role.disallowedPoliciesGlob.length >
  0

function byParent({ parent, role, noDefaultPolicy, mighty }: Wanted, asked: readonly string[]): string[] {
  const free = mighty || parent.policies.includes('root')
  const chosen = asked.length > 0 ? asked : parent.policies
  if (!free && !chosen.every((name) => parent.policies.includes(name)))
    throw new AppError('request.invalid', 'child policies must be subset of parent')
  // Whoever was made without the default policy does not give it to others either.
  const givesDefault = free || parent.policies.includes('default')
  const withDefault = asked.length > 0 && givesDefault && !noDefaultPolicy && !role?.noDefaultPolicy
  return withDefault && !chosen.includes('root') ? ['default', ...chosen] : [...chosen]
}

/** A role with rules of its own allows what they allow, whatever the parent has. */
function byRole({ parent, noDefaultPolicy }: Wanted, role: TokenRole, asked: readonly string[]): string[] {
  const isDisallowed = (name: string): boolean =>
    role.disallowedPolicies.includes(name) || role.disallowedPoliciesGlob.some((glob) => fitsGlob(glob, name))
  const withDefault = !noDefaultPolicy && !role.noDefaultPolicy && !isDisallowed('default')
  const limited = role.allowedPolicies.length > 0 || role.allowedPoliciesGlob.length > 0
  const isAllowed = (name: string): boolean =>
    (withDefault && name === 'default') ||
    role.allowedPolicies.includes(name) ||
    role.allowedPoliciesGlob.some((glob) => fitsGlob(glob, name))
  const usual = limited ? role.allowedPolicies : parent.policies
  const chosen = asked.length > 0 ? asked : usual
  const full = (names: readonly string[]): string[] => clean(withDefault ? ['default', ...names] : names)
  const wrong = limited ? chosen.find((name) => !isAllowed(name)) : undefined
  if (wrong !== undefined)
    throw new AppError(
      'request.invalid',
      `token policies (${quoted(full(chosen))}) must be subset of the role's allowed policies (${quoted(full(role.allowedPolicies))}) or glob policies (${quoted(role.allowedPoliciesGlob)})`,
    )
  const disallowed = chosen.find(isDisallowed)
  if (disallowed !== undefined)
    throw new AppError('request.invalid', `token policy "${disallowed}" is disallowed by this role`)
  return withDefault && !chosen.includes('root') ? ['default', ...chosen] : [...chosen]
}

const quoted = (names: readonly string[]): string =>
  `[${names.map((name) => JSON.stringify(name)).join(' ')}]`
