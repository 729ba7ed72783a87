import { type Patterns, redactText } from './redact.ts'

/** Headers as Node's rawHeaders: names and values in turn, in order, as they were written. */
export type RawHeaders = readonly string[]

const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** Sent by the proxy itself, or meant for it; answers are asked for uncompressed, messages of gRPC too. */
const requestOnly = new Set([
  ...hopByHop,
  'keyward-lease',
  'expect',
  'accept-encoding',
  'grpc-accept-encoding',
  'content-length',
])
/** A server's invitation to go around the proxy. */
const responseOnly = [...hopByHop, 'alt-svc']
/** With these a value could be fetched in pieces, none of which is recognised. */
const wholeRequestOnly = new Set([...requestOnly, 'range', 'if-range'])

export function* pairsOf(headers: RawHeaders): Generator<[name: string, value: string]> {
  for (let at = 0; at + 1 < headers.length; at += 2) yield [headers[at] ?? '', headers[at + 1] ?? '']
}

/** `wanted` in small letters. */
export function valuesOf(headers: RawHeaders, wanted: string): string[] {
  const values: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? ''
    if (name.length === wanted.length && name.toLowerCase() === wanted) values.push(headers[at + 1] ?? '')
  }
  return values
}

function without(headers: RawHeaders, names: ReadonlySet<string>): string[] {
  const listed = valuesOf(headers, 'connection').flatMap((value) =>
    value.split(',').map((name) => name.trim().toLowerCase()),
  )
  const kept: string[] = []
  for (const [name, value] of pairsOf(headers)) {
    const known = name.toLowerCase()
    // What Connection lists is dropped, but the names that decide where a message goes or ends are not its to list.
    if (names.has(known) || (known !== 'host' && listed.includes(known))) continue
    kept.push(name, value)
  }
  return kept
}

/** Whether who sent these headers takes trailers after a body. */
export const wantsTrailers = (headers: RawHeaders): boolean =>
  valuesOf(headers, 'te').some((value) => /(?:^|,)\s*trailers\s*(?:,|$)/i.test(value))

export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'length'; readonly bytes: number }

export function framingOf(headers: RawHeaders): BodyFraming {
  if (valuesOf(headers, 'transfer-encoding').length > 0) return { kind: 'chunked' }
  const [length] = valuesOf(headers, 'content-length')
  return length === undefined ? { kind: 'none' } : { kind: 'length', bytes: Number(length) }
}

const framingHeaders = (framing: BodyFraming, method: string): string[] => {
  if (framing.kind === 'chunked') return ['Transfer-Encoding', 'chunked']
  if (framing.kind === 'length') return ['Content-Length', String(framing.bytes)]
  return ['POST', 'PUT', 'PATCH'].includes(method) ? ['Content-Length', '0'] : []
}

type Outgoing = { method: string; framing: BodyFraming; wholeOnly: boolean }

/** The headers for the destination: uncompressed answers asked for, the body's framing written anew. */
export function requestHeaders(headers: RawHeaders, { method, framing, wholeOnly }: Outgoing): string[] {
  const kept = without(headers, wholeOnly ? wholeRequestOnly : requestOnly)
  return [...kept, 'Accept-Encoding', 'identity', ...framingHeaders(framing, method)]
}

/** What a trailer must not say (RFC 9110, 6.5.1): where the message ends, what it is, who is asking. */
const neverTrailers =
  /^(?:content-.*|authorization|www-authenticate|set-cookie|host|cache-control|expires|date|location|age|vary|retry-after)$/i

/** The trailers for the client, without values. */
export function responseTrailers(
  trailers: RawHeaders,
  patterns: Patterns,
): { trailers: [name: string, value: string][]; redactions: number } {
  const { headers, redactions } = responseHeaders(trailers, { decoded: true, lengthKept: false, patterns })
  return { trailers: [...pairsOf(headers)].filter(([name]) => !neverTrailers.test(name)), redactions }
}

type Incoming = { decoded: boolean; lengthKept: boolean; patterns: Patterns }

/** The headers for the client, without values, and how many values were taken out. */
export function responseHeaders(
  headers: RawHeaders,
  { decoded, lengthKept, patterns }: Incoming,
): { headers: string[]; redactions: number } {
  const dropped = new Set(responseOnly)
  if (decoded) dropped.add('content-encoding')
  if (!lengthKept) dropped.add('content-length')
  const kept = without(headers, dropped)
  if (!patterns.mayStandIn(kept)) return { headers: kept, redactions: 0 }
  let redactions = 0
  const clean = (text: string): string => {
    const redacted = redactText(patterns, text, 'latin1')
    if (redacted !== text) redactions++
    return redacted
  }
  const result: string[] = []
  for (const [name, value] of pairsOf(kept)) {
    // A value inside a name leaves no name to send.
    if (clean(name) === name) result.push(name, clean(value))
  }
  return { headers: result, redactions }
}
