import { createPublicKey } from 'node:crypto'
import { AppError, reasonOf } from '../../../core/index.ts'
import type { Body } from '../../engine.ts'
import { booleanField, isObject, listField, textField } from '../../fields.ts'
import { endpointUrl } from './fetch-json.ts'

/** Who signs the tokens that a mount believes. Empty: not said. */
export type JwtConfig = {
  readonly discoveryUrl: string
  readonly discoveryCaPem: string
  readonly clientId: string
  /** In the barrier, shown to nobody. */
  readonly clientSecret: string
  readonly responseTypes: readonly string[]
  readonly responseMode: string
  readonly jwksUrl: string
  readonly jwksCaPem: string
  readonly publicKeys: readonly string[]
  readonly algorithms: readonly string[]
  readonly boundIssuer: string
  readonly defaultRole: string
  readonly namespaceInState: boolean
}

/** Only those with a key pair. With a shared secret, whoever knows the public key could sign (RFC 8725, 2.1). */
export const signatureAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
] as const

/** A configuration is written whole: what a body does not name is not set. */
export function configFrom(body: Body, before: JwtConfig | undefined): JwtConfig {
  const config: JwtConfig = {
    discoveryUrl: textField(body, 'oidc_discovery_url') ?? '',
    discoveryCaPem: textField(body, 'oidc_discovery_ca_pem') ?? '',
    clientId: textField(body, 'oidc_client_id') ?? '',
    clientSecret: textField(body, 'oidc_client_secret') ?? '',
    responseTypes: listField(body, 'oidc_response_types') ?? [],
    responseMode: textField(body, 'oidc_response_mode') ?? '',
    jwksUrl: textField(body, 'jwks_url') ?? '',
    jwksCaPem: textField(body, 'jwks_ca_pem') ?? '',
    publicKeys: publicKeysFrom(body),
    algorithms: listField(body, 'jwt_supported_algs') ?? [],
    boundIssuer: textField(body, 'bound_issuer') ?? '',
    defaultRole: (textField(body, 'default_role') ?? '').toLowerCase(),
    namespaceInState: booleanField(body, 'namespace_in_state') ?? before?.namespaceInState ?? true,
  }
  assertOneSource(config)
  assertOidc(config)
  assertSupported(config, body)
  for (const url of [config.discoveryUrl, config.jwksUrl]) if (url !== '') endpointUrl(url)
  return config
}

/** PEM texts hold no commas: a list in one text is split at them. */
function publicKeysFrom(body: Body): string[] {
  const keys = listField(body, 'jwt_validation_pubkeys') ?? []
  for (const pem of keys) {
    try {
      createPublicKey(pem)
    } catch (error) {
      throw new AppError('request.invalid', `error parsing public key: ${reasonOf(error)}`)
    }
  }
  return keys
}

function assertOneSource({ discoveryUrl, jwksUrl, publicKeys }: JwtConfig): void {
  const sources = [discoveryUrl, jwksUrl, publicKeys[0] ?? ''].filter((source) => source !== '')
  if (sources.length !== 1)
    throw new AppError(
      'request.invalid',
      "exactly one of 'jwt_validation_pubkeys', 'jwks_url' or 'oidc_discovery_url' must be set",
    )
}

function assertOidc({ clientId, clientSecret, discoveryUrl }: JwtConfig): void {
  if ((clientId === '') !== (clientSecret === ''))
    throw new AppError(
      'request.invalid',
      "both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC",
    )
  if (clientId !== '' && discoveryUrl === '')
    throw new AppError('request.invalid', "'oidc_discovery_url' must be set for OIDC")
  if (discoveryUrl.includes('.well-known/openid-configuration'))
    throw new AppError('request.invalid', "'oidc_discovery_url' contains '.well-known' component")
}

function assertSupported({ algorithms, responseMode, responseTypes }: JwtConfig, body: Body): void {
  const wrong = algorithms.find((name) => !signatureAlgorithms.some((known) => known === name))
  if (wrong !== undefined) throw new AppError('request.invalid', `unsupported signing algorithm "${wrong}"`)
  if (!['', 'query', 'form_post'].includes(responseMode))
    throw new AppError('request.invalid', `invalid response_mode: "${responseMode}"`)
  if (responseTypes.some((type) => type !== 'code' && type !== 'id_token'))
    throw new AppError(
      'request.invalid',
      `invalid response_types ${JSON.stringify(responseTypes)}. 'code' and 'id_token' are allowed`,
    )
  // In an address it would stand in histories and logs.
  if (responseTypes.includes('id_token') && responseMode !== 'form_post')
    throw new AppError(
      'request.invalid',
      'query response_mode may not be used with an id_token response_type',
    )
  const { provider_config: provider } = body
  if (isObject(provider) && Object.keys(provider).length > 0)
    throw new AppError(
      'request.invalid',
      "'provider_config' is not supported by this server: groups come from a claim",
    )
  if ((listField(body, 'override_allowed_server_names') ?? []).length > 0)
    throw new AppError(
      'request.invalid',
      "'override_allowed_server_names' is not supported by this server: an address has to have the name of its certificate",
    )
}

export const configView = (config: JwtConfig): Record<string, unknown> => ({
  bound_issuer: config.boundIssuer,
  default_role: config.defaultRole,
  jwks_ca_pem: config.jwksCaPem,
  jwks_url: config.jwksUrl,
  jwt_supported_algs: config.algorithms,
  jwt_validation_pubkeys: config.publicKeys,
  namespace_in_state: config.namespaceInState,
  oidc_client_id: config.clientId,
  oidc_discovery_ca_pem: config.discoveryCaPem,
  oidc_discovery_url: config.discoveryUrl,
  oidc_response_mode: config.responseMode,
  oidc_response_types: config.responseTypes,
  override_allowed_server_names: [],
  provider_config: {},
})
