import {
  createPrivateKey,
  createPublicKey,
  type ECKeyPairOptions,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { promisify } from 'node:util'
import { invalid } from './inputs.ts'
import type { VersionRecord } from './key.ts'
import { type KeyType, type Traits, traitsOf } from './key-types.ts'

const makePair = promisify(generateKeyPair)
const hmacBytes = 32

type Pair = { readonly privateKey: KeyObject; readonly publicKey: KeyObject }

/** A fresh version. RSA takes up to seconds, in a thread of its own: never inside a transaction. */
export async function newVersion(type: KeyType, keyBytes: number, now: Date): Promise<VersionRecord> {
  const traits = traitsOf(type)
  switch (traits.kind) {
    case 'aead':
      return ofSymmetric(randomBytes(traits.keyBytes), randomBytes(hmacBytes), now)
    case 'hmac': {
      const bytes = randomBytes(keyBytes)
      return ofSymmetric(bytes, bytes, now)
    }
    case 'ed25519':
    case 'ecdsa':
    case 'rsa': {
      const { privateKey, publicKey } = await newPair(traits)
      return ofPair(privateKey, publicKey, now)
    }
  }
}

function newPair(traits: Traits & { kind: 'ed25519' | 'ecdsa' | 'rsa' }): Promise<Pair> {
  if (traits.kind === 'ed25519') return makePair('ed25519', {})
  if (traits.kind === 'rsa') return makePair('rsa', { modulusLength: traits.bits })
  const curve: ECKeyPairOptions<'der', 'der'> | { namedCurve: string } = { namedCurve: traits.curve }
  return makePair('ec', curve as { namedCurve: string })
}

const ofSymmetric = (secret: Buffer, hmac: Buffer, now: Date): VersionRecord => ({
  createdAt: now.getTime(),
  secret: secret.toString('base64'),
  publicKey: null,
  hmac: hmac.toString('base64'),
})

export const ofPair = (
  privateKey: KeyObject | undefined,
  publicKey: KeyObject,
  now: Date,
  hmac = randomBytes(hmacBytes),
): VersionRecord => ({
  createdAt: now.getTime(),
  secret: privateKey ? privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64') : null,
  publicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
  hmac: hmac.toString('base64'),
})

/** A version from bytes that were made elsewhere: those of a symmetric key, or a private key as PKCS #8. */
export function importedVersion(type: KeyType, bytes: Buffer, now: Date): VersionRecord {
  const traits = traitsOf(type)
  if (traits.kind === 'aead') {
    if (bytes.length !== traits.keyBytes)
      throw invalid(`invalid key size ${bytes.length} bytes for key type ${type}`)
    return ofSymmetric(bytes, randomBytes(hmacBytes), now)
  }
  if (traits.kind === 'hmac') {
    assertHmacSize(bytes.length)
    return ofSymmetric(bytes, bytes, now)
  }
  const key = parsed(() => createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' }))
  assertFits(type, key)
  return ofPair(key, provenPublicKey(key), now)
}

/** The public key of a private key that came from outside, once both are seen to belong together. */
export function provenPublicKey(key: KeyObject): KeyObject {
  const publicKey = createPublicKey(key)
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  const probe = randomBytes(32)
  if (!verify(hash, probe, publicKey, sign(hash, probe, key)))
    throw invalid('the key contradicts itself: what it signs, its public key does not verify')
  return publicKey
}

export function importedPublic(type: KeyType, pem: string, now: Date): VersionRecord {
  const { kind } = traitsOf(type)
  if (kind === 'aead' || kind === 'hmac') throw invalid('provided type does not support public_key import')
  if (!pem.includes('-----BEGIN PUBLIC KEY-----')) throw invalid('error parsing public key: no PEM block')
  const key = parsed(() => createPublicKey({ key: pem, format: 'pem' }))
  assertFits(type, key)
  return ofPair(undefined, key, now)
}

export function assertHmacSize(bytes: number): void {
  if (bytes < 32 || bytes > 512)
    throw invalid('invalid key size for HMAC key, must be between 32 and 512 bytes')
}

function parsed(parse: () => KeyObject): KeyObject {
  try {
    return parse()
  } catch {
    // OpenSSL's own words help nobody, and what they are about is a key.
    throw invalid('error parsing asymmetric key: it must be PKCS #8 (private) or PKIX (public)')
  }
}

function assertFits(type: KeyType, key: KeyObject): void {
  const traits = traitsOf(type)
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
  const fits =
    traits.kind === 'ed25519'
      ? key.asymmetricKeyType === 'ed25519'
      : traits.kind === 'rsa'
        ? key.asymmetricKeyType === 'rsa' && modulusLength === traits.bits
        : traits.kind === 'ecdsa' && key.asymmetricKeyType === 'ec' && namedCurve === traits.curve
  if (!fits) throw invalid(`the imported key is not of the type ${type}`)
}
