import { entropyOf, mixOf, shareUnspoken } from '../checks.ts'
import type { Detector } from '../detector.ts'
import type { Confidence } from '../finding.ts'
import { isTokenByte } from '../rule-windows.ts'

/**
 * A credential's form as its provider documents it, written so that people can read it: `gsk_<an 52>` is `gsk_` and 52
 * letters or digits, `<hex 32-64>` has from 32 to 64 digits, `[live|test]` is one of two words.
 */
export type Row = {
  /** Stable name, kebab-case: people write it into baselines and allow lists. Rows may share one. */
  readonly rule: string
  readonly provider: string
  readonly title: string
  readonly form: string | readonly string[]
  /** For a form without a mark of its own: a key with one of these in its name must assign it. */
  readonly after?: readonly string[]
  /** High, unless said otherwise. */
  readonly confidence?: Confidence
  readonly rank?: number
  /** Beyond the form: a checksum, a structure. */
  readonly check?: (value: string) => Confidence | false | undefined
}

const lower = 'abcdefghijklmnopqrstuvwxyz'
const upper = lower.toUpperCase()
const digits = '0123456789'

/** The alphabets of a form: what they are called, what they hold, and how an expression writes them. */
export const alphabets = {
  digit: { letters: digits, source: '0-9', says: 'digits' },
  hex: { letters: `${digits}abcdef`, source: '0-9a-f', says: 'hexadecimal digits, lower case' },
  HEX: { letters: `${digits}ABCDEF`, source: '0-9A-F', says: 'hexadecimal digits, upper case' },
  lower: { letters: lower, source: 'a-z', says: 'lower-case letters' },
  letter: { letters: lower + upper, source: 'A-Za-z', says: 'letters' },
  lan: { letters: digits + lower, source: '0-9a-z', says: 'lower-case letters and digits' },
  UAN: { letters: digits + upper, source: '0-9A-Z', says: 'upper-case letters and digits' },
  an: { letters: digits + upper + lower, source: '0-9A-Za-z', says: 'letters and digits' },
  word: { letters: `${digits + upper + lower}_`, source: '0-9A-Za-z_', says: 'letters, digits and `_`' },
  url: {
    letters: `${digits + upper + lower}_-`,
    source: '0-9A-Za-z_-',
    says: 'base64url: letters, digits, `_` and `-`',
  },
  b64: {
    letters: `${digits + upper + lower}+/`,
    source: '0-9A-Za-z+/',
    says: 'base64: letters, digits, `+` and `/`',
  },
  b32: { letters: `${upper}234567`, source: 'A-Z2-7', says: 'base32: upper-case letters and 2 to 7' },
  bech: {
    letters: 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L',
    source: '02-9AC-HJ-NP-Z',
    says: 'Bech32: upper-case letters and digits without 1, B, I and O',
  },
} as const

type Alphabet = keyof typeof alphabets

type Drawn = {
  readonly kind: 'drawn'
  readonly alphabet: Alphabet
  readonly least: number
  readonly most: number
}

export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  | Drawn

const uuid = '<hex 8>-<hex 4>-<hex 4>-<hex 4>-<hex 12>'

export function partsOf(form: string): Part[] {
  const parts: Part[] = []
  const marks =
    /<(?<name>[A-Za-z0-9]{1,8}) (?<least>\d{1,4})(?:-(?<most>\d{1,4}))?>|\[(?<choice>[^[\]<>]{1,200})\]/g
  const text = form.replaceAll('<uuid>', uuid)
  let at = 0
  const literal = (to: number): void => {
    if (to > at) parts.push({ kind: 'text', text: text.slice(at, to) })
  }
  for (const mark of text.matchAll(marks)) {
    literal(mark.index)
    at = mark.index + mark[0].length
    const { name = '', least = '', most = least, choice } = mark.groups ?? {}
    if (choice !== undefined) parts.push({ kind: 'choice', of: choice.split('|') })
    else if (isAlphabet(name))
      parts.push({ kind: 'drawn', alphabet: name, least: Number(least), most: Number(most) })
    else throw new Error(`no alphabet is called ${name}, in the form ${form}`)
  }
  literal(text.length)
  return parts
}

const isAlphabet = (name: string): name is Alphabet => Object.hasOwn(alphabets, name)
/** Of a keyword: a shorter one is met everywhere. */
const shortest = 3
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** The expression for a part, in a group of its own where what was drawn is looked at. */
export function sourceOf(part: Part, captured = false): string {
  if (part.kind === 'text') return escaped(part.text)
  if (part.kind === 'choice') return `(?:${part.of.map(escaped).join('|')})`
  const { alphabet, least, most } = part
  const source = `[${alphabets[alphabet].source}]{${least === most ? least : `${least},${most}`}}`
  return captured ? `(${source})` : source
}

