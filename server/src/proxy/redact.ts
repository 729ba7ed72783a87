import type { Secret } from '../core/index.ts'

/** Stands where a value stood. */
export const redactionMark = '[redacted by Keyward]'

/** Values shorter than this occur by chance everywhere, so they are not looked for, and never lent through the proxy. */
export const shortestValue = 6

/** Takes known values out of a stream of bytes. Text that cannot be the start of a value passes at once. */
export type Redactor = {
  push(chunk: Uint8Array): Buffer
  /** What was held back because it might have become a value. */
  end(): Buffer
  /** How many were taken out so far. */
  readonly redactions: number
}

/** The forms to look for; grows while streams are open, and they see the new ones from their next chunk on. */
export type Patterns = {
  add(value: string): void
  readonly all: readonly Pattern[]
}
type Pattern = { readonly bytes: Buffer; readonly borders: Int32Array }

const reversed = (text: string): string => [...text].reverse().join('')

const percentAll = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/../g, (pair) => `%${pair.toUpperCase()}`)

const lowerEscapes = (text: string): string => text.replace(/%[0-9A-F]{2}/g, (found) => found.toLowerCase())

/** The same characters as several libraries escape them. */
const htmlEscapes: readonly Readonly<Record<string, string>>[] = [
  { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' },
  { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#x27;' },
  { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' },
  {
    ...{ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' },
    ...{ '/': '&#x2F;', '`': '&#x60;', '=': '&#x3D;' },
  },
]

const htmlForms = (value: string): string[] =>
  htmlEscapes.map((escapes) => value.replace(/[&<>"'/`=]/g, (character) => escapes[character] ?? character))

const unicodeEscape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

/** JSON as it is usually written, with slashes escaped, safe for HTML, and in ASCII alone, in either case of the digits. */
function jsonForms(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1)
  const safe = json.replace(/[<>&\u2028\u2029]/g, unicodeEscape)
  const forms = [json, safe, ...[json, safe].map((text) => text.replace(/[^ -~]/g, unicodeEscape))]
  const upper = forms.map((text) =>
    text.replace(/\\u[0-9a-f]{4}/g, (found) => `\\u${found.slice(2).toUpperCase()}`),
  )
  return [...forms, ...upper].flatMap((text) => [text, text.replaceAll('/', '\\/')])
}

/** Base64 of a value that starts 0, 1 or 2 bytes into a group of three; only the characters that its own bytes decide. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), bytes])
    const text = whole.toString('base64').slice([0, 2, 3][offset], Math.floor((whole.length * 8) / 6))
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')]
  })
}

/** Every way of writing a value that is looked for. What else a server could make of it cannot be known. */
export function formsOf(value: string): string[] {
  const bytes = Buffer.from(value)
  const url = encodeURIComponent(value)
  const forms = [
    value,
    reversed(value),
    ...jsonForms(value),
    url,
    lowerEscapes(url),
    new URLSearchParams([['', value]]).toString().slice(1),
    percentAll(bytes),
    lowerEscapes(percentAll(bytes)),
    ...htmlForms(value),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...base64Forms(bytes),
  ]
  return [...new Set(forms)].filter((form) => Buffer.byteLength(form) >= shortestValue)
}

/** The lines of a key file or the like, which a server may show one by one. */
const longLines = (value: string): string[] =>
  value.includes('\n')
    ? value.split(/[\r\n]+/).filter((line) => line.length >= 16 && !line.startsWith('-----'))
    : []

/** The failure function of Knuth, Morris and Pratt: the longest border of every prefix. */
function bordersOf(bytes: Buffer): Int32Array {
  const borders = new Int32Array(bytes.length)
  for (let at = 1, matched = 0; at < bytes.length; at++) {
    while (matched > 0 && bytes[at] !== bytes[matched]) matched = borders[matched - 1] ?? 0
    if (bytes[at] === bytes[matched]) matched++
    borders[at] = matched
  }
  return borders
}

export function createPatterns(values: readonly string[] = []): Patterns {
  const all: Pattern[] = []
  const known = new Set<string>()
  const add = (value: string): void => {
    if (value.length < shortestValue) return
    for (const form of [value, ...longLines(value)].flatMap(formsOf)) {
      if (known.has(form)) continue
      known.add(form)
      const bytes = Buffer.from(form)
      all.push({ bytes, borders: bordersOf(bytes) })
    }
  }
  for (const value of values) add(value)
  return { add, all }
}

/** How many of the last bytes of `data` are the start of the pattern. */
function partialMatch(data: Buffer, { bytes, borders }: Pattern): number {
  let matched = 0
  for (let at = Math.max(0, data.length - bytes.length + 1); at < data.length; at++) {
    while (matched > 0 && data[at] !== bytes[matched]) matched = borders[matched - 1] ?? 0
    if (data[at] === bytes[matched]) matched++
  }
  return matched
}

type Span = { from: number; to: number }

function spansOf(data: Buffer, patterns: readonly Pattern[]): Span[] {
  const spans: Span[] = []
  for (const { bytes, borders } of patterns) {
    // The next occurrence that overlaps this one starts where the pattern's own border does.
    const step = bytes.length - (borders.at(-1) ?? 0)
    for (let at = data.indexOf(bytes); at >= 0; at = data.indexOf(bytes, at + step)) {
      spans.push({ from: at, to: at + bytes.length })
    }
  }
  return spans.sort((a, b) => a.from - b.from)
}

function merged(spans: readonly Span[]): Span[] {
  const result: Span[] = []
  for (const span of spans) {
    const last = result.at(-1)
    if (last && span.from < last.to) last.to = Math.max(last.to, span.to)
    else result.push({ ...span })
  }
  return result
}

/** Redacts with patterns that may grow meanwhile. `onRedaction` hears of each value taken out. */
export function redactorOf(patterns: Patterns, onRedaction = (): void => {}): Redactor {
  const mark = Buffer.from(redactionMark)
  let held: Buffer = Buffer.alloc(0)
  /** So many of the held bytes belong to a value whose mark is written already. */
  let covered = 0
  let redactions = 0

  const count = (): void => {
    redactions++
    onRedaction()
  }

  /** Writes `data` up to `end`; remembers how far a value reaches beyond it. */
  const write = (data: Buffer, end: number): Buffer => {
    const begun = covered > 0 ? [{ from: 0, to: covered }] : []
    const spans = merged([...begun, ...spansOf(data, patterns.all)])
    const parts: Buffer[] = []
    let at = 0
    let reach = covered
    for (const { from, to } of spans) {
      if (from >= end) break
      parts.push(data.subarray(at, from))
      if (from > 0 || covered === 0) {
        parts.push(mark)
        count()
      }
      at = Math.min(to, end)
      reach = to
    }
    parts.push(data.subarray(at, end))
    covered = Math.max(0, reach - end)
    return Buffer.concat(parts)
  }

  return {
    push(chunk) {
      const data =
        held.length > 0
          ? Buffer.concat([held, chunk])
          : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      if (patterns.all.length === 0) return data
      const partial = Math.max(0, ...patterns.all.map((pattern) => partialMatch(data, pattern)))
      const out = write(data, data.length - partial)
      held = data.subarray(data.length - partial)
      return out
    },
    end() {
      // A stream cut off in the middle of a value shows the most of it: half of one counts as one.
      const cut = patterns.all.some((pattern) => partialMatch(held, pattern) * 2 >= pattern.bytes.length)
      const rest = held
      held = Buffer.alloc(0)
      if (!cut || covered >= rest.length) return write(rest, rest.length)
      count()
      return mark
    },
    get redactions() {
      return redactions
    },
  }
}

/** Takes known values, and their usual encodings, out of any number of streams, also of those that are open when one is added. */
export type Redaction = {
  add(value: Secret): void
  newRedactor(): Redactor
}

export function createRedaction(values: readonly Secret[]): Redaction {
  const patterns = createPatterns(values.map((value) => value.reveal()))
  return {
    add: (value) => patterns.add(value.reveal()),
    newRedactor: () => redactorOf(patterns),
  }
}

export function redactText(patterns: Patterns, text: string, encoding: 'utf8' | 'latin1' = 'utf8'): string {
  const redactor = redactorOf(patterns)
  return Buffer.concat([redactor.push(Buffer.from(text, encoding)), redactor.end()]).toString(encoding)
}
