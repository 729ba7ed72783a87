import { createSecretKey, type KeyObject } from 'node:crypto'
import { Secret } from '../core/index.ts'
import { assignmentKeywords, readAssignment } from './assignments.ts'
import { unwrap, wrappedKeywords } from './base64.ts'
import type { Detector } from './detector.ts'
import type { Confidence, Place, RawFinding } from './finding.ts'
import { fingerprintOf, maskOf } from './fingerprint.ts'
import { createKeywordIndex } from './keyword-index.ts'
import { isSample } from './plausible.ts'
import { holdsOnlyData, isTestOrExample, syntaxOf } from './syntax.ts'

/** What is known of the bytes that are looked through. */
type Passage = {
  readonly bytes: Buffer
  readonly file: string
  /** Where these bytes begin in the file: offset, and line counted from 1. */
  readonly offset?: number
  readonly line?: number
  readonly commit?: { readonly id: string; readonly author: string; readonly committedAt: Date }
  /** Only matches that begin in [emitFrom, emitTo) of these bytes count; the rest is context. */
  readonly emitFrom?: number
  readonly emitTo?: number
  readonly encoding?: Place['encoding']
}

export type Engine = { detect(passage: Passage): RawFinding[] }

type Candidate = {
  rule: string
  provider: string
  title: string
  confidence: Confidence
  start: number
  end: number
  rank: number
  wrapping: Place['wrapping']
  /** Set when it is not simply the text between start and end. */
  value?: string
  quote?: string
}

type Compiled = {
  detector: Detector
  pattern: RegExp
  before: number
  after: number
  rank: number
  /** The credential begins with the keyword, so its neighbours can be looked at before any pattern runs. */
  anchored: boolean
  leadsTo: number | undefined
}

/** A stretch of bytes in which a detector's pattern is worth running: windows around hits, joined where they overlap. */
type Window = { from: number; to: number }

type Found = {
  candidates: Candidate[]
  windows: Map<Compiled, Window>
  lastKeyEnd: number
  lastRunEnd: number
}

const inlineIgnore = 'keyward:ignore'
const longestValueBytes = 16_384

export function createEngine(needs: { detectors: readonly Detector[]; fingerprintKey: Buffer }): Engine {
  const compiled = needs.detectors.map(compile)
  const fingerprintKey = createSecretKey(needs.fingerprintKey)
  const words = new Map<string, number>()
  const compiledFor: Compiled[][] = []
  const wordFor = (word: string): number => {
    const known = words.get(word.toLowerCase())
    if (known !== undefined) return known
    words.set(word.toLowerCase(), words.size)
    compiledFor.push([])
    return words.size - 1
  }
  for (const entry of compiled) {
    for (const keyword of entry.detector.keywords) compiledFor[wordFor(keyword)]?.push(entry)
  }
  const assignmentWords = new Set(assignmentKeywords.map(wordFor))
  const wrappedWords = new Set(wrappedKeywords(needs.detectors).map(wordFor))
  const index = createKeywordIndex([...words.keys()])

  function collect(bytes: Buffer, file: string, deep: boolean): Candidate[] {
    const found: Found = { candidates: [], windows: new Map(), lastKeyEnd: -1, lastRunEnd: -1 }
    const syntax = syntaxOf(file)
    const generic = !holdsOnlyData(file)
    index.search(bytes, 0, bytes.length, (word, start, end) => {
      for (const entry of compiledFor[word] ?? []) noteHit({ found, entry, bytes, start, end })
      if (generic && assignmentWords.has(word)) noteAssignment(found, { bytes, start, end, file, syntax })
      if (deep && wrappedWords.has(word)) noteWrapped(found, { bytes, start, file })
    })
    for (const [entry, window] of found.windows) runPattern(found.candidates, entry, bytes, window)
    return found.candidates
  }

  function noteWrapped(found: Found, at: { bytes: Buffer; start: number; file: string }): void {
    if (at.start < found.lastRunEnd) return
    const run = unwrap(at.bytes, at.start)
    found.lastRunEnd = run.end
    if (!run.decoded) return
    for (const inner of winners(collect(run.decoded, at.file, false))) {
      if (inner.rank < 2) continue
      const value = inner.value ?? run.decoded.toString('utf8', inner.start, inner.end)
      found.candidates.push({ ...inner, value, start: run.start, end: run.end, wrapping: 'base64' })
    }
  }

  return {
    detect(passage) {
      const candidates = winners(collect(passage.bytes, passage.file, true))
      if (candidates.length === 0) return []
      const { emitFrom = 0, emitTo = passage.bytes.length } = passage
      const cursor = { at: 0, line: passage.line ?? 1 }
      const findings: RawFinding[] = []
      for (const candidate of candidates) {
        if (candidate.start < emitFrom || candidate.start >= emitTo) continue
        if (isIgnored(passage.bytes, candidate)) continue
        findings.push(toFinding(candidate, passage, cursor, fingerprintKey))
      }
      return findings
    },
  }
}

