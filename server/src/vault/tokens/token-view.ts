import { Secret } from '../../core/index.ts'
import { shownCidr } from '../cidr.ts'
import { ttlOf } from './lifetime.ts'
import type { LiveToken, TokenRecord } from './token-record.ts'

/** A token as Vault shows it to who may look. `value` is the token only when the caller gave it. */
export function tokenView(
  record: TokenRecord,
  now: Date,
  value: string,
  identityPolicies: readonly string[] = [],
): Record<string, unknown> {
  const time = (milliseconds: number | null): string | null =>
    milliseconds === null ? null : new Date(milliseconds).toISOString()
  return {
    accessor: record.accessor,
    ...(record.boundCidrs ? { bound_cidrs: record.boundCidrs.map(shownCidr) } : {}),
    creation_time: Math.floor(record.createdAt / 1000),
    creation_ttl: record.creationTtlSeconds,
    display_name: record.displayName,
    entity_id: record.entityId ?? '',
    expire_time: time(record.expiresAt),
    explicit_max_ttl: record.explicitMaxTtlSeconds,
    ...(identityPolicies.length > 0
      ? { identity_policies: identityPolicies, external_namespace_policies: {} }
      : {}),
    id: value,
    issue_time: time(record.createdAt),
    ...(record.lastRenewedAt === null
      ? {}
      : {
          last_renewal: time(record.lastRenewedAt),
          last_renewal_time: Math.floor(record.lastRenewedAt / 1000),
        }),
    meta: record.metadata,
    num_uses: record.usesLeft ?? 0,
    orphan: record.parent === null,
    path: record.path,
    ...(record.periodSeconds > 0 ? { period: record.periodSeconds } : {}),
    policies: record.policies,
    renewable: record.renewable,
    ...(record.role === undefined ? {} : { role: record.role }),
    ttl: ttlOf(record, now.getTime()),
    type: typeOf(record),
  }
}

/** JSON of `tokenView` in three parts; between them stand the token itself and how long it lives. */
type ViewParts = readonly [string, string, string]

/** The same as JSON text, for who asks about their own token again and again. What is kept of it holds no token. */
export function createTokenViews(): (token: LiveToken, now: Date, value: Secret) => Secret {
  const known = new WeakMap<LiveToken, ViewParts>()

  function partsOf(token: LiveToken): ViewParts {
    const last = known.get(token)
    if (last) return last
    const view = tokenView(token.record, new Date(0), '', token.subject?.policies)
    const parts = inParts(JSON.stringify({ ...view, ttl: 0 }))
    known.set(token, parts)
    return parts
  }

  return (token, now, value) => {
    const [start, middle, end] = partsOf(token)
    const id = JSON.stringify(value.reveal())
    return new Secret(`${start}${id}${middle}${ttlOf(token.record, now.getTime())}${end}`)
  }
}

/** Within a text JSON escapes each quotation mark, and no object lies before the id or after the life. */
function inParts(text: string): ViewParts {
  const [id, ttl] = ['"id":', '"ttl":']
  const idEnd = text.indexOf(`${id}""`) + id.length
  const ttlEnd = text.lastIndexOf(`${ttl}0`) + ttl.length
  return [text.slice(0, idEnd), text.slice(idEnd + 2, ttlEnd), text.slice(ttlEnd + 1)]
}

/** A token as it is given to who made it, or signed in. */
export function authView(
  record: TokenRecord,
  value: string,
  now: Date,
  identityPolicies: readonly string[] = [],
): Record<string, unknown> {
  return {
    client_token: value,
    accessor: record.accessor,
    policies: [...new Set([...record.policies, ...identityPolicies])].sort(),
    token_policies: record.policies,
    ...(identityPolicies.length > 0 ? { identity_policies: identityPolicies } : {}),
    metadata: record.metadata,
    lease_duration: ttlOf(record, now.getTime()),
    renewable: record.renewable,
    entity_id: record.entityId ?? '',
    token_type: typeOf(record),
    orphan: record.parent === null,
    mfa_requirement: null,
    num_uses: record.usesLeft ?? 0,
  }
}

const typeOf = ({ batch }: TokenRecord): string => (batch ? 'batch' : 'service')
