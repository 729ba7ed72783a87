import type { Secret } from '../core/index.ts'
import { createSearch, type Search, type Span } from './search.ts'

/** Stands where a value stood. */
export const redactionMark = '[redacted by Keyward]'

/** Values shorter than this occur by chance everywhere, so they are not looked for, and never lent through the proxy. */
export const shortestValue = 6

/** A text cut off in the middle of a value shows the most of it: this share of one counts as one. */
const countsAsWhole = 0.5

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
  readonly isEmpty: boolean
  readonly search: Search
  /** Whether redaction would change one of the texts; a quick answer that may be a needless yes. Texts are of latin1. */
  mayStandIn(texts: readonly string[]): boolean
}

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

export function createPatterns(values: readonly string[] = []): Patterns {
  const added = new Set<string>()
  const forms = new Map<string, Buffer>()
  /** Made when it is first needed: values come several at a time. */
  let searches: { readonly whole: Search; readonly halves: Search } | undefined

  const halfOf = (bytes: Buffer): Buffer => bytes.subarray(0, Math.ceil(bytes.length * countsAsWhole))
  const searchesNow = () => {
    searches ??= {
      whole: createSearch([...forms.values()]),
      halves: createSearch([...forms.values()].map(halfOf)),
    }
    return searches
  }
  const add = (value: string): void => {
    if (value.length < shortestValue || added.has(value)) return
    added.add(value)
    searches = undefined
    for (const form of [value, ...longLines(value)].flatMap(formsOf)) forms.set(form, Buffer.from(form))
  }
  for (const value of values) add(value)
  return {
    add,
    get isEmpty() {
      return forms.size === 0
    },
    get search() {
      return searchesNow().whole
    },
    mayStandIn: (texts) =>
      forms.size > 0 && searchesNow().halves.occurs(Buffer.from(texts.join('\n'), 'latin1')),
  }
}

function merged(spans: readonly Span[]): Span[] {
  const result: { from: number; to: number }[] = []
  for (const span of spans) {
    const last = result.at(-1)
    if (last && span.from < last.to) last.to = Math.max(last.to, span.to)
    else result.push({ ...span })
  }
  return result
}

const mark = Buffer.from(redactionMark)
const nothing: Buffer = Buffer.alloc(0)

/** Redacts with patterns that may grow meanwhile. `onRedaction` hears of each value taken out. */
export function redactorOf(patterns: Patterns, onRedaction = (): void => {}): Redactor {
  let held = nothing
  /** So many of the held bytes belong to a value whose mark is written already. */
  let covered = 0
  let redactions = 0

  const count = (): void => {
    redactions++
    onRedaction()
  }

  /** Writes `data` up to `end`; remembers how far a value reaches beyond it. */
  const write = (data: Buffer, end: number): Buffer => {
    const found = patterns.search.spans(data)
    if (found.length === 0 && covered === 0) return data.subarray(0, end)
    const spans = merged([...(covered > 0 ? [{ from: 0, to: covered }] : []), ...found])
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
      if (patterns.isEmpty) return data
      const end = data.length - patterns.search.begun(data)
      const out = write(data, end)
      held = data.subarray(end)
      return out
    },
    end() {
      const rest = held
      held = nothing
      if (rest.length === 0) return rest
      const cut = patterns.search.begun(rest, countsAsWhole) > 0
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
