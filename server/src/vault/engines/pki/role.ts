import { checkedCidrs } from '../../cidr.ts'
import type { Body } from '../../engine.ts'
import { count, flag, invalid, list, type RecordOf, recordFrom, seconds, words } from '../record-fields.ts'
import { isObjectId } from './x509/der.ts'
import { otherNameFrom, type PolicyIdentifier } from './x509/extensions.ts'
import { keyKindOf } from './x509/keys.ts'
import { extendedKeyUsages, type KeyUsage, keyUsages } from './x509/oids.ts'

/** What certificates of a role may look like. The names are the API's. */
const roleFields = {
  ttl: seconds(),
  max_ttl: seconds(),
  allow_localhost: flag(true),
  allowed_domains: list(),
  allowed_domains_template: flag(),
  allow_globs_in_identity_templates: flag(),
  allow_bare_domains: flag(),
  allow_token_displayname: flag(),
  allow_subdomains: flag(),
  allow_glob_domains: flag(),
  allow_wildcard_certificates: flag(true),
  allow_any_name: flag(),
  allowed_uri_sans: list(),
  allowed_uri_sans_template: flag(),
  enforce_hostnames: flag(true),
  allow_ip_sans: flag(true),
  allowed_ip_sans_cidr: list(),
  allowed_other_sans: list(),
  allowed_serial_numbers: list(),
  allowed_user_ids: list(),
  server_flag: flag(true),
  client_flag: flag(true),
  code_signing_flag: flag(),
  email_protection_flag: flag(),
  key_type: words('rsa'),
  key_bits: count(),
  signature_bits: count(),
  use_pss: flag(),
  key_usage: list('DigitalSignature', 'KeyAgreement', 'KeyEncipherment'),
  ext_key_usage: list(),
  ext_key_usage_oids: list(),
  use_csr_common_name: flag(true),
  use_csr_sans: flag(true),
  ou: list(),
  organization: list(),
  country: list(),
  locality: list(),
  province: list(),
  street_address: list(),
  postal_code: list(),
  generate_lease: flag(),
  no_store: flag(),
  require_cn: flag(true),
  cn_validations: list('email', 'hostname'),
  policy_identifiers: { read: policiesField, fallback: [] as readonly string[] },
  basic_constraints_valid_for_non_ca: flag(),
  not_before_duration: seconds(30),
  not_before: words(),
  not_before_bound: words('permit'),
  not_after: words(),
  not_after_bound: words('permit'),
  issuer_ref: words('default'),
}
export type Role = RecordOf<typeof roleFields>

/** A role from a request, checked. A patch keeps of the one before what it does not name. */
export function roleFrom(body: Body, before?: Role): { role: Role; warnings: string[] } {
  const written = recordFrom(roleFields, body, before)
  const role = { ...written, ...keySettings(written) }
  assertRole(role)
  const warnings = role.generate_lease ? [role.no_store ? leaseWithoutStore : leaseForEach] : []
  return {
    role: {
      ...role,
      generate_lease: role.generate_lease && !role.no_store,
      issuer_ref: role.issuer_ref || 'default',
      allowed_ip_sans_cidr: checkedCidrs(role.allowed_ip_sans_cidr, 'error parsing allowed_ip_sans_cidr'),
    },
    warnings,
  }
}

const leaseWithoutStore =
  'mutually exclusive values no_store=true and generate_lease=true were both specified; no_store=true takes priority'
const leaseForEach =
  "it is encouraged to disable generate_lease and rely on PKI's native capabilities when possible; this option can cause instance-wide issues with large numbers of issued certificates"

/** A role that allows everything, for roots and intermediates: whoever may make these needs no further rule. */
export function freeRole(body: Body, more: Partial<Role> = {}): Role {
  const { subject_serial_number: _, ...fields } = body
  const named = recordFrom(roleFields, {
    ...pick(fields, subjectFields),
    ...pick(fields, [
      'key_type',
      'key_bits',
      'signature_bits',
      'use_pss',
      'not_before_duration',
      'policy_identifiers',
    ]),
  })
  return {
    ...named,
    ttl: 0,
    allow_any_name: true,
    allow_ip_sans: true,
    enforce_hostnames: false,
    allowed_uri_sans: ['*'],
    allowed_other_sans: ['*'],
    allowed_serial_numbers: ['*'],
    allowed_user_ids: ['*'],
    cn_validations: ['disabled'],
    server_flag: false,
    client_flag: false,
    key_usage: [],
    ...more,
  }
}

const subjectFields = [
  'ou',
  'organization',
  'country',
  'locality',
  'province',
  'street_address',
  'postal_code',
]

const pick = (body: Body, names: readonly string[]): Body =>
  Object.fromEntries(names.flatMap((name) => (name in body ? [[name, body[name]]] : [])))

