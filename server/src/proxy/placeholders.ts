import { Transform } from 'node:stream'
import { createSearch } from './search.ts'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Of the last kind: after its mark stands how many follow. */
const lengths = Array.from(base62, (digit, count) => `${digit}[0-9A-Za-z]{${count}}`).slice(11)
/** What an agent holds in place of a secret; the second is shaped like an access key id of AWS, the last fits into the forms of other keys. */
const placeholder = new RegExp(
  `kwp_[0-9A-Za-z]{32}|AKIAKEYW[A-Z2-7]{12}|kWpL8hXq(?:${lengths.join('|')})`,
  'g',
)
const longestPlaceholder = 70

/** The parts of a request that a placeholder may stand in. `headers` alternates names and values, as Node's rawHeaders. */
export type RequestParts = {
  readonly target: string
  readonly headers: readonly string[]
  readonly body: Buffer | undefined
  readonly contentType: string
}

export const placeholdersIn = (text: string): string[] => text.match(placeholder) ?? []

const basicShape = /^(basic +)([A-Za-z0-9+/_-]+={0,2})$/i

/** `Basic` credentials hide what they carry behind base64. */
export function readBasic(header: string): { prefix: string; text: string } | undefined {
  const [, prefix, encoded] = basicShape.exec(header) ?? []
  if (prefix === undefined || encoded === undefined) return undefined
  return { prefix, text: Buffer.from(encoded, 'base64').toString() }
}

/** What each placeholder is exchanged for, together with the prefix in front of it. */
type Values = ReadonlyMap<string, { readonly value: string; readonly prefix: string }>
type Encode = (value: string) => string

type Fill = (text: string, encode: Encode) => string

/** In one pass, so that nothing in a value is taken for a placeholder. */
function filling(values: Values): Fill {
  const forms = [...values].map(([found, { prefix }]) => `(?:${prefix.replaceAll(/[.-]/g, '\\$&')})?${found}`)
  const written = new RegExp(forms.join('|'), 'g')
  return (text, encode) =>
    text.replaceAll(written, (form) => {
      const [found = ''] = placeholdersIn(form)
      return encode(values.get(found)?.value ?? '')
    })
}

/** Header bytes go out as latin1: the UTF-8 bytes of a value, one character each. */
const asHeader: Encode = (value) => Buffer.from(value).toString('latin1')

function fillHeader(header: string, fill: Fill): string {
  const basic = readBasic(header)
  if (!basic) return fill(header, asHeader)
  if (placeholdersIn(basic.text).length === 0) return header
  return basic.prefix + Buffer.from(fill(basic.text, (value) => value)).toString('base64')
}

export const isJson = (contentType: string): boolean => /[/+]json\b/i.test(contentType)
export const isForm = (contentType: string): boolean =>
  /^application\/x-www-form-urlencoded\b/i.test(contentType)

function bodyEncoding(contentType: string): Encode {
  if (isJson(contentType)) return (value) => JSON.stringify(value).slice(1, -1)
  if (isForm(contentType)) return encodeURIComponent
  return (value) => value
}

/** The request as the destination shall see it. */
export function exchange(parts: RequestParts, values: Values): RequestParts {
  const encode = bodyEncoding(parts.contentType)
  const fill = filling(values)
  return {
    ...parts,
    target: fill(parts.target, encodeURIComponent),
    headers: parts.headers.map((text, index) => (index % 2 === 1 ? fillHeader(text, fill) : text)),
    // latin1 keeps every other byte as it was.
    body:
      parts.body &&
      Buffer.from(
        fill(parts.body.toString('latin1'), (value) => asHeader(encode(value))),
        'latin1',
      ),
  }
}

/** A value that would end a header early, or start another one, must not become one. */
export const fitsHeader = (value: string): boolean =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  !/[\x00-\x08\x0a-\x1f\x7f]/.test(value)

/** Whether a body of this type is text in which a placeholder can be exchanged. */
export const isTextual = (contentType: string): boolean =>
  /^(?:text\/|application\/(?:[a-z0-9.+-]*\+)?(?:json|xml|x-www-form-urlencoded|x-ndjson|graphql)\b)/i.test(
    contentType,
  )

/** Every placeholder begins with one of these; most data has none, and passes at a glance. */
const beginnings = createSearch(['kwp_', 'AKIAKEYW', 'kWpL8hXq'].map((text) => Buffer.from(text)))
const firstIn = (data: Buffer): string | undefined =>
  beginnings.occurs(data) ? placeholdersIn(data.toString('latin1'))[0] : undefined

/** Finds the first placeholder of a text that comes in pieces. */
export function createPlaceholderScan(): (chunk: Buffer) => string | undefined {
  let tail: Buffer = Buffer.alloc(0)
  return (chunk) => {
    const border = Buffer.concat([tail, chunk.subarray(0, longestPlaceholder - 1)])
    const found = firstIn(border) ?? firstIn(chunk)
    const end = chunk.length < longestPlaceholder ? border : chunk
    tail = Buffer.from(end.subarray(1 - longestPlaceholder))
    return found
  }
}

/** Lets a body through that is too long to be exchanged, and stops where a placeholder turns up in it. */
export function placeholderWatch(onFound: () => void): Transform {
  const scan = createPlaceholderScan()
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (scan(chunk) === undefined) return done(null, chunk)
      onFound()
      done(new Error('a placeholder stands in a streamed body'))
    },
  })
}
