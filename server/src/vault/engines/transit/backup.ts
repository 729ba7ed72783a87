import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { isObject } from '../../fields.ts'
import { privateKeyOf, rawPrivateKey, rawPublicKey, spkiOf } from './ed25519.ts'
import { bigInteger, parseExact, stringifyExact } from './exact-json.ts'
import { decodeBase64, invalid } from './inputs.ts'
import type { Key, KeyRecord, KeyVersion, VersionRecord } from './key.ts'
import { type KeyType, keyTypes, traitsOf } from './key-types.ts'
import { ofPair, provenPublicKey } from './material.ts'

/** The numbers that stand for types in a backup. */
const typeNumbers: Record<KeyType, number> = {
  'aes256-gcm96': 0,
  'ecdsa-p256': 1,
  ed25519: 2,
  'rsa-2048': 3,
  'rsa-4096': 4,
  'chacha20-poly1305': 5,
  'ecdsa-p384': 6,
  'ecdsa-p521': 7,
  'aes128-gcm96': 8,
  'rsa-3072': 9,
  hmac: 10,
}
/** HKDF with SHA-256, and nonces by the scheme of today; what came before neither writes nor can be read here. */
const hkdf = 1
const convergentScheme = 3
const nanoseconds = 1_000_000_000

type Fields = Record<string, unknown>

/** The key as JSON, with the field names and number formats of Vault's Go types. */
export function writeBackup(key: Key, now: Date): string {
  const { record } = key
  const numbers = Object.keys(record.versions).map(Number)
  const entries = new Map(numbers.map((number) => [number, writeVersion(key, key.version(number))]))
  const first = record.minAvailable
  const archived = Array.from(
    { length: record.latest - first + 1 },
    (_, at) => entries.get(first + at) ?? noVersion,
  )
  return stringifyExact({
    policy: {
      name: record.name,
      key_size: record.keyBytes,
      keys: Object.fromEntries([...entries].filter(([number]) => number >= record.minDecryption)),
      derived: record.derived,
      kdf: record.derived ? hkdf : 0,
      convergent_encryption: record.convergent,
      exportable: record.exportable,
      min_decryption_version: record.minDecryption,
      min_encryption_version: record.minEncryption,
      latest_version: record.latest,
      archive_version: record.latest,
      archive_min_version: first,
      min_available_version: record.minAvailable,
      deletion_allowed: record.deletionAllowed,
      convergent_version: record.convergent ? -1 : 0,
      type: typeNumbers[record.type],
      backup_info: { time: now.toISOString(), version: 1 },
      restore_info: null,
      allow_plaintext_backup: record.plaintextBackup,
      version_template: '',
      storage_prefix: '',
      auto_rotate_period: record.autoRotateSeconds * nanoseconds,
      Imported: record.imported,
      AllowImportedKeyRotation: record.allowRotation,
      soft_deleted: record.softDeleted,
    },
    archived_keys: { keys: archived },
  })
}

const noVersion: Fields = { key: null, hmac_key: null, time: '0001-01-01T00:00:00Z', creation_time: 0 }

function writeVersion({ traits, record }: Key, version: KeyVersion): Fields {
  const { createdAt, hmac, secret } = version.record
  const common = {
    key: null,
    hmac_key: hmac,
    time: new Date(createdAt).toISOString(),
    creation_time: Math.floor(createdAt / 1000),
    ec_x: null,
    ec_y: null,
    ec_d: null,
    rsa_key: null,
    rsa_public_key: null,
    public_key: '',
    convergent_version: record.convergent ? convergentScheme : 0,
    certificate_chain: null,
  }
  switch (traits.kind) {
    case 'aead':
    case 'hmac':
      return { ...common, key: secret }
    case 'ed25519': {
      const key = version.private() ? rawPrivateKey(version).toString('base64') : null
      return {
        ...common,
        key,
        public_key: record.derived ? '' : rawPublicKey(version.public()).toString('base64'),
      }
    }
    case 'ecdsa':
      return { ...common, ...writeEcdsa(version) }
    case 'rsa':
      return { ...common, ...writeRsa(version) }
  }
}

function writeEcdsa(version: KeyVersion): Fields {
  const { x, y, d } = (version.private() ?? version.public()).export({ format: 'jwk' })
  return {
    ec_x: bigInteger(x),
    ec_y: bigInteger(y),
    ec_d: d ? bigInteger(d) : null,
    public_key: version.public().export({ format: 'pem', type: 'spki' }),
  }
}

