import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import { invalid } from './inputs.ts'

/** A key on its way between vaults: an AES key wrapped by RSA-OAEP, then the material wrapped by that (RFC 5649, AES-KWP). */
const keyWrap = 'id-aes256-wrap-pad'
const wrapIv = Buffer.from('a65959a6', 'hex')

const oaepHashes = {
  SHA1: 'sha1',
  SHA224: 'sha224',
  SHA256: 'sha256',
  SHA384: 'sha384',
  SHA512: 'sha512',
} as const
export type OaepHash = (typeof oaepHashes)[keyof typeof oaepHashes]

export function oaepHashOf(written: string): OaepHash {
  const name = written.toUpperCase()
  if (!Object.hasOwn(oaepHashes, name)) throw invalid(`unknown hash function: ${written}`)
  return oaepHashes[name as keyof typeof oaepHashes]
}

export function wrapMaterial(key: KeyObject, material: Buffer): Buffer {
  const ephemeral = randomBytes(32)
  const cipher = createCipheriv(keyWrap, ephemeral, wrapIv)
  const wrapped = Buffer.concat([cipher.update(material), cipher.final()])
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const head = publicEncrypt({ key, padding, oaepHash: 'sha256' }, ephemeral)
  ephemeral.fill(0)
  material.fill(0)
  return Buffer.concat([head, wrapped])
}

export function unwrapMaterial(key: KeyObject, oaepHash: OaepHash, wrapped: Buffer): Buffer {
  const headBytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  if (wrapped.length <= headBytes) throw invalid('provided ciphertext is too short')
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const ephemeral = privateDecrypt({ key, padding, oaepHash }, wrapped.subarray(0, headBytes))
    const decipher = createDecipheriv(keyWrap, ephemeral, wrapIv)
    const material = Buffer.concat([decipher.update(wrapped.subarray(headBytes)), decipher.final()])
    ephemeral.fill(0)
    return material
  } catch {
    throw invalid(
      'the ciphertext could not be unwrapped: it was made for another wrapping key, another hash function, or damaged',
    )
  }
}
