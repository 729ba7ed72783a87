import { createPrivateKey, type KeyObject } from 'node:crypto'
import { AppError } from '../../../core/index.ts'
import { derive, type KeyVersion } from './key.ts'

// RFC 8410: the last 32 bytes of a private key's PKCS #8 are its seed, those of a public key's SPKI the key itself.
const rawBytes = 32
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

export const privateKeyOf = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })

export const spkiOf = (raw: Uint8Array): Buffer => Buffer.concat([spkiPrefix, raw])

export const rawPublicKey = (key: KeyObject): Buffer =>
  key.export({ format: 'der', type: 'spki' }).subarray(-rawBytes)

/** Seed and public key, one after the other, as Go keeps a private key and as it is exported. */
export function rawPrivateKey(version: KeyVersion): Buffer {
  const key = version.private()
  if (!key) throw new AppError('request.invalid', 'this key version has only a public key')
  const seed = key.export({ format: 'der', type: 'pkcs8' }).subarray(-rawBytes)
  return Buffer.concat([seed, rawPublicKey(version.public())])
}

export const derivedPrivateKey = (version: KeyVersion, context: Buffer | undefined): KeyObject =>
  privateKeyOf(derive(rawPrivateKey(version), context, rawBytes))