function writeRsa(version: KeyVersion): Fields {
  const key = version.private()
  const jwk = (key ?? version.public()).export({ format: 'jwk' })
  const publicKey = { N: bigInteger(jwk.n), E: Number(bigInteger(jwk.e)) }
  if (!key) return { rsa_public_key: publicKey }
  return {
    rsa_key: {
      ...publicKey,
      D: bigInteger(jwk.d),
      Primes: [bigInteger(jwk.p), bigInteger(jwk.q)],
      Precomputed: {
        Dp: bigInteger(jwk.dp),
        Dq: bigInteger(jwk.dq),
        Qinv: bigInteger(jwk.qi),
        CRTValues: [],
      },
    },
  }
}

/** Reads a backup, of this vault or another. Everything that does not fit is refused: a key that is half right is none. */
export function readBackup(text: string): KeyRecord {
  const parsed = parseExact(text)
  const policy = isObject(parsed) && isObject(parsed['policy']) ? parsed['policy'] : undefined
  if (!isObject(parsed) || !policy) throw malformed('it has no policy')
  const type = typeFor(policy['type'])
  const convergent = policy['convergent_encryption'] === true
  const record: KeyRecord = {
    name: String(policy['name'] ?? ''),
    type,
    derived: policy['derived'] === true,
    convergent,
    exportable: policy['exportable'] === true,
    plaintextBackup: policy['allow_plaintext_backup'] === true,
    deletionAllowed: policy['deletion_allowed'] === true,
    softDeleted: policy['soft_deleted'] === true,
    minDecryption: count(policy, 'min_decryption_version') || 1,
    minEncryption: count(policy, 'min_encryption_version'),
    minAvailable: count(policy, 'min_available_version'),
    latest: count(policy, 'latest_version'),
    autoRotateSeconds: Math.floor(Number(policy['auto_rotate_period'] ?? 0) / nanoseconds),
    imported: policy['Imported'] === true,
    allowRotation: policy['AllowImportedKeyRotation'] === true,
    keyBytes: count(policy, 'key_size'),
    versions: readVersions(type, policy, parsed['archived_keys'], convergent),
  }
  if (record.derived && count(policy, 'kdf') !== hkdf)
    throw malformed('its keys are derived in a way that is not known here')
  assertWhole(record)
  return record
}

function readVersions(
  type: KeyType,
  policy: Fields,
  archive: unknown,
  convergent: boolean,
): KeyRecord['versions'] {
  const first = count(policy, 'archive_min_version')
  const archived = isObject(archive) && Array.isArray(archive['keys']) ? archive['keys'] : []
  const current = isObject(policy['keys']) ? Object.entries(policy['keys']) : []
  const all: [number, unknown][] = [
    ...archived.map((entry: unknown, at): [number, unknown] => [first + at, entry]),
    ...current.map(([number, entry]): [number, unknown] => [Number(number), entry]),
  ]
  const versions: Record<string, VersionRecord> = {}
  for (const [number, entry] of all) {
    if (number < 1 || !isObject(entry)) continue
    if (convergent && count(entry, 'convergent_version') !== convergentScheme)
      throw malformed('its nonces are made in a way that is not known here')
    versions[number] = readVersion(type, entry)
  }
  return versions
}

function readVersion(type: KeyType, entry: Fields): VersionRecord {
  const traits = traitsOf(type)
  const created = new Date(String(entry['time'] ?? ''))
  const createdAt = Number.isNaN(created.getTime()) ? new Date(count(entry, 'creation_time') * 1000) : created
  const hmac = bytes(entry, 'hmac_key')
  if (!hmac && traits.kind !== 'hmac') throw malformed('an HMAC key is missing')
  if (traits.kind === 'aead' || traits.kind === 'hmac') {
    const key = bytes(entry, 'key')
    if (!key || (traits.kind === 'aead' && key.length !== traits.keyBytes))
      throw malformed('a key has the wrong size')
    const own = traits.kind === 'hmac' ? key : (hmac ?? key)
    return {
      createdAt: createdAt.getTime(),
      secret: key.toString('base64'),
      publicKey: null,
      hmac: own.toString('base64'),
    }
  }
  const pair = orMalformed(() => readPair(type, entry))
  return ofPair(pair.privateKey, pair.publicKey, createdAt, hmac)
}

type Pair = { readonly privateKey: KeyObject | undefined; readonly publicKey: KeyObject }

