// AWS Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHash, createHmac } from 'node:crypto'
import { pairsOf, type RawHeaders, valuesOf } from './headers.ts'

/** What a signing key is good for: one day, region and service. */
export type Scope = { readonly date: string; readonly region: string; readonly service: string }

/** What a request is signed with. Of the secret key only this scope's derivative is known here. */
export type Signing = {
  readonly scope: Scope
  readonly accessKeyId: string
  /** Hex. */
  readonly key: string
  readonly sessionToken: string | null
}

const shape =
  /^AWS4-HMAC-SHA256 +Credential=([A-Z0-9]{16,128})\/(\d{8})\/([a-z0-9-]{1,60})\/([a-z0-9-]{1,60})\/aws4_request, *SignedHeaders=([a-z0-9;_-]{1,2000}), *Signature=[0-9a-f]{64}$/

type Written = {
  readonly accessKeyId: string
  readonly scope: Scope
  readonly signedHeaders: readonly string[]
}

/** The parts of an Authorization header of this kind. */
export function readSignature(authorization: string): Written | undefined {
  const [, accessKeyId, date, region, service, names] = shape.exec(authorization) ?? []
  if (!accessKeyId || !date || !region || !service || !names) return undefined
  return { accessKeyId, scope: { date, region, service }, signedHeaders: names.split(';') }
}

export const signatureIn = (headers: RawHeaders): Written | undefined =>
  readSignature(valuesOf(headers, 'authorization')[0] ?? '')

const digestHeader = 'x-amz-content-sha256'

export type Payload =
  /** The request says what its body is, or that the body is not signed. */
  | { readonly kind: 'declared'; readonly digest: string }
  /** Nothing is said: the whole body must be known. */
  | { readonly kind: 'unknown' }
  /** Each chunk carries a signature, which is made with the key that the sandbox does not have. */
  | { readonly kind: 'chunks' }

export function payloadOf(headers: RawHeaders): Payload {
  const [declared] = valuesOf(headers, digestHeader)
  if (declared === undefined) return { kind: 'unknown' }
  const isKnown = /^(?:[0-9a-f]{64}|UNSIGNED-PAYLOAD|STREAMING-UNSIGNED-PAYLOAD-TRAILER)$/.test(declared)
  return isKnown ? { kind: 'declared', digest: declared } : { kind: 'chunks' }
}

type Unsigned = {
  readonly method: string
  readonly target: string
  /** As they will be sent. */
  readonly headers: RawHeaders
  /** When it is known whole. */
  readonly body: Buffer | undefined
}

/** The headers of a request with a signature that its destination accepts; undefined when the request is not of this kind. */
export function sign(request: Unsigned, signing: Signing): string[] | undefined {
  const written = signatureIn(request.headers)
  const [time = ''] = valuesOf(request.headers, 'x-amz-date')
  const { date, region, service } = signing.scope
  if (!written || !/^\d{8}T\d{6}Z$/.test(time) || !time.startsWith(date)) return undefined
  const digest = digestOf(request)
  const headers = renewed(request.headers, { digest, sessionToken: signing.sessionToken })
  const names = namesToSign(headers, written.signedHeaders)
  const scope = `${date}/${region}/${service}/aws4_request`
  const canonical = canonicalRequest({ ...request, headers }, { names, service, digest })
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(Buffer.from(canonical, 'latin1'))].join('\n')
  const signature = createHmac('sha256', Buffer.from(signing.key, 'hex')).update(toSign).digest('hex')
  const credential = `Credential=${signing.accessKeyId}/${scope}`
  const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return [...headers, 'Authorization', authorization]
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** A body that is known whole is hashed anew: a placeholder in it may have been exchanged. */
function digestOf({ headers, body }: Unsigned): string {
  const payload = payloadOf(headers)
  const isFixed =
    payload.kind === 'declared' && (!/^[0-9a-f]{64}$/.test(payload.digest) || body === undefined)
  return isFixed ? payload.digest : sha256(body ?? Buffer.alloc(0))
}

function renewed(headers: RawHeaders, to: { digest: string; sessionToken: string | null }): string[] {
  const result: string[] = []
  for (const [name, value] of pairsOf(headers)) {
    const lower = name.toLowerCase()
    if (lower === 'authorization' || lower === 'x-amz-security-token') continue
    result.push(name, lower === digestHeader ? to.digest : value)
  }
  if (to.sessionToken !== null) result.push('X-Amz-Security-Token', to.sessionToken)
  return result
}

/** Host and everything of Amazon's must be signed; of the rest, what the client signed and still goes out. */
function namesToSign(headers: RawHeaders, wanted: readonly string[]): string[] {
  const present = new Set([...pairsOf(headers)].map(([name]) => name.toLowerCase()))
  return [...present]
    .filter((name) => name === 'host' || name.startsWith('x-amz-') || wanted.includes(name))
    .sort()
}

type Manner = { names: readonly string[]; service: string; digest: string }

function canonicalRequest({ method, target, headers }: Unsigned, { names, service, digest }: Manner): string {
  const [path = '', ...query] = target.split('?')
  const lines = names.map((name) => {
    const values = valuesOf(headers, name).map((value) => value.trim().replaceAll(/ +/g, ' '))
    return `${name}:${values.join(',')}`
  })
  const resource = service === 's3' ? path : encodedAgain(path)
  return [method, resource, canonicalQuery(query.join('?')), ...lines, '', names.join(';'), digest].join('\n')
}

/** Every service but S3 signs the path without empty segments, and encoded once more than it is sent. */
const encodedAgain = (path: string): string => path.replaceAll(/\/+/g, '/').split('/').map(encode).join('/')

function canonicalQuery(query: string): string {
  if (query === '') return ''
  const pairs = query.split('&').map((pair) => {
    const [name = '', ...value] = pair.split('=')
    return [encode(decode(name)), encode(decode(value.join('=')))] as const
  })
  return pairs
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map((pair) => pair.join('='))
    .join('&')
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // What is no percent-encoding stands for itself.
    return text
  }
}

/** RFC 3986: everything but unreserved characters. */
const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  )
