import { AppError } from '../../core/index.ts'

export type HclValue = string | number | boolean | readonly HclValue[] | HclBody
/** A body keeps its entries in order, each with the place where it was written. */
export type HclBody = { readonly entries: readonly HclEntry[] }
export type HclEntry = {
  readonly key: string
  /** `path "a/b" {…}` has the label `a/b`. */
  readonly labels: readonly string[]
  readonly value: HclValue
  readonly line: number
  readonly column: number
}

const maxDepth = 32
const identifier = /[A-Za-z_][A-Za-z0-9_.-]*/y
const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const heredoc = /<<(-?)([A-Za-z0-9_]+)\r?\n/y
const blank = /(?:\s+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y
const simpleEscapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\' }

/**
 * Reads the part of HCL that policies are written in: blocks with quoted labels, attributes, strings, numbers, booleans,
 * lists, objects, heredocs and comments. JSON objects are a subset of it, so both arrive here.
 */
export function parseHcl(text: string): HclBody {
  const reader = createReader(text)
  const trimmedJson = reader.peek() === '{'
  if (trimmedJson) reader.expect('{')
  const body = parseBody(reader, trimmedJson ? '}' : '', 0)
  if (reader.peek() !== '') throw reader.error(`unexpected "${reader.peek()}" after the end`)
  return body
}

type TextReader = ReturnType<typeof createReader>

function createReader(text: string) {
  let at = 0

  function placeOf(offset: number): { line: number; column: number } {
    const before = text.slice(0, offset)
    const line = before.split('\n').length
    return { line, column: offset - before.lastIndexOf('\n') }
  }
  function error(what: string, offset = at): AppError {
    const { line, column } = placeOf(offset)
    return new AppError('policy.invalid', `line ${line}, column ${column}: ${what}`)
  }
  function match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (!found) return undefined
    at = pattern.lastIndex
    return found
  }
  /** The next character that is neither white space nor comment; empty at the end. */
  function peek(): string {
    match(blank)
    if (text.startsWith('/*', at)) throw error('the comment is never closed')
    return text[at] ?? ''
  }
  return {
    peek,
    error,
    match,
    place: () => placeOf(at),
    startsWith: (what: string) => text.startsWith(what, at),
    /** Takes one character whatever it is; empty at the end. */
    next(): string {
      const char = text[at] ?? ''
      at += char.length
      return char
    },
    take(what: string): boolean {
      if (peek() !== what) return false
      at++
      return true
    },
    expect(what: string): void {
      const found = peek()
      if (found !== what) throw error(`expected "${what}", found ${found === '' ? 'the end' : `"${found}"`}`)
      at++
    },
    restUntil(line: RegExp): string | undefined {
      line.lastIndex = at
      const found = line.exec(text)
      if (!found) return undefined
      const body = text.slice(at, found.index)
      at = line.lastIndex
      return body
    },
  }
}

/** Entries up to `close`: `}` of a block or an object, or nothing at the end of the text. */
function parseBody(reader: TextReader, close: string, depth: number): HclBody {
  if (depth > maxDepth) throw reader.error(`nested deeper than ${maxDepth} levels`)
  const entries: HclEntry[] = []
  while (reader.peek() !== close) {
    entries.push(parseEntry(reader, depth))
    if (!reader.take(',')) reader.take(';')
  }
  if (close !== '') reader.expect(close)
  return { entries }
}

function parseEntry(reader: TextReader, depth: number): HclEntry {
  reader.peek()
  const place = reader.place()
  const key = parseKey(reader)
  if (reader.take('=') || reader.take(':'))
    return { key, labels: [], value: parseValue(reader, depth + 1), ...place }
  const labels: string[] = []
  while (reader.peek() === '"') labels.push(parseString(reader))
  reader.expect('{')
  return { key, labels, value: parseBody(reader, '}', depth + 1), ...place }
}

function parseKey(reader: TextReader): string {
  if (reader.peek() === '"') return parseString(reader)
  const name = reader.match(identifier)
  if (!name) throw reader.error(`expected a name, found ${reader.peek() ? `"${reader.peek()}"` : 'the end'}`)
  return name[0]
}

function parseValue(reader: TextReader, depth: number): HclValue {
  const first = reader.peek()
  if (first === '"') return parseString(reader)
  if (first === '[') return parseList(reader, depth)
  if (reader.take('{')) return parseBody(reader, '}', depth)
  if (first === '<') return parseHeredoc(reader)
  const digits = reader.match(number)
  if (digits) return Number(digits[0])
  const word = reader.match(identifier)?.[0]
  if (word === 'true' || word === 'false') return word === 'true'
  throw reader.error(`expected a value, found ${word ?? (first === '' ? 'the end' : `"${first}"`)}`)
}

function parseList(reader: TextReader, depth: number): HclValue[] {
  if (depth > maxDepth) throw reader.error(`nested deeper than ${maxDepth} levels`)
  reader.expect('[')
  const items: HclValue[] = []
  while (!reader.take(']')) {
    items.push(parseValue(reader, depth + 1))
    if (reader.take(',')) continue
    reader.expect(']')
    break
  }
  return items
}

function parseString(reader: TextReader): string {
  reader.expect('"')
  let value = ''
  for (;;) {
    const char = reader.next()
    if (char === '"') return value
    if (char === '' || char === '\n') throw reader.error('the string is never closed')
    value += char === '\\' ? parseEscape(reader) : char
  }
}

function parseEscape(reader: TextReader): string {
  const char = reader.next()
  const simple = simpleEscapes[char]
  if (simple !== undefined) return simple
  if (char === '/') return '/'
  const code = char === 'u' ? reader.match(/[0-9a-fA-F]{4}/y) : undefined
  if (!code) throw reader.error(`"\\${char}" is not an escape`)
  return String.fromCharCode(Number.parseInt(code[0], 16))
}

function parseHeredoc(reader: TextReader): string {
  const head = reader.match(heredoc)
  if (!head) throw reader.error('expected a value, found "<"')
  const [, indented, word = ''] = head
  const body = reader.restUntil(new RegExp(`^[ \\t]*${word}[ \\t]*\\r?$`, 'gm'))
  if (body === undefined) throw reader.error(`the text is never closed by ${word}`)
  return indented ? body.replace(/^[ \t]+/gm, '') : body
}