function readPair(type: KeyType, entry: Fields): Pair {
  const { kind } = traitsOf(type)
  if (kind === 'rsa') return readRsa(entry)
  if (kind === 'ecdsa') return readEcdsa(type, entry)
  const raw = bytes(entry, 'key')
  if (raw) return pairOf(privateKeyOf(raw.subarray(0, 32)))
  const shown = decodeBase64(String(entry['public_key'] ?? '')) ?? Buffer.alloc(0)
  return {
    privateKey: undefined,
    publicKey: createPublicKey({ key: spkiOf(shown), format: 'der', type: 'spki' }),
  }
}

const pairOf = (privateKey: KeyObject): Pair => ({ privateKey, publicKey: provenPublicKey(privateKey) })

function readEcdsa(type: KeyType, entry: Fields): Pair {
  const traits = traitsOf(type)
  const curve = traits.kind === 'ecdsa' ? traits.name : ''
  const size = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }[curve] ?? 0
  const point = {
    kty: 'EC',
    crv: curve,
    x: base64Url(entry['ec_x'], size),
    y: base64Url(entry['ec_y'], size),
  }
  if (entry['ec_d'] === null || entry['ec_d'] === undefined)
    return { privateKey: undefined, publicKey: createPublicKey({ key: point, format: 'jwk' }) }
  return pairOf(privateFromJwk({ ...point, d: base64Url(entry['ec_d'], size) }))
}

function readRsa(entry: Fields): Pair {
  const full = entry['rsa_key']
  if (!isObject(full)) {
    const shown = isObject(entry['rsa_public_key']) ? entry['rsa_public_key'] : {}
    const key = { kty: 'RSA', n: base64Url(shown['N']), e: base64Url(shown['E']) }
    return { privateKey: undefined, publicKey: createPublicKey({ key, format: 'jwk' }) }
  }
  const [p, q] = Array.isArray(full['Primes']) ? full['Primes'] : []
  const known = isObject(full['Precomputed']) ? full['Precomputed'] : {}
  return pairOf(
    privateFromJwk({
      kty: 'RSA',
      n: base64Url(full['N']),
      e: base64Url(full['E']),
      d: base64Url(full['D']),
      p: base64Url(p),
      q: base64Url(q),
      dp: base64Url(known['Dp']),
      dq: base64Url(known['Dq']),
      qi: base64Url(known['Qinv']),
    }),
  )
}

const privateFromJwk = (key: JsonWebKey): KeyObject => createPrivateKey({ key, format: 'jwk' })

/** A number as a JSON web key writes it: its bytes, from the highest, at least `size` of them. */
function base64Url(value: unknown, size = 0): string {
  if (typeof value !== 'bigint' && typeof value !== 'number') throw malformed('a number is missing')
  const hex = BigInt(value).toString(16)
  const whole = hex.padStart(Math.max(size * 2, hex.length + (hex.length % 2)), '0')
  return Buffer.from(whole, 'hex').toString('base64url')
}

/** Every version that may be used has to be there, and the limits have to be possible. */
function assertWhole(record: KeyRecord): void {
  const { latest, minAvailable, minDecryption, minEncryption, versions } = record
  if (latest < 1 || minDecryption > latest || minEncryption > latest || minAvailable > latest)
    throw malformed('its version numbers contradict each other')
  for (let number = Math.max(1, minAvailable); number <= latest; number++)
    if (!versions[number]) throw malformed(`version ${number} is missing`)
  if (traitsOf(record.type).kind === 'hmac' && record.keyBytes === 0)
    throw malformed('the size of its key is missing')
}

function typeFor(number: unknown): KeyType {
  const found = (Object.keys(keyTypes) as KeyType[]).find((type) => typeNumbers[type] === number)
  if (!found) throw malformed('its type of key is not supported')
  return found
}

function count(fields: Fields, name: string): number {
  const value = fields[name] ?? 0
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw malformed(`"${name}" is no count`)
  return value
}

function bytes(fields: Fields, name: string): Buffer<ArrayBuffer> | undefined {
  const value = fields[name]
  if (value === null || value === undefined) return undefined
  const decoded = typeof value === 'string' ? decodeBase64(value) : undefined
  if (!decoded) throw malformed(`"${name}" is no base64`)
  return decoded
}

function orMalformed<T>(make: () => T): T {
  try {
    return make()
  } catch {
    // OpenSSL's own words may be about the key.
    throw malformed('a key in it is damaged')
  }
}

const malformed = (why: string): Error => invalid(`the backup cannot be restored: ${why}`)
