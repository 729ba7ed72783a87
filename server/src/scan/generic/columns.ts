import type { Syntax } from '../finding.ts'
import { kindOfKey } from '../key-name.ts'
import type { AssignedValue } from './assigned.ts'

/** A whole file: where each byte is a character, so that places in the text are places in the file. */
export type WholeText = { readonly text: string; readonly file: string; readonly syntax: Syntax }

/** A value, and what names it: the head of its column, the name of its file, the place on its line. */
type Cell = { readonly key: string; readonly start: number; readonly end: number; readonly quote?: string }

type Reader = {
  /** Told by the name of the file and a look at its bytes, because few files are tables. */
  readonly reads: (file: string, bytes: Buffer) => boolean
  readonly read: (whole: WholeText) => Iterable<Cell>
}

const baseOf = (file: string): string => file.split(/[/!]/).at(-1) ?? ''
const longestTable = 4 * 1024 * 1024
const longestLoneValue = 300

const readers: readonly Reader[] = [
  { reads: (file) => /\.(?:csv|tsv)$/i.test(file), read: readSeparated },
  {
    reads: (file, bytes) =>
      /\.(?:md|mdx|markdown|txt)$/i.test(file) && /\|\s{0,3}:?--/.test(bytes.toString('latin1')),
    read: readMarkdown,
  },
  {
    reads: (file, bytes) =>
      /\.(?:sql|dump|txt|log|bak)$/i.test(file) && /insert into/i.test(bytes.toString('latin1')),
    read: readInserts,
  },
  { reads: (file, bytes) => /\.ya?ml$/i.test(file) && bytes.includes('stringData:'), read: readStringData },
  { reads: (file) => /^\.?pgpass(?:\.conf)?$/i.test(baseOf(file)), read: readPgpass },
  { reads: (file) => /^(?:chap|pap)-secrets$/.test(baseOf(file)), read: readChapSecrets },
  { reads: (file) => /^\.?(?:[em]smtprc|fetchmailrc)$/.test(baseOf(file)), read: readMailrc },
  { reads: (_file, bytes) => bytes.length <= longestLoneValue, read: readLoneValue },
]

/** Values that are named by their place in the file, where no key stands before them. */
export function readColumns(bytes: Buffer, file: string, syntax: Syntax): AssignedValue[] {
  if (bytes.length > longestTable) return []
  const found = readers.filter(({ reads }) => reads(file, bytes))
  if (found.length === 0) return []
  const whole = { text: bytes.toString('latin1'), file, syntax }
  return found.flatMap(({ read }) => [...read(whole)].flatMap((cell) => assignedIn(whole, cell)))
}

/** In a table, a password of hexadecimal digits alone is the hash of one. */
const isHash = (value: string): boolean =>
  /^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/i.test(value)

function assignedIn({ text }: WholeText, { key, start, end, quote = '' }: Cell): AssignedValue[] {
  const kind = kindOfKey(key)
  const value = text.slice(start, end)
  if (kind === 'none' || value === '' || (kind === 'password' && isHash(value))) return []
  return [{ key, kind, start, end, quote, way: quote === '' ? 'element' : 'argument' }]
}

/** Each line, without its end. */
function* linesOf(text: string, from = 0): Generator<{ line: string; start: number }> {
  for (let start = from; start < text.length; ) {
    const found = text.indexOf('\n', start)
    const end = found < 0 ? text.length : found
    yield { line: text.slice(start, end).replace(/\r$/, ''), start }
    start = end + 1
  }
}

/** The cells of one line; a quoted one may hold the separator, and ends with its line. */
function cellsOf(line: string, separator: string): { start: number; end: number; quote: string }[] {
  const cells: { start: number; end: number; quote: string }[] = []
  for (let at = 0; at <= line.length; ) {
    const quote = line.charAt(at) === '"' ? '"' : ''
    const closing = quote === '' ? -1 : line.indexOf(`"${separator}`, at + 1)
    const last = quote === '' ? line.indexOf(separator, at) : closing
    const end = last < 0 ? line.length - (quote !== '' && line.endsWith('"') ? 1 : 0) : last
    cells.push({ start: at + quote.length, end: Math.max(at + quote.length, end), quote })
    if (last < 0) break
    at = end + quote.length + separator.length
  }
  return cells
}

const mostColumns = 200

function* readSeparated({ text }: WholeText): Generator<Cell> {
  const [head] = linesOf(text)
  if (!head) return
  const separator = [',', ';', '\t', '|'].find((each) => head.line.includes(each)) ?? ','
  const keys = cellsOf(head.line, separator).map(({ start, end }) => head.line.slice(start, end).trim())
  if (keys.length > mostColumns || keys.every((key) => kindOfKey(key) === 'none')) return
  for (const { line, start } of linesOf(text, head.line.length + 1)) {
    for (const [index, cell] of cellsOf(line, separator).entries())
      yield { key: keys[index] ?? '', start: start + cell.start, end: start + cell.end, quote: cell.quote }
  }
}

/** The words between the bars of a row, without the marks of code and bold text. */
function barred(line: string): { start: number; end: number }[] {
  const cells: { start: number; end: number }[] = []
  let at = line.indexOf('|') + 1
  for (const cell of line.slice(at).split('|')) {
    const lead = /^[\s`*]*/.exec(cell)?.[0].length ?? 0
    const end = cell.trimEnd().replace(/[`*]+$/, '').length
    cells.push({ start: at + lead, end: at + Math.max(lead, end) })
    at += cell.length + 1
  }
  return cells
}

