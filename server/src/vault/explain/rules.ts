import { compileAcl } from '../acl/acl.ts'
import type { Capability, PathRule } from '../acl/policy-document.ts'
import { fillTemplate } from '../acl/templates.ts'
import type { Subject as Identified } from '../identity/records.ts'
import type { PlacedRule } from './explanation.ts'

/**
 * A policy as it was looked at; without rules it does not exist. Templates in it are filled for whom the token belongs to;
 * `unfilled` are those that do not count, because something they name is not known.
 */
export type ReadPolicy = {
  readonly name: string
  readonly rules: readonly PathRule[] | undefined
  readonly unfilled: readonly PathRule[]
}

export function readPolicy(
  name: string,
  rules: readonly PathRule[] | undefined,
  subject: Identified | undefined,
): ReadPolicy {
  const unfilled: PathRule[] = []
  const filled = rules?.flatMap((rule) => {
    const path = rule.template ? fillTemplate(rule.path, subject) : rule.path
    if (path === undefined) unfilled.push(rule)
    return path === undefined ? [] : [{ ...rule, path }]
  })
  return { name, rules: filled, unfilled }
}

/** A rule beside the place where it stands. */
export type KnownRule = { readonly placed: PlacedRule; readonly rule: PathRule }

export const knownRules = (policies: readonly ReadPolicy[]): KnownRule[] =>
  policies.flatMap(({ name, rules = [] }) =>
    rules.map((rule) => ({
      rule,
      placed: {
        policy: name,
        line: rule.line,
        path: writtenPath(rule),
        capabilities: rule.capabilities,
      },
    })),
  )

export const writtenPath = ({ path, glob }: PathRule): string => `${path}${glob ? '*' : ''}`

/** Whether the rule alone would give the capability on the path. */
export const gives = ({ rule }: KnownRule, path: string, capability: Capability, listing: boolean): boolean =>
  compileAcl([[rule]]).allows(path, capability, listing)

/** The rules whose path is most like the one that was asked for; only such that look like a slip of the pen. */
export function nearMisses(rules: readonly KnownRule[], path: string): KnownRule[] {
  const scored = rules
    .map((known) => ({ known, distance: distanceTo(known.rule, path) }))
    .filter(({ distance }) => distance > 0 && distance <= slips(path))
    .sort((a, b) => a.distance - b.distance)
  const [best] = scored
  return scored.filter(({ distance }) => distance === best?.distance).map(({ known }) => known)
}

/** How many wrong letters may be a slip: more in a longer path. */
const slips = (path: string): number => Math.min(3, Math.max(1, Math.floor(path.length / 6)))

function distanceTo({ path, glob }: PathRule, asked: string): number {
  const compared = glob ? asked.slice(0, path.length) : asked
  const own = path.split('/')
  const parts = compared.split('/')
  // What stands for a whole segment fits any.
  const filled = own.map((segment, i) => (segment === '+' ? (parts[i] ?? '') : segment)).join('/')
  if (Math.abs(filled.length - compared.length) > slips(asked)) return Number.POSITIVE_INFINITY
  return editDistance(filled, compared)
}

/** Letters to change, add, drop or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min((next[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      next.push(least)
    }
    before = last
    last = next
  }
  return last[b.length] ?? 0
}
