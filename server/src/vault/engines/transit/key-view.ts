import { createPublicKey } from 'node:crypto'
import { derivedPrivateKey, rawPublicKey } from './ed25519.ts'
import type { Key, KeyVersion } from './key.ts'
import { canDerive, canEncrypt, canSign } from './key-types.ts'

/** A key as it may be shown: everything but the keys. `context` gives the public keys that a derived key has for it. */
export function keyView(key: Key, context?: Buffer): Record<string, unknown> {
  const { record, traits } = key
  return {
    allow_plaintext_backup: record.plaintextBackup,
    auto_rotate_period: record.autoRotateSeconds,
    ...(record.derived ? { convergent_encryption: record.convergent, kdf: 'hkdf_sha256' } : {}),
    ...(record.convergent ? { convergent_encryption_version: -1 } : {}),
    deletion_allowed: record.deletionAllowed,
    derived: record.derived,
    exportable: record.exportable,
    imported_key: record.imported,
    ...(record.imported ? { imported_key_allow_rotation: record.allowRotation } : {}),
    ...(traits.kind === 'hmac' ? { key_size: record.keyBytes } : { keys: versionViews(key, context) }),
    latest_version: record.latest,
    min_available_version: record.minAvailable,
    min_decryption_version: record.minDecryption,
    min_encryption_version: record.minEncryption,
    name: record.name,
    soft_deleted: record.softDeleted,
    supports_decryption: canEncrypt(traits),
    supports_derivation: canDerive(traits),
    supports_encryption: canEncrypt(traits),
    supports_signing: canSign(traits),
    type: record.type,
  }
}

/** The versions that may still be used. */
export const workingVersions = ({ record }: Key): number[] =>
  Object.keys(record.versions)
    .map(Number)
    .filter((number) => number >= record.minDecryption)

function versionViews(key: Key, context: Buffer | undefined): Record<string, unknown> {
  return Object.fromEntries(
    workingVersions(key).map((number) => [number, versionView(key, key.version(number), context)]),
  )
}

function versionView(key: Key, version: KeyVersion, context: Buffer | undefined): unknown {
  const { traits, record } = key
  const { createdAt } = version.record
  if (!canSign(traits)) return Math.floor(createdAt / 1000)
  return {
    certificate_chain: '',
    creation_time: new Date(createdAt).toISOString(),
    name: traits.kind === 'ecdsa' ? traits.name : record.type,
    public_key: publicKeyText(key, version, context),
  }
}

function publicKeyText({ traits, record }: Key, version: KeyVersion, context: Buffer | undefined): string {
  if (traits.kind !== 'ed25519') return pemOf(version)
  if (!record.derived) return rawPublicKey(version.public()).toString('base64')
  if (!context) return ''
  return rawPublicKey(createPublicKey(derivedPrivateKey(version, context))).toString('base64')
}

const pemOf = (version: KeyVersion): string =>
  String(version.public().export({ format: 'pem', type: 'spki' }))
