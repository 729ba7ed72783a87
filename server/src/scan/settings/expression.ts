/** A regular expression as far as its running time depends on it: what it reads, and what it repeats. */
export type Expression =
  | { readonly kind: 'empty' }
  /** One character; `set[code]` is 1 for each of the 256 that fit. */
  | { readonly kind: 'character'; readonly set: Uint8Array }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly part: Expression; readonly least: number; readonly most: number }
  /** Looks ahead or behind: it reads nothing, but is work of its own. */
  | { readonly kind: 'look'; readonly part: Expression }

type Cursor = { readonly source: string; at: number; readonly flags: string }

const empty: Expression = { kind: 'empty' }

/** Of an expression that the language accepts. Throws an `Error` for what cannot be judged. */
export function parseExpression({ source, flags }: RegExp): Expression {
  const cursor: Cursor = { source, at: 0, flags: flags.replace(/[^is]/g, '') }
  const parsed = readChoice(cursor)
  if (cursor.at < source.length) throw new Error(`it cannot be read from position ${cursor.at + 1}`)
  return parsed
}

function readChoice(cursor: Cursor): Expression {
  const parts = [readSequence(cursor)]
  while (cursor.source[cursor.at] === '|') {
    cursor.at++
    parts.push(readSequence(cursor))
  }
  return only(parts) ?? { kind: 'choice', parts }
}

const only = (parts: readonly Expression[]): Expression | undefined =>
  parts.length === 1 ? parts[0] : undefined

function readSequence(cursor: Cursor): Expression {
  const parts: Expression[] = []
  for (let next = cursor.source[cursor.at]; next && next !== '|' && next !== ')'; ) {
    parts.push(readRepeat(cursor, readAtom(cursor)))
    next = cursor.source[cursor.at]
  }
  if (parts.length === 0) return empty
  return only(parts) ?? { kind: 'sequence', parts }
}

const quantifier = /(?:[*+?]|\{(\d+)(,(\d*))?\})\??/y

function readRepeat(cursor: Cursor, part: Expression): Expression {
  quantifier.lastIndex = cursor.at
  const match = quantifier.exec(cursor.source)
  if (!match) return part
  cursor.at = quantifier.lastIndex
  const [text, least, range, most] = match
  if (text[0] === '*') return { kind: 'repeat', part, least: 0, most: Number.POSITIVE_INFINITY }
  if (text[0] === '+') return { kind: 'repeat', part, least: 1, most: Number.POSITIVE_INFINITY }
  if (text[0] === '?') return { kind: 'repeat', part, least: 0, most: 1 }
  const from = Number(least)
  if (range === undefined) return { kind: 'repeat', part, least: from, most: from }
  return { kind: 'repeat', part, least: from, most: most ? Number(most) : Number.POSITIVE_INFINITY }
}

function readAtom(cursor: Cursor): Expression {
  const { source } = cursor
  const character = source[cursor.at] ?? ''
  if (character === '(') return readGroup(cursor)
  if (character === '^' || character === '$') {
    cursor.at++
    return empty
  }
  const text = atomAt(source, cursor.at)
  cursor.at += text.length
  if (text === '\\b' || text === '\\B') return empty
  if (/^\\(?:[1-9]|k)/.test(text)) throw new Error(`it refers back (${text}), which cannot be judged`)
  return { kind: 'character', set: setOf(text, cursor.flags) }
}

const escapeSequence = /\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|c[A-Za-z]|.)/sy
const characterClass = /\[(?:\\.|[^\]\\])*\]/sy

function atomAt(source: string, at: number): string {
  for (const form of [escapeSequence, characterClass]) {
    form.lastIndex = at
    const match = form.exec(source)
    if (match) return match[0]
  }
  return source[at] ?? ''
}

/** What the language itself says of each character: its rules for classes need no second telling. */
function setOf(text: string, flags: string): Uint8Array {
  const one = new RegExp(`^(?:${text})$`, flags)
  return Uint8Array.from({ length: 256 }, (_, code) => (one.test(String.fromCharCode(code)) ? 1 : 0))
}

const opening = /\((?:\?(?::|=|!|<=|<!|<[A-Za-z_$][\w$]*>))?/y

function readGroup(cursor: Cursor): Expression {
  opening.lastIndex = cursor.at
  const [open = '('] = opening.exec(cursor.source) ?? []
  cursor.at += open.length
  if (cursor.source[cursor.at] === '?') throw new Error(`it holds a group that cannot be judged: ${open}?`)
  const part = readChoice(cursor)
  cursor.at++
  return /^\(\?<?[=!]$/.test(open) ? { kind: 'look', part } : part
}
