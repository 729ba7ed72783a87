import type { Answer, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, textField } from '../../fields.ts'
import { derFrom, pemBlocks, pemOf } from '../pem.ts'
import { invalid } from '../record-fields.ts'
import { authorityFor } from './authority.ts'
import { importBundle } from './import-paths.ts'
import { requestFrom, signIntermediate } from './issue.ts'
import type { Mount } from './mount.ts'
import { addKey, newName } from './new-issuer.ts'
import { certificateData, certificatePem, printCertificate, privateKeyFields } from './output.ts'
import { type Asked, askedFrom } from './profile.ts'
import { freeRole } from './role.ts'
import { hasUrls, keyFor, ownProfile, withoutIntermediates, withoutUrls } from './root-paths.ts'
import { newSerial, printSerial } from './serial.ts'
import type { PkiStore } from './store.ts'
import { parseCertificate, signCertificate } from './x509/certificate.ts'
import { accessExtensions, authorityKeyId, basicConstraints, keyUsage } from './x509/extensions.ts'
import { keyIdOf, schemeFor } from './x509/keys.ts'
import { oids } from './x509/oids.ts'
import { makeSigningRequest } from './x509/signing-request.ts'

/** Authorities below another: asked for here, signed there, brought back. */
export function intermediatePaths(mount: Mount): PathSpec[] {
  const generate = (pattern: string): PathSpec => ({
    pattern,
    events: { update: 'key.created' },
    post: (call) => generateRequest(mount, call),
  })
  const signBelow = (pattern: string): PathSpec => ({ pattern, post: (call) => signBelowUs(mount, call) })
  return [
    generate('intermediate/generate/{exported}'),
    generate('issuers/generate/intermediate/{exported}'),
    {
      pattern: 'intermediate/cross-sign',
      events: { update: 'key.created' },
      post: (call) => generateRequest(mount, { ...call, params: { exported: 'existing' } }),
    },
    {
      pattern: 'intermediate/set-signed',
      update: (tx, call) => importBundle(mount, tx, call, textField(call.body, 'certificate') ?? '', false),
    },
    signBelow('root/sign-intermediate'),
    signBelow('issuer/{issuer}/sign-intermediate'),
    ...['root/sign-self-issued', 'issuer/{issuer}/sign-self-issued'].map((pattern) => ({
      pattern,
      sudo: true,
      post: (call: Call) => signSelfIssued(mount.store, call),
    })),
  ]
}

async function generateRequest(mount: Mount, call: Call): Promise<WriteHandler> {
  const { store } = mount
  const { role, asked, subject, extensions } = ownProfile(call.body, call.token.record.displayName)
  const keyName = await newName(store, call.body, 'key')
  const { key, exported, existing } = await keyFor(store, call)
  const wanted = [
    keyUsage(['CertSign', 'CRLSign']),
    ...(booleanField(call.body, 'add_basic_constraints') ? [basicConstraints(true)] : []),
    ...extensions,
  ]
  const scheme = schemeFor(key, role.signature_bits, role.use_pss)
  const der = await makeSigningRequest(subject, wanted, key, scheme)
  return async (tx) => {
    const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
    const { record } = await addKey(tx, store, pem, existing ? '' : keyName)
    const keyFields: Record<string, string> = exported ? privateKeyFields(key, asked) : {}
    const csr = asked.format === 'der' ? der.toString('base64') : pemOf('CERTIFICATE REQUEST', der)
    return {
      data: {
        csr: asked.format === 'pem_bundle' && exported ? `${keyFields['private_key']}\n${csr}` : csr,
        key_id: record.id,
        ...keyFields,
      },
      warnings: (await hasUrls(store)) ? [] : [withoutUrls],
      note: { key: record.id, exported },
    }
  }
}

async function signBelowUs(mount: Mount, call: Call): Promise<WriteHandler> {
  const { store } = mount
  const { body, now } = call
  const asked = askedFrom(body)
  const request = requestFrom(body)
  const reference = call.params['issuer'] ?? (textField(body, 'issuer_ref') || 'default')
  const found = await authorityFor(store, reference, 'issuing-certificates')
  // An authority may outlive the one above it.
  const authority = {
    ...found,
    issuer: { ...found.issuer, record: { ...found.issuer.record, leafNotAfter: 'permit' as const } },
  }
  const role = freeRole(body, {
    use_csr_common_name: asked.common_name === '',
    use_csr_sans: false,
    require_cn: false,
  })
  const made = await signIntermediate(
    authority,
    {
      role,
      asked,
      body,
      limits: mount.limits(),
      displayName: call.token.record.displayName,
      now,
      serial: newSerial(),
    },
    request,
  )
  const { pathLength } = parseCertificate(made.der)
  return async (tx) => {
    await store.certificates.put(tx, made.serial.toString('hex'), made.der)
    return {
      data: withOwnChain(certificateData({ der: made.der, chain: found.chain }, asked), made.der, asked),
      warnings: [
        ...made.warnings,
        ...((await hasUrls(store)) ? [] : [withoutUrls]),
        ...(pathLength === 0 ? [withoutIntermediates] : []),
      ],
      note: { serial: printSerial(made.serial), issuer: found.issuer.record.id },
    }
  }
}

/** What points to the issuer; the rest of a certificate stays as it is. */
const pointers: ReadonlySet<string> = new Set([
  oids.authorityKeyId,
  oids.authorityInfoAccess,
  oids.crlDistributionPoints,
])

/** Another's root, signed by this authority too: so do clients of the one come to trust the other. */
async function signSelfIssued(store: PkiStore, { params, body }: Call): Promise<Answer> {
  const pem = textField(body, 'certificate') ?? ''
  if (pemBlocks(pem).length === 0) throw invalid('certificate could not be PEM-decoded')
  const given = parseCertificate(derFrom(pem, ['CERTIFICATE']))
  if (!given.ca) throw invalid('given certificate is not a CA certificate')
  if (!given.issuer.equals(given.subject)) throw invalid('given certificate is not self-issued')
  const authority = await authorityFor(store, params['issuer'] ?? 'default', 'issuing-certificates')
  const { certificate } = authority.issuer
  const kept = [...given.extensions].filter(([oid]) => !pointers.has(oid)).map(([, { whole }]) => whole)
  const der = await signCertificate(
    {
      ...given,
      issuer: certificate.subject,
      extensions: [
        ...kept,
        authorityKeyId(certificate.subjectKeyId ?? keyIdOf(certificate.spki)),
        ...accessExtensions(authority.urls),
      ],
    },
    authority.key,
    schemeFor(authority.key, 0, false),
  )
  return {
    data: { certificate: certificatePem(der), issuing_ca: certificatePem(certificate.der) },
    note: { serial: printSerial(given.serial), issuer: authority.issuer.record.id },
  }
}

/** The chain of a new authority begins with itself: it is what the authority will send. */
function withOwnChain(data: Record<string, unknown>, der: Uint8Array, asked: Asked): Record<string, unknown> {
  const chain = data['ca_chain']
  return { ...data, ca_chain: [printCertificate(der, asked), ...(Array.isArray(chain) ? chain : [])] }
}