/** What must not follow: one more letter of the last part's alphabet would make it another value. */
function endOf(parts: readonly Part[]): string {
  const last = parts.at(-1)
  if (last?.kind !== 'drawn') return ''
  return last.alphabet === 'b64' ? '(?![A-Za-z0-9+/=])' : /url|word/.test(last.alphabet) ? '(?![\\w=-])' : ''
}

const longestOf = (part: Part): number =>
  part.kind === 'text'
    ? part.text.length
    : part.kind === 'choice'
      ? Math.max(...part.of.map((each) => each.length))
      : part.most

const sum = (parts: readonly Part[]): number => parts.reduce((total, part) => total + longestOf(part), 0)

/** How many bytes at the beginning of whatever has the form are such as tokens are written in. */
function leastTokenOf(parts: readonly Part[]): number {
  let least = 0
  for (const part of parts) {
    const texts = part.kind === 'text' ? [part.text] : part.kind === 'choice' ? part.of : []
    const run = texts.map((text) => [...Buffer.from(text)].findIndex((byte) => !isTokenByte(byte)))
    const other = run.find((at) => at >= 0)
    if (other !== undefined) return least + (part.kind === 'text' ? other : 0)
    least += part.kind === 'drawn' ? part.least : Math.min(...texts.map((text) => text.length))
  }
  return least
}

/** The texts that a form may begin with: three letters at least, so that they are rare enough to be looked for. */
function leadsOf(parts: readonly Part[]): string[] {
  let leads = ['']
  for (const part of parts) {
    const short = leads.some((lead) => lead.length < shortest)
    const few =
      short && leads[0] !== '' && part.kind === 'drawn' && alphabets[part.alphabet].letters.length <= 16
    if (part.kind === 'drawn' && !few) break
    const ends =
      part.kind === 'text'
        ? [part.text]
        : part.kind === 'choice'
          ? part.of
          : [...alphabets[part.alphabet].letters]
    leads = leads.flatMap((lead) => ends.map((end) => lead + end))
    if (part.kind === 'drawn') break
  }
  return leads
}

/** The longest fixed text of a form that has none at its beginning, and how far before its end the form may begin. */
function markOf(parts: readonly Part[]): { words: readonly string[]; before: number } | undefined {
  let best: { words: readonly string[]; before: number; length: number } | undefined
  parts.forEach((part, index) => {
    if (part.kind === 'drawn') return
    const words = part.kind === 'text' ? [part.text] : part.of
    const length = Math.min(...words.map((word) => word.length))
    if (length > (best?.length ?? 0)) best = { words, length, before: sum(parts.slice(0, index)) }
  })
  return best
}

/** Makes the detector that a row describes. */
export function detectorOf(row: Row): Detector {
  // The longest first: of two that fit, an expression takes the one it names first.
  const forms = (typeof row.form === 'string' ? [row.form] : row.form)
    .map(partsOf)
    .sort((a, b) => sum(b) - sum(a))
  const judge = judgeOf(row, forms)
  const { rule, provider, title, confidence = 'high', rank } = row
  const common = { rule, provider, title, confidence, judge, ...(rank !== undefined && { rank }) }
  const source = forms.map((parts) => parts.map((part) => sourceOf(part)).join('') + endOf(parts)).join('|')
  if (row.after) return { ...common, ...assigned(row.after, source, Math.max(...forms.map(sum))) }
  const leads = forms.flatMap(leadsOf)
  const longest = Math.max(...forms.map(sum))
  if (leads.every((lead) => lead.length >= shortest)) {
    return {
      ...common,
      prefixed: true,
      leastAfter: Math.min(...forms.map(leastTokenOf)) - Math.max(...leads.map((lead) => lead.length)),
      keywords: leads,
      pattern: new RegExp(source),
      reach: { after: longest + 2 },
    }
  }
  const found = forms.map(markOf)
  const before = Math.max(...found.map((mark) => mark?.before ?? 0))
  const keywords = found.flatMap((mark) => mark?.words ?? [])
  if (found.some((mark) => !mark) || keywords.some((word) => word.length < shortest)) {
    throw new Error(`${rule} has no mark that could be looked for, so it has to say after what it stands`)
  }
  return { ...common, keywords, pattern: new RegExp(source), reach: { before, after: longest + 2 } }
}

