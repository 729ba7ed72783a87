import type { KeyObject } from 'node:crypto'
import type { Tx } from '../../../store/index.ts'
import type { Answer, Body, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { countField, listField, textField } from '../../fields.ts'
import { invalid } from '../record-fields.ts'
import { familyOf, resolveKey, urlsFor } from './authority.ts'
import { pathLengthFrom } from './issue.ts'
import type { Mount } from './mount.ts'
import { addIssuer, addKey, adoptIssuer, newName, setDefaultIssuer } from './new-issuer.ts'
import { certificatePem, privateKeyFields, timesOf } from './output.ts'
import { type Asked, askedFrom, profileOf } from './profile.ts'
import { freeRole, policiesOf, type Role } from './role.ts'
import { newSerial, printSerial } from './serial.ts'
import type { PkiStore } from './store.ts'
import { validityOf } from './validity.ts'
import { parseCertificate, signCertificate } from './x509/certificate.ts'
import {
  accessExtensions,
  authorityKeyId,
  basicConstraints,
  certificatePolicies,
  hasNames,
  keyUsage,
  permittedDnsDomains,
  subjectAltName,
  subjectKeyId,
} from './x509/extensions.ts'
import { keyIdOf, keyKindOf, newPrivateKey, schemeFor, spkiOf } from './x509/keys.ts'
import { isEmptyName, nameOf } from './x509/name.ts'

/** Roots: certificates that sign themselves. */
export function rootPaths(mount: Mount): PathSpec[] {
  const generate = (pattern: string): PathSpec => ({
    pattern,
    events: { update: 'key.created' },
    post: (call) => generateRoot(mount, call),
  })
  return [
    generate('root/generate/{exported}'),
    generate('root/rotate/{exported}'),
    generate('issuers/generate/root/{exported}'),
    {
      pattern: 'root/replace',
      update: (tx, { body }) => setDefaultIssuer(mount.store, tx, textField(body, 'default') || 'next'),
    },
    {
      pattern: 'root',
      sudo: true,
      delete: (tx) => deleteAll(mount.store, tx),
      events: { delete: 'key.deleted' },
    },
  ]
}

/** Where a key comes from and whether the caller gets it. */
export async function keyFor(
  store: PkiStore,
  { params, body }: Call,
): Promise<{ key: KeyObject; exported: boolean; existing: boolean }> {
  const exported = params['exported'] ?? ''
  if (!['internal', 'exported', 'existing'].includes(exported))
    throw invalid('the "exported" path parameter must be "internal", "exported" or "existing"')
  if (exported !== 'existing') {
    const kind = keyKindOf(textField(body, 'key_type') || 'rsa', countField(body, 'key_bits') ?? 0)
    return { key: await newPrivateKey(kind), exported: exported === 'exported', existing: false }
  }
  if (body['key_type'] !== undefined || body['key_bits'] !== undefined)
    throw invalid('key_type and key_bits cannot be set when an existing key is used')
  const { key } = await resolveKey(store, textField(body, 'key_ref') || 'default')
  return { key, exported: false, existing: true }
}

/** What a body says about an authority of this mount's own. */
export function ownProfile(
  body: Body,
  displayName: string,
): {
  role: Role
  asked: Asked
  subject: Buffer
  extensions: Buffer[]
} {
  const role = freeRole(body, { require_cn: false })
  const asked = askedFrom(body)
  const { subject, names } = profileOf({ role, asked, request: undefined, displayName })
  const name = nameOf(subject)
  return {
    role,
    asked,
    subject: name,
    extensions: hasNames(names) ? [subjectAltName(names, isEmptyName(name))] : [],
  }
}

async function generateRoot(mount: Mount, call: Call): Promise<WriteHandler> {
  const { store } = mount
  const { body, now } = call
  const { role, asked, subject, extensions } = ownProfile(body, call.token.record.displayName)
  const wantedName = await newName(store, body, 'issuer')
  const keyName = await newName(store, body, 'key')
  const { notBefore, notAfter, warnings } = validityOf({
    role,
    asked,
    limits: mount.limits(),
    now,
    issuer: undefined,
  })
  const { key, exported } = await keyFor(store, call)
  const der = await signRoot({ store, body, role, subject, extensions, notBefore, notAfter, key })
  const certificate = parseCertificate(der)

  return async (tx) => {
    const name = wantedName || (await rotatedName(store, call, tx))
    await newName(store, { issuer_name: name || undefined }, 'issuer', tx)
    const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
    const { record: keyRecord } = await addKey(tx, store, pem, keyName)
    const { record } = await addIssuer(tx, store, certificate, name, now)
    await adoptIssuer(tx, store, record.id)
    await mount.lists.touch(tx, familyOf(certificate), now)
    await store.certificates.put(tx, certificate.serial.toString('hex'), der)
    return {
      data: {
        ...timesOf(certificate),
        ...rootData(der, key, asked, exported),
        serial_number: printSerial(certificate.serial),
        issuer_id: record.id,
        issuer_name: record.name,
        key_id: keyRecord.id,
        key_name: keyRecord.name,
      },
      warnings: [
        ...warnings,
        ...(isEmptyName(subject) ? [withoutSubject] : []),
        ...((await hasUrls(store)) ? [] : [withoutUrls]),
        ...(certificate.pathLength === 0 ? [withoutIntermediates] : []),
      ],
      note: { issuer: record.id, key: keyRecord.id, serial: printSerial(certificate.serial), exported },
    }
  }
}

function rootData(der: Buffer, key: KeyObject, asked: Asked, exported: boolean): Record<string, string> {
  const certificate = asked.format === 'der' ? der.toString('base64') : certificatePem(der)
  const data = { certificate, issuing_ca: certificate }
  if (!exported) return data
  const fields = privateKeyFields(key, asked)
  const bundle = asked.format === 'pem_bundle' ? `${fields['private_key']}\n${certificate}` : certificate
  return { ...data, ...fields, certificate: bundle }
}

export async function hasUrls(store: PkiStore): Promise<boolean> {
  const { issuing_certificates, crl_distribution_points, ocsp_servers } = await store.config('urls')
  return [issuing_certificates, crl_distribution_points, ocsp_servers].some((list) => list.length > 0)
}

const withoutSubject =
  'This issuer certificate was generated without a Subject; this makes it likely that issuing leaf certs with this certificate will cause TLS validation libraries to reject this certificate.'
export const withoutUrls =
  "This mount hasn't configured any authority information access (AIA) fields: write config/urls, so that clients find the chain and what is revoked."
export const withoutIntermediates =
  'Max path length of the generated certificate is zero. This certificate cannot be used to issue intermediate CA certificates.'

type Root = {
  readonly store: PkiStore
  readonly body: Body
  readonly role: Role
  readonly subject: Buffer
  readonly extensions: readonly Buffer[]
  readonly notBefore: Date
  readonly notAfter: Date
  readonly key: KeyObject
}

async function signRoot({ store, body, role, subject, extensions, key, ...times }: Root): Promise<Buffer> {
  const spki = spkiOf(key)
  const keyId = keyIdOf(spki)
  const domains = listField(body, 'permitted_dns_domains') ?? []
  const policies = policiesOf(role)
  // A root that names itself in its own URLs would need its id before it has one; then they are left out.
  const urls = await urlsFor(store, '', null).catch(() => undefined)
  return signCertificate(
    {
      serial: newSerial(),
      issuer: subject,
      subject,
      ...times,
      spki,
      extensions: [
        keyUsage(['CertSign', 'CRLSign']),
        basicConstraints(true, pathLengthFrom(body)),
        subjectKeyId(keyId),
        authorityKeyId(keyId),
        ...extensions,
        ...(policies.length > 0 ? [certificatePolicies(policies)] : []),
        ...(domains.length > 0 ? [permittedDnsDomains(domains)] : []),
        ...(urls ? accessExtensions(urls) : []),
      ],
    },
    key,
    schemeFor(key, role.signature_bits, role.use_pss),
  )
}

/** A root that is to take over is called `next` until it does, unless somebody has that name. */
async function rotatedName(store: PkiStore, call: Call, tx: Tx): Promise<string> {
  if (!call.path.includes('/root/rotate/')) return ''
  const taken = await newName(store, { issuer_name: 'next' }, 'issuer', tx).catch(() => undefined)
  return taken ?? ''
}

/** Keys and issuers; what they signed stays, to be looked up. */
async function deleteAll(store: PkiStore, tx: Tx): Promise<Answer> {
  const [issuers, keys] = [await store.issuers.names(tx), await store.keys.names(tx)]
  for (const id of issuers) await store.issuers.remove(tx, id)
  for (const id of keys) await store.keys.remove(tx, id)
  await store.setConfig(tx, 'issuers', { ...(await store.config('issuers', tx)), default: '' })
  await store.setConfig(tx, 'keys', { default: '' })
  return {
    warnings: [
      'DELETE /root deletes all keys and issuers; prefer the new DELETE /key/:key_ref and DELETE /issuer/:issuer_ref for finer granularity, unless removal of all keys and issuers is desired.',
    ],
    note: { issuers: issuers.length, keys: keys.length },
  }
}
