import { AppError } from '../../../core/index.ts'
import { isObject } from '../../fields.ts'
import { fitsGlob } from '../../glob.ts'
import type { JwtConfig } from './config.ts'
import type { ClaimValue, JwtRole } from './role.ts'

export type Claims = Readonly<Record<string, unknown>>

const usualSkewSeconds = 60
/** How long a token without an end lives, and how long before its end one without a beginning does. */
const usualLifeSeconds = 150

const invalid = (what: string): AppError => new AppError('request.invalid', what)

/** The time of a token, checked as OpenID Connect's libraries of Vault do it: at least one time has to be there. */
export function assertTimes(claims: Claims, role: JwtRole, now: Date): void {
  const [issuedAt, notBefore, expiresAt] = ['iat', 'nbf', 'exp'].map((name) => timeOf(claims, name))
  if (!issuedAt && !notBefore && !expiresAt)
    throw invalid('no issued at (iat), not before (nbf), or expiration time (exp) claims in token')
  const skew = allowance(role.clockSkewSeconds, usualSkewSeconds)
  const seconds = now.getTime() / 1000
  const end =
    expiresAt ?? Math.max(issuedAt ?? 0, notBefore ?? 0) + allowance(role.expirationSeconds, usualLifeSeconds)
  const start = notBefore ?? issuedAt ?? end - allowance(role.notBeforeSeconds, usualLifeSeconds)
  if (start > seconds + skew) throw invalid('invalid not before (nbf) claim: token not yet valid')
  if (end < seconds - skew) throw invalid('invalid expiration time (exp) claim: token is expired')
  if (issuedAt && issuedAt > seconds + skew)
    throw invalid('invalid issued at (iat) claim: token issued in the future')
}

const allowance = (configured: number, usual: number): number =>
  configured === 0 ? usual : Math.max(0, configured)

function timeOf(claims: Claims, name: string): number | undefined {
  const value = claims[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    throw invalid(`the claim "${name}" is no time`)
  return value
}

function assertIssuer(claims: Claims, issuer: string): void {
  if (issuer !== '' && claims['iss'] !== issuer) throw invalid('invalid issuer (iss) claim')
}

function assertSubject(claims: Claims, { boundSubject }: JwtRole): void {
  if (boundSubject !== '' && claims['sub'] !== boundSubject) throw invalid('invalid subject (sub) claim')
}

/** A token that is meant for somebody is not taken by a role which does not say that this is us. */
function assertAudience(claims: Claims, { boundAudiences }: JwtRole): void {
  const audiences = audiencesOf(claims)
  if (boundAudiences.length === 0 && audiences.length > 0)
    throw invalid('audience claim found in JWT but no audiences bound to the role')
  if (boundAudiences.length > 0 && !boundAudiences.some((bound) => audiences.includes(bound)))
    throw invalid('invalid audience (aud) claim')
}

export const audiencesOf = (claims: Claims): unknown[] => listOf(claims['aud']) ?? []

export function assertToken(claims: Claims, config: JwtConfig, role: JwtRole, now: Date): void {
  assertTimes(claims, role, now)
  assertIssuer(claims, config.boundIssuer)
  assertSubject(claims, role)
  assertAudience(claims, role)
}

export function assertBoundClaims(claims: Claims, { boundClaims, boundClaimsType }: JwtRole): void {
  for (const [claim, wanted] of Object.entries(boundClaims)) {
    const value = claimAt(claims, claim)
    if (value === undefined || value === null)
      throw invalid(`error validating claims: claim "${claim}" is missing`)
    const found = listOf(value)
    if (!found) throw invalid(`error validating claims: claim "${claim}" is not a string, bool, int or list`)
    if (!wanted.some((expected) => found.some((item) => isMatch(expected, item, boundClaimsType))))
      throw invalid(
        `error validating claims: claim "${claim}" does not match any associated bound claim values`,
      )
  }
}

function isMatch(expected: ClaimValue, item: unknown, type: JwtRole['boundClaimsType']): boolean {
  if (type === 'string') return expected === item
  return typeof expected === 'string' && typeof item === 'string' && fitsGlob(expected, item)
}

/** The name for good of whom the token is about. */
export function userOf(claims: Claims, { userClaim, userClaimPointer }: JwtRole): string {
  const value = userClaimPointer ? claimAt(claims, userClaim) : ownValue(claims, userClaim)
  if (value === undefined || value === null) throw invalid(`claim "${userClaim}" not found in token`)
  if (typeof value !== 'string' || value === '')
    throw invalid(`claim "${userClaim}" could not be converted to string`)
  return value
}

export function metadataOf(claims: Claims, { claimMappings }: JwtRole): Record<string, string> {
  const metadata: Record<string, string> = {}
  for (const [claim, key] of Object.entries(claimMappings)) {
    const value = claimAt(claims, claim)
    if (value === undefined || value === null) continue
    if (typeof value !== 'string') throw invalid(`error converting claim '${claim}' to string`)
    metadata[key] = value
  }
  return metadata
}

/** Undefined when the role asks for no groups. */
export function groupsOf(claims: Claims, { groupsClaim }: JwtRole): string[] | undefined {
  if (groupsClaim === '') return undefined
  const value = claimAt(claims, groupsClaim)
  if (value === undefined || value === null)
    throw invalid(`failed to fetch groups: "${groupsClaim}" claim not found in token`)
  const groups = listOf(value)
  if (!groups?.every((group) => typeof group === 'string'))
    throw invalid(`"${groupsClaim}" claim could not be converted to string list`)
  return groups.filter((group) => group !== '')
}

/** The claim of this name, or what a JSON pointer (RFC 6901) leads to. */
function claimAt(claims: Claims, claim: string): unknown {
  if (!claim.startsWith('/')) return ownValue(claims, claim)
  let value: unknown = claims
  for (const written of claim.slice(1).split('/')) {
    const key = written.replaceAll('~1', '/').replaceAll('~0', '~')
    value = Array.isArray(value) && /^\d+$/.test(key) ? value[Number(key)] : ownValue(value, key)
  }
  return value
}

const ownValue = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined

/** Providers write a list of one as the item alone. */
function listOf(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? [value]
    : undefined
}
