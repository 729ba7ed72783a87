import { isIP } from 'node:net'
import type { Destination } from '@keyward/contract'

/** One line of a sandbox's allow list. */
export type EgressRule = Destination & {
  /** What `pathPattern` admits; written by the server, because the child loads nothing of the contract. */
  readonly pathExpression?: RegExp
  /** `ip` or `ip:port` to connect to instead of asking DNS; who writes it vouches for the address. */
  readonly address?: string | undefined
  /** A certificate authority (PEM) that this destination may use besides the well-known ones. */
  readonly caPem?: string | undefined
  /** The name may resolve to an address that is not public. */
  readonly allowPrivate?: boolean | undefined
  /** What speaks there instead of HTTP; its login is made by the proxy. */
  readonly relay?: RelayRule
}

export type RelayRule =
  | { readonly kind: 'postgres'; readonly tls: 'verify' | 'none' }
  | { readonly kind: 'redis'; readonly tls: 'verify' | 'none'; readonly allow: readonly string[] }
  | { readonly kind: 'ssh' }

export type Authority = { readonly host: string; readonly port: number }

const authorityShape = /^(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)\.?:([0-9]{1,5})$/

/** `host:port` as CONNECT and the Host header write it; undefined when it is anything else. */
export function parseAuthority(text: string): Authority | undefined {
  const [, name = '', digits = ''] = authorityShape.exec(text.toLowerCase()) ?? []
  const port = Number(digits)
  if (name === '' || name.length > 253 || port < 1 || port > 65_535) return undefined
  const host = name.startsWith('[') ? name.slice(1, -1) : name
  if (name.startsWith('[') && isIP(host) !== 6) return undefined
  return { host, port }
}

/** Whether a Host header names this very destination; the port may be left out only where it is the scheme's own. */
export function hostHeaderMatches(header: string, { host, port }: Authority): boolean {
  const named = parseAuthority(/:[0-9]+$/.test(header) && !header.endsWith(']') ? header : `${header}:443`)
  return named?.host === host && named.port === port
}

export function rulesFor(allow: readonly EgressRule[], { host, port }: Authority): EgressRule[] {
  return allow.filter((rule) => rule.port === port && sameHost(rule.host, host))
}

const sameHost = (listed: string, host: string): boolean =>
  listed.toLowerCase().replace(/^\[|\]$|\.$/g, '') === host

/** Whether a rule lets this request through. `path` has no query. A prefix ends at a segment: `/v1` is not `/v10`. */
export function ruleAdmits(rule: EgressRule, method: string, path: string): boolean {
  if (rule.methods && !rule.methods.includes(method)) return false
  if (rule.pathExpression && !rule.pathExpression.test(path)) return false
  const prefix = rule.pathPrefix ?? '/'
  return (
    path.startsWith(prefix) && (prefix.endsWith('/') || !path[prefix.length] || path[prefix.length] === '/')
  )
}

/**
 * A path that a server might read as another one (`/public/../admin`, also with %2e or %2f, or a backslash) makes every
 * rule about prefixes a guess, so it is refused; clients resolve such paths before they send them. An encoded slash alone
 * is in use (`/@scope%2fname`) and leads nowhere else.
 */
export function isAmbiguousPath(path: string): boolean {
  if (!path.startsWith('/') || path.includes('\\') || /%(?:5c|00)/i.test(path)) return true
  return path
    .replace(/%2e/gi, '.')
    .split(/\/|%2f/i)
    .some((segment) => /^\.\.?(?:;|$)/.test(segment))
}

/** Splits `1.2.3.4`, `1.2.3.4:8443` or `[::1]:8443`. */
export function parseAddress(
  address: string,
  defaultPort: number,
): { address: string; port: number } | undefined {
  if (isIP(address) !== 0) return { address, port: defaultPort }
  const parsed = parseAuthority(address)
  return parsed && isIP(parsed.host) !== 0 ? { address: parsed.host, port: parsed.port } : undefined
}
