import type { Answer, OpenCall, PathSpec } from '../../engine.ts'
import { pemOf } from '../pem.ts'
import { chainOf, findIssuer, resolveIssuer } from './authority.ts'
import { issuerView, revocationTimes } from './issuer-paths.ts'
import type { Mount } from './mount.ts'
import { certificatePem } from './output.ts'
import { printSerial, serialName } from './serial.ts'
import type { PkiStore } from './store.ts'
import { altNamesIn, parseCertificate } from './x509/certificate.ts'
import { kindOfKey } from './x509/keys.ts'
import { printName, valuesIn } from './x509/name.ts'
import { oids } from './x509/oids.ts'

/** Certificates and revocation lists, for anybody: that is what they are for. */
export function fetchPaths(mount: Mount): PathSpec[] {
  const { store } = mount
  const open = (pattern: string, answer: (call: OpenCall) => Promise<Answer | undefined>): PathSpec => ({
    pattern,
    anybody: { operations: ['read'], answer },
  })
  const authority = (pattern: string, form: Form): PathSpec =>
    open(pattern, () => rawAuthority(store, 'default', form))
  const list = (pattern: string, form: Form): PathSpec =>
    open(pattern, (call) => rawList(mount, call.params['issuer'] ?? 'default', form))
  return [
    authority('ca', 'der'),
    authority('ca/pem', 'pem'),
    authority('cert/ca/raw', 'der'),
    authority('cert/ca/raw/pem', 'pem'),
    open('ca_chain', () => rawChain(store)),
    list('crl', 'der'),
    list('crl/pem', 'pem'),
    list('cert/crl/raw', 'der'),
    list('cert/crl/raw/pem', 'pem'),
    open('issuer/{issuer}/crl', async ({ params }) => ({
      data: { crl: pemOf('X509 CRL', await mount.lists.listOf(params['issuer'] ?? '')) },
    })),
    list('issuer/{issuer}/crl/der', 'der'),
    list('issuer/{issuer}/crl/pem', 'pem'),
    open('issuer/{issuer}/der', ({ params }) => rawAuthority(store, params['issuer'] ?? '', 'der')),
    open('issuer/{issuer}/pem', ({ params }) => rawAuthority(store, params['issuer'] ?? '', 'pem')),
    open('issuer/{issuer}/json', ({ params }) => publicIssuer(store, params['issuer'] ?? '')),
    open('cert/ca', () => certificateOf(store, 'ca')),
    open('cert/ca_chain', () => chainData(store)),
    open('cert/crl', async () => ({
      data: { certificate: pemOf('X509 CRL', await mount.lists.listOf('default')), ...notRevoked },
    })),
    open('cert/{serial}', ({ params }) => certificateOf(store, params['serial'] ?? '')),
    open('cert/{serial}/raw', ({ params }) => rawCertificate(store, params['serial'] ?? '', 'der')),
    open('cert/{serial}/raw/pem', ({ params }) => rawCertificate(store, params['serial'] ?? '', 'pem')),
    { pattern: 'certs', list: () => serials(store.certificates) },
    { pattern: 'certs/revoked', list: () => serials(store.revoked) },
    { pattern: 'certs/detailed', list: () => detailed(store) },
  ]
}

type Form = 'der' | 'pem'
const contentTypes = {
  certificate: { der: 'application/pkix-cert', pem: 'application/pem-certificate-chain' },
  list: { der: 'application/pkix-crl', pem: 'application/x-pem-file' },
} as const

function raw(kind: keyof typeof contentTypes, form: Form, bytes: Buffer, label: string): Answer {
  const contentType = contentTypes[kind][form]
  return { raw: { contentType, bytes: form === 'der' ? bytes : Buffer.from(pemOf(label, bytes)) } }
}