function compile(detector: Detector): Compiled {
  const source = detector.pattern.source
  const named = source.includes('(?<value>')
  const before = named ? '' : '(?<=^|[^A-Za-z0-9_]|\\\\[nrt])'
  const longest = Math.max(...detector.keywords.map((keyword) => keyword.length))
  return {
    detector,
    pattern: new RegExp(
      `${before}(?:${source})(?![A-Za-z0-9])`,
      `${detector.pattern.flags.replace(/[gd]/g, '')}gd`,
    ),
    // Two more bytes than the match needs, so that what stands before it is seen.
    before: (detector.reach?.before ?? 0) + 4,
    after: (detector.reach?.after ?? 200) + longest,
    rank: detector.rank ?? 3,
    anchored: detector.prefixed === true && !named && detector.reach?.before === undefined,
    leadsTo: detector.leadsTo?.charCodeAt(0),
  }
}

const isWordByte = (byte: number | undefined): boolean =>
  byte !== undefined &&
  ((byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte === 95)

/** Whether the bytes around an anchored keyword can be the beginning of a token: most hits end here. */
function mayBegin(bytes: Buffer, start: number, end: number): boolean {
  if (start > 0 && isWordByte(bytes[start - 1]) && bytes[start - 2] !== 92) return false
  for (let i = end; i < end + 8; i++) {
    const byte = bytes[i]
    // Printable ASCII without quotes and brackets: letters, digits, and `$ % + - . / : = _`.
    if (byte === undefined || !(isWordByte(byte) || byte === 36 || byte === 37 || (byte >= 43 && byte <= 61)))
      return false
  }
  return true
}

/** Whether `byte` stands in [from, to) before any blank, control character or quote. */
function comesBefore(bytes: Buffer, from: number, to: number, byte: number): boolean {
  for (let i = from; i < to; i++) {
    const here = bytes[i]
    if (here === byte) return true
    if (here === undefined || here <= 32 || here === 34 || here === 39 || here === 96) return false
  }
  return false
}

type Hit = { found: Found; entry: Compiled; bytes: Buffer; start: number; end: number }

function noteHit({ found, entry, bytes, start, end }: Hit): void {
  if (entry.anchored && !mayBegin(bytes, start, end)) return
  if (entry.leadsTo !== undefined && !comesBefore(bytes, end, end + entry.after, entry.leadsTo)) return
  const from = Math.max(0, start - entry.before)
  const to = Math.min(bytes.length, end + entry.after)
  const open = found.windows.get(entry)
  if (open && from <= open.to) {
    open.to = Math.max(open.to, to)
    return
  }
  if (open) runPattern(found.candidates, entry, bytes, open)
  found.windows.set(entry, { from, to })
}

function runPattern(candidates: Candidate[], entry: Compiled, bytes: Buffer, window: Window): void {
  const { detector, pattern, rank } = entry
  const text = bytes.toString('latin1', window.from, window.to)
  for (const match of text.matchAll(pattern)) {
    const [start, end] = match.indices?.groups?.['value'] ?? match.indices?.[0] ?? [0, 0]
    const value = text.slice(start, end)
    if (rank >= 3 && !value.startsWith('-----') && isSample(value)) continue
    const judged = detector.judge?.(value)
    if (judged === false) continue
    const { rule, provider, title } = detector
    candidates.push({
      rule,
      provider,
      title,
      confidence: judged ?? detector.confidence,
      start: window.from + start,
      end: window.from + end,
      rank,
      wrapping: 'none',
      ...(value.startsWith('-----BEGIN') && { value: plainPem(value) }),
    })
  }
}

/** A private key as its file would hold it: escaped line ends undone, indentation and quoting marks dropped. */
function plainPem(text: string): string {
  const lines = text.replace(/\\r/g, '').replace(/\\n/g, '\n').split(/\r?\n/)
  return `${lines
    .map((line) => line.replace(/^[\s|>#*"'+]+|[\s"'+,\\]+$/g, ''))
    .filter((line) => line !== '')
    .join('\n')}\n`
}

type AssignmentAt = { bytes: Buffer; start: number; end: number; file: string; syntax: Place['syntax'] }

/** Skips what follows the key's name; an assignment has one of `= : , ( > value` there. */
function mayAssign(bytes: Buffer, end: number): boolean {
  let at = end
  while (at < end + 48 && (isWordByte(bytes[at]) || bytes[at] === 45 || bytes[at] === 46)) at++
  for (let steps = 0; steps < 8; steps++, at++) {
    const byte = bytes[at]
    if (byte === 61 || byte === 58 || byte === 44 || byte === 40 || byte === 62 || byte === 43 || byte === 63)
      return true
    // Quotes, white space, a backslash, a closing bracket.
    const passes =
      byte === 34 || byte === 39 || byte === 96 || byte === 32 || byte === 9 || byte === 92 || byte === 93
    if (!passes && byte !== 10 && byte !== 13)
      return steps > 0 && (bytes[at - 1] === 32 || bytes[at - 1] === 39)
  }
  return true
}

function noteAssignment(found: Found, { bytes, start, end, file, syntax }: AssignmentAt): void {
  if (start < found.lastKeyEnd || !mayAssign(bytes, end)) return
  const from = Math.max(0, start - 112)
  const text = bytes.toString('latin1', from, Math.min(bytes.length, end + 1200))
  const assignment = readAssignment({ text, at: start - from, syntax })
  if (!assignment) return
  // The same key may hold several keywords; nothing before its value is looked at again.
  found.lastKeyEnd = from + assignment.start
  const password = assignment.kind === 'password'
  const raw = bytes.toString('utf8', from + assignment.start, from + assignment.end)
  const value = unescaped(raw, assignment.quote)
  found.candidates.push({
    rule: password ? 'assigned-password' : 'assigned-token',
    provider: 'generic',
    title: password ? 'Password' : 'Secret assigned to a key',
    confidence: isTestOrExample(file) ? 'low' : assignment.confidence,
    start: from + assignment.start,
    end: from + assignment.end,
    rank: 1,
    wrapping: 'none',
    ...(value !== raw && { value }),
    quote: assignment.quote,
  })
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

/** At one place the highest rank stands, then the longest. Sorted by place. */
function winners(candidates: readonly Candidate[]): Candidate[] {
  const best = candidates.toSorted(
    (a, b) => b.rank - a.rank || b.end - b.start - (a.end - a.start) || a.start - b.start,
  )
  const chosen: Candidate[] = []
  const taken = new Map<number, Candidate[]>()
  for (const candidate of best) {
    const pages = pagesOf(candidate)
    const collides = pages.some((page) =>
      taken.get(page)?.some((other) => candidate.start < other.end && other.start < candidate.end),
    )
    if (collides) continue
    chosen.push(candidate)
    for (const page of pages) taken.set(page, [...(taken.get(page) ?? []), candidate])
  }
  return chosen.sort((a, b) => a.start - b.start)
}

/** The kilobytes that a candidate touches: overlaps are looked for only there. */
function pagesOf({ start, end }: Candidate): number[] {
  const first = start >> 10
  return Array.from({ length: ((end - 1) >> 10) - first + 1 }, (_, i) => first + i)
}

/** A comment `keyward:ignore` on the first or the last line of a value. */
function isIgnored(bytes: Buffer, { start, end }: Candidate): boolean {
  const lineStart = start === 0 ? 0 : bytes.lastIndexOf(10, start - 1) + 1
  const lineEnd = bytes.indexOf(10, end)
  const from = Math.max(lineStart, start - longestValueBytes)
  const to = Math.min(lineEnd < 0 ? bytes.length : lineEnd, end + 1024)
  return bytes.subarray(from, to).includes(inlineIgnore)
}

type Cursor = { at: number; line: number }

function countLines(bytes: Buffer, from: number, to: number): number {
  let lines = 0
  for (let at = bytes.indexOf(10, from); at >= 0 && at < to; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

const quotes = new Set(['"', "'", '`'])

function toFinding(candidate: Candidate, passage: Passage, cursor: Cursor, key: KeyObject): RawFinding {
  const { bytes, file, commit } = passage
  const { rule, provider, title, confidence, start, end } = candidate
  const value = candidate.value ?? bytes.toString('utf8', start, end)
  cursor.line += countLines(bytes, cursor.at, start)
  cursor.at = start
  const lineStart = start === 0 ? 0 : bytes.lastIndexOf(10, start - 1) + 1
  const before = start > 0 ? String.fromCharCode(bytes[start - 1] ?? 0) : ''
  const offset = passage.offset ?? 0
  return {
    rule,
    provider,
    title,
    confidence,
    masked: maskOf(value, rule !== 'assigned-password'),
    fingerprint: fingerprintOf(key, value),
    value: new Secret(value),
    place: {
      file,
      line: cursor.line,
      endLine: cursor.line + countLines(bytes, start, end),
      column: bytes.toString('utf8', lineStart, start).length + 1,
      start: offset + start,
      end: offset + end,
      encoding: passage.encoding ?? 'utf8',
      syntax: syntaxOf(file),
      quote: candidate.quote ?? (quotes.has(before) ? before : ''),
      wrapping: candidate.wrapping,
      commit: commit?.id ?? null,
      author: commit?.author ?? null,
      committedAt: commit?.committedAt ?? null,
    },
  }
}
