import { pipeline, type Writable } from 'node:stream'
import type { Budgets } from './budgets.ts'
import type { Heard } from './direct.ts'
import type { HttpRequest, HttpResponse } from './either-http.ts'
import { createExchange, type Exchanged } from './exchange.ts'
import { framingOf, requestHeaders, wantsTrailers } from './headers.ts'
import { createSender, type Sending } from './http2-upstream.ts'
import { pathOf, refusalOf, type Tunnel, tooLarge, type Verdict } from './judge.ts'
import type { Ledger } from './ledger.ts'
import type { Ask, Limits, Refusal } from './messages.ts'
import type { OpenNow } from './open-now.ts'
import { fail, lateRefusal, leaseEnded, type Passing, type Upgrade } from './passing.ts'
import { placeholderWatch } from './placeholders.ts'
import { createPrepare, inUnreadBody } from './prepare.ts'
import type { Patterns } from './redact.ts'
import { relay } from './relay.ts'
import { type ClientCertificate, showing } from './route.ts'
import { sign } from './sigv4.ts'
import { count, leftFor, meter, newTally, overBudget } from './tally.ts'
import type { Underway } from './underway.ts'
import { sendTo, unreachable } from './upstream.ts'
import { passWebSocket } from './websocket.ts'

type Needs = {
  readonly sandboxId: string
  readonly ask: Ask
  readonly ledger: Ledger
  /** Everything lent to this sandbox so far. */
  readonly patterns: Patterns
  readonly limits: Limits
  readonly underway: Underway
  readonly budgets: Budgets
  readonly openNow: OpenNow
}
/** Resolves when the request is under way or refused. */
export type Forward = (
  request: HttpRequest,
  response: HttpResponse,
  tunnel: Tunnel,
  how: { readonly expectsContinue?: boolean; readonly upgrade?: Upgrade },
) => Promise<void>

const unavailable: Refusal = {
  code: 'audit.unavailable',
  reason:
    'What was done before could not be recorded, so nothing more is let through. See the server’s health.',
}

const undated: Verdict = {
  code: 'request.invalid',
  reason: 'A request with an AWS signature needs the header X-Amz-Date of the same day.',
}

/** Trailers are sent to those who say that they take them (RFC 9110, 6.5.1). */
const withTrailersAsked = (request: HttpRequest, headers: readonly string[]): readonly string[] =>
  wantsTrailers(request.rawHeaders) ? [...headers, 'TE', 'trailers', 'Connection', 'TE'] : headers

/** Sends a body on as it comes; what must not pass ends both sides. */
function stream(passing: Passing, upstream: Writable, limits: Limits): void {
  const { request, tally } = passing
  const counted = meter(tally, limits.requestBodyBytes, (why) =>
    fail(passing, why === 'budget' ? overBudget : tooLarge(limits)),
  )
  const watched = placeholderWatch(() => fail(passing, inUnreadBody(limits)))
  pipeline(request, counted, watched, upstream, () => {
    // Every error has been told where it arose: by the limit, the watch, the upstream request or the client's leaving.
  })
}

/** Has the request go out by a connection of its own, which is made with the certificate and ends with the answer. */
function show(passing: Passing, certificate: ClientCertificate, limits: Limits): void {
  const {
    tunnel: { direct: _, ...tunnel },
    response,
  } = passing
  const route = showing(tunnel.route, certificate, limits)
  const sender = tunnel.sender && createSender(route, limits)
  passing.tunnel = { ...tunnel, route, ...(sender ? { sender } : {}) }
  response.once('close', () => {
    sender?.close()
    route.agent.destroy()
  })
}

