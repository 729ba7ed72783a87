import type { Body } from '../../engine.ts'
import { isObject } from '../../fields.ts'
import {
  type Field,
  flag,
  invalid,
  map,
  type RecordOf,
  recordFrom,
  seconds,
  words,
} from '../record-fields.ts'

type KeyLengths = Readonly<Record<string, readonly number[]>>

const keyLengths: Field<KeyLengths> = {
  fallback: {},
  read(body: Body, name: string) {
    const value = body[name]
    if (value === undefined || value === null || value === '') return undefined
    if (!isObject(value)) throw invalid(`error processing ${name}: it must be an object`)
    const entries = Object.entries(value).map(([type, sizes]) => {
      const list = (Array.isArray(sizes) ? sizes : [sizes]).map(Number)
      if (!list.every((size) => Number.isSafeInteger(size) && size >= 0))
        throw invalid(`error processing ${name}: the sizes of ${type} must be whole numbers`)
      return [type, list]
    })
    return Object.fromEntries(entries) as KeyLengths
  },
}

const roleFields = {
  key_type: words(),
  default_user: words(),
  default_user_template: flag(),
  allowed_users: words(),
  allowed_users_template: flag(),
  allowed_domains: words(),
  allowed_domains_template: flag(),
  ttl: seconds(),
  max_ttl: seconds(),
  allowed_critical_options: words(),
  allowed_extensions: words(),
  default_critical_options: map(),
  default_extensions: map(),
  default_extensions_template: flag(),
  allow_user_certificates: flag(),
  allow_host_certificates: flag(),
  allow_bare_domains: flag(),
  allow_subdomains: flag(),
  allow_user_key_ids: flag(),
  allow_empty_principals: flag(),
  key_id_format: words(),
  allowed_user_key_lengths: keyLengths,
  algorithm_signer: words('default'),
  not_before_duration: seconds(30),
}
export type Role = RecordOf<typeof roleFields>

export function roleFrom(body: Body): Role {
  const role = recordFrom(roleFields, body)
  const kind = role.key_type.toLowerCase()
  if (kind === '') throw invalid('missing key type')
  if (kind === 'otp')
    throw invalid(
      'key_type "otp" is not supported by this server: one-time passwords need an agent on each host; use key_type "ca"',
    )
  if (kind === 'dynamic') throw invalid('dynamic key type roles are no longer supported')
  if (kind !== 'ca') throw invalid('invalid key type')
  const templated = Object.entries(role).find(([name, value]) => name.endsWith('_template') && value === true)
  if (templated) throw invalid(`${templated[0]} is not supported by this server: write the names out`)
  if (!role.allow_user_certificates && !role.allow_host_certificates)
    throw invalid("Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'")
  if (role.ttl > 0 && role.max_ttl > 0 && role.ttl > role.max_ttl)
    throw invalid('"ttl" value must be less than "max_ttl" when both are specified')
  return { ...role, key_type: kind, algorithm_signer: signerFrom(role.algorithm_signer) }
}

function signerFrom(written: string): string {
  if (written === '' || written === 'default') return 'default'
  if (written === 'ssh-rsa')
    throw invalid('algorithm_signer "ssh-rsa" signs with SHA-1, which OpenSSH refuses: use rsa-sha2-256')
  if (written !== 'rsa-sha2-256' && written !== 'rsa-sha2-512')
    throw invalid(`unknown algorithm signer "${written}"`)
  return written
}

export const listOf = (written: string): string[] => [
  ...new Set(written.split(',').flatMap((item) => item.trim() || [])),
]