function keySettings(role: Role): Pick<Role, 'key_bits'> {
  if (role.key_type === 'any') return { key_bits: role.key_bits }
  const { bits } = keyKindOf(role.key_type, role.key_bits)
  if (role.key_type === 'rsa' && ![0, 256, 384, 512].includes(role.signature_bits))
    throw invalid(`unsupported hash signature algorithm: ${role.signature_bits}`)
  return { key_bits: bits }
}

function assertRole(role: Role): void {
  if (role.max_ttl > 0 && role.ttl > role.max_ttl)
    throw invalid('"ttl" value must be less than "max_ttl" value')
  for (const field of ['allowed_domains_template', 'allowed_uri_sans_template'] as const)
    if (role[field])
      throw invalid(`${field} is not supported by this server: name the domains, or use one role for each`)
  for (const oid of role.ext_key_usage_oids)
    if (!isObjectId(oid))
      throw invalid(`"${oid}" could not be parsed as a valid oid for an extended key usage`)
  for (const other of role.allowed_other_sans)
    if (other !== '*' && !otherNameFrom(other))
      throw invalid(`error parsing allowed_other_sans: expected <oid>;UTF8:<value>, found "${other}"`)
  policiesOf(role)
  assertUsages(role)
  assertBounds(role)
}

function assertUsages(role: Role): void {
  for (const usage of role.key_usage)
    if (!keyUsageNamed(usage)) throw invalid(`"${usage}" is no key usage: use one of ${keyUsages.join(', ')}`)
  for (const usage of role.ext_key_usage)
    if (!extendedKeyUsageNamed(usage)) throw invalid(`"${usage}" is no extended key usage`)
  const kinds = role.cn_validations
  const unknown = kinds.find((kind) => !['email', 'hostname', 'disabled'].includes(kind))
  if (unknown !== undefined) throw invalid(`cn_validations value incorrect: unknown type: \`${unknown}\``)
  if (kinds.length > 1 && kinds.includes('disabled'))
    throw invalid(
      'cn_validations value incorrect: cannot specify `disabled` along with `email` or `hostname`',
    )
}

function assertBounds(role: Role): void {
  if (!['permit', 'duration', 'forbid'].includes(role.not_before_bound))
    throw invalid(
      'Unknown value for field `not_before_bound`. Possible values are `permit` `duration` or `forbid`',
    )
  if (!['permit', 'ttl-limited', 'forbid'].includes(role.not_after_bound) && !instantOf(role.not_after_bound))
    throw invalid(
      'Unknown value for field `not_after_bound`. Possible values are `permit`, `ttl-limited`, `forbid`, or an explicit timestamp.',
    )
}

/** A time in RFC 3339; undefined when it is none. */
export function instantOf(text: string): Date | undefined {
  const shape = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/
  const at = shape.test(text) ? new Date(text) : undefined
  return at && !Number.isNaN(at.getTime()) ? at : undefined
}

const keyUsageNamed = (name: string): KeyUsage | undefined =>
  keyUsages.find((usage) => usage.toLowerCase() === name.trim().toLowerCase())

const extendedKeyUsageNamed = (name: string): string | undefined => {
  const known = name.trim().toLowerCase()
  return Object.hasOwn(extendedKeyUsages, known) ? extendedKeyUsages[known] : undefined
}

export const keyUsagesOf = (names: readonly string[]): KeyUsage[] =>
  names.flatMap((name) => keyUsageNamed(name) ?? [])

export function extendedKeyUsagesOf(role: Role): string[] {
  const flags = [
    ...(role.server_flag ? ['serverauth'] : []),
    ...(role.client_flag ? ['clientauth'] : []),
    ...(role.code_signing_flag ? ['codesigning'] : []),
    ...(role.email_protection_flag ? ['emailprotection'] : []),
  ]
  const named = [...flags, ...role.ext_key_usage].flatMap((name) => extendedKeyUsageNamed(name) ?? [])
  return [...named, ...role.ext_key_usage_oids]
}

/** A list of identifiers, or JSON with their qualifiers; kept as text each, as the API shows them. */
function policiesField(body: Body, name: string): readonly string[] | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  const items = Array.isArray(value) ? value : parsedList(String(value))
  return items.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)))
}

function parsedList(written: string): unknown[] {
  if (!written.trim().startsWith('[')) return written.split(',').flatMap((item) => item.trim() || [])
  try {
    const parsed: unknown = JSON.parse(written)
    if (Array.isArray(parsed)) return parsed
  } catch {
    // Told below: it is neither a list nor JSON.
  }
  throw invalid('policy_identifiers is neither a list of object identifiers nor JSON')
}

export function policiesOf(role: Role): PolicyIdentifier[] {
  return role.policy_identifiers.map((item) => {
    const policy = item.startsWith('{') ? (JSON.parse(item) as Partial<PolicyIdentifier>) : { oid: item }
    const { oid = '', cps, notice } = policy
    if (!isObjectId(oid)) throw invalid(`"${oid}" could not be parsed as a valid policy identifier`)
    return { oid, ...(cps ? { cps: String(cps) } : {}), ...(notice ? { notice: String(notice) } : {}) }
  })
}
