import { createPrivateKey, generateKeyPair, type JsonWebKey, randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from '../../../core/index.ts'
import type { Body } from '../../engine.ts'
import { durationField, listField, textField } from '../../fields.ts'

export const keyAlgorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const
export type KeyAlgorithm = (typeof keyAlgorithms)[number]

/** One pair of a named key. A retired one has lost its private half and ends when nothing it signed is valid any more. */
export type KeyPair = {
  readonly kid: string
  readonly publicJwk: JsonWebKey
  /** PKCS 8, in base64. */
  readonly privateKey?: string
  readonly expiresAt: number | null
}

/** Signs the tokens of the roles that name it. The next pair is published before it signs, for those that keep what they read. */
export type NamedKey = {
  readonly algorithm: KeyAlgorithm
  readonly rotationSeconds: number
  readonly verificationSeconds: number
  /** `*` stands for all. */
  readonly allowedClientIds: readonly string[]
  readonly rotatesAt: number
  readonly current: KeyPair
  readonly next: KeyPair
  readonly retired: readonly KeyPair[]
}

export type KeySettings = Omit<NamedKey, 'rotatesAt' | 'current' | 'next' | 'retired'>

const daySeconds = 86_400
const leastRotationSeconds = 60

export const usualSettings: KeySettings = {
  algorithm: 'RS256',
  rotationSeconds: daySeconds,
  verificationSeconds: daySeconds,
  allowedClientIds: [],
}

export function settingsFrom(body: Body, current: KeySettings = usualSettings): KeySettings {
  const settings = {
    algorithm: algorithmFrom(textField(body, 'algorithm')) ?? current.algorithm,
    rotationSeconds: durationField(body, 'rotation_period') ?? current.rotationSeconds,
    verificationSeconds: durationField(body, 'verification_ttl') ?? current.verificationSeconds,
    allowedClientIds: listField(body, 'allowed_client_ids') ?? current.allowedClientIds,
  }
  if (settings.rotationSeconds < leastRotationSeconds)
    throw new AppError('request.invalid', 'rotation_period must be at least one minute')
  if (settings.verificationSeconds > 10 * settings.rotationSeconds)
    throw new AppError('request.invalid', 'verification_ttl cannot be longer than 10x rotation_period')
  return settings
}

function algorithmFrom(written: string | undefined): KeyAlgorithm | undefined {
  if (written === undefined || written === '') return undefined
  const found = keyAlgorithms.find((known) => known === written)
  if (!found) throw new AppError('request.invalid', `unknown signing algorithm "${written}"`)
  return found
}

export async function newPair(algorithm: KeyAlgorithm): Promise<KeyPair> {
  const { publicKey, privateKey } = await generated(algorithm)
  const kid = randomUUID()
  return {
    kid,
    publicJwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' },
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
    expiresAt: null,
  }
}

const curves: Partial<Record<KeyAlgorithm, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }
const generate = promisify(generateKeyPair)

function generated(algorithm: KeyAlgorithm) {
  const namedCurve = curves[algorithm]
  if (namedCurve) return generate('ec', { namedCurve })
  return algorithm === 'EdDSA' ? generate('ed25519') : generate('rsa', { modulusLength: 2048 })
}

/** The key with its settings changed, and with pairs of its own when it is new or its algorithm is another. */
export function withSettings(
  settings: KeySettings,
  before: NamedKey | undefined,
  pairs: readonly [KeyPair, KeyPair] | undefined,
  now: number,
): NamedKey {
  const rotatesAt = now + settings.rotationSeconds * 1000
  const soonest = before ? Math.min(before.rotatesAt, rotatesAt) : rotatesAt
  if (pairs) {
    const [current, next] = pairs
    const left = before ? [retire(before.current, before, now), ...before.retired] : []
    return { ...settings, rotatesAt, current, next, retired: left }
  }
  if (!before) throw new Error('a new key needs pairs')
  return { ...before, ...settings, rotatesAt: soonest }
}

/** The next pair signs from now on, and `fresh` is the next one. */
export function rotated(
  key: NamedKey,
  fresh: KeyPair,
  now: number,
  verificationSeconds = key.verificationSeconds,
): NamedKey {
  const gone = retire(key.current, { verificationSeconds }, now)
  return {
    ...key,
    rotatesAt: now + key.rotationSeconds * 1000,
    current: key.next,
    next: fresh,
    retired: [gone, ...key.retired].filter((pair) => isPublished(pair, now)),
  }
}

const retire = (
  { kid, publicJwk }: KeyPair,
  { verificationSeconds }: Pick<NamedKey, 'verificationSeconds'>,
  now: number,
): KeyPair => ({ kid, publicJwk, expiresAt: now + verificationSeconds * 1000 })

const isPublished = ({ expiresAt }: KeyPair, now: number): boolean => expiresAt === null || expiresAt > now

export const publishedOf = ({ current, next, retired }: NamedKey, now: number): JsonWebKey[] =>
  [current, next, ...retired].filter((pair) => isPublished(pair, now)).map(({ publicJwk }) => publicJwk)

export async function sign(
  { algorithm, current }: NamedKey,
  claims: Record<string, unknown>,
): Promise<string> {
  const { CompactSign } = await import('jose')
  const key = createPrivateKey({
    key: Buffer.from(current.privateKey ?? '', 'base64'),
    format: 'der',
    type: 'pkcs8',
  })
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: algorithm, kid: current.kid })
    .sign(key)
}
