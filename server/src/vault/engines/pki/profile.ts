import { isIP } from 'node:net'
import { containsAddress } from '../../cidr.ts'
import type { Body } from '../../engine.ts'
import { fitsGlob } from '../../glob.ts'
import { flag, invalid, list, type RecordOf, recordFrom, seconds, words } from '../record-fields.ts'
import { assertCommonName, firstForbidden, hostnameOf } from './allowed-names.ts'
import type { Role } from './role.ts'
import { altNamesIn } from './x509/certificate.ts'
import { type AltNames, addressBytes, addressText, otherNameFrom } from './x509/extensions.ts'
import { type Subject, valuesIn } from './x509/name.ts'
import { oids } from './x509/oids.ts'
import type { SigningRequest } from './x509/signing-request.ts'

/** What a caller asks for, beside what the role says. */
const askedFields = {
  common_name: words(),
  alt_names: list(),
  ip_sans: list(),
  uri_sans: list(),
  other_sans: list(),
  serial_number: words(),
  user_ids: list(),
  exclude_cn_from_sans: flag(),
  ttl: seconds(),
  not_before: words(),
  not_after: words(),
  format: words('pem'),
  private_key_format: words('der'),
  remove_roots_from_chain: flag(),
}
export type Asked = RecordOf<typeof askedFields>

export function askedFrom(body: Body): Asked {
  const asked = recordFrom(askedFields, body)
  if (!['pem', 'der', 'pem_bundle'].includes(asked.format))
    throw invalid('the "format" path parameter must be "pem", "der", or "pem_bundle"')
  if (!['der', 'pkcs8', 'pem', ''].includes(asked.private_key_format))
    throw invalid('private_key_format must be "der", "pem" or "pkcs8"')
  return asked
}

type Applicant = {
  readonly role: Role
  readonly asked: Asked
  readonly request: SigningRequest | undefined
  /** Of the caller's token. */
  readonly displayName: string
}

/** Who a certificate will be about, all of it checked against the role. */
export function profileOf(applicant: Applicant): { subject: Subject; names: AltNames } {
  const { role, asked, request } = applicant
  const commonName = commonNameOf(applicant)
  const serialNumber =
    asked.serial_number || (request && valuesIn(request.subject, oids.serialNumber)[0]) || ''
  if (serialNumber && !role.allowed_serial_numbers.some((pattern) => fitsGlob(pattern, serialNumber)))
    throw invalid(`serial_number ${serialNumber} not allowed by this role`)
  return {
    subject: {
      commonName,
      serialNumber,
      country: role.country,
      organization: role.organization,
      organizationalUnit: role.ou,
      locality: role.locality,
      province: role.province,
      streetAddress: role.street_address,
      postalCode: role.postal_code,
      userIds: userIdsOf(applicant),
    },
    names: altNamesOf(applicant, commonName),
  }
}

function commonNameOf({ role, asked, request, displayName }: Applicant): string {
  const requested = request && role.use_csr_common_name ? valuesIn(request.subject, oids.commonName)[0] : ''
  const commonName = requested || asked.common_name
  if (commonName === '' && role.require_cn)
    throw invalid(
      'the common_name field is required, or must be provided in a CSR with "use_csr_common_name" set to true, unless "require_cn" is set to false',
    )
  if (commonName !== '') assertCommonName(role, commonName, displayName)
  return commonName
}

function userIdsOf({ role, asked, request }: Applicant): readonly string[] {
  const requested = request ? valuesIn(request.subject, oids.userId) : []
  const ids = asked.user_ids.length > 0 ? asked.user_ids : requested
  for (const id of ids)
    if (!role.allowed_user_ids.some((pattern) => fitsGlob(pattern, id)))
      throw invalid(`user_id ${id} is not allowed by this role`)
  return ids
}

function altNamesOf({ role, asked, request, displayName }: Applicant, commonName: string): AltNames {
  const fromRequest = request && role.use_csr_sans ? altNamesIn(request.extensions) : undefined
  const written = fromRequest ? [] : asked.alt_names
  const all = [...(asked.exclude_cn_from_sans || commonName === '' ? [] : [commonName]), ...written]
  const names: AltNames = {
    dns: unique([
      ...(fromRequest?.dns ?? []),
      ...all.filter((name) => !name.includes('@')).flatMap((name) => hostnameOf(name) ?? []),
    ]),
    email: unique([...(fromRequest?.email ?? []), ...all.filter((name) => name.includes('@'))]),
    ip: unique(fromRequest?.ip ?? asked.ip_sans.map(addressFrom)),
    uri: unique(fromRequest?.uri ?? asked.uri_sans),
    other: fromRequest?.other.length
      ? fromRequest.other
      : asked.other_sans.map((other) => {
          const parsed = otherNameFrom(other)
          if (!parsed)
            throw invalid(
              `could not parse requested other SAN: expected <oid>;UTF8:<value>, found "${other}"`,
            )
          return parsed
        }),
  }
  assertNames(role, names, displayName, fromRequest ? 'CSR' : 'the API')
  return names
}

function assertNames(role: Role, names: AltNames, displayName: string, source: string): void {
  const host = firstForbidden(role, names.dns, displayName)
  if (host !== undefined) throw invalid(`subject alternate name ${host} not allowed by this role`)
  const email = firstForbidden(role, names.email, displayName)
  if (email !== undefined) throw invalid(`email address ${email} not allowed by this role`)
  assertOtherNames(role, names)
  if (names.ip.length > 0 && !role.allow_ip_sans)
    throw invalid(`IP Subject Alternative Names are not allowed in this role, but was provided via ${source}`)
  for (const address of names.ip)
    if (!containsAddress(role.allowed_ip_sans_cidr, address))
      throw invalid(`the IP address "${address}" is not allowed in this role`)
  if (names.uri.length > 0 && role.allowed_uri_sans.length === 0)
    throw invalid(
      `URI Subject Alternative Names are not allowed in this role, but were provided via ${source}`,
    )
  for (const uri of names.uri) {
    if (!role.allowed_uri_sans.some((pattern) => fitsGlob(pattern, uri)))
      throw invalid(
        `URI Subject Alternative Names were provided via ${source} which are not valid for this role`,
      )
    if (!URL.canParse(uri))
      throw invalid(`the provided URI Subject Alternative Name "${uri}" is not a valid URI`)
  }
}

function assertOtherNames(role: Role, { other }: AltNames): void {
  if (role.allowed_other_sans.length === 1 && role.allowed_other_sans[0] === '*') return
  const allowed = role.allowed_other_sans.flatMap((pattern) => otherNameFrom(pattern) ?? [])
  for (const { oid, value } of other) {
    const patterns = allowed.filter((pattern) => pattern.oid === oid)
    if (patterns.length === 0) throw invalid(`other SAN OID ${oid} not allowed by this role`)
    if (!patterns.some((pattern) => fitsGlob(pattern.value, value)))
      throw invalid(`other SAN ${value} not allowed for OID ${oid} by this role`)
  }
}

/** One way of writing an address, so that two ways do not make two names. */
function addressFrom(written: string): string {
  const address = isIP(written) === 0 ? undefined : addressText(addressBytes(written.replace(/%.*$/, '')))
  if (address === undefined) throw invalid(`the value "${written}" is not a valid IP address`)
  return address
}

const unique = (values: readonly string[]): string[] => [...new Set(values)]
