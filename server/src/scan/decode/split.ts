import type { Syntax } from '../finding.ts'

/** A stretch of the file that is one piece of a text. */
type Piece = { readonly start: number; readonly end: number }

/** A text that its file holds in pieces, put together, with what stands before it on its line. */
export type Split = {
  readonly bytes: Buffer
  /** Where the file is to be looked at next. */
  readonly end: number
  /** The first piece of what stands at [start, end) of the bytes; undefined for what one piece holds whole. */
  placeOf(start: number, end: number): Piece | undefined
}

const quotes = ['"', "'", '`']
/** What stands between two literals that a program joins: `+`, `.` of PHP, `..` of Lua, `&` of Basic, `||` of SQL, `<>` of Elixir. */
const afterQuote = ['+', ' +', '\n', '\r\n', ' .', '. ', ' & ', ' ||', ' <>', ' \\', ' "', " '"]

/** What a text holds where a literal goes on after its end. */
export const splitKeywords: readonly string[] = [
  ...quotes.flatMap((quote) => afterQuote.map((after) => quote + after)),
  '"."',
  "'.'",
  '\\\n',
  '\\\r\n',
  ': >\n',
  ': >-\n',
]

const mostPieces = 200
const longestPieceBytes = 1024
const longestJointBytes = 120
/** So much before the first piece is kept: the key that it is given to. */
const keptBefore = 120

/** What a look at a keyword may cost where nothing goes on, in the steps of a budget. */
export const splitSteps = 64

const isBlank = (byte: number | undefined): boolean => byte === 32 || byte === 9
const isQuote = (byte: number | undefined): boolean => byte === 34 || byte === 39 || byte === 96
const backslash = 92
const lineFeed = 10

/** The text of which a piece ends in the keyword at [at, to). */
export function splitAt(bytes: Buffer, at: number, to: number, syntax: Syntax): Split | undefined {
  const first = bytes[at]
  if (first === backslash) return continuedLines(bytes, at, syntax)
  if (!isQuote(first)) return syntax === 'yaml' ? foldedLines(bytes, to) : undefined
  return joinedLiterals(bytes, at, syntax)
}

const between = Buffer.from(' \t\r\n+.&|<>\\')
const joints =
  /^[ \t]{0,40}(?:\r?\n[ \t]{0,60})?(?:(?:\+|\.{1,2}|&|\|\||<>|\\)[ \t]{0,40}(?:\r?\n[ \t]{0,60})?)?$/

/** The opening quote of the literal that goes on after the one which ends at `at`. */
function nextLiteral(bytes: Buffer, at: number, syntax: Syntax): number | undefined {
  let next = at + 1
  const last = Math.min(bytes.length, next + longestJointBytes)
  while (next < last && between.includes(bytes[next] as number)) next++
  const open = next
  // Python, C# and PHP mark a literal with a letter.
  if (next < last && /[bruf$@]/i.test(String.fromCharCode(bytes[next] ?? 0)) && isQuote(bytes[next + 1]))
    next++
  if (!isQuote(bytes[next]) || open === at + 1) return
  const joint = bytes.toString('latin1', at + 1, open)
  if (!joints.test(joint)) return
  // Without a sign between them only programs join two literals: in a shell and in data they are two.
  return /[^\s]/.test(joint) || syntax === 'code' ? next : undefined
}

/** Where the literal that opens at `open` ends; nowhere when its line ends first. */
function endOfLiteral(bytes: Buffer, open: number): number | undefined {
  const quote = bytes[open]
  const last = Math.min(bytes.length, open + longestPieceBytes)
  for (let at = open + 1; at < last; at++) {
    const byte = bytes[at]
    if (byte === backslash) at++
    else if (byte === quote) return at
    else if (byte === lineFeed) return
  }
  return
}

/** The quote that opens what ends at `close`. */
function startOfLiteral(bytes: Buffer, close: number): number | undefined {
  const first = Math.max(0, close - longestPieceBytes)
  for (let at = close - 1; at >= first && bytes[at] !== lineFeed; at--)
    if (bytes[at] === bytes[close] && bytes[at - 1] !== backslash) return at
  return
}

function joinedLiterals(bytes: Buffer, close: number, syntax: Syntax): Split | undefined {
  let next = nextLiteral(bytes, close, syntax)
  if (next === undefined) return
  const open = startOfLiteral(bytes, close)
  if (open === undefined) return
  const pieces = [{ start: open, end: close }]
  let end = close
  while (next !== undefined && pieces.length < mostPieces) {
    const ends = endOfLiteral(bytes, next)
    if (ends === undefined) break
    pieces.push({ start: next + 1, end: ends })
    end = ends
    next = nextLiteral(bytes, ends, syntax)
  }
  if (pieces.length < 2) return
  return putTogether(bytes, { lead: leadOf(textBefore(bytes, open)), pieces, end })
}

