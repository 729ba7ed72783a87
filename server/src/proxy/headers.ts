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

/** Sent by the proxy itself, or meant for it. */
const requestOnly = ['expect', 'accept-encoding', 'content-length']
/** A server's invitation to go around the proxy. */
const responseOnly = ['alt-svc']
/** With these a value could be fetched in pieces, none of which is recognised. */
const partial = ['range', 'if-range']

export function* pairsOf(headers: RawHeaders): Generator<[name: string, value: string]> {
  for (let at = 0; at + 1 < headers.length; at += 2) yield [headers[at] ?? '', headers[at + 1] ?? '']
}

export function valuesOf(headers: RawHeaders, wanted: string): string[] {
  return [...pairsOf(headers)].filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value)
}

function without(headers: RawHeaders, names: readonly string[]): string[] {
  const listed = valuesOf(headers, 'connection').flatMap((value) => value.toLowerCase().split(/\s*,\s*/))
  const dropped = new Set([...hopByHop, ...listed, ...names])
  // What Connection lists is dropped, but the names that decide where a message goes or ends are not its to list.
  dropped.delete('host')
  return [...pairsOf(headers)].filter(([name]) => !dropped.has(name.toLowerCase())).flat()
}

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
  const kept = without(headers, wholeOnly ? [...requestOnly, ...partial] : requestOnly)
  return [...kept, 'Accept-Encoding', 'identity', ...framingHeaders(framing, method)]
}

type Incoming = { decoded: boolean; lengthKept: boolean; patterns: Patterns }

/** The headers for the client, without values, and how many values were taken out. */
export function responseHeaders(
  headers: RawHeaders,
  { decoded, lengthKept, patterns }: Incoming,
): { headers: string[]; redactions: number } {
  const kept = without(headers, [
    ...responseOnly,
    ...(decoded ? ['content-encoding'] : []),
    ...(lengthKept ? [] : ['content-length']),
  ])
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
