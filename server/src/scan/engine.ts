import { createSecretKey } from 'node:crypto'
import {
  type Assignment,
  assignmentKeywords,
  keyAt,
  readAssignment,
  readColumnAssignments,
} from './assignments.ts'
import { type Budget, createBudget } from './budget.ts'
import { type Candidate, winners } from './candidate.ts'
import { type Decoded, decodeRun, decodeUrl, urlKeywords } from './decode/decode.ts'
import { base64Runs, type Run, urlRun } from './decode/runs.ts'
import { splitAt, splitKeywords, splitSteps } from './decode/split.ts'
import type { Detector } from './detector.ts'
import type { Place, RawFinding } from './finding.ts'
import { createKeyKinds, type KeyKind } from './key-name.ts'
import { keyStoreIn } from './key-store.ts'
import { createKeywordIndex } from './keyword-index.ts'
import { createRuler, type Origin, textOf } from './place-of.ts'
import { type Field, isWordByte, noteHit, type Rule, ruleFor, runOpenWindows } from './rule-windows.ts'
import { holdsOnlyData, syntaxOf } from './syntax.ts'

/** What is known of the bytes that are looked through. */
export type Passage = Origin & {
  /** Only matches that begin in [emitFrom, emitTo) of these bytes count; the rest is context. */
  readonly emitFrom?: number
  readonly emitTo?: number
  /** Of the whole file that these bytes belong to; by default they are all of it. */
  readonly budget?: Budget
}

export type Engine = { detect(passage: Passage): RawFinding[] }

/** Bytes, what they are written in, and what was seen in them so far. */
type Scope = Field & {
  readonly file: string
  readonly syntax: Place['syntax']
  readonly generic: boolean
  /** How many encodings were undone to get these bytes. */
  readonly depth: number
  lastKeyEnd: number
  lastRunEnd: number
  lastSplitEnd: number
}

/** What it means that a word stands somewhere. */
type Word = {
  readonly rules: Rule[]
  /** It is part of a key's name. */
  assigns: boolean
  /** It is written with percent signs. */
  url: boolean
  /** A text goes on after it. */
  splits: boolean
}

const deepest = 3

type Needs = {
  readonly detectors: readonly Detector[]
  readonly fingerprintKey: Buffer
  /** As `2027-01-31`: comments that hide a value may say until when. */
  readonly today?: () => string
}

export function createEngine(needs: Needs): Engine {
  const fingerprintKey = createSecretKey(needs.fingerprintKey)
  const words = new Map<string, Word>()
  const wordFor = (text: string): Word => {
    const known = words.get(text.toLowerCase())
    if (known) return known
    const word: Word = { rules: [], assigns: false, url: false, splits: false }
    words.set(text.toLowerCase(), word)
    return word
  }
  for (const rule of needs.detectors.map(ruleFor)) {
    for (const keyword of rule.detector.keywords) wordFor(keyword).rules.push(rule)
  }
  for (const keyword of assignmentKeywords) wordFor(keyword).assigns = true
  for (const keyword of urlKeywords) wordFor(keyword).url = true
  for (const keyword of splitKeywords) wordFor(keyword).splits = true
  const meanings = [...words.values()]
  const kindOf = createKeyKinds()
  const index = createKeywordIndex([...words.keys()])

  function collect(scope: Scope): Candidate[] {
    const { bytes, budget, depth } = scope
    index.search(bytes, 0, bytes.length, (at, start, end) => {
      const word = meanings[at]
      if (word && budget.exceeded === undefined) noteWord(scope, word, start, end)
    })
    runOpenWindows(scope)
    if (depth < deepest) {
      for (const run of base64Runs(bytes, 0, bytes.length)) noteDecoded(scope, run, decodeRun(bytes, run))
    }
    return scope.candidates
  }

  function noteWord(scope: Scope, word: Word, start: number, end: number): void {
    for (const rule of word.rules) noteHit(scope, rule, start, end)
    if (word.assigns && scope.generic) noteAssignment(scope, start, end, kindOf)
    if (word.url && scope.depth < deepest) noteUrl(scope, start)
    if (word.splits && scope.depth === 0) noteSplit(scope, start, end)
  }

  function noteUrl(scope: Scope, start: number): void {
    if (start < scope.lastRunEnd) return
    const run = urlRun(scope.bytes, start)
    scope.lastRunEnd = run.end
    noteDecoded(scope, run, decodeUrl(scope.bytes, run))
  }

  /** What stands inside an encoding counts when it is a provider's own form, or surely a secret. */
  function noteDecoded(scope: Scope, { start, end }: Run, decoded: Decoded | undefined): void {
    if (!decoded || !scope.budget.spend(decoded.bytes.length)) return
    const { file, syntax, generic, budget } = scope
    const inner = scopeOf({ bytes: decoded.bytes, file, syntax, generic, budget, depth: scope.depth + 1 })
    for (const candidate of winners(collect(inner))) {
      if (candidate.rank < 2 && candidate.confidence !== 'high') continue
      const value = candidate.value ?? decoded.bytes.toString('utf8', candidate.start, candidate.end)
      const place = decoded.outer
        ? { start: decoded.outer(candidate.start), end: decoded.outer(candidate.end) }
        : { start, end, run: start }
      scope.candidates.push({ ...candidate, ...place, value, wrapping: decoded.wrapping })
    }
  }

  /** What stands in a text that is written in pieces, and in none of them alone: it goes before what a piece looks like. */
  function noteSplit(scope: Scope, start: number, end: number): void {
    const { bytes, file, syntax, generic, budget } = scope
    if (start < scope.lastSplitEnd || !budget.spend(splitSteps)) return
    const split = splitAt(bytes, start, end, syntax)
    if (!split || !budget.spend(split.bytes.length)) return
    scope.lastSplitEnd = split.end
    const inner = scopeOf({ bytes: split.bytes, file, syntax, generic, budget, depth: 1 })
    for (const candidate of winners(collect(inner))) {
      const place = split.placeOf(candidate.start, candidate.end)
      if (!place) continue
      const value = candidate.value ?? split.bytes.toString('utf8', candidate.start, candidate.end)
      scope.candidates.push({ ...candidate, ...place, value, wrapping: 'split', rank: candidate.rank + 0.5 })
    }
  }

  /** What is no text holds no assignments that a person wrote: only a provider's own form counts. */
  function candidatesIn({ bytes, file, wrapping, offset = 0 }: Passage, budget: Budget): Candidate[] {
    const plain = wrapping !== 'binary'
    const generic = plain && !holdsOnlyData(file)
    const depth = plain ? 0 : deepest
    const scope = scopeOf({ bytes, file, syntax: syntaxOf(file), generic, budget, depth })
    if (generic && offset === 0) noteColumns(scope)
    const whole = plain || offset !== 0 ? undefined : keyStoreIn(bytes)
    if (whole) scope.candidates.push(whole)
    return winners(collect(scope)).filter(({ rank }) => plain || rank >= 3)
  }

  return {
    detect(passage) {
      const { bytes, emitFrom = 0, emitTo = bytes.length } = passage
      const budget = passage.budget ?? createBudget(bytes.length)
      const candidates = candidatesIn(passage, budget)
      if (candidates.length === 0) return []
      const ruler = createRuler(passage, fingerprintKey, needs.today?.())
      const findings: RawFinding[] = []
      for (const candidate of candidates) {
        if (candidate.start < emitFrom || candidate.start >= emitTo) continue
        if (ruler.isIgnored(candidate)) continue
        if (!budget.found()) break
        findings.push(ruler.findingOf(candidate))
      }
      return findings
    },
  }
}

