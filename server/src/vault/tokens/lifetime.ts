import { AppError } from '../../core/index.ts'
import { terseDuration } from '../duration.ts'
import type { RenewalTerms } from '../engine.ts'
import type { TokenRecord } from './token-record.ts'

export const defaultTtlSeconds = 768 * 3600
export const maxTtlSeconds = 768 * 3600

/**
 * The greatest age that a mount and a role of it allow: the mount's limit takes the place of the system's, also a greater one; a
 * role only narrows it. 0: neither says anything.
 */
export const greatestTtl = (ofRole: number, ofMount = 0): number =>
  ofRole > 0 ? Math.min(ofRole, ofMount || maxTtlSeconds) : ofMount

export type LifetimeRequest = {
  readonly ttlSeconds?: number | undefined
  readonly explicitMaxTtlSeconds?: number | undefined
  readonly periodSeconds?: number | undefined
  /** Of the mount and the role together; undefined or 0: the system's. */
  readonly defaultTtlSeconds?: number | undefined
  readonly maxTtlSeconds?: number | undefined
  /** Only a root token may live for ever. */
  readonly endless: boolean
}
type Lifetime = Pick<
  TokenRecord,
  'creationTtlSeconds' | 'explicitMaxTtlSeconds' | 'periodSeconds' | 'expiresAt'
>

/** How long a new token lives, with words for the caller when that is less than was asked. */
export function lifetimeOf(asked: LifetimeRequest, now: number): { lifetime: Lifetime; warnings: string[] } {
  const { ttlSeconds = 0, explicitMaxTtlSeconds = 0, periodSeconds = 0 } = asked
  const warnings: string[] = []
  if (asked.endless && ttlSeconds === 0 && explicitMaxTtlSeconds === 0 && periodSeconds === 0)
    return {
      lifetime: { creationTtlSeconds: 0, explicitMaxTtlSeconds: 0, periodSeconds: 0, expiresAt: null },
      warnings,
    }
  const greatest = asked.maxTtlSeconds || maxTtlSeconds
  const limit = explicitMaxTtlSeconds > 0 ? Math.min(explicitMaxTtlSeconds, greatest) : greatest
  const wanted = periodSeconds || ttlSeconds || asked.defaultTtlSeconds || defaultTtlSeconds
  const ceiling = periodSeconds > 0 ? explicitMaxTtlSeconds || periodSeconds : limit
  const seconds = Math.min(wanted, ceiling)
  if (wanted > seconds && periodSeconds === 0)
    warnings.push(
      `TTL of "${terseDuration(wanted)}" exceeded the effective max_ttl of "${terseDuration(seconds)}"; TTL value is capped accordingly`,
    )
  return {
    lifetime: {
      creationTtlSeconds: seconds,
      explicitMaxTtlSeconds,
      periodSeconds,
      expiresAt: now + seconds * 1000,
    },
    warnings,
  }
}

/** The token with a later end: by its period, or by `increment` and never past its greatest age. */
export function renewed(
  record: TokenRecord,
  incrementSeconds: number | undefined,
  now: number,
  terms: RenewalTerms = {},
): TokenRecord {
  if (!record.renewable || record.expiresAt === null)
    throw new AppError('request.invalid', 'lease is not renewable')
  const periodSeconds = terms.periodSeconds ?? record.periodSeconds
  const usual = terms.maxTtlSeconds || record.maxTtlSeconds || maxTtlSeconds
  const greatestAge = record.explicitMaxTtlSeconds || (periodSeconds > 0 ? Number.POSITIVE_INFINITY : usual)
  const wanted = periodSeconds || incrementSeconds || terms.ttlSeconds || record.creationTtlSeconds
  const last = record.createdAt + greatestAge * 1000
  return { ...record, periodSeconds, expiresAt: Math.min(now + wanted * 1000, last), lastRenewedAt: now }
}

/** The latest that a token can live until, renewed as often as may be; null: for ever. */
export function latestEndOf(record: TokenRecord): number | null {
  if (!record.renewable) return record.expiresAt
  const usual = record.periodSeconds > 0 ? null : record.maxTtlSeconds || maxTtlSeconds
  const greatestAge = record.explicitMaxTtlSeconds || usual
  return greatestAge === null ? null : record.createdAt + greatestAge * 1000
}

/** Whole seconds left, never below zero; 0 also for a token without end. */
export const ttlOf = (record: TokenRecord, now: number): number =>
  record.expiresAt === null ? 0 : Math.max(0, Math.floor((record.expiresAt - now) / 1000))
