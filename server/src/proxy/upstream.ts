import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { pipeline, Transform } from 'node:stream'
import { decodersOf } from './decode.ts'
import { responseHeaders, valuesOf } from './headers.ts'
import type { Limits, Refusal } from './messages.ts'
import { type Patterns, redactingStream, redactorOf, redactText } from './redact.ts'
import type { Route } from './route.ts'

/** What one request comes to, as it is recorded when its answer ends. */
export type Tally = {
  outcome: 'allowed' | 'denied' | 'misused' | 'failed'
  reason: string | null
  leaseIds: string[]
  placeholders: number
  bytesOut: number
  bytesIn: number
  redactions: number
  /** Of both directions together; what the leases of this request have left. */
  bytesAllowed: number
  /** When the first of the leases of this request ends. */
  expiresAt: Date | undefined
}

export const overBudget: Refusal & { readonly outcome?: never } = {
  code: 'lease.over_budget',
  reason: 'The bytes that the lease was given are spent. Ask for another one.',
}

const isSpent = ({ bytesOut, bytesIn, bytesAllowed }: Tally): boolean => bytesOut + bytesIn > bytesAllowed

export const newTally = (): Tally => ({
  outcome: 'allowed',
  reason: null,
  leaseIds: [],
  placeholders: 0,
  bytesOut: 0,
  bytesIn: 0,
  redactions: 0,
  bytesAllowed: Number.POSITIVE_INFINITY,
  expiresAt: undefined,
})

type Way = 'bytesOut' | 'bytesIn'

/** Counts what passes and stops at a limit: of this direction, or of what the leases have left. */
export function meter(
  tally: Tally,
  way: Way,
  limitBytes: number,
  onStop: (why: 'length' | 'budget') => void,
) {
  let total = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      total += chunk.length
      tally[way] += chunk.length
      const why = total > limitBytes ? 'length' : isSpent(tally) ? 'budget' : undefined
      if (why === undefined) return done(null, chunk)
      onStop(why)
      done(new Error('too long'))
    },
  })
}

type Outgoing = { method: string; target: string; headers: readonly string[] }

/** Opens the request to the destination; a connection that does not come about in time is given up. */
export function sendTo(
  { agent }: Route,
  { method, target, headers }: Outgoing,
  limits: Limits,
): ClientRequest {
  const upstream = httpsRequest({
    agent,
    method,
    path: target,
    headers,
    maxHeaderSize: limits.headerBytes,
    insecureHTTPParser: false,
  })
  upstream.once('timeout', () => upstream.destroy(new Error('idle for too long')))
  upstream.once('socket', (socket) => {
    if (!socket.connecting) return
    const late = setTimeout(
      () => upstream.destroy(new Error('no connection in time')),
      limits.connectSeconds * 1000,
    )
    socket.once('secureConnect', () => clearTimeout(late))
    socket.once('close', () => clearTimeout(late))
  })
  return upstream
}

/** The words for a failed connection: Node's error code, never its message, which may quote what was sent. */
export function unreachable({ authority }: Route, error: Error): Refusal {
  const code = (error as NodeJS.ErrnoException).code ?? error.message
  const what = /CERT|SIGNATURE|ALTNAME|ISSUER/.test(code)
    ? 'shows a certificate that is not trusted'
    : 'cannot be reached'
  return { code: 'egress.unreachable', reason: `${authority.host}:${authority.port} ${what} (${code}).` }
}

type Relay = {
  answer: IncomingMessage
  response: ServerResponse
  method: string
  patterns: Patterns
  tally: Tally
}

/** Passes the answer on with every known value taken out; returns why not when it cannot be looked through. */
export function relay({ answer, response, method, patterns, tally }: Relay): Refusal | undefined {
  const status = answer.statusCode ?? 502
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304
  const coding = valuesOf(answer.rawHeaders, 'content-encoding').join(',')
  const decoders = hasBody ? decodersOf(coding) : []
  if (!decoders) {
    const reason =
      'The answer is compressed in a way that cannot be searched for secrets, though it was asked for uncompressed.'
    return { code: 'egress.unreachable', reason }
  }
  // Without anything to take out the length can stay, which clients use to show progress and to notice a cut.
  const lengthKept = !hasBody || (patterns.all.length === 0 && decoders.length === 0)
  const { headers, redactions } = responseHeaders(answer.rawHeaders, {
    decoded: decoders.length > 0,
    lengthKept,
    patterns,
  })
  tally.redactions += redactions
  response.sendDate = false
  response.writeHead(status, redactText(patterns, answer.statusMessage ?? '', 'latin1'), headers)
  response.flushHeaders()
  const redactor = redactorOf(patterns, () => {
    tally.redactions++
  })
  const received = meter(tally, 'bytesIn', Number.POSITIVE_INFINITY, () => {
    tally.outcome = 'denied'
    tally.reason ??= overBudget.reason
  })
  const redacting = redactingStream(redactor, {
    fixedLength: lengthKept && valuesOf(headers, 'content-length').length > 0,
  })
  const broke = (): void => {
    if (tally.reason !== null) return
    tally.outcome = 'failed'
    tally.reason = 'The answer broke off, or could not be decompressed.'
  }
  for (const step of [answer, received, ...decoders, redacting]) step.once('error', broke)
  pipeline([answer, received, ...decoders, redacting, response], () => {
    // What broke has been noted; a whole answer has nothing left to say.
    if (!response.writableFinished) response.destroy()
  })
  return undefined
}