const scopeOf = (parts: Omit<Scope, keyof Seen>): Scope => ({
  ...parts,
  candidates: [],
  windows: new Map(),
  lastKeyEnd: -1,
  lastRunEnd: -1,
  lastSplitEnd: -1,
})

type Seen = Pick<Scope, 'candidates' | 'windows' | 'lastKeyEnd' | 'lastRunEnd' | 'lastSplitEnd'>

/** What may stand between the name of a key and its value, besides blanks and quotes. */
const assigns: ReadonlySet<number> = new Set(Buffer.from('=:,(>+?|<{'))

/** Quotes, blanks, a backslash, brackets, what marks bold text. */
const passed: ReadonlySet<number> = new Set(Buffer.from('"\'` \t\\[])*'))
const opensValue: ReadonlySet<number> = new Set(Buffer.from(' "\'`'))

/** Skips what follows the key's name; an assignment has one of these, or a word, there. */
function mayAssign(bytes: Buffer, end: number): boolean {
  let at = end
  while (at < end + 48 && (isWordByte(bytes[at]) || bytes[at] === 45 || bytes[at] === 46)) at++
  for (let steps = 0; steps < 8; steps++, at++) {
    const byte = bytes[at]
    if (byte !== undefined && assigns.has(byte)) return true
    const passes = byte !== undefined && passed.has(byte)
    if (passes || byte === 10 || byte === 13) continue
    // `key "…"`, `get('key').type(…`
    return steps > 0 && (opensValue.has(bytes[at - 1] ?? 0) || (byte === 46 && bytes[at - 1] === 41))
  }
  return true
}

function noteAssignment(scope: Scope, start: number, end: number, kindOf: (key: string) => KeyKind): void {
  const { bytes, file, syntax } = scope
  if (start < scope.lastKeyEnd || !mayAssign(bytes, end)) return
  const key = keyAt(bytes, start)
  // Most keys name no secret, and the same ones come again and again.
  if (!scope.budget.spend(key.length) || kindOf(key) === 'none') return
  const from = Math.max(0, start - 112)
  const text = bytes.toString('latin1', from, Math.min(bytes.length, end + 1200))
  if (!scope.budget.spend(text.length)) return
  const assignment = readAssignment({ text, at: start - from, syntax, file })
  if (!assignment) return
  // The same key may hold several keywords; nothing before its value is looked at again.
  scope.lastKeyEnd = from + assignment.start
  scope.candidates.push(candidateOf(bytes, assignment, from))
}

function noteColumns(scope: Scope): void {
  const { bytes, file, syntax, budget, candidates } = scope
  if (!budget.spend(bytes.length)) return
  for (const assignment of readColumnAssignments(bytes, file, syntax))
    candidates.push(candidateOf(bytes, assignment, 0))
}

function candidateOf(bytes: Buffer, assignment: Assignment, from: number): Candidate {
  const { kind, confidence, reasons, quote } = assignment
  const [start, end] = [from + assignment.start, from + assignment.end]
  const password = kind === 'password'
  const raw = textOf(bytes, start, end)
  const value = unescaped(raw, quote)
  return {
    rule: password ? 'assigned-password' : 'assigned-token',
    provider: 'generic',
    title: password ? 'Password' : 'Secret assigned to a key',
    confidence,
    reasons,
    start,
    end,
    rank: 1,
    wrapping: 'none',
    ...(value !== raw && { value }),
    quote,
  }
}

/** What a quoted text means, for the escapes that JSON, YAML and the common languages share. */
function unescaped(raw: string, quote: string): string {
  if (quote !== '"' || !raw.includes('\\')) return raw
  try {
    return String(JSON.parse(`"${raw}"`))
  } catch {
    return raw
  }
}
