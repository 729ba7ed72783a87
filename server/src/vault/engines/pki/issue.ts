import type { KeyObject } from 'node:crypto'
import type { Body } from '../../engine.ts'
import { booleanField, countField, listField, textField } from '../../fields.ts'
import { derFrom, pemBlocks } from '../pem.ts'
import { invalid } from '../record-fields.ts'
import type { Authority } from './authority.ts'
import { type Asked, profileOf } from './profile.ts'
import { extendedKeyUsagesOf, keyUsagesOf, policiesOf, type Role } from './role.ts'
import { type TtlLimits, type Validity, validityOf } from './validity.ts'
import { type Extension, signCertificate } from './x509/certificate.ts'
import {
  accessExtensions,
  authorityKeyId,
  basicConstraints,
  certificatePolicies,
  extendedKeyUsage,
  hasNames,
  keyUsage,
  permittedDnsDomains,
  subjectAltName,
  subjectKeyId,
} from './x509/extensions.ts'
import { type KeyKind, keyIdOf, kindOfKey, newPrivateKey, schemeFor, spkiOf } from './x509/keys.ts'
import { isEmptyName, nameOf } from './x509/name.ts'
import { oids } from './x509/oids.ts'
import { parseSigningRequest, type SigningRequest } from './x509/signing-request.ts'

export type Application = {
  readonly role: Role
  readonly asked: Asked
  readonly body: Body
  readonly limits: TtlLimits
  readonly displayName: string
  readonly now: Date
  /** Of the certificate to be. */
  readonly serial: Buffer
}
export type Made = {
  readonly der: Buffer
  readonly serial: Buffer
  readonly notAfter: Date
  readonly warnings: readonly string[]
  /** Given out once, and kept nowhere. */
  readonly privateKey?: KeyObject
}

/** A new key and a certificate for it. */
export async function issueCertificate(
  authority: Authority,
  application: Application,
  kind: KeyKind,
): Promise<Made> {
  // First all that can be refused: a key takes its time.
  const parts = leafParts(authority, application, undefined)
  const privateKey = await newPrivateKey(kind)
  const made = await sign(authority, application, { ...parts, spki: spkiOf(privateKey), ca: false })
  return { ...made, privateKey }
}

/** A certificate for the key of a signing request. */
export async function signRequest(
  authority: Authority,
  application: Application,
  request: SigningRequest,
  verbatim: boolean,
): Promise<Made> {
  assertKey(application.role, request.publicKey)
  const parts = verbatim
    ? verbatimParts(authority, application, request)
    : leafParts(authority, application, request)
  return sign(authority, application, { ...parts, spki: request.spki, ca: false })
}

/** An authority below this one. It may outlive its issuer, which then is to be renewed in time. */
export async function signIntermediate(
  authority: Authority,
  application: Application,
  request: SigningRequest,
): Promise<Made> {
  const { certificate } = authority.issuer
  if (certificate.pathLength === 0)
    throw invalid(
      'signing certificate has a max path length of zero, and cannot issue further CA certificates',
    )
  assertKey({ ...application.role, key_type: 'any' }, request.publicKey)
  const parts = booleanField(application.body, 'use_csr_values')
    ? verbatimParts(authority, application, request, true)
    : leafParts(authority, application, request)
  return sign(authority, application, { ...parts, spki: request.spki, ca: true })
}

