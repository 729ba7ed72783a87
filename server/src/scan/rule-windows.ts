import { isPlaceholder } from '../core/index.ts'
import type { Budget } from './budget.ts'
import type { Candidate } from './candidate.ts'
import type { Detector } from './detector.ts'
import { longestMatch } from './pattern-length.ts'
import { isSample } from './plausible.ts'

/** A detector as it is run: near its keywords, in windows that no match outgrows. */
export type Rule = {
  readonly detector: Detector
  readonly before: number
  readonly rank: number
  /** The credential begins with the keyword, so its neighbours can be looked at before any pattern runs. */
  readonly anchored: boolean
  readonly leadsTo: number | undefined
  readonly follows: RegExp | undefined
  /** Of an anchored one: the bytes that it may begin with, and how many of a token follow its keyword. */
  readonly firstBytes: ReadonlySet<number> | undefined
  readonly leastAfter: number
  /** Made at the first hit: of hundreds of rules, a scan of a few files needs a few. */
  made: Made | undefined
}

type Made = { readonly pattern: RegExp; readonly after: number }

/** A stretch of bytes in which a rule's pattern is worth running: windows around hits, joined where they overlap. */
type Window = { from: number; to: number }

/** The bytes that are looked through, and what was seen so far. */
export type Field = {
  readonly bytes: Buffer
  readonly budget: Budget
  readonly candidates: Candidate[]
  readonly windows: Map<Rule, Window>
}

/** No value is longer: what a pattern without an end could match beyond it is no credential. */
const longestValueBytes = 16_384
const defaultReach = 200
/** After its prefix, every token goes on for so many bytes. */
const leastAfterPrefix = 8
/** What `follows` may look at. */
const furthestFollowing = 160

export const ruleFor = (detector: Detector): Rule => ({
  detector,
  // More bytes than the match needs, so that what stands before it is seen.
  before: (detector.reach?.before ?? 0) + 4,
  rank: detector.rank ?? 3,
  anchored: detector.prefixed === true && !isNamed(detector) && detector.reach?.before === undefined,
  leadsTo: detector.leadsTo?.charCodeAt(0),
  follows: detector.follows,
  firstBytes: detector.leastAfter === undefined ? undefined : firstBytesOf(detector),
  leastAfter: Math.max(leastAfterPrefix, detector.leastAfter ?? 0),
  made: undefined,
})

const isNamed = ({ pattern }: Detector): boolean => pattern.source.includes('(?<value>')

function madeFor(rule: Rule): Made {
  rule.made ??= makeFor(rule.detector)
  return rule.made
}

function makeFor(detector: Detector): Made {
  const { source, flags } = detector.pattern
  const before = isNamed(detector) ? '' : '(?<=^|[^A-Za-z0-9_]|\\\\[nrt])'
  const longestWord = Math.max(0, ...detector.keywords.map((keyword) => keyword.length))
  const longest = Math.min(longestValueBytes, longestMatch(source))
  return {
    pattern: new RegExp(`${before}(?:${source})(?![A-Za-z0-9])`, `${flags.replace(/[gd]/g, '')}gd`),
    // With what must be seen after the match.
    after: Math.max(detector.reach?.after ?? defaultReach, longest) + longestWord + 4,
  }
}

const firstBytesOf = ({ keywords }: Detector): ReadonlySet<number> =>
  new Set(keywords.map((keyword) => keyword.charCodeAt(0)))

