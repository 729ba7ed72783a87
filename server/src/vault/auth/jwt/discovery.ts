import { AppError, type Clock } from '../../../core/index.ts'
import type { JwtConfig } from './config.ts'
import { fetchJson } from './fetch-json.ts'

/** What an OpenID provider says about itself. */
export type Provider = {
  readonly issuer: string
  readonly authorizationUrl: string
  readonly tokenUrl: string
  readonly jwksUrl: string
  readonly userInfoUrl: string
  /** Where a device without a browser begins (RFC 8628). */
  readonly deviceUrl: string
  /** Whether the client's secret is taken in a header; else it is put into the form. */
  readonly basic: boolean
}

export type Discovery = { of(config: JwtConfig): Promise<Provider> }

const freshMilliseconds = 10 * 60_000

/** Asks a provider now and then, and remembers what it said. */
export function createDiscovery(clock: Pick<Clock, 'now'>): Discovery {
  let known: { source: string; provider: Provider; at: number } | undefined
  /** Anybody may begin to sign in: all who do while a provider is asked wait for that one answer. */
  let asking: { source: string; answer: Promise<Provider> } | undefined

  async function ask(source: string, config: JwtConfig): Promise<Provider> {
    const at = clock.now().getTime()
    const provider = await discover(config)
    known = { source, provider, at }
    return provider
  }

  return {
    async of(config) {
      const source = JSON.stringify([config.discoveryUrl, config.discoveryCaPem])
      const now = clock.now().getTime()
      if (known?.source === source && now - known.at < freshMilliseconds) return known.provider
      if (asking?.source === source) return asking.answer
      const mine = { source, answer: ask(source, config) }
      asking = mine
      return mine.answer.finally(() => {
        if (asking === mine) asking = undefined
      })
    },
  }
}

/** Reads it from where the standard says. A provider that names another issuer than itself is refused. */
async function discover({ discoveryUrl, discoveryCaPem }: JwtConfig): Promise<Provider> {
  const base = discoveryUrl.replace(/\/$/, '')
  const said = await fetchJson({ url: `${base}/.well-known/openid-configuration`, caPem: discoveryCaPem })
  const text = (name: string): string => (typeof said[name] === 'string' ? said[name] : '')
  const issuer = text('issuer')
  if (issuer.replace(/\/$/, '') !== base)
    throw new AppError(
      'request.invalid',
      `oidc: issuer did not match the issuer returned by provider, expected ${JSON.stringify(discoveryUrl)} got ${JSON.stringify(issuer)}`,
    )
  if (text('jwks_uri') === '')
    throw new AppError('request.invalid', `${base} does not say where its keys are (jwks_uri)`)
  const methods = said['token_endpoint_auth_methods_supported']
  return {
    issuer,
    authorizationUrl: text('authorization_endpoint'),
    tokenUrl: text('token_endpoint'),
    jwksUrl: text('jwks_uri'),
    userInfoUrl: text('userinfo_endpoint'),
    deviceUrl: text('device_authorization_endpoint'),
    basic: !Array.isArray(methods) || methods.includes('client_secret_basic'),
  }
}
