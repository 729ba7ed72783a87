import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Reader, Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Role } from './role.ts'
import { type Certificate, isIssuedBy, parseCertificate } from './x509/certificate.ts'
import type { KeyType } from './x509/keys.ts'

export type KeyRecord = {
  readonly id: string
  readonly name: string
  readonly type: KeyType
  /** PKCS #8 in PEM. */
  readonly pem: string
}
export type StoredKey = { readonly record: KeyRecord; readonly key: KeyObject }

export const issuerUsages = ['crl-signing', 'issuing-certificates', 'ocsp-signing', 'read-only'] as const
export type IssuerUsage = (typeof issuerUsages)[number]
export const leafBehaviors = ['err', 'truncate', 'permit'] as const

export type Urls = {
  readonly issuing_certificates: readonly string[]
  readonly crl_distribution_points: readonly string[]
  readonly delta_crl_distribution_points: readonly string[]
  readonly ocsp_servers: readonly string[]
  readonly enable_templating: boolean
}

export type IssuerRecord = {
  readonly id: string
  readonly name: string
  /** Empty: its key is not here, so it signs nothing. */
  readonly keyId: string
  /** DER in base64. */
  readonly certificate: string
  /** Issuers that go along with its certificates, itself first, instead of those that are found. */
  readonly manualChain: readonly string[]
  readonly leafNotAfter: (typeof leafBehaviors)[number]
  readonly usage: readonly IssuerUsage[]
  /** Of revocation lists; null: as usual for its key. */
  readonly revocationPss: boolean
  readonly revocationBits: number
  /** Milliseconds. */
  readonly revokedAt: number | null
  readonly urls: Urls | null
  readonly createdAt: number
}
export type Issuer = { readonly record: IssuerRecord; readonly certificate: Certificate }

/** All times in milliseconds. `family` is the issuer's name and key, which several certificates of it share. */
export type RevokedRecord = {
  readonly at: number
  readonly notAfter: number
  readonly family: string
  /** Empty: none of this mount. */
  readonly issuerId: string
}
/** The revocation list of a family: its number, and when its content was last as it is now. */
export type ListState = { readonly number: number; readonly at: number }

export type CrlConfig = {
  readonly expiry: string
  readonly disable: boolean
  readonly ocsp_disable: boolean
  readonly ocsp_expiry: string
  readonly auto_rebuild: boolean
  readonly auto_rebuild_grace_period: string
  readonly enable_delta: boolean
  readonly delta_rebuild_interval: string
  readonly allow_expired_cert_revocation: boolean
}

type AutoTidy = {
  readonly enabled: boolean
  readonly interval_duration: number
  readonly tidy_cert_store: boolean
  readonly tidy_revoked_certs: boolean
  readonly tidy_revoked_cert_issuer_associations: boolean
  readonly tidy_expired_issuers: boolean
  readonly safety_buffer: number
  readonly issuer_safety_buffer: number
}

type Configs = {
  readonly issuers: { readonly default: string; readonly default_follows_latest_issuer: boolean }
  readonly keys: { readonly default: string }
  readonly urls: Urls
  readonly crl: CrlConfig
  readonly cluster: { readonly path: string; readonly aia_path: string }
  readonly tidy: Readonly<Record<string, string | number | boolean>>
  readonly autoTidy: AutoTidy
}

/** Settings as they are before anybody changes them. */
const defaults: Configs = {
  issuers: { default: '', default_follows_latest_issuer: false },
  keys: { default: '' },
  urls: {
    issuing_certificates: [],
    crl_distribution_points: [],
    delta_crl_distribution_points: [],
    ocsp_servers: [],
    enable_templating: false,
  },
  crl: {
    expiry: '72h',
    disable: false,
    ocsp_disable: false,
    ocsp_expiry: '12h',
    auto_rebuild: false,
    auto_rebuild_grace_period: '12h',
    enable_delta: false,
    delta_rebuild_interval: '15m',
    allow_expired_cert_revocation: false,
  },
  cluster: { path: '', aia_path: '' },
  tidy: {},
  autoTidy: {
    enabled: false,
    interval_duration: 12 * 3600,
    tidy_cert_store: false,
    tidy_revoked_certs: false,
    tidy_revoked_cert_issuer_associations: false,
    tidy_expired_issuers: false,
    safety_buffer: 72 * 3600,
    issuer_safety_buffer: 365 * 86_400,
  },
}

