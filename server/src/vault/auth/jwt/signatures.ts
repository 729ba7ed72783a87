import type { JSONWebKeySet, JWSHeaderParameters } from 'jose'
import { AppError, type Clock } from '../../../core/index.ts'
import type { Claims } from './claims.ts'
import { type JwtConfig, signatureAlgorithms } from './config.ts'
import type { Discovery } from './discovery.ts'
import { fetchJson } from './fetch-json.ts'

/** Says whether a token is signed by whom a configuration names, and what it claims. */
export type Signatures = {
  /** The claims of a token with a good signature; nothing else about them is checked. */
  verify(config: JwtConfig, token: string): Promise<Claims>
  /** Fetches the keys anew, to see that they are there. */
  check(config: JwtConfig): Promise<void>
}

type Keys = { readonly set: JSONWebKeySet; readonly fetchedAt: number }
/** Of one address and its authorities, so that a changed configuration never meets the keys of the one before. */
type Held = { readonly source: string; keys?: Keys; fetching?: Promise<Keys> | undefined; failedAt?: number }

type Needs = { clock: Pick<Clock, 'now'>; discovery: Discovery }

const longestToken = 64 * 1024
/** Keys are taken to be current for so long, and while the provider cannot be reached for so much longer. */
const freshMilliseconds = 10 * 60_000
const staleMilliseconds = 60 * 60_000
/** An unknown key is looked for at most this often: anybody can name one. So is a provider that does not answer. */
const cooldownMilliseconds = 15_000

export function createSignatures({ clock, discovery }: Needs): Signatures {
  let held: Held = { source: '' }
  const now = (): number => clock.now().getTime()

  function fetched(config: JwtConfig, mine: Held): Promise<Keys> {
    mine.fetching ??= fetchKeys(config, discovery)
      .then((set) => {
        mine.keys = { set, fetchedAt: now() }
        return mine.keys
      })
      .catch((error: unknown) => {
        mine.failedAt = now()
        throw error
      })
      .finally(() => {
        mine.fetching = undefined
      })
    return mine.fetching
  }

  function holding(config: JwtConfig): Held {
    const source = sourceOf(config)
    if (held.source !== source) held = { source }
    return held
  }

  /** Keys no older than asked. Those of a provider that cannot be reached count for a while longer. */
  async function keysOf(config: JwtConfig, greatestAge: number): Promise<Keys> {
    const mine = holding(config)
    const { keys, failedAt = 0 } = mine
    if (!keys) return fetched(config, mine)
    const age = now() - keys.fetchedAt
    const waiting = now() - failedAt < cooldownMilliseconds
    if (age < greatestAge || (waiting && age < staleMilliseconds)) return keys
    return fetched(config, mine).catch((error: unknown) => {
      if (age < staleMilliseconds) return keys
      throw error
    })
  }

  return {
    async verify(config, token) {
      if (token.length > longestToken) throw new AppError('request.invalid', 'the token is too long')
      if (config.publicKeys.length > 0) return verifyWithPems(config, token)
      const keys = await keysOf(config, freshMilliseconds)
      const claims = await verifyWithSet(config, keys.set, token)
      if (claims) return claims
      const newer = await keysOf(config, cooldownMilliseconds)
      const again = newer === keys ? undefined : await verifyWithSet(config, newer.set, token)
      if (!again) throw notSigned()
      return again
    },
    async check(config) {
      if (config.publicKeys.length === 0) await fetched(config, holding(config))
    },
  }
}

const sourceOf = ({ jwksUrl, jwksCaPem, discoveryUrl, discoveryCaPem }: JwtConfig): string =>
  JSON.stringify([jwksUrl, jwksCaPem, discoveryUrl, discoveryCaPem])

async function fetchKeys(config: JwtConfig, discovery: Discovery): Promise<JSONWebKeySet> {
  const endpoint =
    config.jwksUrl === ''
      ? { url: (await discovery.of(config)).jwksUrl, caPem: config.discoveryCaPem }
      : { url: config.jwksUrl, caPem: config.jwksCaPem }
  const { keys } = await fetchJson(endpoint)
  if (!Array.isArray(keys))
    throw new AppError('request.invalid', `${endpoint.url} does not answer with a set of keys`)
  // What is no public key is not even looked at: a shared secret in a set that everybody can read is none.
  const usable = keys.filter((key) => ['RSA', 'EC', 'OKP'].includes(String(Object(key).kty)))
  return { keys: usable }
}

function algorithmsOf({ algorithms, clientId }: JwtConfig): string[] {
  if (algorithms.length > 0) return [...algorithms]
  // OpenID Connect's default for ID tokens; a mount for tokens alone takes all that have a key pair.
  return clientId === '' ? [...signatureAlgorithms] : ['RS256']
}

/** Undefined when no key of the set has signed it. Refuses what no key could make right. */
async function verifyWithSet(
  config: JwtConfig,
  set: JSONWebKeySet,
  token: string,
): Promise<Claims | undefined> {
  const { compactVerify, createLocalJWKSet, errors } = await import('jose')
  const algorithms = algorithmsOf(config)
  assertAlgorithm(await headerOf(token), algorithms)
  try {
    const { payload } = await compactVerify(token, createLocalJWKSet(set), { algorithms })
    return claimsIn(payload)
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys)
      return firstThat(error[Symbol.asyncIterator](), async (key) =>
        compactVerify(token, key, { algorithms }),
      )
    if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed)
      return undefined
    throw refusal(error)
  }
}

async function verifyWithPems(config: JwtConfig, token: string): Promise<Claims> {
  const { compactVerify, importSPKI } = await import('jose')
  const header = await headerOf(token)
  const algorithms = algorithmsOf(config)
  assertAlgorithm(header, algorithms)
  const claims = await firstThat(config.publicKeys, async (pem) =>
    compactVerify(token, await importSPKI(pem, header.alg ?? ''), { algorithms }),
  )
  if (!claims) throw notSigned()
  return claims
}

/** The claims by the first key that fits. A key of another kind than the token's algorithm fits as little as a wrong one. */
async function firstThat<Key>(
  keys: Iterable<Key> | AsyncIterable<Key>,
  verify: (key: Key) => Promise<{ payload: Uint8Array }>,
): Promise<Claims | undefined> {
  for await (const key of keys) {
    // The next key may fit.
    const verified = await verify(key).catch(() => undefined)
    if (verified) return claimsIn(verified.payload)
  }
  return undefined
}

async function headerOf(token: string): Promise<JWSHeaderParameters> {
  const { decodeProtectedHeader } = await import('jose')
  try {
    return decodeProtectedHeader(token)
  } catch {
    throw new AppError('request.invalid', 'malformed jwt: it does not have three parts with a JSON header')
  }
}

function assertAlgorithm({ alg }: JWSHeaderParameters, algorithms: readonly string[]): void {
  if (typeof alg !== 'string' || !algorithms.includes(alg))
    throw new AppError('request.invalid', `token signed with unsupported algorithm ${JSON.stringify(alg)}`)
}

function claimsIn(payload: Uint8Array): Claims {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload).toString('utf8'))
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return claims as Claims
  } catch {
    // Said below: the parser's own words quote the claims.
  }
  throw new AppError('request.invalid', 'malformed jwt: its claims are no JSON object')
}

const notSigned = (): AppError =>
  new AppError('request.invalid', 'no known key successfully validated the token signature')

/** jose's own words are about the token's form alone. */
const refusal = (error: unknown): unknown =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_J')
    ? new AppError('request.invalid', `malformed jwt: ${error.message}`)
    : error