export function createForward(needs: Needs): Forward {
  const { sandboxId, ask, ledger, patterns, limits, underway, budgets, openNow } = needs
  const exchange = createExchange({ sandboxId, ask, patterns, budgets })
  const prepare = createPrepare(exchange.request, limits)

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

  const hearing = (passing: Passing): Heard => ({
    onError(error) {
      const { response, tunnel } = passing
      if (response.headersSent && !response.writableEnded) response.destroy()
      fail(passing, unreachable(tunnel.route, error), 'failed')
    },
    onAnswer(answer) {
      const { request, response, tally } = passing
      const refusal = relay({ answer, request, response, patterns, tally })
      if (!refusal) return
      if (!('body' in answer)) answer.destroy()
      fail(passing, refusal, 'failed')
    },
  })

  const pass = (passing: Passing, { target, body, headers }: Exchanged): void => {
    const { request, response, tunnel, tally } = passing
    const outgoing = { method: request.method ?? '', target, headers: withTrailersAsked(request, headers) }
    const isWhole = body !== undefined || framingOf(request.rawHeaders).kind === 'none'
    const heard = hearing(passing)
    if (body) count(tally, 'bytesOut', body.length)
    const sent = isWhole ? tunnel.direct?.send(outgoing, body, heard) : undefined
    if (sent) {
      passing.giveUp = sent.cancel
      response.once('close', sent.cancel)
      return
    }
    const upstream: Sending = tunnel.sender?.send(outgoing) ?? sendTo(tunnel.route, outgoing, limits)
    upstream.on('error', heard.onError)
    upstream.once('response', heard.onAnswer)
    passing.giveUp = () => upstream.destroy()
    response.once('close', passing.giveUp)
    if (isWhole) upstream.end(body)
    else stream(passing, upstream, limits)
  }

  const passUpgraded = (passing: Passing, upgrade: Upgrade, parts: Exchanged): void => {
    let close = (): void => {}
    passWebSocket(passing, upgrade, parts, {
      limits,
      patterns,
      exchangeMessage: exchange.message,
      onOpen() {
        close = openNow.begin('websocket')
        report(passing, { status: 101, reason: 'The WebSocket was opened.' })
      },
      onClose() {
        close()
        end(passing, 101)
      },
    })
  }

  /** The request as it goes out, once everything that speaks against it has been asked. */
  const judged = async (passing: Passing, onContinue: () => void): Promise<Exchanged | Verdict> => {
    const { request, tunnel, upgrade } = passing
    const early = refusalOf(request, tunnel, limits, upgrade !== undefined)
    if (early) return early
    // Both are on their way at the same time, so that the server writes what they need to disk together.
    const settling = ledger.settle()
    const parts = await prepare(passing, onContinue)
    if (!(await settling)) return unavailable
    if ('code' in parts) return parts
    const late = lateRefusal(passing)
    if (late) return late
    const headers = headersOf(passing, parts)
    return headers ? { ...parts, headers } : undated
  }

  const serve = async (passing: Passing, onContinue: () => void): Promise<void> => {
    const { response, tally, upgrade } = passing
    const parts = await judged(passing, onContinue)
    if ('code' in parts) return fail(passing, parts)
    // What was cut meanwhile has its answer already.
    if (response.destroyed || tally.reason !== null) return
    // Others may have taken it since: what is counted is judged where it is counted.
    if ((parts.body?.length ?? 0) > leftFor(tally)) return fail(passing, overBudget)
    if (parts.certificate) show(passing, parts.certificate, limits)
    if (upgrade) passUpgraded(passing, upgrade, parts)
    else pass(passing, parts)
  }

  const report = (
    { request, tunnel, tally }: Passing,
    more: { status: number | null; reason?: string },
  ): void => {
    const { method = '', url = '' } = request
    const path = pathOf(url).slice(0, 1024)
    const { budgets: shared, expiresAt: _, ...told } = tally
    const entry = { ...tunnel.route.authority, sandboxId, method, path, ...told, ...more }
    // A refusal is told at once, and so is what is taken off a budget that the next request is judged by.
    if (tally.outcome === 'allowed' && shared.length === 0) ledger.reportSoon(entry)
    else void ledger.report(entry)
  }

  const end = (passing: Passing, status: number | null): void => {
    passing.passage.end()
    report(passing, { status })
    budgets.leave(passing.tally)
  }

  const recordAtEnd = (passing: Passing): void => {
    const { response, tally } = passing
    response.once('close', () => {
      if (!response.writableFinished && tally.reason === null) {
        tally.outcome = 'failed'
        tally.reason = 'The client left before the end of the answer.'
      }
      end(passing, response.headersSent ? response.statusCode : null)
    })
  }

  return async (request, response, tunnel, { expectsContinue = false, upgrade }) => {
    const passage = underway.begin((reason) => fail(passing, leaseEnded(reason)))
    const passing: Passing = { request, response, tunnel, tally: newTally(), passage, upgrade }
    recordAtEnd(passing)
    try {
      await serve(passing, () => {
        if (expectsContinue) response.writeContinue()
      })
    } catch {
      const reason = 'The client broke the request off, or something is wrong inside the proxy.'
      fail(passing, { code: 'server.internal', reason }, 'failed')
    }
  }
}
