import { isUtf8 } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import { Secret } from '../core/index.ts'
import type { Candidate } from './candidate.ts'
import { entropyOf } from './checks.ts'
import type { Encoding, Place, RawFinding } from './finding.ts'
import { fingerprintOf, maskOf } from './fingerprint.ts'
import { hides, inlineIgnore } from './inline-ignore.ts'
import { syntaxOf } from './syntax.ts'

/** Where bytes that are looked through stand. */
export type Origin = {
  readonly bytes: Buffer
  readonly file: string
  /** Where these bytes begin in the file: offset, and line counted from 1. */
  readonly offset?: number
  readonly line?: number
  readonly commit?: { readonly id: string; readonly author: string; readonly committedAt: Date }
  readonly encoding?: Encoding
  /** What the bytes were taken out of, when they are not the file's own. */
  readonly wrapping?: Exclude<Place['wrapping'], 'none'>
}

/** Tells where candidates stand, one after the other in their order: each byte is counted once, in a long line too. */
export type Ruler = {
  findingOf(candidate: Candidate): RawFinding
  /** Whether a comment on the first or the last line of a value says that it is to be passed over. */
  isIgnored(candidate: Candidate): boolean
}

const furthestComment = 16_384
const quotes = new Set(['"', "'", '`'])

export function createRuler(origin: Origin, key: KeyObject, today = ''): Ruler {
  const { bytes, file, commit } = origin
  const offset = origin.offset ?? 0
  const syntax = syntaxOf(file)
  const cursor = { at: 0, line: origin.line ?? 1, lineStart: 0, lineEnd: lineEndFrom(0), column: 1 }

  function lineEndFrom(at: number): number {
    const found = bytes.indexOf(10, at)
    return found < 0 ? bytes.length : found
  }

  function moveTo(start: number): void {
    while (cursor.lineEnd < start) {
      cursor.line++
      cursor.lineStart = cursor.lineEnd + 1
      cursor.lineEnd = lineEndFrom(cursor.lineStart)
      cursor.at = cursor.lineStart
      cursor.column = 1
    }
    cursor.column += bytes.toString('utf8', cursor.at, start).length
    cursor.at = start
  }

  return {
    isIgnored({ rule, start, end }) {
      moveTo(start)
      const after = bytes.subarray(end, end + 1024)
      const lineEnd = after.indexOf(10)
      const to = end + (lineEnd < 0 ? after.length : lineEnd)
      const line = bytes.subarray(Math.max(cursor.lineStart, start - furthestComment), to)
      const at = line.indexOf(inlineIgnore)
      return at >= 0 && hides(line.toString('utf8', at + inlineIgnore.length), rule, today)
    },
    findingOf(candidate) {
      const { rule, provider, title, confidence, start, end } = candidate
      const value = candidate.value ?? textOf(bytes, start, end)
      moveTo(start)
      const before = start > 0 ? String.fromCharCode(bytes[start - 1] ?? 0) : ''
      return {
        rule,
        provider,
        title,
        confidence,
        ...(candidate.reasons && { reasons: candidate.reasons }),
        entropy: Math.round(entropyOf(value) * 100) / 100,
        masked: maskOf(value, rule !== 'assigned-password'),
        fingerprint: fingerprintOf(key, value),
        value: new Secret(value),
        place: {
          file,
          line: cursor.line,
          endLine: cursor.line + countLines(bytes, start, end),
          column: cursor.column,
          start: offset + start,
          end: offset + end,
          encoding: origin.encoding ?? 'utf8',
          syntax,
          quote: candidate.quote ?? (quotes.has(before) ? before : ''),
          wrapping: origin.wrapping ?? candidate.wrapping,
          commit: commit?.id ?? null,
          author: commit?.author ?? null,
          committedAt: commit?.committedAt ?? null,
        },
      }
    },
  }
}

const windows1252 = new TextDecoder('windows-1252')

/** UTF-8; where it is none, what Western editors wrote before it. */
export function textOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end)
  return text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end))
    ? windows1252.decode(bytes.subarray(start, end))
    : text
}

function countLines(bytes: Buffer, from: number, to: number): number {
  let lines = 0
  for (let at = bytes.indexOf(10, from); at >= 0 && at < to; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}