/** Nothing, instead of a refusal, where there is no authority yet: so do clients know it. */
async function rawAuthority(store: PkiStore, reference: string, form: Form): Promise<Answer> {
  const issuer =
    reference === 'default' ? await findIssuer(store, reference) : await resolveIssuer(store, reference)
  return issuer ? raw('certificate', form, issuer.certificate.der, 'CERTIFICATE') : {}
}

async function rawChain(store: PkiStore): Promise<Answer> {
  const issuer = await findIssuer(store, 'default')
  if (!issuer) return {}
  const text = (await chainOf(store, issuer)).map(({ der }) => certificatePem(der)).join('\n')
  return { raw: { contentType: 'application/pkix-cert', bytes: Buffer.from(text) } }
}

async function rawList({ store, lists }: Mount, reference: string, form: Form): Promise<Answer> {
  if (reference === 'default' && !(await findIssuer(store, reference))) return {}
  return raw('list', form, await lists.listOf(reference), 'X509 CRL')
}

async function publicIssuer(store: PkiStore, reference: string): Promise<Answer> {
  const { issuer_id, issuer_name, certificate, ca_chain } = await issuerView(
    store,
    await resolveIssuer(store, reference),
  )
  return { data: { issuer_id, issuer_name, certificate, ca_chain } }
}

const notRevoked = { revocation_time: 0, revocation_time_rfc3339: '' }

async function chainData(store: PkiStore): Promise<Answer> {
  const chain = await chainOf(store, await resolveIssuer(store, 'default'))
  const text = chain.map(({ der }) => certificatePem(der)).join('\n')
  return { data: { certificate: text, ca_chain: text, ...notRevoked } }
}

async function derOf(store: PkiStore, serial: string): Promise<Buffer | undefined> {
  if (serial === 'ca') return (await resolveIssuer(store, 'default')).certificate.der
  return store.certificates.get(serialName(serial))
}

async function certificateOf(store: PkiStore, serial: string): Promise<Answer | undefined> {
  const der = await derOf(store, serial)
  if (!der) return undefined
  const revoked = serial === 'ca' ? undefined : await store.revoked.get(serialName(serial))
  return {
    data: {
      certificate: certificatePem(der),
      ...(revoked ? revocationTimes(revoked.at) : notRevoked),
      ...(revoked?.issuerId ? { issuer_id: revoked.issuerId } : {}),
    },
  }
}

async function rawCertificate(store: PkiStore, serial: string, form: Form): Promise<Answer | undefined> {
  const der = await derOf(store, serial)
  return der && raw('certificate', form, der, 'CERTIFICATE')
}

async function serials(shelf: { names(): Promise<string[]> }): Promise<Answer | undefined> {
  const names = await shelf.names()
  if (names.length === 0) return undefined
  return {
    data: { keys: names.map((name) => printSerial(Buffer.from(name, 'hex'))) },
    note: { count: names.length },
  }
}

async function detailed(store: PkiStore): Promise<Answer | undefined> {
  const names = await store.certificates.names()
  if (names.length === 0) return undefined
  const info: [string, Record<string, unknown>][] = []
  for (const name of names) {
    const der = await store.certificates.get(name)
    if (der) info.push([printSerial(Buffer.from(name, 'hex')), details(der)])
  }
  return {
    data: { keys: info.map(([serial]) => serial), key_info: Object.fromEntries(info) },
    note: { count: names.length },
  }
}

const mostNames = 5

function details(der: Buffer): Record<string, unknown> {
  const certificate = parseCertificate(der)
  const kind = kindOfKey(certificate.publicKey)
  return {
    common_name: valuesIn(certificate.subject, oids.commonName)[0] ?? '',
    issuer: printName(certificate.issuer),
    key_type: kind?.type ?? 'unknown',
    key_bits: kind?.type === 'ed25519' ? 256 : (kind?.bits ?? 0),
    not_before: certificate.notBefore.toISOString(),
    not_after: certificate.notAfter.toISOString(),
    dns_names: altNamesIn(certificate.extensions).dns.slice(0, mostNames),
  }
}
