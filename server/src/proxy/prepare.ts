import type { HttpRequest } from './either-http.ts'
import type { Exchange, Exchanged } from './exchange.ts'
import { type BodyFraming, framingOf } from './headers.ts'
import type { Tunnel, Verdict } from './judge.ts'
import type { Limits } from './messages.ts'
import { isTextual, placeholdersIn } from './placeholders.ts'
import { payloadOf, signatureIn } from './sigv4.ts'
import type { Tally } from './tally.ts'

/** Reads as much of a request as must be known before its head is sent, and exchanges the placeholders in it. */
export type Prepare = (asked: Asked, onContinue: () => void) => Promise<Exchanged | Verdict>
type Asked = { readonly request: HttpRequest; readonly tunnel: Tunnel; readonly tally: Tally }

/** `hash`: not to be changed, but known whole, for a signature over it. */
type Way = 'exchange' | 'hash' | 'stream'

export function createPrepare(exchange: Exchange, limits: Limits): Prepare {
  return async (asked, onContinue) => {
    const { request } = asked
    const way = wayOf(request, limits)
    if (typeof way !== 'string') return way
    onContinue()
    const whole = way === 'stream' ? undefined : await readAll(request)
    if (way === 'hash' && placeholdersIn(whole?.toString('latin1') ?? '').length > 0)
      return inUnreadBody(limits)
    const body = way === 'exchange' ? whole : undefined
    const contentType = contentTypeOf(request)
    const parts = { target: request.url ?? '', headers: request.rawHeaders, body, contentType }
    const exchanged = await exchange(parts, asked)
    return way === 'hash' && !('code' in exchanged) ? { ...exchanged, body: whole } : exchanged
  }
}

export const inUnreadBody = ({ exchangeBodyBytes }: Limits): Verdict => ({
  code: 'request.invalid',
  reason: `A placeholder stands in a body that is not exchanged: only text of a declared length up to ${exchangeBodyBytes} bytes is. Send it in a header.`,
  outcome: 'misused',
})

const contentTypeOf = (request: HttpRequest): string => request.headers['content-type'] ?? ''

async function readAll(request: HttpRequest): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function wayOf(request: HttpRequest, limits: Limits): Way | Verdict {
  const framing = framingOf(request.rawHeaders)
  const payload = needsSignature(request) ? payloadOf(request.rawHeaders).kind : 'declared'
  if (payload === 'chunks') return signedChunks
  if (isExchangeable(request, framing, limits)) return 'exchange'
  if (payload === 'declared' || framing.kind === 'none') return 'stream'
  return framing.kind === 'length' && framing.bytes <= limits.signedBodyBytes ? 'hash' : unhashed(limits)
}

function isExchangeable(request: HttpRequest, framing: BodyFraming, limits: Limits): boolean {
  const coding = request.headers['content-encoding'] ?? 'identity'
  if (framing.kind !== 'length' || framing.bytes > limits.exchangeBodyBytes) return false
  return coding === 'identity' && isTextual(contentTypeOf(request))
}

const needsSignature = ({ rawHeaders }: HttpRequest): boolean =>
  placeholdersIn(signatureIn(rawHeaders)?.accessKeyId ?? '').length > 0

const signedChunks: Verdict = {
  code: 'egress.unsupported',
  reason:
    'A body whose chunks are signed one by one cannot be signed anew. Send it whole, or with an unsigned payload.',
}

const unhashed = ({ signedBodyBytes }: Limits): Verdict => ({
  code: 'egress.unsupported',
  reason: `A body without x-amz-content-sha256 is signed only with a declared length of up to ${signedBodyBytes} bytes.`,
})