/** What stands before the first literal on its line, or on the one above it: `key = (` and the literals below. */
function leadOf(before: string): string {
  const lineStart = before.lastIndexOf('\n') + 1
  const line = before.slice(lineStart)
  if (lineStart === 0 || /[^ \t]/.test(line)) return line
  const above = before.slice(before.lastIndexOf('\n', lineStart - 2) + 1, lineStart)
  const open = /[([][ \t]*\r?\n$/.exec(above)
  return open ? above.slice(0, open.index) : line
}

const textBefore = (bytes: Buffer, at: number): string =>
  bytes.toString('latin1', Math.max(0, at - keptBefore), at)

const isWordy = (byte: number | undefined): boolean =>
  byte !== undefined && /[\w+/=.~-]/.test(String.fromCharCode(byte))

/** Lines that a backslash in the middle of a word ends: YAML drops the blanks before the next one, others keep them. */
function continuedLines(bytes: Buffer, at: number, syntax: Syntax): Split | undefined {
  if (!isWordy(bytes[at - 1])) return
  const start = Math.max(bytes.lastIndexOf(lineFeed, at) + 1, at - longestPieceBytes)
  const pieces = [{ start, end: at }]
  let end = at
  while (bytes[end] === backslash && pieces.length < mostPieces) {
    let next = end + (bytes[end + 1] === 13 ? 3 : 2)
    while (syntax === 'yaml' && isBlank(bytes[next])) next++
    if (!isWordy(bytes[next])) break
    const lineEnd = endOfLine(bytes, next)
    end = bytes[lineEnd - 1] === backslash ? lineEnd - 1 : lineEnd
    pieces.push({ start: next, end })
  }
  return pieces.length < 2 ? undefined : putTogether(bytes, { lead: '', pieces, end })
}

/** Without the carriage return that may be part of a line's end. */
function endOfLine(bytes: Buffer, from: number): number {
  const found = bytes.indexOf(lineFeed, from)
  const end = Math.min(found < 0 ? bytes.length : found, from + longestPieceBytes)
  return bytes[end - 1] === 13 ? end - 1 : end
}

const shortestFold = 16

/** Long words on lines of their own, which whoever reads a folded block puts together again. */
function foldedLines(bytes: Buffer, from: number): Split | undefined {
  const pieces: Piece[] = []
  let at = from
  while (pieces.length < mostPieces) {
    let start = at
    while (isBlank(bytes[start])) start++
    const end = endOfLine(bytes, start)
    const word = bytes.toString('latin1', start, end)
    const isFirst = pieces.length === 0
    if (start === at || !/^[\w+/=.~-]+$/.test(word) || (isFirst && word.length < shortestFold)) break
    pieces.push({ start, end })
    at = bytes.indexOf(lineFeed, end) + 1
    if (at === 0) break
  }
  const [first, last] = [pieces[0], pieces.at(-1)]
  if (pieces.length < 2 || !first || !last) return
  const lead = textBefore(bytes, from).replace(/[ \t]*>-?\r?\n$/, ' ')
  return putTogether(bytes, { lead: lead.slice(lead.lastIndexOf('\n') + 1), pieces, end: last.end })
}

function putTogether(
  bytes: Buffer,
  { lead, pieces, end }: { lead: string; pieces: readonly Piece[]; end: number },
): Split {
  const before = Buffer.from(lead, 'latin1')
  const parts = pieces.map(({ start, end: pieceEnd }) => bytes.subarray(start, pieceEnd))
  const close = isQuote(bytes[pieces[0]?.start ?? 0]) ? bytes.subarray(end, end + 1) : Buffer.alloc(0)
  /** Which piece holds the byte, and where it stands in the file. */
  const originOf = (at: number): { piece: number; at: number } | undefined => {
    let left = at - before.length
    for (const [piece, { start, end: pieceEnd }] of pieces.entries()) {
      if (left < 0) return
      if (left < pieceEnd - start) return { piece, at: start + left }
      left -= pieceEnd - start
    }
    return
  }
  return {
    bytes: Buffer.concat([before, ...parts, close, Buffer.from('\n')]),
    end,
    placeOf(start, to) {
      const [from, last] = [originOf(start), originOf(to - 1)]
      if (!from || !last || from.piece === last.piece) return
      return { start: from.at, end: pieces[from.piece]?.end ?? from.at }
    },
  }
}
