import { createHash, type KeyObject } from 'node:crypto'
import type { AppError } from '../../../core/index.ts'
import type { Reader } from '../../../store/index.ts'
import { invalid } from '../record-fields.ts'
import type { Issuer, IssuerRecord, IssuerUsage, PkiStore, StoredKey, Urls } from './store.ts'
import type { Certificate } from './x509/certificate.ts'
import type { AccessUrls } from './x509/extensions.ts'
import { type SignatureScheme, schemeFor } from './x509/keys.ts'

/** An issuer that can sign now. */
export type Authority = {
  readonly issuer: Issuer
  readonly key: KeyObject
  /** Itself and who signed it, as far as they are known here. */
  readonly chain: readonly Certificate[]
  readonly urls: AccessUrls
}

/** `default`, an id or a name. */
export async function resolveIssuer(store: PkiStore, reference: string, reader?: Reader): Promise<Issuer> {
  const found = await findIssuer(store, reference, reader)
  if (found) return found
  throw reference === 'default'
    ? invalid('no default issuer currently configured')
    : invalid(`unable to find PKI issuer for reference: ${reference}`)
}

export async function findIssuer(
  store: PkiStore,
  reference: string,
  reader?: Reader,
): Promise<Issuer | undefined> {
  const id = reference === 'default' ? (await store.config('issuers', reader)).default : reference
  if (id === '') return undefined
  const byId = await store.issuers.get(id, reader)
  if (byId) return byId
  return (await allIssuers(store, reader)).find(({ record }) => record.name === id)
}

export async function allIssuers(store: PkiStore, reader?: Reader): Promise<Issuer[]> {
  const ids = await store.issuers.names(reader)
  const issuers = await Promise.all(ids.map((id) => store.issuers.get(id, reader)))
  return issuers.flatMap((issuer) => issuer ?? [])
}

export async function allKeys(store: PkiStore, reader?: Reader): Promise<StoredKey[]> {
  const ids = await store.keys.names(reader)
  const keys = await Promise.all(ids.map((id) => store.keys.get(id, reader)))
  return keys.flatMap((key) => key ?? [])
}

export async function resolveKey(store: PkiStore, reference: string, reader?: Reader): Promise<StoredKey> {
  const id = reference === 'default' ? (await store.config('keys', reader)).default : reference
  if (id === '') throw invalid('no default key currently configured')
  const byId = await store.keys.get(id, reader)
  const found = byId ?? (await allKeys(store, reader)).find(({ record }) => record.name === id)
  if (!found) throw invalid(`unable to find PKI key for reference: ${reference}`)
  return found
}

/** Throws when the issuer is not there, has no key here or may not be used for this. */
export async function authorityFor(
  store: PkiStore,
  reference: string,
  usage: IssuerUsage,
): Promise<Authority> {
  const refused = (why: string): AppError =>
    invalid(`could not fetch the CA certificate (was one set?): ${why}`)
  const issuer = await findIssuer(store, reference)
  if (!issuer)
    throw refused(
      reference === 'default'
        ? 'no default issuer currently configured'
        : `unable to find PKI issuer for reference: ${reference}`,
    )
  const { record } = issuer
  if (!record.usage.includes(usage))
    throw refused(`issuer ${nameOrId(record)} does not have the usage ${usage}`)
  const key = record.keyId === '' ? undefined : await store.keys.get(record.keyId)
  if (!key) throw refused(`the key of issuer ${nameOrId(record)} is not in this mount, so it signs nothing`)
  return {
    issuer,
    key: key.key,
    chain: await chainOf(store, issuer),
    urls: await urlsFor(store, record.id, record.urls),
  }
}

const nameOrId = ({ name, id }: Pick<IssuerRecord, 'name' | 'id'>): string => name || id

/** How this issuer signs revocation lists and answers. */
export const revocationScheme = ({ issuer: { record }, key }: Authority): SignatureScheme =>
  schemeFor(key, record.revocationBits, record.revocationPss)

/** The certificates from an issuer up to its root, or as far up as they are here. */
export async function chainOf(store: PkiStore, issuer: Issuer): Promise<Certificate[]> {
  if (issuer.record.manualChain.length > 0) {
    const chosen = await Promise.all(issuer.record.manualChain.map((id) => store.issuers.get(id)))
    return chosen.flatMap((found) => found?.certificate ?? [])
  }
  const known = await allIssuers(store)
  const chain = [issuer.certificate]
  for (let last = issuer.certificate; !store.isIssuedBy(last, last); ) {
    const above = known.find(
      ({ certificate }) => !chain.includes(certificate) && store.isIssuedBy(last, certificate),
    )
    if (!above) break
    last = above.certificate
    chain.push(last)
  }
  return chain
}

/** The URLs of the issuer, or those of the mount, with what is written in braces filled in. */
export async function urlsFor(store: PkiStore, issuerId: string, own: Urls | null): Promise<AccessUrls> {
  const urls = own ?? (await store.config('urls'))
  const cluster = await store.config('cluster')
  const fill = (url: string): string => {
    if (!urls.enable_templating) return url
    const filled = url
      .replaceAll('{{issuer_id}}', issuerId)
      .replaceAll('{{cluster_path}}', cluster.path)
      .replaceAll('{{cluster_aia_path}}', cluster.aia_path)
    if (!URL.canParse(filled)) throw invalid(`unable to build AIA URL "${url}": set config/cluster first`)
    return filled
  }
  return {
    issuingCertificates: urls.issuing_certificates.map(fill),
    crlDistributionPoints: urls.crl_distribution_points.map(fill),
    ocspServers: urls.ocsp_servers.map(fill),
  }
}

/** Certificates with the same name and key are one authority: a revocation by one holds for all. */
export const familyOf = ({ subject, spki }: Pick<Certificate, 'subject' | 'spki'>): string =>
  createHash('sha256').update(subject).update(spki).digest('hex')
