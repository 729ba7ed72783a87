import { type Destination, type Injection, pathExpression } from '@keyward/contract'
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
export function describeDestination({ methods, pathPrefix, pathPattern, ...place }: Destination): string {
  const paths = [pathPrefix, pathPattern].filter((path) => path !== undefined).join(' and ')
  return `${methods ? `${methods.join(',')} ` : ''}${placeOf(place)}${paths}`
}

/** As requests are compared: the host in lower case and without a trailing dot. Refuses a host that could mean several. */
export function normalDestination(destination: Destination): Destination {
  const host = normalHost(destination.host)
  if (!/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$|^[0-9a-f:.]+$/.test(host)) {
    throw new AppError('request.invalid', `${JSON.stringify(destination.host)} is not the name of one host.`)
  }
  if (destination.tls !== undefined) {
    throw new AppError(
      'request.invalid',
      `Nothing is lent for ${host}: what passes through is not looked into.`,
    )
  }
  if (destination.pathPrefix !== undefined && normalPath(destination.pathPrefix) === undefined) {
    throw new AppError('request.invalid', `The path prefix of ${host} is not a plain path.`)
  }
  return { ...destination, host }
}

/** As requests are compared, for what is lent in this way. Refuses places that no connection of its protocol would ever meet. */
export function placesToLend(
  destinations: readonly Destination[],
  how: Injection | undefined,
): readonly Destination[] {
  const places = destinations.map(normalDestination)
  for (const place of places) {
    const unmet = how && unmetBy(how, place)
    if (unmet !== undefined) throw new AppError('request.invalid', `${describeDestination(place)}: ${unmet}`)
  }
  return places
}

const loginKinds: readonly Injection['kind'][] = ['postgres', 'redis', 'ssh']

function unmetBy(
  { kind }: Injection,
  { methods, pathPrefix, pathPattern, port }: Destination,
): string | undefined {
  if (!loginKinds.includes(kind)) return undefined
  if (methods ?? pathPrefix ?? pathPattern)
    return `${kind} has no methods or paths. Name host and port alone.`
  // SSH is offered there by some hosts, for networks that let nothing else out.
  if (port !== 443 || kind === 'ssh') return undefined
  return `443 is the port of HTTPS, and what is taken when none is named. Name the port of ${kind}.`
}

const normalHost = (host: string): string => host.toLowerCase().replace(/\.$/, '')

/** In which order a destination is compared; what comes later is nearer. */
const order = ['host', 'port', 'method', 'path'] as const
type Lack = { readonly what: (typeof order)[number]; readonly words: string }

function lackOf({ host, port, methods, ...paths }: Destination, request: Request): Lack | undefined {
  if (host !== normalHost(request.host)) return { what: 'host', words: `only ${host}` }
  if (port !== request.port) return { what: 'port', words: `only port ${port} of ${host}` }
  if (methods && !methods.includes(request.method))
    return { what: 'method', words: `only ${methods.join(', ')} there` }
  const words = pathLack(paths, request.path)
  return words === undefined ? undefined : { what: 'path', words }
}

function pathLack(
  { pathPrefix, pathPattern }: Pick<Destination, 'pathPrefix' | 'pathPattern'>,
  target: string,
): string | undefined {
  if (pathPrefix !== undefined && !isBelow(pathPrefix, target)) return `only paths below ${pathPrefix}`
  if (pathPattern === undefined) return undefined
  const path = normalPath(target)
  return path !== undefined && pathExpression(pathPattern).test(path)
    ? undefined
    : `only paths like ${pathPattern}`
}

/** What is allowed instead, by the destination that comes nearest to the request; undefined when one admits it. */
export function shortfall(destinations: readonly Destination[], request: Request): string | undefined {
  const lacks = destinations.map((destination) => lackOf(destination, request))
  if (lacks.includes(undefined)) return undefined
  const nearest = order.map((what) => lacks.filter((lack) => lack?.what === what))
  const words = nearest.findLast((some) => some.length > 0)?.map((lack) => lack?.words) ?? ['nothing']
  return [...new Set(words)].slice(0, 5).join('; ')
}

/** Whether everything that `wanted` admits, `given` admits too. */
export const covers = (given: readonly Destination[], wanted: readonly Destination[]): boolean =>
  wanted.every((one) => given.some((other) => coversOne(other, one)))

function coversOne(given: Destination, wanted: Destination): boolean {
  if (given.host !== wanted.host || given.port !== wanted.port) return false
  const allowed = given.methods
  if (allowed && !wanted.methods?.every((method) => allowed.includes(method))) return false
  if (given.pathPattern !== undefined && !isNarrower(given.pathPattern, wanted.pathPattern)) return false
  if (given.pathPrefix === undefined) return true
  const begins = wanted.pathPrefix ?? literalHead(wanted.pathPattern)
  return begins !== undefined && isBelow(given.pathPrefix, begins)
}

/** Whether every path like `wanted` is also one like `given`, segment by segment; not, where that is not certain. */
function isNarrower(given: string, wanted: string | undefined): boolean {
  if (wanted === undefined) return false
  const [have, want] = [given.split('/'), wanted.split('/')]
  const open = have.at(-1) === '**'
  if (open ? want.length < have.length : want.length !== have.length) return false
  const fixed = open ? have.slice(0, -1) : have
  return fixed.every((segment, i) => {
    const other = want[i] ?? ''
    return segment === other || (segment === '*' && other !== '' && other !== '**')
  })
}

/** The segments before the first star. */
function literalHead(pattern: string | undefined): string | undefined {
  const segments = pattern?.split('/') ?? []
  const star = segments.findIndex((segment) => segment.startsWith('*'))
  const head = (star === -1 ? segments : segments.slice(0, star)).join('/')
  return head === '' ? undefined : head
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
