import { AppError } from '../../../core/index.ts'
import { parseDuration } from '../../duration.ts'
import type { Body } from '../../engine.ts'
import { booleanField, countField, isObject, listField, textField, textMapField } from '../../fields.ts'
import { plainTerms, type TokenTerms, termsFrom, termsView } from '../token-terms.ts'

export type ClaimValue = string | number | boolean

const callbackModes = ['client', 'direct', 'device'] as const
type CallbackMode = (typeof callbackModes)[number]

/** Which tokens of the provider are let in, as whom, and what they get. */
export type JwtRole = {
  /** `jwt`: a token is shown; `oidc`: a person signs in at the provider. */
  readonly type: 'jwt' | 'oidc'
  readonly boundAudiences: readonly string[]
  readonly boundSubject: string
  readonly boundClaimsType: 'string' | 'glob'
  /** By claim, or by JSON pointer when it begins with `/`: one of these values has to be there. */
  readonly boundClaims: Readonly<Record<string, readonly ClaimValue[]>>
  /** Claim to key of the metadata. */
  readonly claimMappings: Readonly<Record<string, string>>
  readonly userClaim: string
  readonly userClaimPointer: boolean
  readonly groupsClaim: string
  /** 0 is the default, and a negative number none. */
  readonly clockSkewSeconds: number
  readonly expirationSeconds: number
  readonly notBeforeSeconds: number
  readonly redirectUris: readonly string[]
  readonly scopes: readonly string[]
  /** 0: whenever they were last asked. */
  readonly maxAgeSeconds: number
  /** Kept for clients that read it back; tokens and claims are never logged. */
  readonly verboseLogging: boolean
  /** How a person comes back: to the client, to this server, or not at all (RFC 8628). Absent: to the client. */
  readonly callbackMode?: CallbackMode
  /** How often a client that waits may ask; 0: as the provider says. */
  readonly pollSeconds?: number
  /** A person who comes back to this server is not asked whether it was they who began. */
  readonly unconfirmed?: boolean
  readonly terms: TokenTerms
}

const plainRole: JwtRole = {
  type: 'oidc',
  boundAudiences: [],
  boundSubject: '',
  boundClaimsType: 'string',
  boundClaims: {},
  claimMappings: {},
  userClaim: '',
  userClaimPointer: false,
  groupsClaim: '',
  clockSkewSeconds: 0,
  expirationSeconds: 0,
  notBeforeSeconds: 0,
  redirectUris: [],
  scopes: [],
  maxAgeSeconds: 0,
  verboseLogging: false,
  terms: plainTerms,
}

/** The role with what a body changes of it. Its type is the usual one where the body names none, as everywhere in Vault. */
export function roleFrom(body: Body, current: JwtRole = plainRole): JwtRole {
  const boundClaimsType = claimsTypeFrom(textField(body, 'bound_claims_type'))
  const role: JwtRole = {
    type: typeFrom(textField(body, 'role_type')),
    boundAudiences: listField(body, 'bound_audiences') ?? current.boundAudiences,
    boundSubject: textField(body, 'bound_subject') ?? current.boundSubject,
    boundClaimsType,
    boundClaims: claimsFrom(body, boundClaimsType) ?? current.boundClaims,
    claimMappings: mappingsFrom(body) ?? current.claimMappings,
    userClaim: textField(body, 'user_claim') ?? current.userClaim,
    userClaimPointer: booleanField(body, 'user_claim_json_pointer') ?? current.userClaimPointer,
    groupsClaim: textField(body, 'groups_claim') ?? current.groupsClaim,
    clockSkewSeconds: leeway(body, 'clock_skew_leeway') ?? current.clockSkewSeconds,
    expirationSeconds: leeway(body, 'expiration_leeway') ?? current.expirationSeconds,
    notBeforeSeconds: leeway(body, 'not_before_leeway') ?? current.notBeforeSeconds,
    redirectUris: listField(body, 'allowed_redirect_uris') ?? current.redirectUris,
    scopes: listField(body, 'oidc_scopes') ?? current.scopes,
    maxAgeSeconds: parseDuration(body['max_age'], 'max_age') ?? current.maxAgeSeconds,
    verboseLogging: booleanField(body, 'verbose_oidc_logging') ?? current.verboseLogging,
    ...waysBack(body, current),
    terms: termsFrom(body, current.terms),
  }
  assertSupported(body)
  assertUsable(role)
  return role
}

function typeFrom(written = ''): JwtRole['type'] {
  if (written === '' || written === 'oidc') return 'oidc'
  if (written === 'jwt') return 'jwt'
  throw new AppError('request.invalid', `invalid 'role_type': ${written}`)
}

/** How people come back from the provider. */
function waysBack(
  body: Body,
  current: JwtRole,
): Required<Pick<JwtRole, 'callbackMode' | 'pollSeconds' | 'unconfirmed'>> {
  return {
    callbackMode: modeFrom(textField(body, 'callback_mode')) ?? current.callbackMode ?? 'client',
    pollSeconds: countField(body, 'poll_interval') ?? current.pollSeconds ?? 0,
    unconfirmed: booleanField(body, 'oidc_disable_confirmation') ?? current.unconfirmed ?? false,
  }
}

