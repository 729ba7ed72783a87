import type { RawFinding } from '../scan/index.ts'

export type ContextLine = { line: number; text: string; holds: boolean }

const linesAround = 2
const mostLines = 12
const longestLine = 200
const stars = '****'

type Range = { readonly start: number; readonly end: number; readonly line: number; readonly masked: string }

/**
 * The lines around a value, with every value masked that the scanner finds in the file. What it may have missed is masked, too:
 * whatever is assigned to a name that says secret, and every long word of letters and digits.
 */
export function contextOf(
  bytes: Buffer,
  all: readonly RawFinding[],
  shown: { readonly line: number; readonly endLine: number },
): ContextLine[] {
  const ranges: Range[] = all.map(({ place, masked }) => ({ ...place, masked }))
  const from = Math.max(1, shown.line - linesAround)
  const to = Math.min(shown.endLine + linesAround, from + mostLines - 1)
  const lines: ContextLine[] = []
  let start = 0
  for (let line = 1; line <= to && start <= bytes.length; line++) {
    const next = bytes.indexOf(10, start)
    const end = next === -1 ? bytes.length : next
    if (line >= from) {
      const holds = line >= shown.line && line <= shown.endLine
      lines.push({ line, text: maskedLine(bytes, { start, end, line }, ranges), holds })
    }
    start = end + 1
  }
  return lines
}

function maskedLine(
  bytes: Buffer,
  { start, end, line }: { start: number; end: number; line: number },
  ranges: readonly Range[],
): string {
  const here = ranges
    .filter((range) => range.start < end && range.end > start)
    .toSorted((a, b) => a.start - b.start || b.end - a.end)
  let text = ''
  let at = start
  let first: number | undefined
  for (const range of here) {
    if (range.end <= at) continue
    text += cautious(bytes.toString('utf8', at, Math.max(at, range.start)))
    first ??= text.length
    text += range.line === line ? range.masked : stars
    at = Math.min(end, range.end)
  }
  text += cautious(bytes.toString('utf8', at, end))
  return cut(printable(text), first ?? 0)
}

const assigned = /(pass|pwd|secret|token|key|cred|auth)([\w.-]*["']?\s*(?::|=>?)\s*)(?!\s*$)(.+)/i
const longWord = /(?=[A-Za-z0-9+/_=.~-]*[A-Za-z])(?=[A-Za-z0-9+/_=.~-]*[0-9])[A-Za-z0-9+/_=.~-]{12,}/g

const cautious = (text: string): string => text.replace(longWord, stars).replace(assigned, `$1$2${stars}`)

const printable = (text: string): string => text.replace(/\r$/, '').replace(/[^\P{C}\t]/gu, '?')

/** The part of a long line around its value. */
function cut(text: string, value: number): string {
  if (text.length <= longestLine) return text
  const from = Math.max(0, Math.min(value - 60, text.length - longestLine))
  const part = text.slice(from, from + longestLine)
  return `${from > 0 ? '…' : ''}${part}${from + longestLine < text.length ? '…' : ''}`
}
