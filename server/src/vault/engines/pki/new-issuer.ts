import { randomUUID } from 'node:crypto'
import type { Reader, Tx } from '../../../store/index.ts'
import type { Answer, Body } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { invalid } from '../record-fields.ts'
import { provenPublicKey } from '../transit/material.ts'
import { allIssuers, allKeys, findIssuer } from './authority.ts'
import { type IssuerRecord, issuerUsages, type KeyRecord, type PkiStore } from './store.ts'
import type { Certificate } from './x509/certificate.ts'
import { kindOfKey, privateKeyFrom, spkiOf } from './x509/keys.ts'

const namePattern = /^\w(?:[\w.-]*\w)?$/

/** The name that a request gives an issuer or a key; it has to be new. */
export async function newName(
  store: PkiStore,
  body: Body,
  kind: 'issuer' | 'key',
  reader?: Reader,
): Promise<string> {
  const written = textField(body, `${kind}_name`)
  if (written === undefined) return ''
  const name = written.trim()
  if (kind === 'issuer' && name === '') throw invalid('issuer name cannot be empty')
  assertName(name, kind)
  const taken =
    kind === 'issuer'
      ? await findIssuer(store, name, reader)
      : (await allKeys(store, reader)).find(({ record }) => record.name === name || record.id === name)
  if (taken && name !== '') throw invalid(`${kind} name already in use`)
  return name
}

export function assertName(name: string, kind: 'issuer' | 'key'): void {
  if (name.toLowerCase() === 'default')
    throw invalid(`reserved keyword 'default' can not be used as ${kind} name`)
  if (name !== '' && !namePattern.test(name)) throw invalid(`${kind} name contained invalid characters`)
}

/** A key of the mount; one that is there already is not stored twice. */
export async function addKey(
  tx: Tx,
  store: PkiStore,
  pem: string,
  name: string,
): Promise<{ record: KeyRecord; existed: boolean }> {
  const key = privateKeyFrom(pem)
  const kind = key && kindOfKey(key)
  if (!key || !kind) throw invalid('the private key is encrypted, damaged or of a kind that is not supported')
  provenPublicKey(key)
  const spki = spkiOf(key)
  const known = (await allKeys(store, tx)).find((stored) => spkiOf(stored.key).equals(spki))
  if (known) return { record: known.record, existed: true }
  const record: KeyRecord = {
    id: randomUUID(),
    name,
    type: kind.type,
    pem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
  await store.keys.put(tx, record.id, record)
  await adoptKey(tx, store, record, spki)
  return { record, existed: false }
}

/** The first key is the default, and issuers that waited for it get it. */
async function adoptKey(tx: Tx, store: PkiStore, { id }: KeyRecord, spki: Buffer): Promise<void> {
  if ((await store.config('keys', tx)).default === '') await store.setConfig(tx, 'keys', { default: id })
  for (const { record, certificate } of await allIssuers(store, tx))
    if (record.keyId === '' && certificate.spki.equals(spki))
      await store.issuers.put(tx, record.id, { ...record, keyId: id })
}

/** An issuer of the mount, with its key if that is here. The first is the default. */
export async function addIssuer(
  tx: Tx,
  store: PkiStore,
  certificate: Certificate,
  name: string,
  now: Date,
): Promise<{ record: IssuerRecord; existed: boolean }> {
  if (!certificate.ca) throw invalid('Refusing to import non-CA certificate')
  const known = (await allIssuers(store, tx)).find((issuer) => issuer.certificate.der.equals(certificate.der))
  if (known) return { record: known.record, existed: true }
  const key = (await allKeys(store, tx)).find((stored) => spkiOf(stored.key).equals(certificate.spki))
  const record: IssuerRecord = {
    id: randomUUID(),
    name,
    keyId: key?.record.id ?? '',
    certificate: certificate.der.toString('base64'),
    manualChain: [],
    leafNotAfter: 'err',
    usage: certificate.usages?.includes('CRLSign') === false ? withoutLists : issuerUsages,
    revocationPss: false,
    revocationBits: 0,
    revokedAt: null,
    urls: null,
    createdAt: now.getTime(),
  }
  await store.issuers.put(tx, record.id, record)
  return { record, existed: false }
}

const withoutLists = issuerUsages.filter((usage) => usage !== 'crl-signing')

/** Makes it the default when there is none, or when the default follows the latest. */
export async function adoptIssuer(tx: Tx, store: PkiStore, issuerId: string): Promise<void> {
  const config = await store.config('issuers', tx)
  if (config.default === '' || config.default_follows_latest_issuer)
    await store.setConfig(tx, 'issuers', { ...config, default: issuerId })
}

export async function setDefaultIssuer(
  store: PkiStore,
  tx: Tx,
  reference: string,
  follows?: boolean,
): Promise<Answer> {
  if (reference === '' || reference === 'default')
    throw invalid("Invalid issuer specification; must be non-empty and can't be 'default'.")
  const found = await findIssuer(store, reference, tx)
  if (!found)
    throw invalid(`Error resolving issuer reference: unable to find PKI issuer for reference: ${reference}`)
  const { record } = found
  const before = await store.config('issuers', tx)
  const config = {
    default: record.id,
    default_follows_latest_issuer: follows ?? before.default_follows_latest_issuer,
  }
  await store.setConfig(tx, 'issuers', config)
  return { data: config, warnings: record.keyId === '' ? [withoutKey] : [], note: config }
}

const withoutKey =
  'This selected default issuer has no key associated with it. Some operations like issuing certificates and signing CRLs will be unavailable with the requested default issuer until a key is imported or the default issuer is changed.'
