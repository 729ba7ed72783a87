import { domainToASCII } from 'node:url'
import { fitsGlob } from '../../glob.ts'
import { invalid } from '../record-fields.ts'
import type { Role } from './role.ts'

const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const hostname = new RegExp(`^(?:\\*\\.)?(?:${label}\\.)*${label}\\.?$`)
/** The whole first label, its beginning, its end, or a part within. */
const wildcardLabel = new RegExp(`^(?:${label})?\\*(?:${label})?$`)

/** A host name as it stands in a certificate; undefined when it is none. Other scripts are written as `xn--…`. */
export function hostnameOf(written: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the range of ASCII
  const name = /^[\x00-\x7f]*$/.test(written) ? written : domainToASCII(written)
  const bare = name.replace(/\.$/, '')
  return bare.length <= 253 && bare.split('.').every((part) => part.length <= 63) && hostname.test(name)
    ? name
    : undefined
}

type Name = {
  readonly whole: string
  /** Without what stands before an `@`, and without the label that has a `*`. */
  readonly reduced: string
  readonly domain: string
  readonly isEmail: boolean
  readonly isWildcard: boolean
  readonly firstLabel: string
}

/** The first of the names that the role does not allow. `displayName` is the token's. */
export function firstForbidden(
  role: Role,
  names: readonly string[],
  displayName: string,
): string | undefined {
  return names.find((written) => {
    const name = parseName(written)
    return !name || !isWellFormed(role, name) || !isAllowed(role, name, displayName)
  })
}

/** A common name has to be of a kind that the role wants, and allowed like every other name. */
export function assertCommonName(role: Role, name: string, displayName: string): void {
  const kinds = role.cn_validations
  if (kinds.includes('disabled')) return
  const kind = name.includes('@') ? 'email' : 'hostname'
  if (firstForbidden(role, [name], displayName) !== undefined || !kinds.includes(kind))
    throw invalid(`common name ${name} not allowed by this role`)
}

function parseName(whole: string): Name | undefined {
  const parts = whole.split('@')
  const domain = parts.at(-1) ?? ''
  const isEmail = parts.length === 2
  const isWildcard = domain.includes('*')
  if (parts.length > 2 || (isEmail && isWildcard)) return undefined
  if (!isWildcard) return { whole, reduced: domain, domain, isEmail, isWildcard, firstLabel: '' }
  const dot = domain.indexOf('.')
  const firstLabel = dot < 0 ? domain : domain.slice(0, dot)
  const reduced = dot < 0 ? '' : domain.slice(dot + 1)
  const once = domain.indexOf('*') === domain.lastIndexOf('*') && !reduced.includes('*')
  return once ? { whole, reduced, domain, isEmail, isWildcard, firstLabel } : undefined
}

function isWellFormed(role: Role, { reduced, isWildcard, firstLabel }: Name): boolean {
  if (isWildcard && !role.allow_wildcard_certificates) return false
  if (!role.enforce_hostnames) return true
  if (reduced !== '' && hostnameOf(reduced) === undefined) return false
  return !isWildcard || wildcardLabel.test(firstLabel)
}

function isAllowed(role: Role, name: Name, displayName: string): boolean {
  if (role.allow_any_name) return true
  if (role.allow_localhost && isLocal(role, name)) return true
  if (role.allow_token_displayname && isOfToken(role, name, displayName)) return true
  return role.allowed_domains.some((domain) => domain !== '' && isInDomain(role, name, domain))
}

function isLocal(role: Role, { reduced, isWildcard }: Name): boolean {
  return ['localhost', 'localdomain'].some(
    (local) =>
      (reduced === local && (!isWildcard || role.allow_subdomains)) ||
      (role.allow_subdomains && reduced.endsWith(`.${local}`)),
  )
}

function isOfToken(role: Role, { whole, reduced, isEmail, isWildcard }: Name, displayName: string): boolean {
  if (displayName === '') return false
  if (whole === displayName) return true
  if (!role.allow_subdomains) return false
  const [, host] = displayName.split('@')
  if (isEmail && host !== undefined && reduced.endsWith(`.${host}`)) return true
  return reduced.endsWith(`.${displayName}`) || (isWildcard && reduced === displayName)
}

function isInDomain(role: Role, name: Name, domain: string): boolean {
  const same = (text: string): boolean => text.toLowerCase() === domain.toLowerCase()
  if (role.allow_bare_domains && (same(name.whole) || (name.isEmail && same(name.domain)))) return true
  if (role.allow_subdomains) {
    if (name.reduced.toLowerCase().endsWith(`.${domain.toLowerCase()}`)) return true
    if (name.isWildcard && same(name.reduced)) return true
  }
  return role.allow_glob_domains && domain.includes('*') && fitsGlob(domain, name.whole)
}
