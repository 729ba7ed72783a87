import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import { refuse } from './answer.ts'
import { createExchange, type Exchanged } from './exchange.ts'
import { framingOf, requestHeaders } from './headers.ts'
import { pathOf, refusalOf, type Tunnel, tooLarge, type Verdict } from './judge.ts'
import type { Ledger } from './ledger.ts'
import type { Ask, Limits, Refusal } from './messages.ts'
import { placeholderWatch } from './placeholders.ts'
import { createPrepare, inUnreadBody } from './prepare.ts'
import type { Patterns } from './redact.ts'
import { relay } from './relay.ts'
import { sign } from './sigv4.ts'
import { meter, newTally, overBudget, type Tally } from './tally.ts'
import type { Passage, Underway } from './underway.ts'
import { sendTo, unreachable } from './upstream.ts'

type Needs = {
  readonly sandboxId: string
  readonly ask: Ask
  readonly ledger: Ledger
  /** Everything lent to this sandbox so far. */
  readonly patterns: Patterns
  readonly limits: Limits
  readonly underway: Underway
}
/** Resolves when the request is under way or refused. */
export type Forward = (
  request: IncomingMessage,
  response: ServerResponse,
  tunnel: Tunnel,
  expectsContinue: boolean,
) => Promise<void>

type Passing = {
  request: IncomingMessage
  response: ServerResponse
  tally: Tally
  tunnel: Tunnel
  passage: Passage
}

const unavailable: Refusal = {
  code: 'audit.unavailable',
  reason:
    'What was done before could not be recorded, so nothing more is let through. See the server’s health.',
}

const ended = (reason: string): Verdict => ({ code: 'lease.ended', reason })

const undated: Verdict = {
  code: 'request.invalid',
  reason: 'A request with an AWS signature needs the header X-Amz-Date of the same day.',
}

function fail({ response, tally }: Passing, refusal: Verdict, outcome: Tally['outcome'] = 'denied'): void {
  // The first reason is the cause; what breaks after it is a consequence.
  if (tally.reason !== null || response.writableEnded) return
  tally.outcome = refusal.outcome ?? outcome
  tally.reason = refusal.reason
  refuse(response, refusal)
}

/** What the leases of a request say against it, once they are known. */
function lateRefusal({ passage, tally }: Passing, { body }: Exchanged): Verdict | undefined {
  const over = passage.use(tally.leaseIds, tally.expiresAt)
  if (over !== undefined) return ended(over)
  return (body?.length ?? 0) > tally.bytesAllowed ? overBudget : undefined
}

/** Sends a body on as it comes; what must not pass ends both sides. */
function stream(passing: Passing, upstream: ClientRequest, limits: Limits): void {
  const { request, tally } = passing
  const counted = meter(tally, limits.requestBodyBytes, (why) =>
    fail(passing, why === 'budget' ? overBudget : tooLarge(limits)),
  )
  const watched = placeholderWatch(() => fail(passing, inUnreadBody(limits)))
  pipeline(request, counted, watched, upstream, () => {
    // Every error has been told where it arose: by the limit, the watch, the upstream request or the client's leaving.
  })
}

export function createForward({ sandboxId, ask, ledger, patterns, limits, underway }: Needs): Forward {
  const prepare = createPrepare(createExchange({ sandboxId, ask, patterns }), limits)

  /** As they go out; undefined when they cannot be signed. */
  const headersOf = ({ request }: Passing, parts: Exchanged): string[] | undefined => {
    const method = request.method ?? ''
    const { body, signing } = parts
    const headers = requestHeaders(parts.headers, {
      method,
      framing: body ? { kind: 'length', bytes: body.length } : framingOf(request.rawHeaders),
      wholeOnly: !patterns.isEmpty,
    })
    return signing ? sign({ ...parts, method, headers }, signing) : headers
  }

  const pass = (passing: Passing, { target, body }: Exchanged, headers: readonly string[]): void => {
    const { request, response, tunnel, tally } = passing
    const method = request.method ?? ''
    const upstream = sendTo(tunnel.route, { method, target, headers }, limits)
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
    if (body) tally.bytesOut = body.length
    if (body || framingOf(request.rawHeaders).kind === 'none') upstream.end(body)
    else stream(passing, upstream, limits)
  }

  const serve = async (passing: Passing, expectsContinue: boolean): Promise<void> => {
    const { request, response, tunnel } = passing
    const early = refusalOf(request, tunnel, limits)
    if (early) return fail(passing, early)
    // Both are on their way at the same time, so that the server writes what they need to disk together.
    const settling = ledger.settle()
    const parts = await prepare(passing, () => {
      if (expectsContinue) response.writeContinue()
    })
    if (!(await settling)) return fail(passing, unavailable)
    if ('code' in parts) return fail(passing, parts)
    const late = lateRefusal(passing, parts)
    if (late) return fail(passing, late)
    const headers = headersOf(passing, parts)
    if (!headers) return fail(passing, undated)
    if (!response.destroyed) pass(passing, parts, headers)
  }

  const recordAtEnd = ({ request, response, tunnel, tally, passage }: Passing): void => {
    response.once('close', () => {
      passage.end()
      if (!response.writableFinished && tally.reason === null) {
        tally.outcome = 'failed'
        tally.reason = 'The client left before the end of the answer.'
      }
      const { method = '', url = '' } = request
      const path = pathOf(url).slice(0, 1024)
      const status = response.headersSent ? response.statusCode : null
      const { bytesAllowed: _, expiresAt: __, ...told } = tally
      void ledger.report({ ...tunnel.route.authority, sandboxId, method, path, status, ...told })
    })
  }

  return async (request, response, tunnel, expectsContinue) => {
    const passage = underway.begin((reason) => fail(passing, ended(reason)))
    const passing: Passing = { request, response, tunnel, tally: newTally(), passage }
    recordAtEnd(passing)
    try {
      await serve(passing, expectsContinue)
    } catch {
      const reason = 'The client broke the request off, or something is wrong inside the proxy.'
      fail(passing, { code: 'server.internal', reason }, 'failed')
    }
  }
}
