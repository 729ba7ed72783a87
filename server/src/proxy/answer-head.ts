/** The head of a destination's answer in HTTP/1.1 (RFC 9112), as strictly as Node's own parser reads it, or more so. */
export type AnswerHead = {
  readonly statusCode: number
  readonly statusMessage: string
  /** Names and values in turn, as Node's rawHeaders. */
  readonly rawHeaders: string[]
  readonly framing: AnswerFraming
  /** For how long the connection may rest before the next request; 0 when it serves none. */
  readonly restMs: number
}

/** Where the body ends: `none` has none, `close` ends with its connection. */
export type AnswerFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'close' }

type Known = {
  length: string | undefined
  coding: string | undefined
  connection: string
  keepAlive: string
  isOdd: boolean
}

const statusLine = /^HTTP\/1\.([01]) (\d{3})(?: ([\t\x20-\x7e\x80-\xff]*))?$/
/**
 * A name that is a token, at once a colon, and a value of visible characters: no folded lines, no other ends of lines. Blanks belong to
 * one place only, so that a line of many of them takes no longer than another.
 */
const field =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*(?![\t ])((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[\t ]*$/
const digits = /^\d{1,15}$/
/** Node's own client leaves as much time between the other's end of a connection and its own. */
const restMarginMs = 1000

/** The lines of a head or of trailers, without their last end; undefined when one of them is no field. */
export function readFields(lines: readonly string[], from: number): string[] | undefined {
  const fields: string[] = []
  for (let at = from; at < lines.length; at++) {
    const found = field.exec(lines[at] ?? '')
    if (!found) return undefined
    fields.push(found[1] ?? '', found[2] ?? '')
  }
  return fields
}

/** `text` is the head without the empty line at its end, of latin1; undefined when anything in it is not as it must be. */
export function readAnswerHead(text: string, isToHead: boolean, mostRestMs: number): AnswerHead | undefined {
  const lines = text.split('\r\n')
  const [, minor, status, words] = statusLine.exec(lines[0] ?? '') ?? []
  const rawHeaders = readFields(lines, 1)
  if (status === undefined || !rawHeaders) return undefined
  const known = knownOf(rawHeaders)
  const statusCode = Number(status)
  const isBodiless = isToHead || isInterim(statusCode) || statusCode === 204 || statusCode === 304
  const framing = framingOf(known, minor === '1', isBodiless)
  if (!framing) return undefined
  const rests = minor === '1' && framing.kind !== 'close' && !/\bclose\b/i.test(known.connection)
  const restMs = rests ? Math.min(mostRestMs, hintedRestMs(known.keepAlive)) : 0
  return { statusCode, statusMessage: words ?? '', rawHeaders, framing, restMs }
}

/** Another answer follows it (RFC 9110, 15.2). */
export const isInterim = (statusCode: number): boolean => statusCode >= 100 && statusCode < 200

/** What of the fields says where the message ends, and its connection. */
function knownOf(headers: readonly string[]): Known {
  const known: Known = { length: undefined, coding: undefined, connection: '', keepAlive: '', isOdd: false }
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    // By their lengths most are known to be none of them.
    if (name.length === 14 || name.length === 17 || name.length === 10)
      note(known, name.toLowerCase(), headers[at + 1] ?? '')
  }
  return known
}

function note(known: Known, name: string, value: string): void {
  if (name === 'content-length') {
    known.isOdd ||= known.length !== undefined
    known.length = value
  } else if (name === 'transfer-encoding') {
    known.isOdd ||= known.coding !== undefined
    known.coding = value
  } else if (name === 'connection') known.connection += `,${value}`
  else if (name === 'keep-alive') known.keepAlive = value
}

/**
 * A message whose end two readers could see in different places is none. What a coding other than `chunked` hides could not be
 * searched for secrets.
 */
function framingOf(
  { length, coding, isOdd }: Known,
  isCurrent: boolean,
  isBodiless: boolean,
): AnswerFraming | undefined {
  if (isOdd || (length !== undefined && !digits.test(length))) return undefined
  if (coding !== undefined && (length !== undefined || !isCurrent || !/^chunked$/i.test(coding)))
    return undefined
  if (isBodiless) return { kind: 'none' }
  if (coding !== undefined) return { kind: 'chunked' }
  return length === undefined ? { kind: 'close' } : { kind: 'length', bytes: Number(length) }
}

function hintedRestMs(keepAlive: string): number {
  const seconds = /(?:^|[,;])\s*timeout\s*=\s*"?(\d{1,6})/i.exec(keepAlive)?.[1]
  return seconds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Number(seconds) * 1000 - restMarginMs)
}