export function requestFrom(body: Body): SigningRequest {
  const written = textField(body, 'csr') ?? ''
  if (written === '') throw invalid('"csr" is empty')
  if (pemBlocks(written).length === 0) throw invalid('csr contains no data')
  return parseSigningRequest(derFrom(written, ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']))
}

/** A key that came with a request has to be of the role's kind and at least of its size. */
function assertKey(role: Role, key: KeyObject): void {
  const kind = kindOfKey(key)
  if (!kind) throw invalid('the public key is of a kind that is not supported')
  if (role.key_type !== 'any' && role.key_type !== kind.type)
    throw invalid(`role requires keys of type ${role.key_type}`)
  const least = role.key_type === 'any' ? (kind.type === 'rsa' ? 2048 : 0) : role.key_bits
  if (kind.bits < least)
    throw invalid(`role requires a minimum of a ${least}-bit key, but CSR's key is ${kind.bits} bits`)
}

type Parts = { readonly subject: Buffer; readonly validity: Validity; readonly extensions: readonly Buffer[] }

function leafParts(
  authority: Authority,
  application: Application,
  request: SigningRequest | undefined,
): Parts {
  const { role } = application
  const { subject, names } = profileOf({ ...application, request })
  const name = nameOf(subject)
  const purposes = extendedKeyUsagesOf(role)
  const policies = policiesOf(role)
  const usages = keyUsagesOf(role.key_usage)
  const warnings =
    request?.extensions.has(oids.basicConstraints) && !role.basic_constraints_valid_for_non_ca
      ? ['specified CSR contained a Basic Constraints extension that was ignored during issuance']
      : []
  const validity = validityFor(authority, application)
  return {
    subject: name,
    validity: { ...validity, warnings: [...validity.warnings, ...warnings] },
    extensions: [
      ...(usages.length > 0 ? [keyUsage(usages)] : []),
      ...(purposes.length > 0 ? [extendedKeyUsage(purposes)] : []),
      ...(hasNames(names) ? [subjectAltName(names, isEmptyName(name))] : []),
      ...(policies.length > 0 ? [certificatePolicies(policies)] : []),
    ],
  }
}

/** What the issuer says about itself is never taken from a request. */
const ownExtensions: ReadonlySet<string> = new Set([
  oids.basicConstraints,
  oids.subjectKeyId,
  oids.authorityKeyId,
  oids.authorityInfoAccess,
  oids.crlDistributionPoints,
])

/** Subject and extensions as the request has them; key usages from the caller where the request has none. */
function verbatimParts(
  authority: Authority,
  application: Application,
  request: SigningRequest,
  ca = false,
): Parts {
  const { role } = application
  // What an authority may do is said below, once.
  const taken = [...request.extensions].filter(
    ([oid]) => !ownExtensions.has(oid) && !(ca && oid === oids.keyUsage),
  )
  const has = (oid: string): boolean => taken.some(([known]) => known === oid)
  const usages = keyUsagesOf(role.key_usage)
  const purposes = extendedKeyUsagesOf(role)
  return {
    subject: request.subject,
    validity: validityFor(authority, application),
    extensions: [
      ...(has(oids.keyUsage) || usages.length === 0 ? [] : [keyUsage(usages)]),
      ...(has(oids.extendedKeyUsage) || purposes.length === 0 ? [] : [extendedKeyUsage(purposes)]),
      ...taken.map(([, { whole }]: [string, Extension]) => whole),
    ],
  }
}

function validityFor({ issuer }: Authority, application: Application): Validity {
  const { certificate, record } = issuer
  return validityOf({
    ...application,
    issuer: { notAfter: certificate.notAfter, behavior: record.leafNotAfter },
  })
}

type Unsigned = Parts & { readonly spki: Buffer; readonly ca: boolean }

async function sign(authority: Authority, application: Application, parts: Unsigned): Promise<Made> {
  const { issuer, key, urls } = authority
  const { role, serial } = application
  const der = await signCertificate(
    {
      serial,
      issuer: issuer.certificate.subject,
      subject: parts.subject,
      notBefore: parts.validity.notBefore,
      notAfter: parts.validity.notAfter,
      spki: parts.spki,
      extensions: [
        ...(parts.ca ? authorityExtensions(authority, application, parts) : parts.extensions),
        ...(!parts.ca && role.basic_constraints_valid_for_non_ca ? [basicConstraints(false)] : []),
        subjectKeyId(keyIdOf(parts.spki)),
        authorityKeyId(issuer.certificate.subjectKeyId ?? keyIdOf(issuer.certificate.spki)),
        ...accessExtensions(urls),
      ],
    },
    key,
    schemeFor(key, role.signature_bits, role.use_pss),
  )
  return { der, serial, notAfter: parts.validity.notAfter, warnings: parts.validity.warnings }
}

/** An authority signs certificates and revocation lists, whatever the request says. */
function authorityExtensions({ issuer }: Authority, { body }: Application, parts: Parts): Buffer[] {
  const domains = listField(body, 'permitted_dns_domains') ?? []
  const above = issuer.certificate.pathLength
  const asked = pathLengthFrom(body)
  const greatest = above === undefined ? undefined : above - 1
  const length = asked === undefined || (greatest !== undefined && asked > greatest) ? greatest : asked
  return [
    keyUsage(['CertSign', 'CRLSign']),
    ...parts.extensions,
    basicConstraints(true, length),
    ...(domains.length > 0 ? [permittedDnsDomains(domains)] : []),
  ]
}

/** -1, and nothing, mean no limit. */
export function pathLengthFrom(body: Body): number | undefined {
  const written = body['max_path_length']
  return written === -1 || written === '-1' ? undefined : countField(body, 'max_path_length')
}
