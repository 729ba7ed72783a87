import { type KeyObject, X509Certificate } from 'node:crypto'
import { AppError } from '../../../../core/index.ts'
import {
  explicit,
  inside,
  integer,
  malformed,
  type Node,
  readAll,
  readBits,
  readBoolean,
  readObjectId,
  readOne,
  readSmall,
  readText,
  readTime,
  readUnsigned,
  sequence,
  tags,
  time,
  unsigned,
} from './der.ts'
import { type AltNames, addressText, type OtherName } from './extensions.ts'
import { algorithmOf, publicKeyFrom, type SignatureScheme, signed } from './keys.ts'
import { type KeyUsage, keyUsages, oids } from './oids.ts'

/** A certificate to be. Names and extensions are DER already. */
type Template = {
  readonly serial: Buffer
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly notBefore: Date
  readonly notAfter: Date
  readonly spki: Buffer
  readonly extensions: readonly Buffer[]
}

export function signCertificate(
  template: Template,
  key: KeyObject,
  scheme: SignatureScheme,
): Promise<Buffer> {
  const content = sequence(
    explicit(0, integer(2)),
    unsigned(template.serial),
    algorithmOf(key, scheme),
    template.issuer,
    sequence(time(template.notBefore), time(template.notAfter)),
    template.subject,
    template.spki,
    explicit(3, sequence(...template.extensions)),
  )
  return signed(content, key, scheme)
}

export type Extension = { readonly critical: boolean; readonly value: Buffer; readonly whole: Buffer }

export type Certificate = {
  readonly der: Buffer
  readonly serial: Buffer
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly notBefore: Date
  readonly notAfter: Date
  readonly spki: Buffer
  readonly publicKey: KeyObject
  readonly extensions: ReadonlyMap<string, Extension>
  readonly ca: boolean
  /** Undefined: no limit. */
  readonly pathLength: number | undefined
  /** Undefined: the certificate does not say. */
  readonly usages: readonly KeyUsage[] | undefined
  readonly subjectKeyId: Buffer | undefined
  readonly authorityKeyId: Buffer | undefined
}

export function parseCertificate(der: Buffer): Certificate {
  const [content, , ...rest] = inside(readOne(der))
  if (rest.length !== 1) throw malformed('a certificate')
  const fields = inside(content)
  // Version 1 has neither a version nor extensions.
  const versioned = fields[0]?.tag === 0xa0
  const [serial, , issuer, validity, subject, spki, ...optional] = versioned ? fields.slice(1) : fields
  const [notBefore, notAfter] = inside(validity)
  if (!issuer || !subject || !spki) throw malformed('a certificate')
  const publicKey = publicKeyFrom(spki.whole)
  if (!publicKey) throw new AppError('request.invalid', 'the public key is of a kind that is not supported')
  const extensions = readExtensions(optional.find(({ tag }) => tag === 0xa3))
  return {
    der,
    serial: readUnsigned(serial),
    issuer: issuer.whole,
    subject: subject.whole,
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    spki: spki.whole,
    publicKey,
    extensions,
    ...constraintsIn(extensions),
    usages: usagesIn(extensions),
    subjectKeyId: keyIdIn(extensions, oids.subjectKeyId),
    authorityKeyId: keyIdIn(extensions, oids.authorityKeyId),
  }
}

/** `[3] { sequence of extensions }`, as certificates carry it. */
function readExtensions(wrapper: Node | undefined): Map<string, Extension> {
  return wrapper ? extensionsIn(inside(readOne(wrapper.content))) : new Map()
}

export function extensionsIn(nodes: readonly Node[]): Map<string, Extension> {
  const found = new Map<string, Extension>()
  for (const node of nodes) {
    const [id, ...rest] = inside(node)
    const oid = readObjectId(id)
    const critical = rest.length === 2 && readBoolean(rest[0])
    const value = rest.at(-1)
    if (value?.tag !== tags.octetString || rest.length > 2 || found.has(oid)) throw malformed('an extension')
    found.set(oid, { critical, value: value.content, whole: node.whole })
  }
  return found
}

function constraintsIn(extensions: ReadonlyMap<string, Extension>): Pick<Certificate, 'ca' | 'pathLength'> {
  const value = extensions.get(oids.basicConstraints)?.value
  const [first, second] = value ? inside(readOne(value)) : []
  const ca = first?.tag === tags.boolean && readBoolean(first)
  return { ca, pathLength: ca && second ? readSmall(second) : undefined }
}

function usagesIn(extensions: ReadonlyMap<string, Extension>): KeyUsage[] | undefined {
  const value = extensions.get(oids.keyUsage)?.value
  if (!value) return undefined
  const { bytes } = readBits(readOne(value))
  return keyUsages.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0)
}

function keyIdIn(extensions: ReadonlyMap<string, Extension>, oid: string): Buffer | undefined {
  const value = extensions.get(oid)?.value
  if (!value) return undefined
  const node = readOne(value)
  return oid === oids.subjectKeyId ? node.content : inside(node).find(({ tag }) => tag === 0x80)?.content
}

export function altNamesIn(extensions: ReadonlyMap<string, Extension>): AltNames {
  const value = extensions.get(oids.subjectAltName)?.value
  const nodes = value ? inside(readOne(value)) : []
  const texts = (tag: number): string[] =>
    nodes.flatMap((node) => (node.tag === tag ? [node.content.toString('utf8')] : []))
  const addresses = nodes.filter(({ tag }) => tag === 0x87).map(({ content }) => addressText(content))
  if (addresses.includes(undefined)) throw malformed('an IP address')
  return {
    dns: texts(0x82),
    email: texts(0x81),
    ip: addresses.flatMap((address) => address ?? []),
    uri: texts(0x86),
    other: nodes.filter(({ tag }) => tag === 0xa0).map(otherNameIn),
  }
}

function otherNameIn(node: Node): OtherName {
  const [id, wrapped] = readAll(node.content)
  const value = wrapped?.tag === 0xa0 ? readOne(wrapped.content) : undefined
  if (value?.tag !== tags.utf8)
    throw new AppError(
      'request.invalid',
      'could not parse requested other SAN: no UTF-8 string found in OtherName',
    )
  return { oid: readObjectId(id), value: readText(value) ?? '' }
}

/** Whether `issuer` signed it, by name and by signature. */
export function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  if (!certificate.issuer.equals(issuer.subject)) return false
  try {
    return new X509Certificate(certificate.der).verify(issuer.publicKey)
  } catch {
    // What OpenSSL does not take for a certificate, nobody has signed.
    return false
  }
}

export const isSelfSigned = (certificate: Certificate): boolean => isIssuedBy(certificate, certificate)