const noun = '(?:key|token|secret|passw|pwd|auth|pat|cred|bearer|signature|dsn|sk)'
const ids = 'id|hash|name|url|uri|path|file|type|public|version|length|size'

const inner = `["'\\])]{0,2}\\s{0,3}[:=({]{1,2}\\s{0,12}["'{]{0,2}\\s{0,12}["']?[\\w.-]{0,16}?`
const key = `(?:[\\w.-]{0,30}?|[\\w.-]{0,16}${inner})${noun}[\\w.-]{0,14}(?<!${ids})`
const assigns = `["'\`\\])]{0,3}(?:[ \\t]{0,5}(?::=|=>|[=:,(>])[ \\t]{0,5}|[ \\t]{1,3})\\\\?["'\`]?`
const called = `["'\`\\])]{0,2}[ \\t]{0,3}(?:[=:][ \\t]{0,3}\\\\?["'\`]?|\\(["'\`])`
/** From the provider's name to the value: one expression for all of them, so that it is compiled once. */
const fromName = `(?:${key}${assigns}|${called})`
const beforeValue = new RegExp(`${fromName}[\\w+/.~-]`, 'iy')

/**
 * A value without a mark is told by the key that it is assigned to: the provider's name, and a noun for what it is, in
 * the same key (`MAILJET_API_KEY=`) or in the one inside (`mailjet: { apiKey: `). Without a noun, the name itself is the key.
 */
function assigned(
  names: readonly string[],
  source: string,
  longest: number,
): Pick<Detector, 'keywords' | 'pattern' | 'follows' | 'reach'> {
  const name = names.map((each) => (each.length < 5 ? `(?<![a-z])${escaped(each)}` : escaped(each))).join('|')
  return {
    keywords: names,
    pattern: new RegExp(`(?:${name})${fromName}(?<value>${source})(?![\\w-]|[.:/@][A-Za-z0-9])`, 'i'),
    follows: beforeValue,
    reach: { before: 2, after: longest + 140 },
  }
}

/** The expressions that tell which form a whole value has, with a group for each part that is drawn. */
function judgeOf(
  row: Row,
  forms: readonly (readonly Part[])[],
): (value: string) => Confidence | false | undefined {
  let made: { whole: RegExp; drawn: Drawn[] }[] | undefined
  const shapes = () =>
    forms.map((parts) => ({
      whole: new RegExp(`^${parts.map((part) => sourceOf(part, true)).join('')}$`),
      drawn: parts.filter((part) => part.kind === 'drawn'),
    }))
  return (value) => {
    made ??= shapes()
    for (const { whole, drawn } of made) {
      const match = whole.exec(value)
      if (match && areDrawn(drawn, match)) return row.check?.(value)
    }
    return false
  }
}

/** Parts of one alphabet are looked at together, because a UUID's are short. */
function areDrawn(parts: readonly Drawn[], match: RegExpExecArray): boolean {
  const texts = new Map<Alphabet, string>()
  parts.forEach(({ alphabet }, index) => {
    texts.set(alphabet, (texts.get(alphabet) ?? '') + (match[index + 1] ?? ''))
  })
  return [...texts].every(([alphabet, text]) => looksDrawn(text, alphabets[alphabet].letters))
}

/**
 * Whether a stretch can have been drawn from its alphabet. Random text falls below one of the bounds once in ten thousand
 * times (measured for lengths from 16 to 100 and each alphabet); words, counting and repetition nearly always do.
 */
function looksDrawn(text: string, letters: string): boolean {
  const { length } = text
  if (length < 16) return length < 5 || new Set(text).size > 1
  const share = length < 24 ? 0.56 : length < 32 ? 0.68 : 0.72
  if (entropyOf(text) < Math.min(share * Math.log2(Math.min(letters.length, length)), 3)) return false
  // Lower-case words have no digit and no capital between their letters.
  if (length >= 24 && letters.length >= 36 && mixOf(text) < (letters.length >= 62 ? 0.2 : 0.04))
    return shareUnspoken(text) >= 0.15 && stepsIn(text) < 0.6
  return stepsIn(text) < 0.6
}

/** The share of neighbours that count up or down by one, or repeat. */
function stepsIn(text: string): number {
  let steps = 0
  for (let i = 1; i < text.length; i++) {
    if (Math.abs(text.charCodeAt(i) - text.charCodeAt(i - 1)) <= 1) steps++
  }
  return steps / (text.length - 1)
}
