import { formatDuration } from '../../duration.ts'
import { invalid } from '../record-fields.ts'
import type { Asked } from './profile.ts'
import { instantOf, type Role } from './role.ts'
import type { IssuerRecord } from './store.ts'

/** What the mount says where the role says nothing. */
export type TtlLimits = { readonly defaultSeconds: number; readonly maxSeconds: number }
export type Validity = { readonly notBefore: Date; readonly notAfter: Date; readonly warnings: string[] }

type Circumstances = {
  readonly role: Role
  readonly asked: Asked
  readonly limits: TtlLimits
  readonly now: Date
  /** Undefined for a certificate that signs itself. */
  readonly issuer: { readonly notAfter: Date; readonly behavior: IssuerRecord['leafNotAfter'] } | undefined
}

/** From when until when: what was asked, within the role, the mount and the life of the issuer. */
export function validityOf(circumstances: Circumstances): Validity {
  const warnings: string[] = []
  const notBefore = notBeforeOf(circumstances)
  const wanted = wantedEnd(circumstances, warnings)
  const notAfter = withinIssuer(wanted, circumstances)
  const { role } = circumstances
  const latest = instantOf(role.not_after_bound)
  if (latest && notAfter > latest)
    throw invalid(
      `not_after_bound is set to ${role.not_after_bound}. Cannot satisfy request as that would result in notAfter of ${iso(notAfter)} that is beyond the maximum timestamp of ${iso(latest)}`,
    )
  if (!(notAfter.getTime() <= lastInstant))
    throw invalid('the certificate would end after the year 9999, which certificates cannot say')
  if (notBefore >= notAfter)
    throw invalid(
      `The certificate's Not Before (${iso(notBefore)}) is later than the certificate's Not After (${iso(notAfter)})`,
    )
  return { notBefore, notAfter, warnings }
}

/** Times of certificates have four digits for the year. */
const lastInstant = Date.UTC(9999, 11, 31, 23, 59, 59)

const iso = (at: Date): string => at.toISOString().replace(/\.000Z$/, 'Z')
/** Certificates know whole seconds. */
const wholeSeconds = (milliseconds: number): Date => new Date(Math.floor(milliseconds / 1000) * 1000)

function notBeforeOf({ role, asked, now }: Circumstances): Date {
  const earliest = wholeSeconds(now.getTime() - (role.not_before_duration || 30) * 1000)
  if (role.not_before) return instant(role.not_before, 'not_before')
  if (!asked.not_before) return earliest
  if (role.not_before_bound === 'forbid')
    throw invalid('not_before_bound is set to forbid. not_before cannot be provided.')
  const wanted = instant(asked.not_before, 'not_before')
  if (role.not_before_bound === 'duration' && wanted < earliest)
    throw invalid(
      `not_before_bound is set to duration. Cannot satisfy request as it would result in notBefore of ${iso(wanted)} that is older than the allowed not_before_duration of ${formatDuration(role.not_before_duration)}`,
    )
  return wanted
}

function wantedEnd({ role, asked, limits, now }: Circumstances, warnings: string[]): Date {
  if (asked.not_after && !role.not_after && role.not_after_bound === 'forbid')
    throw invalid('not_after_bound is set to forbid. not_after cannot be provided.')
  const fixed = role.not_after || asked.not_after
  if (asked.ttl > 0 && fixed)
    throw invalid(
      'Either ttl or not_after should be provided. Both should not be provided in the same request.',
    )
  const greatest = role.max_ttl || limits.maxSeconds
  const wanted = asked.ttl || role.ttl || limits.defaultSeconds
  const ttl = Math.min(wanted, greatest)
  const end = wholeSeconds(now.getTime() + ttl * 1000)
  if (fixed) {
    const at = instant(fixed, 'not_after')
    if (role.not_after_bound === 'ttl-limited' && at > end)
      throw invalid(
        `not_after_bound is set to ttl-limited. Cannot satisfy request as that would result in notAfter of ${iso(at)} that is beyond the TTL of ${formatDuration(ttl)}`,
      )
    return at
  }
  if (wanted > greatest)
    warnings.push(
      `TTL "${formatDuration(wanted)}" is longer than permitted maxTTL "${formatDuration(greatest)}", so maxTTL is being used`,
    )
  return end
}

function withinIssuer(wanted: Date, { issuer, now }: Circumstances): Date {
  if (!issuer || wanted <= issuer.notAfter || issuer.behavior === 'permit') return wanted
  if (issuer.behavior === 'err')
    throw invalid(
      `cannot satisfy request, as TTL would result in notAfter of ${iso(wanted)} that is beyond the expiration of the CA certificate at ${iso(issuer.notAfter)}`,
    )
  if (issuer.notAfter <= now)
    throw invalid(`cannot satisfy request, as NotAfter date ${iso(issuer.notAfter)} is in the past`)
  return issuer.notAfter
}

function instant(text: string, field: string): Date {
  const at = instantOf(text)
  if (!at) throw invalid(`${field} "${text}" is no time in RFC 3339, such as 2030-01-31T00:00:00Z`)
  return at
}
