import { type AskedHeaders, askedHeaders } from './dialect.ts'

/** The fields of a head: all that the fast lane needs to know of them. */
export type HeadFields = {
  readonly headers: AskedHeaders
  readonly host: string
  readonly bodyBytes: number
}
export type RequestLine = {
  readonly method: string
  readonly url: string
  /** Where the fields begin. */
  readonly end: number
}

/** Of the vault's dialect only, and with nothing in it that two readers could take differently. */
const requestLine = /^(?:GET|LIST|PUT|POST|DELETE|PATCH) \/v1\/[\w\-.~%!$&'()*+,;=:@/?]* HTTP\/1\.1\r\n/
const protocol = ' HTTP/1.1\r\n'
const fieldName = /^[!#$%&'*+\-.^`|~\w]+$/
/** Plain ASCII. */
const fieldValue = /^[\t\x20-\x7e]*$/
const length = /^\d{1,6}$/
const asked: ReadonlySet<string> = new Set(askedHeaders)
/** They change how a request is read, or come from a browser: the complete reader knows what to do about them. */
const unusual = new Set([
  'transfer-encoding',
  'expect',
  'upgrade',
  'trailer',
  'te',
  'http2-settings',
  'proxy-connection',
  'origin',
  'cookie',
  'sec-fetch-site',
])

export function parseRequestLine(text: string): RequestLine | undefined {
  if (!requestLine.test(text)) return undefined
  const methodEnd = text.indexOf(' ')
  const urlEnd = text.indexOf(' ', methodEnd + 1)
  return {
    method: text.slice(0, methodEnd),
    url: text.slice(methodEnd + 1, urlEnd),
    end: urlEnd + protocol.length,
  }
}

/** The fields between the request's line and the empty line; undefined for what is left to the complete reader. */
export function parseFields(text: string): HeadFields | undefined {
  const seen = new Map<string, string>()
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    const [name, value] = [line.slice(0, colon).toLowerCase(), line.slice(colon + 1)]
    if (colon < 1 || !fieldName.test(name) || !fieldValue.test(value) || unusual.has(name)) return undefined
    if (!isKnown(name)) continue
    if (seen.has(name)) return undefined
    seen.set(name, trimmed(value))
  }
  const host = seen.get('host')
  const bodyLength = seen.get('content-length') ?? '0'
  const connection = seen.get('connection') ?? 'keep-alive'
  if (host === undefined || !length.test(bodyLength) || connection.toLowerCase() !== 'keep-alive')
    return undefined
  const headers = Object.fromEntries([...seen].filter(([name]) => asked.has(name)))
  return { headers, host, bodyBytes: Number(bodyLength) }
}

const isKnown = (name: string): boolean =>
  asked.has(name) || name === 'host' || name === 'content-length' || name === 'connection'

/** Without spaces and tabs around it. Only they are left to trim, because the value is plain ASCII. */
const trimmed = (value: string): string => value.trim()
