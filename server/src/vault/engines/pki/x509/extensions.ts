import { isIP } from 'node:net'
import {
  bits,
  der,
  explicit,
  implicit,
  integer,
  isObjectId,
  objectId,
  octets,
  sequence,
  tags,
  text,
  yes,
} from './der.ts'
import { type KeyUsage, keyUsages, oids } from './oids.ts'

export type OtherName = { readonly oid: string; readonly value: string }
/** Names of a subject beside its distinguished one (RFC 5280, 4.2.1.6). */
export type AltNames = {
  readonly dns: readonly string[]
  readonly email: readonly string[]
  /** As text. */
  readonly ip: readonly string[]
  readonly uri: readonly string[]
  readonly other: readonly OtherName[]
}

/** Where more about an issuer is found: its certificate, its revocation list, its responder. */
export type AccessUrls = {
  readonly issuingCertificates: readonly string[]
  readonly crlDistributionPoints: readonly string[]
  readonly ocspServers: readonly string[]
}

export const extension = (oid: string, critical: boolean, value: Uint8Array): Buffer =>
  sequence(objectId(oid), ...(critical ? [yes] : []), octets(value))

/** `pathLength` undefined: as many authorities below as there may be. */
export const basicConstraints = (ca: boolean, pathLength?: number): Buffer =>
  extension(
    oids.basicConstraints,
    true,
    sequence(...(ca ? [yes] : []), ...(ca && pathLength !== undefined ? [integer(pathLength)] : [])),
  )

/** Bits of a named bit list end with the last that is set. */
export function keyUsage(usages: readonly KeyUsage[]): Buffer {
  const set = keyUsages.flatMap((usage, bit) => (usages.includes(usage) ? [bit] : []))
  const last = set.at(-1) ?? 0
  const bytes = Buffer.alloc(Math.floor(last / 8) + 1)
  for (const bit of set) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  return extension(oids.keyUsage, true, bits(bytes, 7 - (last & 7)))
}

export const extendedKeyUsage = (purposes: readonly string[]): Buffer =>
  extension(oids.extendedKeyUsage, false, sequence(...[...new Set(purposes)].map(objectId)))

export const subjectKeyId = (id: Uint8Array): Buffer => extension(oids.subjectKeyId, false, octets(id))
export const authorityKeyId = (id: Uint8Array): Buffer =>
  extension(oids.authorityKeyId, false, sequence(implicit(0, id)))

const generalName = (number: number, value: string): Buffer => implicit(number, Buffer.from(value, 'utf8'))

export function subjectAltName(names: AltNames, critical: boolean): Buffer {
  return extension(
    oids.subjectAltName,
    critical,
    sequence(
      ...names.dns.map((name) => generalName(2, name)),
      ...names.email.map((name) => generalName(1, name)),
      ...names.ip.map((name) => implicit(7, addressBytes(name))),
      ...names.uri.map((name) => generalName(6, name)),
      ...names.other.map(({ oid, value }) => explicit(0, objectId(oid), explicit(0, text(tags.utf8, value)))),
    ),
  )
}

export const hasNames = (names: AltNames): boolean =>
  Object.values(names).some((list: readonly unknown[]) => list.length > 0)

export function accessExtensions(urls: AccessUrls): Buffer[] {
  const access = [
    ...urls.ocspServers.map((url) => [oids.ocsp, url] as const),
    ...urls.issuingCertificates.map((url) => [oids.caIssuers, url] as const),
  ]
  const points = urls.crlDistributionPoints.map((url) =>
    sequence(explicit(0, explicit(0, generalName(6, url)))),
  )
  return [
    ...(access.length > 0
      ? [
          extension(
            oids.authorityInfoAccess,
            false,
            sequence(...access.map(([method, url]) => sequence(objectId(method), generalName(6, url)))),
          ),
        ]
      : []),
    ...(points.length > 0 ? [extension(oids.crlDistributionPoints, false, sequence(...points))] : []),
  ]
}

export type PolicyIdentifier = { readonly oid: string; readonly cps?: string; readonly notice?: string }

export const certificatePolicies = (policies: readonly PolicyIdentifier[]): Buffer =>
  extension(
    oids.certificatePolicies,
    false,
    sequence(
      ...policies.map(({ oid, cps, notice }) => {
        const qualifiers = [
          ...(cps ? [sequence(objectId(oids.policyCps), text(tags.ia5, cps))] : []),
          ...(notice ? [sequence(objectId(oids.policyNotice), sequence(text(tags.utf8, notice)))] : []),
        ]
        return sequence(objectId(oid), ...(qualifiers.length > 0 ? [sequence(...qualifiers)] : []))
      }),
    ),
  )

/** Names of hosts that authorities below may make certificates for, and no others. */
export const permittedDnsDomains = (domains: readonly string[]): Buffer =>
  extension(
    oids.nameConstraints,
    true,
    sequence(explicit(0, ...domains.map((domain) => sequence(generalName(2, domain))))),
  )

export function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const middle = Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill('0')
  return Buffer.from([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex')
}

export function addressText(bytes: Buffer): string | undefined {
  if (bytes.length === 4) return [...bytes].join('.')
  if (bytes.length !== 16) return undefined
  const groups = bytes.toString('hex').match(/.{4}/g) ?? []
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

/** `1.2.3;UTF8:value`; undefined when it is written in another way. */
export function otherNameFrom(written: string): OtherName | undefined {
  const [, oid = '', value = ''] = /^([\d.]+);utf-?8:(.*)$/is.exec(written) ?? []
  return isObjectId(oid) ? { oid, value } : undefined
}

/** An enumerated value, as reasons and response states are written. */
export const enumerated = (value: number): Buffer => der(tags.enumerated, Buffer.from([value]))
