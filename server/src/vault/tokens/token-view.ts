import { shownCidr } from '../cidr.ts'
import { ttlOf } from './lifetime.ts'
import type { TokenRecord } from './token-record.ts'

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