export type Shelf<Stored, Seen = Stored> = {
  get(name: string, reader?: Reader): Promise<Seen | undefined>
  put(tx: Tx, name: string, value: Stored): Promise<void>
  remove(tx: Tx, name: string): Promise<boolean>
  names(reader?: Reader): Promise<string[]>
}

/** What one mount keeps, all of it behind the barrier. A certificate is an entry of its own, and so is a revocation. */
export type PkiStore = {
  readonly issuers: Shelf<IssuerRecord, Issuer>
  readonly keys: Shelf<KeyRecord, StoredKey>
  readonly roles: Shelf<Role>
  /** By serial number in hexadecimal. */
  readonly certificates: Shelf<Buffer, Buffer>
  readonly revoked: Shelf<RevokedRecord>
  readonly lists: Shelf<ListState>
  config<K extends keyof Configs>(kind: K, reader?: Reader): Promise<Configs[K]>
  setConfig<K extends keyof Configs>(tx: Tx, kind: K, value: Configs[K]): Promise<void>
  /** As the certificates say; two that stay in memory are checked once. */
  isIssuedBy(certificate: Certificate, issuer: Certificate): boolean
  wipe(tx: Tx): Promise<void>
}

export function createPkiStore(barrier: Barrier, mountId: string): PkiStore {
  const root = `pki/${mountId}/`
  const checked = new WeakMap<Certificate, WeakMap<Certificate, boolean>>()

  function shelf<Stored, Seen>(
    folder: string,
    parse: (bytes: Buffer) => Seen,
    bytesOf: (value: Stored) => Buffer | string = (value) => JSON.stringify(value),
  ): Shelf<Stored, Seen> {
    const place = `${root}${folder}/`
    return {
      get: (name, reader) => barrier.view(place + name, parse, reader),
      put: (tx, name, value) => barrier.put(tx, place + name, bytesOf(value)),
      remove: (tx, name) => barrier.delete(tx, place + name),
      names: (reader) => barrier.list(place, reader),
    }
  }
  const configs = shelf<Configs[keyof Configs], unknown>('config', jsonFrom)

  return {
    issuers: shelf('issuers', issuerFrom),
    keys: shelf('keys', keyFrom),
    roles: shelf('roles', jsonFrom<Role>),
    certificates: shelf<Buffer, Buffer>(
      'certs',
      (bytes) => bytes,
      (bytes) => bytes,
    ),
    revoked: shelf('revoked', jsonFrom<RevokedRecord>),
    lists: shelf('lists', jsonFrom<ListState>),
    async config<K extends keyof Configs>(kind: K, reader?: Reader) {
      const stored = (await configs.get(kind, reader)) as Partial<Configs[K]> | undefined
      return { ...defaults[kind], ...stored }
    },
    setConfig: (tx, kind, value) => configs.put(tx, kind, value),
    isIssuedBy(certificate, issuer) {
      const known = checked.get(certificate) ?? new WeakMap<Certificate, boolean>()
      checked.set(certificate, known)
      const answer = known.get(issuer) ?? isIssuedBy(certificate, issuer)
      known.set(issuer, answer)
      return answer
    },
    wipe: (tx) => barrier.deleteFolder(tx, root),
  }
}

const jsonFrom = <T>(bytes: Buffer): T => JSON.parse(bytes.toString('utf8')) as T

function issuerFrom(bytes: Buffer): Issuer {
  const record = jsonFrom<IssuerRecord>(bytes)
  return { record, certificate: parseCertificate(Buffer.from(record.certificate, 'base64')) }
}

function keyFrom(bytes: Buffer): StoredKey {
  const record = jsonFrom<KeyRecord>(bytes)
  return { record, key: createPrivateKey(record.pem) }
}