export const isWordByte = (byte: number | undefined): boolean =>
  byte !== undefined &&
  ((byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte === 95)

/** Printable ASCII without quotes and brackets: letters, digits, and `$ % + - . / : = _`. */
export const isTokenByte = (byte: number | undefined): boolean =>
  byte !== undefined && (isWordByte(byte) || byte === 36 || byte === 37 || (byte >= 43 && byte <= 61))

/** Whether the bytes around an anchored keyword can be the beginning of a token: most hits end here. */
function mayBegin(bytes: Buffer, rule: Rule, start: number, end: number): boolean {
  if (start > 0 && isWordByte(bytes[start - 1]) && bytes[start - 2] !== 92) return false
  if (rule.firstBytes?.has(bytes[start] ?? 0) === false) return false
  const until = end + rule.leastAfter
  let at = end
  while (at < until && isTokenByte(bytes[at])) at++
  return at === until
}

/** Whether what stands after a keyword fits its pattern so far. */
function mayFollow({ bytes, budget }: Field, rule: Rule, end: number): boolean {
  if (!rule.follows) return true
  const text = bytes.toString('latin1', end, end + furthestFollowing)
  rule.follows.lastIndex = 0
  return budget.spend(text.length) && rule.follows.test(text)
}

/** Where in [from, to) `byte` stands, or before it a blank, control character or quote. */
function endOfWord(bytes: Buffer, from: number, to: number, byte: number): number {
  for (let i = from; i < to; i++) {
    const here = bytes[i]
    if (here === byte || here === undefined || here <= 32 || here === 34 || here === 39 || here === 96)
      return i
  }
  return to
}

/** A keyword of the rule stands at [start, end). */
export function noteHit(field: Field, rule: Rule, start: number, end: number): void {
  const { bytes, windows } = field
  if (rule.anchored && !mayBegin(bytes, rule, start, end)) return
  if (!mayFollow(field, rule, end)) return
  const { after } = madeFor(rule)
  if (rule.leadsTo !== undefined) {
    const until = endOfWord(bytes, end, end + after, rule.leadsTo)
    if (!field.budget.spend((until - end) >> 3) || bytes[until] !== rule.leadsTo) return
  }
  // A pattern may go on from each hit for as long as it reaches.
  if (!field.budget.spend(after)) return
  const from = Math.max(0, start - rule.before)
  const to = Math.min(bytes.length, end + after)
  const open = windows.get(rule)
  if (open && from <= open.to) {
    open.to = Math.max(open.to, to)
    return
  }
  if (open) runPattern(field, rule, open)
  windows.set(rule, { from, to })
}

export function runOpenWindows(field: Field): void {
  for (const [rule, window] of field.windows) runPattern(field, rule, window)
}

function runPattern(field: Field, rule: Rule, window: Window): void {
  let { from, to } = window
  let matches = matchesIn(field.bytes, rule, from, to)
  // What was cut by the window's edge is looked at again with more around it.
  if (matches.some((match) => touchesEdge(match, from, to, field.bytes.length))) {
    from = Math.max(0, from - defaultReach)
    to = Math.min(field.bytes.length, to + longestValueBytes)
    if (!field.budget.spend(to - from)) return
    matches = matchesIn(field.bytes, rule, from, to)
  }
  for (const match of matches) {
    const candidate = candidateOf(rule, match, from)
    if (candidate) field.candidates.push(candidate)
  }
}

function matchesIn(bytes: Buffer, rule: Rule, from: number, to: number): RegExpExecArray[] {
  const { pattern } = madeFor(rule)
  const text = bytes.toString('latin1', from, to)
  const found: RegExpExecArray[] = []
  pattern.lastIndex = 0
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    found.push(match)
    if (match[0] === '') pattern.lastIndex++
  }
  return found
}

function touchesEdge(match: RegExpExecArray, from: number, to: number, sizeBytes: number): boolean {
  return (
    (match.index === 0 && from > 0) ||
    (to < sizeBytes && match.index + match[0].length === match.input.length)
  )
}

function candidateOf({ detector, rank }: Rule, match: RegExpExecArray, from: number): Candidate | undefined {
  const [start, end] = match.indices?.groups?.['value'] ?? match.indices?.[0] ?? [0, 0]
  const value = match.input.slice(start, end)
  if (isPlaceholder(value) || (rank >= 3 && !value.startsWith('-----') && isSample(value))) return
  const judged = detector.judge?.(value)
  if (judged === false) return
  const { rule, provider, title } = detector
  return {
    rule,
    provider,
    title,
    confidence: judged ?? detector.confidence,
    start: from + start,
    end: from + end,
    rank,
    wrapping: 'none',
    ...(value.startsWith('-----BEGIN') && { value: plainPem(value) }),
  }
}

/**
 * A private key as its file would hold it: escaped line ends undone, indentation and comment marks dropped. A plus sign may be the
 * key's own: it goes only where every line begins with one, as in a patch.
 */
function plainPem(text: string): string {
  const lines = text.replace(/\\r/g, '').replace(/\\n/g, '\n').split(/\r?\n/)
  const patch = lines.length > 2 && lines.slice(1).every((line) => line.startsWith('+'))
  return `${lines
    .map((line, index) => (patch && index > 0 ? line.slice(1) : line))
    .map((line) => line.replace(/^[\s|>#*]+|[\s,\\]+$/g, ''))
    .filter((line) => line !== '')
    .join('\n')}\n`
}
