import type { Destination } from '@keyward/contract'
import { AppError } from '../core/index.ts'

/** One request of an agent, as far as a lease cares. `path` may carry a query. */
export type Request = {
  readonly host: string
  readonly port: number
  readonly method: string
  readonly path: string
}

export const placeOf = ({ host, port }: { host: string; port: number }): string => `${host}:${port}`

/** For people and the audit log: `GET,POST api.example.com:443/v1`. */
export function describeDestination({ methods, pathPrefix, ...place }: Destination): string {
  return `${methods ? `${methods.join(',')} ` : ''}${placeOf(place)}${pathPrefix ?? ''}`
}

/** As requests are compared: the host in lower case and without a trailing dot. Refuses a host that could mean several. */
export function normalDestination(destination: Destination): Destination {
  const host = normalHost(destination.host)
  if (!/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$|^[0-9a-f:.]+$/.test(host)) {
    throw new AppError('request.invalid', `${JSON.stringify(destination.host)} is not the name of one host.`)
  }
  if (destination.pathPrefix !== undefined && normalPath(destination.pathPrefix) === undefined) {
    throw new AppError('request.invalid', `The path prefix of ${host} is not a plain path.`)
  }
  return { ...destination, host }
}

const normalHost = (host: string): string => host.toLowerCase().replace(/\.$/, '')

/** Whether one of the destinations names this request. */
export const isAllowed = (destinations: readonly Destination[], request: Request): boolean =>
  destinations.some((destination) => admits(destination, request))

function admits({ host, port, methods, pathPrefix }: Destination, request: Request): boolean {
  if (host !== normalHost(request.host) || port !== request.port) return false
  if (methods && !methods.includes(request.method)) return false
  return pathPrefix === undefined || isBelow(pathPrefix, request.path)
}

/** Whether everything that `wanted` admits, `given` admits too. */
export const covers = (given: readonly Destination[], wanted: readonly Destination[]): boolean =>
  wanted.every((one) => given.some((other) => coversOne(other, one)))

function coversOne(given: Destination, wanted: Destination): boolean {
  if (given.host !== wanted.host || given.port !== wanted.port) return false
  const allowed = given.methods
  if (allowed && !wanted.methods?.every((method) => allowed.includes(method))) return false
  if (given.pathPrefix === undefined) return true
  return wanted.pathPrefix !== undefined && isBelow(given.pathPrefix, wanted.pathPrefix)
}

/** Whole segments count: `/v1` holds `/v1` and `/v1/charges`, not `/v1beta`. */
function isBelow(prefix: string, target: string): boolean {
  const path = normalPath(target)
  if (path === undefined) return false
  if (prefix.endsWith('/')) return path.startsWith(prefix)
  return path === prefix || path.startsWith(`${prefix}/`)
}

/**
 * The path without its query, or undefined when two servers could read it as two different paths: dot segments, a
 * backslash, an empty segment, an encoded dot, slash, backslash, percent sign or NUL, or a character outside of ASCII.
 */
function normalPath(target: string): string | undefined {
  const [path = ''] = target.split(/[?#]/, 1)
  const ambiguous =
    /^[^/]|[\\]|[^\x21-\x7e]|\/\/|%(2e|2f|5c|25|00)|%(?![0-9a-f]{2})|\/\.{1,2}(;[^/]*)?(\/|$)/i
  return path === '' || ambiguous.test(path) ? undefined : path
}
