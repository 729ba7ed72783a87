import { type OutgoingHttpHeaders, sensitiveHeaders } from 'node:http2'
import type { HttpRequest } from './either-http.ts'
import { pairsOf, type RawHeaders, valuesOf } from './headers.ts'
import type { Refusal } from './messages.ts'

/** Heads of HTTP/2 (RFC 9113, 8) and of HTTP/1.1, each written as the other. */

type RequestHead = Pick<HttpRequest, 'method' | 'url' | 'rawHeaders'>

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Visible ASCII, blanks inside, and bytes above: what is left when CR, LF, NUL and their like are out of question. */
const fieldValue = /^(?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/
const target = /^\/[\x21-\x7e]*$/
const connectionOnly = [
  ...['connection', 'keep-alive', 'proxy-connection'],
  ...['transfer-encoding', 'upgrade', 'http2-settings'],
]
const pseudo = [':method', ':scheme', ':authority', ':path']

const refused = (what: string): Refusal => ({ code: 'request.invalid', reason: `malformed HTTP/2: ${what}` })

/**
 * A request's head as HTTP/1.1 would write it. Whatever could be read differently there, or end a head early, is refused here,
 * whether or not the parser of HTTP/2 refuses it too.
 */
export function requestHeadFrom2(
  rawHeaders: RawHeaders,
  endsWithHead: boolean,
  maxBytes: number,
): RequestHead | Refusal {
  if (sizeOf(rawHeaders) > maxBytes) return refused(`a head may have ${maxBytes} bytes at most`)
  const head = sorted(rawHeaders)
  if ('code' in head) return head
  const wrong = headProblem(head, endsWithHead)
  if (wrong !== undefined) return refused(wrong)
  const { named, fields, cookies } = head
  const kept = [...pairsOf(fields)].filter(([name]) => name !== 'host').flat()
  // One header there, several here (8.2.3).
  const joined = cookies.length > 0 ? ['cookie', cookies.join('; ')] : []
  const isChunked = !endsWithHead && valuesOf(fields, 'content-length').length === 0
  return {
    method: named.get(':method'),
    url: named.get(':path'),
    rawHeaders: [
      ...['Host', named.get(':authority') ?? ''],
      ...kept,
      ...joined,
      ...(isChunked ? ['Transfer-Encoding', 'chunked'] : []),
    ],
  }
}

/** As the setting for it counts (6.5.2). */
const sizeOf = (headers: RawHeaders): number => headers.reduce((bytes, text) => bytes + text.length + 16, 0)

type Sorted = { readonly named: Map<string, string>; readonly fields: string[]; readonly cookies: string[] }

function sorted(rawHeaders: RawHeaders): Sorted | Refusal {
  const head: Sorted = { named: new Map(), fields: [], cookies: [] }
  const { named, fields, cookies } = head
  for (const [name, value] of pairsOf(rawHeaders)) {
    const isLate = fields.length + cookies.length > 0 || named.has(name)
    const wrong = fieldProblem(name, value, isLate)
    if (wrong !== undefined) return refused(wrong)
    if (name.startsWith(':')) named.set(name, value)
    else if (name === 'cookie') cookies.push(value)
    else fields.push(name, value)
  }
  return head
}

function fieldProblem(name: string, value: string, isLate: boolean): string | undefined {
  if (!fieldValue.test(value)) return 'a value has characters that end a line'
  if (name.startsWith(':'))
    return isLate || !pseudo.includes(name) ? 'a pseudo header is unknown, late, or stands twice' : undefined
  if (!token.test(name) || name !== name.toLowerCase()) return 'a name is not one in lower case'
  if (connectionOnly.includes(name)) return 'a header that belongs to HTTP/1.1'
  return name === 'te' && value !== 'trailers' ? 'a TE that belongs to HTTP/1.1' : undefined
}

function headProblem({ named, fields }: Sorted, endsWithHead: boolean): string | undefined {
  const method = named.get(':method') ?? ''
  if (!token.test(method) || method === 'CONNECT') return 'the method is none, or CONNECT'
  if (named.get(':scheme') !== 'https') return 'the scheme is not https'
  if (!target.test(named.get(':path') ?? '')) return 'the path does not begin with a slash'
  const authority = named.get(':authority')
  if (authority === undefined) return 'there is no :authority'
  if (valuesOf(fields, 'host').some((host) => host !== authority)) return 'Host differs from :authority'
  const lengths = valuesOf(fields, 'content-length')
  if (lengths.length > 1 || lengths.some((length) => !/^[0-9]{1,15}$/.test(length)))
    return 'Content-Length is no single number'
  return endsWithHead && Number(lengths[0] ?? 0) > 0 ? 'a body is promised and does not come' : undefined
}

/** Fields for Node's HTTP/2: in lower case, without what HTTP/1.1 says about connections, none of them kept in its index. */
export function headersFor2(headers: RawHeaders): OutgoingHttpHeaders {
  const fields = new Map<string, string[]>()
  for (const [written, value] of pairsOf(headers)) {
    const name = written.toLowerCase()
    if (connectionOnly.includes(name) || name === 'host') continue
    const values = fields.get(name)
    if (values) values.push(value)
    else fields.set(name, [value])
  }
  const single = [...fields].map(([name, values]) => [name, values.length === 1 ? values[0] : values])
  return { ...Object.fromEntries(single), [sensitiveHeaders]: [...fields.keys()] }
}