function modeFrom(written = ''): CallbackMode | undefined {
  if (written === '') return undefined
  const found = callbackModes.find((mode) => mode === written)
  if (!found) throw new AppError('request.invalid', `invalid 'callback_mode': "${written}"`)
  return found
}

function claimsTypeFrom(written = ''): JwtRole['boundClaimsType'] {
  if (written === '' || written === 'string') return 'string'
  if (written === 'glob') return 'glob'
  throw new AppError('request.invalid', `invalid 'bound_claims_type': ${written}`)
}

function claimsFrom(body: Body, type: JwtRole['boundClaimsType']): JwtRole['boundClaims'] | undefined {
  const value = objectOf(body['bound_claims'])
  if (value === undefined) return undefined
  if (!isObject(value)) throw new AppError('request.invalid', "'bound_claims' must be an object")
  return Object.fromEntries(
    Object.entries(value).map(([claim, wanted]) => {
      const values: unknown[] = Array.isArray(wanted) ? wanted : [wanted]
      return [claim, values.map((item) => claimValue(claim, item, type))]
    }),
  )
}

/** Command lines send an object as its JSON text. */
function objectOf(value: unknown): unknown {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    throw new AppError('request.invalid', 'an object was expected, or its JSON text')
  }
}

function claimValue(claim: string, item: unknown, type: JwtRole['boundClaimsType']): ClaimValue {
  const plain = typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean'
  if (!plain || (type === 'glob' && typeof item !== 'string'))
    throw new AppError(
      'request.invalid',
      `bound claim "${claim}" is not a string${type === 'glob' ? '' : ', bool, int'} or list`,
    )
  return item
}

function mappingsFrom(body: Body): Record<string, string> | undefined {
  const value = objectOf(body['claim_mappings'])
  const mappings = value === undefined ? undefined : textMapField({ value }, 'value')
  const targets = Object.values(mappings ?? {})
  for (const target of targets) {
    if (target === 'role')
      throw new AppError(
        'request.invalid',
        'metadata key "role" is reserved and may not be a mapping destination',
      )
    if (targets.indexOf(target) !== targets.lastIndexOf(target))
      throw new AppError('request.invalid', `multiple keys are mapped to metadata key "${target}"`)
  }
  return mappings
}

function leeway(body: Body, field: string): number | undefined {
  const written = body[field]
  return /^-\d+s?$/.test(String(written)) ? -1 : parseDuration(written, field)
}

function assertSupported(body: Body): void {
  for (const field of ['token_policies_template_claims'])
    if (booleanField(body, field))
      throw new AppError('request.invalid', `'${field}' is not supported by this server`)
  if ((listField(body, 'oauth2_metadata') ?? []).length > 0)
    throw new AppError(
      'request.invalid',
      "'oauth2_metadata' is not supported by this server: the provider's tokens are kept nowhere",
    )
}

function assertUsable({ type, userClaim, redirectUris, callbackMode, terms, ...bounds }: JwtRole): void {
  if (userClaim === '') throw new AppError('request.invalid', 'a user claim must be defined on the role')
  if (type === 'oidc' && callbackMode !== 'device' && redirectUris.length === 0)
    throw new AppError(
      'request.invalid',
      "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.",
    )
  const bound =
    bounds.boundAudiences.length > 0 ||
    bounds.boundSubject !== '' ||
    Object.keys(bounds.boundClaims).length > 0 ||
    terms.boundCidrs.length > 0
  if (type === 'jwt' && !bound)
    throw new AppError(
      'request.invalid',
      'must have at least one bound constraint when creating/updating a role',
    )
}

export const roleView = (role: JwtRole): Record<string, unknown> => ({
  role_type: role.type,
  bound_audiences: role.boundAudiences,
  bound_subject: role.boundSubject,
  bound_claims_type: role.boundClaimsType,
  bound_claims: Object.keys(role.boundClaims).length > 0 ? role.boundClaims : null,
  claim_mappings: Object.keys(role.claimMappings).length > 0 ? role.claimMappings : null,
  user_claim: role.userClaim,
  user_claim_json_pointer: role.userClaimPointer,
  groups_claim: role.groupsClaim,
  clock_skew_leeway: role.clockSkewSeconds,
  expiration_leeway: role.expirationSeconds,
  not_before_leeway: role.notBeforeSeconds,
  allowed_redirect_uris: role.redirectUris,
  callback_mode: role.callbackMode ?? 'client',
  ...(role.pollSeconds ? { poll_interval: role.pollSeconds } : {}),
  oidc_disable_confirmation: role.unconfirmed ?? false,
  oidc_scopes: role.scopes,
  max_age: role.maxAgeSeconds,
  verbose_oidc_logging: role.verboseLogging,
  ...termsView(role.terms),
})
