import type { Capability, PathRule } from './policy-document.ts'

/** What the policies of one token allow, compiled once and asked for every request. */
export type Acl = {
  readonly root: boolean
  /** `listing` also accepts a rule for the folder that was written without its final slash. */
  allows(path: string, capability: Capability, listing?: boolean): boolean
  capabilitiesOn(path: string): Capability[]
  /** Whether something below `prefix` may be seen at all: for the mounts that a token may list. */
  touches(prefix: string): boolean
  exact(): ReadonlyMap<string, ReadonlySet<Capability>>
  globs(): ReadonlyMap<string, ReadonlySet<Capability>>
}

/** A rule with `*` at its end or `+` for whole segments. */
type PatternRule = {
  readonly path: string
  readonly glob: boolean
  /** Segments when the rule has a `+`, else undefined and `path` is a plain prefix. */
  readonly segments: readonly string[] | undefined
  readonly capabilities: Set<Capability>
}

const nothing: ReadonlySet<Capability> = new Set()

export const rootAcl: Acl = {
  root: true,
  allows: () => true,
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
  const exact = new Map<string, Set<Capability>>()
  const patterns = new Map<string, PatternRule>()
  for (const rule of policies.flat()) {
    const target =
      rule.glob || hasSegmentWildcard(rule.path) ? patternFor(patterns, rule) : exactFor(exact, rule)
    for (const capability of rule.capabilities) target.add(capability)
  }
  const ordered = [...patterns.values()].sort(bySpecificity)

  function match(path: string): ReadonlySet<Capability> | undefined {
    return exact.get(path) ?? ordered.find((rule) => matches(rule, path))?.capabilities
  }
  function find(path: string, listing: boolean): ReadonlySet<Capability> {
    if (!listing || !path.endsWith('/')) return match(path) ?? nothing
    const bare = path.slice(0, -1)
    return exact.get(path) ?? exact.get(bare) ?? match(path) ?? match(bare) ?? nothing
  }

  return {
    root: false,
    allows(path, capability, listing = false) {
      const found = find(path, listing)
      return found.has(capability) && !found.has('deny')
    },
    capabilitiesOn(path) {
      const found = find(path, path.endsWith('/'))
      return found.has('deny') || found.size === 0 ? ['deny'] : [...found].sort()
    },
    touches: (prefix) => touches(prefix, exact, ordered),
    exact: () => exact,
    globs: () => new Map(ordered.map((rule) => [rule.path, rule.capabilities])),
  }
}

const hasSegmentWildcard = (path: string): boolean => path === '+' || /(^|\/)\+(\/|$)/.test(path)

function exactFor(exact: Map<string, Set<Capability>>, { path }: PathRule): Set<Capability> {
  const known = exact.get(path) ?? new Set()
  exact.set(path, known)
  return known
}

function patternFor(patterns: Map<string, PatternRule>, { path, glob }: PathRule): Set<Capability> {
  const id = `${path}${glob ? '*' : ''}`
  const known = patterns.get(id)
  if (known) return known.capabilities
  const segments = hasSegmentWildcard(path) ? path.split('/') : undefined
  const rule = { path, glob, segments, capabilities: new Set<Capability>() }
  patterns.set(id, rule)
  return rule.capabilities
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
  exact: ReadonlyMap<string, ReadonlySet<Capability>>,
  patterns: readonly PatternRule[],
): boolean {
  const useful = (found: ReadonlySet<Capability>): boolean => found.size > 0 && !found.has('deny')
  for (const [path, found] of exact) if (path.startsWith(prefix) && useful(found)) return true
  return patterns.some((rule) => {
    const fixed = rule.segments ? rule.path.slice(0, rule.path.indexOf('+')) : rule.path
    const overlaps = fixed.startsWith(prefix) || (prefix.startsWith(fixed) && (rule.glob || rule.segments))
    return Boolean(overlaps) && useful(rule.capabilities)
  })
}
