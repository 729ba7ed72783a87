import { createPrivateKey, createPublicKey, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { AppError } from '../../../core/index.ts'
import { invalid } from './inputs.ts'
import { type KeyType, type Traits, traitsOf } from './key-types.ts'

/** What is stored of a key, encrypted by the barrier. */
export type KeyRecord = {
  readonly name: string
  readonly type: KeyType
  /** Each operation uses a key of its own, made from this one and the operation's context. */
  readonly derived: boolean
  /** The nonce is made from the plaintext, so that the same text gives the same ciphertext. */
  readonly convergent: boolean
  readonly exportable: boolean
  readonly plaintextBackup: boolean
  readonly deletionAllowed: boolean
  readonly softDeleted: boolean
  /** Below it nothing is decrypted or verified. */
  readonly minDecryption: number
  /** Below it nothing is encrypted or signed; 0: only the latest, unless a request names another. */
  readonly minEncryption: number
  /** Older versions are gone for good; 0: none was removed yet. */
  readonly minAvailable: number
  readonly latest: number
  /** 0: never. */
  readonly autoRotateSeconds: number
  readonly imported: boolean
  readonly allowRotation: boolean
  /** HMAC keys only, else 0. */
  readonly keyBytes: number
  readonly versions: Readonly<Record<string, VersionRecord>>
}

export type VersionRecord = {
  /** Milliseconds. */
  readonly createdAt: number
  /** Base64: the bytes of a symmetric key, or a private key as PKCS #8; null where only a public key was imported. */
  readonly secret: string | null
  /** Base64 of the SubjectPublicKeyInfo; null for symmetric keys. */
  readonly publicKey: string | null
  /** Base64. Every version of every type has one; that of an HMAC key is its secret. */
  readonly hmac: string
}

/** A record with its keys as objects, made when first used and kept as long as the record is. */
export type Key = {
  readonly record: KeyRecord
  readonly traits: Traits
  version(number: number): KeyVersion
}
export type KeyVersion = {
  readonly number: number
  readonly record: VersionRecord
  symmetric(): KeyObject
  /** Undefined where only the public key is known. */
  private(): KeyObject | undefined
  public(): KeyObject
  hmac(): KeyObject
}

export const parseKey = (bytes: Buffer): Key => keyOf(JSON.parse(bytes.toString('utf8')) as KeyRecord)

export function keyOf(record: KeyRecord): Key {
  const versions = new Map<number, KeyVersion>()
  return {
    record,
    traits: traitsOf(record.type),
    version(number) {
      const known = versions.get(number)
      if (known) return known
      const stored = record.versions[number]
      if (!stored)
        throw new AppError(
          'vault.entry_corrupt',
          `version ${number} of a transit key is missing in the storage`,
        )
      const version = versionOf(number, stored)
      versions.set(number, version)
      return version
    },
  }
}

function versionOf(number: number, record: VersionRecord): KeyVersion {
  return {
    number,
    record,
    symmetric: once(() => secretKey(record.secret ?? '')),
    private: once(() =>
      record.secret === null
        ? undefined
        : createPrivateKey({ key: Buffer.from(record.secret, 'base64'), format: 'der', type: 'pkcs8' }),
    ),
    public: once(() =>
      createPublicKey({ key: Buffer.from(record.publicKey ?? '', 'base64'), format: 'der', type: 'spki' }),
    ),
    hmac: once(() => secretKey(record.hmac)),
  }
}

function secretKey(base64: string): KeyObject {
  const bytes = Buffer.from(base64, 'base64')
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** Which version makes something new: the one asked for, or the latest. */
export function versionToUse({ record }: Key, wanted: number, purpose: 'encryption' | 'signing'): number {
  if (wanted === 0) return record.latest
  if (wanted < 0) throw invalid(`requested version for ${purpose} is negative`)
  if (wanted > record.latest)
    throw invalid(`requested version for ${purpose} is higher than the latest key version`)
  if (wanted < Math.max(record.minEncryption, record.minAvailable))
    throw invalid(`requested version for ${purpose} is less than the minimum encryption key version`)
  return wanted
}

export type Versioned = { readonly version: number; readonly text: string }

const shape = /^vault:v(\d{1,9}):/

/** Takes `vault:v3:…` apart and checks that the version may still be used. `what` names it in a refusal. */
export function readVersioned({ record }: Key, text: string, what: string): Versioned {
  const found = shape.exec(text)
  if (!found) {
    const prefixed = /^vault:v[^:]*:/.test(text)
    throw invalid(`invalid ${what}: ${prefixed ? 'version number could not be decoded' : 'no prefix'}`)
  }
  // Version 0 was written before there were versions; it means the first.
  const version = Number(found[1]) || 1
  if (version > record.latest) throw invalid(`invalid ${what}: version is too new`)
  if (version < Math.max(record.minDecryption, record.minAvailable))
    throw invalid('ciphertext or signature version is disallowed by policy (too old)')
  return { version, text: text.slice(found[0].length) }
}

export const versioned = (version: number, text: string): string => `vault:v${version}:${text}`

const missingContext =
  "missing 'context' for key derivation; the key was created using a derived key, which means additional, " +
  'per-request information must be included in order to perform operations with the key'

/** Key bytes for one context: HKDF with SHA-256, no salt, the context as info. */
export function derive(source: KeyObject | Buffer, context: Buffer | undefined, length: number): Buffer {
  if (!context || context.length === 0) throw invalid(missingContext)
  return Buffer.from(hkdfSync('sha256', source, '', context, length))
}
