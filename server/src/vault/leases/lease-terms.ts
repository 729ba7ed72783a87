import { formatDuration } from '../duration.ts'
import type { MountConfig } from '../mount-config.ts'
import { defaultTtlSeconds, greatestTtl, maxTtlSeconds } from '../tokens/lifetime.ts'

export type LeaseTerms = { readonly ttlSeconds: number; readonly maxTtlSeconds: number }
type Limits = {
  readonly terms: LeaseTerms
  readonly config: MountConfig
  readonly issuedAt: number
  readonly now: number
  readonly tokenEndsAt: number | null
}

/** When a lease ends that begins, or is renewed, now; with words for the caller when that is sooner than was asked. */
export function endOfLease(
  { terms, config, issuedAt, now, tokenEndsAt }: Limits,
  incrementSeconds = 0,
): { expiresAt: number; warnings: string[] } {
  const usual = terms.ttlSeconds || config.defaultTtlSeconds || defaultTtlSeconds
  const most = greatestTtl(terms.maxTtlSeconds, config.maxTtlSeconds) || maxTtlSeconds
  const asked = now + (incrementSeconds || usual) * 1000
  const last = Math.min(issuedAt + most * 1000, tokenEndsAt ?? Number.POSITIVE_INFINITY)
  const expiresAt = Math.min(asked, last)
  const left = Math.max(0, Math.round((last - now) / 1000))
  const warnings =
    incrementSeconds > 0 && asked > last
      ? [
          `TTL of "${formatDuration(incrementSeconds)}" exceeded the effective max_ttl of "${formatDuration(left)}"; TTL value is capped accordingly`,
        ]
      : []
  return { expiresAt, warnings }
}
