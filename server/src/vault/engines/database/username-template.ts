import { createHash, randomInt, randomUUID } from 'node:crypto'
import { AppError } from '../../../core/index.ts'
import type { NameParts } from './database-port.ts'
import { formatGoTime } from './go-time.ts'

/** Makes names by a template in the part of Go's language that Vault documents for it. */
export type NameTemplate = (parts: NameParts) => string

type Value = string | number
type Term = (parts: NameParts) => Value
type Pieces = readonly (string | Term)[]

/** The most that PostgreSQL keeps of a name, in bytes. */
const longestName = 63
const longestRandom = 256
const longestTemplate = 1024

/** Reads a template; one that would make the same name twice is refused, because a name belongs to one lease. */
export function parseNameTemplate(text: string): NameTemplate {
  if (text.length > longestTemplate) throw invalid(`it has more than ${longestTemplate} characters`)
  const pieces = parsePieces(text)
  const template: NameTemplate = (parts) => {
    const clean = { ...parts, displayName: plainPart(parts.displayName), roleName: plainPart(parts.roleName) }
    return checkedName(pieces.map((piece) => (typeof piece === 'string' ? piece : piece(clean))).join(''))
  }
  const sample = { displayName: 'token', roleName: 'role', now: new Date(0) }
  const [one, other] = [template(sample), template(sample)]
  if (one === other)
    throw invalid('it makes the same name twice; add {{random 20}} where no truncate cuts it off')
  return template
}

/** What callers choose themselves, without anything that has a meaning in a statement. */
const plainPart = (text: string): string => text.replace(/[^\p{L}\p{N}_.@-]/gu, '_')

function checkedName(rendered: string): string {
  // Two hyphens begin a comment where a role's statement has the name without quotes.
  const name = rendered.trim().replace(/--+/g, '-')
  if (!/^[\p{L}\p{N}_.@:+=~ -]+$/u.test(name))
    throw invalid('a name has letters, digits, spaces and _ . @ : + = ~ -')
  if (Buffer.byteLength(name) > longestName)
    throw invalid(`a name has at most ${longestName} bytes; end with | truncate ${longestName}`)
  return name
}

