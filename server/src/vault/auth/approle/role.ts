import { AppError } from '../../../core/index.ts'
import { checkedCidrs } from '../../cidr.ts'
import type { Body } from '../../engine.ts'
import { booleanField, countField, durationField, listField, textField } from '../../fields.ts'
import { plainTerms, type TokenTerms, termsFrom, termsView } from '../token-terms.ts'

export type Role = {
  /** Never shown; what belongs to a role is kept under it, so that a new role of the same name inherits nothing. */
  readonly uid: string
  readonly name: string
  readonly roleId: string
  /** Whether a login needs a secret id. */
  readonly bindSecretId: boolean
  readonly localSecretIds: boolean
  /** Addresses from which a login may come. */
  readonly secretIdCidrs: readonly string[]
  /** 0: without limit, as for the next. */
  readonly secretIdUses: number
  readonly secretIdTtlSeconds: number
  readonly terms: TokenTerms
}

export const newRole = (name: string, uid: string, roleId: string): Role => ({
  uid,
  name,
  roleId,
  bindSecretId: true,
  localSecretIds: false,
  secretIdCidrs: [],
  secretIdUses: 0,
  secretIdTtlSeconds: 0,
  terms: plainTerms,
})

/** The role with what a body changes of it. `role_id` is not among it: it has to be unique. */
export function roleFrom(body: Body, current: Role): Role {
  const cidrs = listField(body, 'secret_id_bound_cidrs') ?? listField(body, 'bound_cidr_list')
  const role: Role = {
    ...current,
    bindSecretId: booleanField(body, 'bind_secret_id') ?? current.bindSecretId,
    secretIdCidrs: cidrs ? checkedCidrs(cidrs, 'secret_id_bound_cidrs') : current.secretIdCidrs,
    secretIdUses: countField(body, 'secret_id_num_uses') ?? current.secretIdUses,
    secretIdTtlSeconds: durationField(body, 'secret_id_ttl') ?? current.secretIdTtlSeconds,
    terms: termsFrom(body, current.terms),
  }
  assertConstrained(role)
  return role
}

/** A role that anybody could use who knows its id is refused. */
export function assertConstrained({ bindSecretId, secretIdCidrs, terms }: Role): void {
  if (!bindSecretId && secretIdCidrs.length === 0 && terms.boundCidrs.length === 0)
    throw new AppError('request.invalid', 'at least one constraint should be enabled on the role')
}

export function roleView(role: Role): Record<string, unknown> {
  return {
    bind_secret_id: role.bindSecretId,
    local_secret_ids: role.localSecretIds,
    secret_id_bound_cidrs: role.secretIdCidrs.length > 0 ? role.secretIdCidrs : null,
    secret_id_num_uses: role.secretIdUses,
    secret_id_ttl: role.secretIdTtlSeconds,
    ...termsView(role.terms),
  }
}

/** One field of a role that has an address of its own: read, written and set back there. */
export type RoleField = {
  /** As it is shown and written; `also` is an older name of it. */
  readonly name: string
  readonly also?: string
  /** Back to what a new role has. */
  readonly reset: (role: Role) => Role
}

const terms =
  (change: Partial<TokenTerms>) =>
  (role: Role): Role => ({
    ...role,
    terms: { ...role.terms, ...change },
  })

/** By the last segment of the address. */
export const roleFields: Readonly<Record<string, RoleField>> = {
  'bind-secret-id': { name: 'bind_secret_id', reset: (role) => ({ ...role, bindSecretId: true }) },
  'bound-cidr-list': { name: 'secret_id_bound_cidrs', also: 'bound_cidr_list', reset: withoutCidrs },
  'secret-id-bound-cidrs': { name: 'secret_id_bound_cidrs', reset: withoutCidrs },
  'secret-id-num-uses': { name: 'secret_id_num_uses', reset: (role) => ({ ...role, secretIdUses: 0 }) },
  'secret-id-ttl': { name: 'secret_id_ttl', reset: (role) => ({ ...role, secretIdTtlSeconds: 0 }) },
  policies: { name: 'token_policies', also: 'policies', reset: terms({ policies: [] }) },
  period: { name: 'token_period', also: 'period', reset: terms({ periodSeconds: 0 }) },
  'token-bound-cidrs': { name: 'token_bound_cidrs', reset: terms({ boundCidrs: [] }) },
  'token-max-ttl': { name: 'token_max_ttl', reset: terms({ maxTtlSeconds: 0 }) },
  'token-num-uses': { name: 'token_num_uses', reset: terms({ uses: 0 }) },
  'token-ttl': { name: 'token_ttl', reset: terms({ ttlSeconds: 0 }) },
}

function withoutCidrs(role: Role): Role {
  return { ...role, secretIdCidrs: [] }
}

/** The field alone, under its name, and under its older one where it was written so. */
export function fieldView(role: Role, { name, also }: RoleField): Record<string, unknown> {
  const view = roleView(role)
  if (name === 'token_bound_cidrs' && role.terms.boundCidrs.length === 0) return { [name]: null }
  if (also === 'bound_cidr_list') return { [also]: view[name] }
  return also !== undefined && also in view
    ? { [name]: view[name], [also]: view[also] }
    : { [name]: view[name] }
}

/** Of a body only what belongs to the field; without it the request is refused. */
export function fieldBody(body: Body, { name, also = name }: RoleField): Body {
  const found = [name, also].find((key) => body[key] !== undefined && body[key] !== null)
  if (found === undefined && name.endsWith('_cidrs')) return {}
  if (found === undefined) throw new AppError('request.invalid', `missing ${name}`)
  return { [found]: body[found] }
}

const longestName = 128

/** Names are the same in upper and lower case. */
export function roleNameFrom(params: Readonly<Record<string, string>>): string {
  const name = (params['role'] ?? '').toLowerCase()
  if (!/^[a-z0-9][a-z0-9 ._-]*$/.test(name) || name.length > longestName)
    throw new AppError(
      'request.invalid',
      `a role's name has 1 to ${longestName} letters, digits, spaces, hyphens, underscores and periods`,
    )
  return name
}

export function customRoleId(body: Body): string | undefined {
  const roleId = textField(body, 'role_id')
  return roleId === undefined || roleId === '' ? undefined : roleId
}
