import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import { refuse } from './answer.ts'
import { createExchange } from './exchange.ts'
import { type BodyFraming, framingOf, requestHeaders } from './headers.ts'
import { pathOf, refusalOf, type Tunnel, tooLarge, type Verdict } from './judge.ts'
import type { Ledger } from './ledger.ts'
import type { Ask, Limits, Refusal } from './messages.ts'
import { isTextual, placeholderWatch, type RequestParts } from './placeholders.ts'
import type { Patterns } from './redact.ts'
import { meter, newTally, relay, sendTo, type Tally, unreachable } from './upstream.ts'

type Needs = {
  readonly sandboxId: string
  readonly ask: Ask
  readonly ledger: Ledger
  /** Everything lent to this sandbox so far. */
  readonly patterns: Patterns
  readonly limits: Limits
}
/** Resolves when the request is under way or refused. */
export type Forward = (
  request: IncomingMessage,
  response: ServerResponse,
  tunnel: Tunnel,
  expectsContinue: boolean,
) => Promise<void>

type Passing = { request: IncomingMessage; response: ServerResponse; tally: Tally; tunnel: Tunnel }

const unavailable: Refusal = {
  code: 'audit.unavailable',
  reason:
    'What was done before could not be recorded, so nothing more is let through. See the server’s health.',
}

const contentTypeOf = (request: IncomingMessage): string => request.headers['content-type'] ?? ''

function isExchangeable(request: IncomingMessage, framing: BodyFraming, limits: Limits): boolean {
  const coding = request.headers['content-encoding'] ?? 'identity'
  if (framing.kind !== 'length' || framing.bytes > limits.exchangeBodyBytes) return false
  return coding === 'identity' && isTextual(contentTypeOf(request))
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function fail({ response, tally }: Passing, refusal: Verdict, outcome: Tally['outcome'] = 'denied'): void {
  // The first reason is the cause; what breaks after it is a consequence.
  if (tally.reason !== null || response.writableEnded) return
  tally.outcome = refusal.outcome ?? outcome
  tally.reason = refusal.reason
  refuse(response, refusal)
}

/** Sends a body on as it comes; what must not pass ends both sides. */
function stream(passing: Passing, upstream: ClientRequest, limits: Limits): void {
  const { request, tally } = passing
  const counted = meter((bytes) => {
    tally.bytesOut += bytes
  }, limits.requestBodyBytes)
  counted.once('error', () => fail(passing, tooLarge(limits)))
  const watched = placeholderWatch(() => {
    const reason = `A placeholder stands in a body that is not exchanged: only text of a declared length up to ${limits.exchangeBodyBytes} bytes is. Send it in a header.`
    fail(passing, { code: 'request.invalid', reason, outcome: 'misused' })
  })
  pipeline(request, counted, watched, upstream, () => {
    // Every error has been told where it arose: by the limit, the watch, the upstream request or the client's leaving.
  })
}

export function createForward({ sandboxId, ask, ledger, patterns, limits }: Needs): Forward {
  const exchange = createExchange({ sandboxId, ask, patterns })

  const pass = (passing: Passing, parts: RequestParts, framing: BodyFraming): void => {
    const { request, response, tunnel, tally } = passing
    const method = request.method ?? ''
    const headers = requestHeaders(parts.headers, {
      method,
      framing: parts.body ? { kind: 'length', bytes: parts.body.length } : framing,
      wholeOnly: patterns.all.length > 0,
    })
    const upstream = sendTo(tunnel.route, { method, target: parts.target, headers }, limits)
    upstream.on('error', (error) => {
      if (response.headersSent) response.destroy()
      fail(passing, unreachable(tunnel.route, error), 'failed')
    })
    upstream.once('response', (answer) => {
      const refusal = relay({ answer, response, method, patterns, tally })
      if (!refusal) return
      answer.destroy()
      fail(passing, refusal, 'failed')
    })
    response.once('close', () => upstream.destroy())
    if (parts.body) tally.bytesOut = parts.body.length
    if (parts.body || framing.kind === 'none') upstream.end(parts.body)
    else stream(passing, upstream, limits)
  }

  const serve = async (passing: Passing, expectsContinue: boolean): Promise<void> => {
    const { request, response, tunnel } = passing
    const early = refusalOf(request, tunnel, limits) ?? ((await ledger.settle()) ? undefined : unavailable)
    if (early) return fail(passing, early)
    const framing = framingOf(request.rawHeaders)
    if (expectsContinue) response.writeContinue()
    const body = isExchangeable(request, framing, limits) ? await readAll(request) : undefined
    const target = request.url ?? ''
    const contentType = contentTypeOf(request)
    const parts = await exchange({ target, headers: request.rawHeaders, body, contentType }, passing)
    if ('code' in parts) return fail(passing, parts)
    if (!response.destroyed) pass(passing, parts, framing)
  }

  const recordAtEnd = ({ request, response, tunnel, tally }: Passing): void => {
    response.once('close', () => {
      if (!response.writableFinished && tally.reason === null) {
        tally.outcome = 'failed'
        tally.reason = 'The client left before the end of the answer.'
      }
      const { method = '', url = '' } = request
      const path = pathOf(url).slice(0, 1024)
      const status = response.headersSent ? response.statusCode : null
      void ledger.report({ ...tunnel.route.authority, sandboxId, method, path, status, ...tally })
    })
  }

  return async (request, response, tunnel, expectsContinue) => {
    const passing = { request, response, tunnel, tally: newTally() }
    recordAtEnd(passing)
    try {
      await serve(passing, expectsContinue)
    } catch {
      const reason = 'The client broke the request off, or something is wrong inside the proxy.'
      fail(passing, { code: 'server.internal', reason }, 'failed')
    }
  }
}