function parsePieces(text: string): Pieces {
  const pieces: (string | Term)[] = []
  let at = 0
  for (const match of text.matchAll(/\{\{(-?)((?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`])*?)(-?)\}\}/g)) {
    const [whole, trimBefore, inner = ''] = match
    const before = text.slice(at, match.index)
    pieces.push(trimBefore ? before.trimEnd() : before, parseAction(inner))
    at = match.index + whole.length
    if (match[3]) at += (/^\s*/.exec(text.slice(at))?.[0] ?? '').length
  }
  const rest = text.slice(at)
  if (rest.includes('{{')) throw invalid('{{ without }}')
  return [...pieces, rest]
}

type Token = { readonly kind: 'text' | 'number' | 'field' | 'word' | 'sign'; readonly text: string }
const tokenPattern =
  /\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`|(-?\d+)(?![\w.])|\.([A-Za-z]\w*)|([A-Za-z]\w*)|([|()_-]))/y

function tokensOf(action: string): Token[] {
  const tokens: Token[] = []
  tokenPattern.lastIndex = 0
  while (tokenPattern.lastIndex < action.trimEnd().length) {
    const from = tokenPattern.lastIndex
    const match = tokenPattern.exec(action)
    if (!match) throw invalid(`cannot read ${action.slice(from).trim()}`)
    const [, quoted, raw, number, field, word, sign = ''] = match
    if (quoted !== undefined) tokens.push({ kind: 'text', text: unescaped(quoted) })
    else if (raw !== undefined) tokens.push({ kind: 'text', text: raw })
    else if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else if (field !== undefined) tokens.push({ kind: 'field', text: field })
    else if (word !== undefined) tokens.push({ kind: 'word', text: word })
    else tokens.push({ kind: 'sign', text: sign })
  }
  return tokens
}

function unescaped(quoted: string): string {
  try {
    return String(JSON.parse(`"${quoted}"`))
  } catch {
    throw invalid(`"${quoted}" is no text`)
  }
}

function parseAction(action: string): Term {
  const tokens = tokensOf(action)
  const term = parsePipeline(tokens)
  if (tokens.length > 0) throw invalid(`unexpected ${tokens[0]?.text}`)
  return term
}

/** `a | f x | g`: what stands before a bar is the last argument of what follows. */
function parsePipeline(tokens: Token[]): Term {
  let term = parseCommand(tokens)
  while (tokens[0]?.kind === 'sign' && tokens[0].text === '|') {
    tokens.shift()
    term = parseCommand(tokens, term)
  }
  return term
}

function parseCommand(tokens: Token[], piped?: Term): Term {
  const first = tokens.shift()
  if (!first) throw invalid('an empty action')
  if (first.kind !== 'word') {
    if (piped) throw invalid(`${first.text} is no function`)
    return parseOperand(first, tokens)
  }
  const call = Object.hasOwn(functions, first.text) ? functions[first.text] : undefined
  if (!call)
    throw invalid(`"${first.text}" is not known here; there are ${Object.keys(functions).sort().join(', ')}`)
  const operands: Term[] = []
  for (let next = tokens[0]; next && !isEnd(next); next = tokens[0]) {
    tokens.shift()
    operands.push(parseOperand(next, tokens))
  }
  if (piped) operands.push(piped)
  return (parts) =>
    call(
      operands.map((operand) => operand(parts)),
      parts,
    )
}

const isEnd = ({ kind, text }: Token): boolean => kind === 'sign' && (text === '|' || text === ')')

function parseOperand({ kind, text }: Token, tokens: Token[]): Term {
  if (kind === 'text') return () => text
  if (kind === 'number') return () => Number(text)
  if (kind === 'field') return fieldOf(text)
  // `replace - _`, as Vault's page writes it.
  if (kind === 'sign' && (text === '-' || text === '_')) return () => text
  if (kind === 'word') return parseCommand([{ kind, text }])
  if (text !== '(') throw invalid(`unexpected ${text}`)
  const inner = parsePipeline(tokens)
  if (tokens.shift()?.text !== ')') throw invalid('( without )')
  return inner
}

function fieldOf(name: string): Term {
  if (name === 'DisplayName') return ({ displayName }) => displayName
  if (name === 'RoleName') return ({ roleName }) => roleName
  throw invalid(`.${name} is not known here; there are .DisplayName and .RoleName`)
}

type TemplateFunction = (values: readonly Value[], parts: NameParts) => Value

const textAt = (values: readonly Value[], at: number): string => String(values[at] ?? '')
function numberAt(values: readonly Value[], at: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = values[at]
  if (typeof value !== 'number' || value <= 0 || value > most) throw invalid('a positive number is missing')
  return value
}
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const onText =
  (change: (text: string) => string): TemplateFunction =>
  (values) =>
    change(textAt(values, 0))

const functions: Readonly<Record<string, TemplateFunction>> = {
  random: (values) => randomName(numberAt(values, 0, longestRandom)),
  truncate: (values) => textAt(values, 1).slice(0, numberAt(values, 0)),
  truncate_sha256: (values) => truncatedWithDigest(textAt(values, 1), numberAt(values, 0)),
  uppercase: onText((text) => text.toUpperCase()),
  lowercase: onText((text) => text.toLowerCase()),
  replace: (values) => textAt(values, 2).replaceAll(textAt(values, 0), textAt(values, 1)),
  sha256: onText(sha256),
  base64: onText((text) => Buffer.from(text).toString('base64')),
  decode_base64: onText((text) => Buffer.from(text, 'base64').toString('utf8')),
  hex: onText((text) => Buffer.from(text).toString('hex')),
  decode_hex: onText((text) => Buffer.from(text, 'hex').toString('utf8')),
  unix_time: (_, { now }) => String(Math.floor(now.getTime() / 1000)),
  unix_time_millis: (_, { now }) => String(now.getTime()),
  timestamp: (values, { now }) => formatGoTime(textAt(values, 0), now),
  uuid: () => randomUUID(),
  print: (values) => values.join(''),
  printf: ([format = '', ...values]) => printf(String(format), values),
}

function truncatedWithDigest(text: string, most: number): string {
  if (most <= 8) throw invalid('truncate_sha256 needs more than 8')
  return text.length <= most ? text : text.slice(0, most - 8) + sha256(text.slice(most - 8)).slice(0, 8)
}

function printf(format: string, values: readonly Value[]): string {
  let at = 0
  return format.replace(/%(.?)/g, (_, verb: string) => {
    if (verb === '%') return '%'
    if (!/^[sdvx]$/.test(verb) || at >= values.length)
      throw invalid(`printf knows %s, %d, %v, %x and %%, each with a value`)
    const value = values[at++] ?? ''
    return verb === 'x' ? Buffer.from(String(value)).toString('hex') : String(value)
  })
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

export function randomName(length: number): string {
  let name = ''
  while (name.length < length) name += letters[randomInt(letters.length)]
  return name
}

const invalid = (what: string): AppError =>
  new AppError('request.invalid', `invalid username template: ${what}`)
