import { type Limits, uniteLimits } from './limits.ts'
import type { Capability, PathRule } from './policy-document.ts'

/** What the policies of one token allow, compiled once and asked for every request. */
export type Acl = {
  readonly root: boolean
  /** `listing` also accepts a rule for the folder that was written without its final slash. */
  allows(path: string, capability: Capability, listing?: boolean): boolean
  /** Whether a rule says no to all that could be asked there. */
  denies(path: string, listing?: boolean): boolean
  /** What the rule for a path asks beyond its capabilities; undefined when nothing. */
  limitsOn(path: string, listing: boolean): Limits | undefined
  /** The path, as policies write it, of the rule that decides; undefined when none matches. */
  ruleOn(path: string, listing: boolean): string | undefined
  capabilitiesOn(path: string): Capability[]
  /** Whether something below `prefix` may be seen at all: for the mounts that a token may list. */
  touches(prefix: string): boolean
  exact(): ReadonlyMap<string, ReadonlySet<Capability>>
  globs(): ReadonlyMap<string, ReadonlySet<Capability>>
}

type Grant = {
  /** The rule's path as it was written. */
  readonly written: string
  readonly capabilities: Set<Capability>
  limits: Limits | undefined
}

/** A rule with `*` at its end or `+` for whole segments. */
type PatternRule = {
  readonly path: string
  readonly glob: boolean
  /** Segments when the rule has a `+`, else undefined and `path` is a plain prefix. */
  readonly segments: readonly string[] | undefined
  readonly grant: Grant
}

const newGrant = (written: string): Grant => ({ written, capabilities: new Set(), limits: undefined })
const nothing = newGrant('')

export const rootAcl: Acl = {
  root: true,
  allows: () => true,
  denies: () => false,
  limitsOn: () => undefined,
  ruleOn: () => undefined,
  capabilitiesOn: () => [],
  touches: () => true,
  exact: () => new Map(),
  globs: () => new Map(),
}

/**
 * The same path in several policies unites its capabilities, and `deny` beats all others. Among different rules that match a
 * request only the most specific counts: an exact path, else the pattern whose first wildcard comes latest, that does not end
 * in `*`, that has fewer `+`, that is longer, that sorts later.
 */
export function compileAcl(policies: readonly (readonly PathRule[])[]): Acl {
  const exact = new Map<string, Grant>()
  const patterns = new Map<string, PatternRule>()
  for (const rule of policies.flat()) {
    const grant =
      rule.glob || hasSegmentWildcard(rule.path) ? patternFor(patterns, rule) : exactFor(exact, rule)
    for (const capability of rule.capabilities) grant.capabilities.add(capability)
    grant.limits = uniteLimits(grant.limits, rule.limits)
  }
  const limited = [...exact.values(), ...[...patterns.values()].map(({ grant }) => grant)].some(
    ({ limits }) => limits,
  )
  const ordered = [...patterns.values()].sort(bySpecificity)

  function match(path: string): Grant | undefined {
    return exact.get(path) ?? ordered.find((rule) => matches(rule, path))?.grant
  }
  function find(path: string, listing: boolean): Grant {
    if (!listing || !path.endsWith('/')) return match(path) ?? nothing
    const bare = path.slice(0, -1)
    return exact.get(path) ?? exact.get(bare) ?? match(path) ?? match(bare) ?? nothing
  }

  return {
    root: false,
    allows(path, capability, listing = false) {
      const { capabilities } = find(path, listing)
      return capabilities.has(capability) && !capabilities.has('deny')
    },
    denies: (path, listing = false) => find(path, listing).capabilities.has('deny'),
    limitsOn: (path, listing) => (limited ? find(path, listing).limits : undefined),
    ruleOn: (path, listing) => find(path, listing).written || undefined,
    capabilitiesOn(path) {
      const { capabilities: found } = find(path, path.endsWith('/'))
      return found.has('deny') || found.size === 0 ? ['deny'] : [...found].sort()
    },
    touches: (prefix) => touches(prefix, exact, ordered),
    exact: () => new Map([...exact].map(([path, grant]) => [path, grant.capabilities])),
    globs: () => new Map(ordered.map((rule) => [rule.path, rule.grant.capabilities])),
  }
}

const hasSegmentWildcard = (path: string): boolean => path === '+' || /(^|\/)\+(\/|$)/.test(path)

function exactFor(exact: Map<string, Grant>, { path }: PathRule): Grant {
  const known = exact.get(path) ?? newGrant(path)
  exact.set(path, known)
  return known
}

function patternFor(patterns: Map<string, PatternRule>, { path, glob }: PathRule): Grant {
  const id = `${path}${glob ? '*' : ''}`
  const known = patterns.get(id)
  if (known) return known.grant
  const segments = hasSegmentWildcard(path) ? path.split('/') : undefined
  const rule = { path, glob, segments, grant: newGrant(id) }
  patterns.set(id, rule)
  return rule.grant
}

function matches({ path, glob, segments }: PatternRule, requested: string): boolean {
  if (!segments) return requested.startsWith(path)
  const given = requested.split('/')
  if (glob ? given.length < segments.length : given.length !== segments.length) return false
  return segments.every((segment, i) => {
    const part = given[i] ?? ''
    if (segment === '+') return part !== ''
    return glob && i === segments.length - 1 ? part.startsWith(segment) : part === segment
  })
}

/** Most specific first. */
function bySpecificity(a: PatternRule, b: PatternRule): number {
  const wildcardAt = ({ path, segments }: PatternRule): number =>
    segments ? `/${path}`.search(/\/\+(\/|$)/) : path.length
  const plusCount = ({ segments }: PatternRule): number =>
    segments?.filter((part) => part === '+').length ?? 0
  return (
    wildcardAt(b) - wildcardAt(a) ||
    Number(a.glob) - Number(b.glob) ||
    plusCount(a) - plusCount(b) ||
    b.path.length - a.path.length ||
    (a.path < b.path ? 1 : -1)
  )
}

function touches(
  prefix: string,
  exact: ReadonlyMap<string, Grant>,
  patterns: readonly PatternRule[],
): boolean {
  const useful = ({ capabilities }: Grant): boolean => capabilities.size > 0 && !capabilities.has('deny')
  for (const [path, found] of exact) if (path.startsWith(prefix) && useful(found)) return true
  return patterns.some((rule) => {
    const fixed = rule.segments ? rule.path.slice(0, rule.path.indexOf('+')) : rule.path
    const overlaps = fixed.startsWith(prefix) || (prefix.startsWith(fixed) && (rule.glob || rule.segments))
    return Boolean(overlaps) && useful(rule.grant)
  })
}