function* readMarkdown({ text }: WholeText): Generator<Cell> {
  let keys: string[] | undefined
  let before = ''
  for (const { line, start } of linesOf(text)) {
    if (!line.includes('|')) keys = undefined
    else if (/^[\s|:-]{3,}$/.test(line))
      keys = barred(before).map((cell) => before.slice(cell.start, cell.end))
    else if (keys) {
      for (const [index, cell] of barred(line).entries())
        yield { key: keys[index] ?? '', start: start + cell.start, end: start + cell.end }
    }
    before = line
  }
}

const insert =
  /insert\s{1,4}into\s{1,4}[\w.`"[\]]{1,120}\s{0,4}\((?<columns>[^()]{1,2000})\)\s{0,8}values\s{0,8}/gi

function* readInserts({ text }: WholeText): Generator<Cell> {
  const statements = [...text.matchAll(insert)]
  for (const [index, { 0: head, index: at, groups }] of statements.entries()) {
    const keys = (groups?.['columns'] ?? '').split(',').map((key) => key.replace(/[^\w]/g, ''))
    if (keys.every((key) => kindOfKey(key) === 'none')) continue
    const from = at + head.length
    for (const cell of rowsIn(text.slice(from, statements[index + 1]?.index), keys))
      yield { ...cell, start: from + cell.start, end: from + cell.end }
  }
}

/** `(1, 'a', 'b'), (2, …)`: the texts of each row, up to the end of the statement. */
function* rowsIn(text: string, keys: readonly string[]): Generator<Cell> {
  const token = /'(?<quoted>(?:[^'\\]|''|\\.){0,1000})'|[(),;]/gy
  let column = 0
  for (let at = 0; at < text.length; ) {
    token.lastIndex = at
    const match = token.exec(text)
    if (!match) {
      at++
      continue
    }
    at = token.lastIndex
    const [sign] = match
    if (sign === ';') return
    if (sign === '(') column = 0
    else if (sign === ',') column++
    else if (match.groups?.['quoted'] !== undefined)
      yield { key: keys[column] ?? '', start: match.index + 1, end: at - 1, quote: "'" }
  }
}

/** What stands under `stringData:` is secret whatever it is called, but for who and where. */
function* readStringData({ text }: WholeText): Generator<Cell> {
  let indent: number | undefined
  for (const { line, start } of linesOf(text)) {
    if (line.trim() === '') continue
    const depth = line.length - line.trimStart().length
    if (/^ *stringData:\s*$/.test(line)) indent = depth
    else if (depth <= (indent ?? depth)) indent = undefined
    else yield* entryOf(line, start)
  }
}

const unnamed = /user|host|port|name|url|mail|region|type|path|id$/i

function* entryOf(line: string, start: number): Generator<Cell> {
  const entry = /^ *(?<name>[\w.-]{1,80}): {1,4}(?<quote>["']?)(?<value>[^\s"']{1,300})["']?\s*$/.exec(line)
  const { name = '', quote = '', value = '' } = entry?.groups ?? {}
  if (value === '' || unnamed.test(name) || kindOfKey(name) !== 'none') return
  const at = start + line.lastIndexOf(value)
  yield { key: `${name}.secret`, start: at, end: at + value.length, quote }
}

/** `host:port:database:user:password`, colons in a field escaped. */
function* readPgpass({ text }: WholeText): Generator<Cell> {
  for (const { line, start } of linesOf(text)) {
    const before = /^(?:(?:\\.|[^:\\]){0,200}:){4}/.exec(line)?.[0]
    if (before && !line.startsWith('#'))
      yield { key: 'password', start: start + before.length, end: start + line.length }
  }
}

/** `client server secret addresses`. */
function* readChapSecrets({ text }: WholeText): Generator<Cell> {
  for (const { line, start } of linesOf(text)) {
    const match =
      /^[ \t]{0,8}[^\s#]{1,100}[ \t]{1,40}\S{1,100}[ \t]{1,40}(?<quote>["']?)(?<value>[^\s"']{1,200})/.exec(
        line,
      )
    const { quote = '', value = '' } = match?.groups ?? {}
    const end = start + (match?.[0].length ?? 0)
    if (value !== '') yield { key: 'password', start: end - value.length, end, quote }
  }
}

/** `password secret`, `pass "secret"`. */
function* readMailrc({ text }: WholeText): Generator<Cell> {
  for (const match of text.matchAll(
    /(?:^|\s)pass(?:word)?[ \t]{0,8}[= \t][ \t]{0,8}(?<quote>["']?)(?<value>[^\s"']{1,200})/g,
  )) {
    const { quote = '', value = '' } = match.groups ?? {}
    const end = match.index + match[0].length
    yield { key: 'password', start: end - value.length, end, quote }
  }
}

/** A file that holds one word is named for what the word is: `db_password.txt`, `master.key`, `.vault_pass`. */
function* readLoneValue({ text, file }: WholeText): Generator<Cell> {
  const value = text.trim()
  if (value === '' || /\s/.test(value)) return
  const key = baseOf(file).replace(/\.(?:txt|secret|conf|dat|tmp)$/i, '')
  const start = text.indexOf(value)
  yield { key, start, end: start + value.length }
}
