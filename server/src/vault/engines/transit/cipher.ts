import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHmac,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import { decodeBase64, invalid } from './inputs.ts'
import { derive, type Key, type KeyVersion, readVersioned, versioned } from './key.ts'
import type { Traits } from './key-types.ts'

export type Plain = {
  readonly plaintext: Buffer
  readonly context: Buffer | undefined
  readonly associatedData: Buffer | undefined
}
export type Closed = {
  readonly ciphertext: string
  readonly context: Buffer | undefined
  readonly associatedData: Buffer | undefined
}

type Aead = Traits & { kind: 'aead' }

const nonceBytes = 12
const tagBytes = 16
const nonceKeyBytes = 32
const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }

/** `vault:v<version>:` and the base64 of nonce, ciphertext and tag; for RSA, of the ciphertext. */
export function encrypt(key: Key, number: number, input: Plain): string {
  const version = key.version(number)
  const { traits } = key
  if (traits.kind === 'rsa') return versioned(number, encryptRsa(version, input).toString('base64'))
  if (traits.kind !== 'aead')
    throw invalid(`message encryption not supported for key type ${key.record.type}`)
  const { secret, nonce } = aeadKey(key, traits, version, input)
  // ChaCha20 has the same interface; the types of Node name the mode in the overload.
  const cipher = createCipheriv(traits.cipher as 'aes-256-gcm', secret, nonce, { authTagLength: tagBytes })
  if (input.associatedData) cipher.setAAD(input.associatedData)
  const sealed = Buffer.concat([nonce, cipher.update(input.plaintext), cipher.final(), cipher.getAuthTag()])
  return versioned(number, sealed.toString('base64'))
}

export function decrypt(key: Key, input: Closed): Buffer {
  const { traits } = key
  if (traits.kind !== 'aead' && traits.kind !== 'rsa')
    throw invalid(`message decryption not supported for key type ${key.record.type}`)
  const { version: number, text } = readVersioned(key, input.ciphertext, 'ciphertext')
  const version = key.version(number)
  const sealed = decodeBase64(text)
  if (!sealed) throw invalid('invalid ciphertext: could not decode base64')
  if (traits.kind === 'rsa') return decryptRsa(version, sealed, input)
  if (sealed.length < nonceBytes + tagBytes) throw invalid('invalid ciphertext length')
  return openAead(traits, keyFor(key, traits, version, input.context), sealed, input.associatedData)
}

function openAead(
  traits: Aead,
  secret: KeyObject | Buffer,
  sealed: Buffer,
  extra: Buffer | undefined,
): Buffer {
  const nonce = sealed.subarray(0, nonceBytes)
  const decipher = createDecipheriv(traits.cipher as 'aes-256-gcm', secret, nonce, {
    authTagLength: tagBytes,
  })
  if (extra) decipher.setAAD(extra)
  decipher.setAuthTag(sealed.subarray(-tagBytes))
  const plain = decipher.update(sealed.subarray(nonceBytes, -tagBytes))
  try {
    return Buffer.concat([plain, decipher.final()])
  } catch {
    plain.fill(0)
    throw invalid('cipher: message authentication failed')
  }
}

function keyFor(
  key: Key,
  traits: Aead,
  version: KeyVersion,
  context: Buffer | undefined,
): KeyObject | Buffer {
  const source = version.symmetric()
  return key.record.derived ? derive(source, context, traits.keyBytes) : source
}

/** A convergent key's nonce is the HMAC of the plaintext under a second derived key: equal texts, and only they, share it. */
function aeadKey(
  key: Key,
  traits: Aead,
  version: KeyVersion,
  { plaintext, context }: Plain,
): { secret: KeyObject | Buffer; nonce: Buffer } {
  if (!key.record.convergent)
    return { secret: keyFor(key, traits, version, context), nonce: randomBytes(nonceBytes) }
  const bytes = derive(version.symmetric(), context, traits.keyBytes + nonceKeyBytes)
  const nonceKey = bytes.subarray(traits.keyBytes)
  const nonce = createHmac('sha256', nonceKey).update(plaintext).digest().subarray(0, nonceBytes)
  return { secret: bytes.subarray(0, traits.keyBytes), nonce }
}

function encryptRsa(version: KeyVersion, { plaintext, associatedData }: Plain): Buffer {
  if (associatedData) throw invalid("'associated_data' provided for a key type that has none (RSA)")
  const longest = (version.public().asymmetricKeyDetails?.modulusLength ?? 0) / 8 - 2 * 32 - 2
  if (plaintext.length > longest)
    throw invalid(`plaintext of ${plaintext.length} bytes is too long for this key, which takes ${longest}`)
  return publicEncrypt({ key: version.public(), ...oaep }, plaintext)
}

function decryptRsa(version: KeyVersion, sealed: Buffer, { associatedData }: Closed): Buffer {
  if (associatedData) throw invalid("'associated_data' provided for a key type that has none (RSA)")
  const key = version.private()
  if (!key) throw invalid('this key version has only a public key, which cannot decrypt')
  try {
    return privateDecrypt({ key, ...oaep }, sealed)
  } catch {
    throw invalid('failed to RSA decrypt the ciphertext')
  }
}
