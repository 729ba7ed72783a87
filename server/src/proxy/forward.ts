import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import { refuse } from './answer.ts'
import { hostHeaderMatches, isAmbiguousPath, ruleAdmits } from './destination.ts'
import { type BodyFraming, framingOf, pairsOf, requestHeaders, valuesOf } from './headers.ts'
import type { Ledger } from './ledger.ts'
import type { Ask, Limits, Refusal, ResolveClaim } from './messages.ts'
import {
  exchange,
  fitsHeader,
  isTextual,
  placeholdersIn,
  placeholdersOf,
  placeholderWatch,
  type RequestParts,
} from './placeholders.ts'
import { type Patterns, shortestValue } from './redact.ts'
import type { Route } from './route.ts'
import { meter, relay, sendTo, type Tally, unreachable } from './upstream.ts'

/** A TLS connection of the client, and where it leads. */
export type Tunnel = { readonly route: Route; readonly serverName: string | false }

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
type Verdict = Refusal & { readonly outcome?: 'misused' }

const pathOf = (target: string): string => target.replace(/[?#].*$/s, '')
const unavailable: Refusal = {
  code: 'audit.unavailable',
  reason:
    'What was done before could not be recorded, so nothing more is let through. See the server’s health.',
}

function misdirected(request: IncomingMessage, { route, serverName }: Tunnel): Verdict | undefined {
  const { host, port } = route.authority
  const hosts = valuesOf(request.rawHeaders, 'host')
  if (serverName !== false && serverName.toLowerCase() !== host) {
    return verdict(`The TLS server name is not ${host}, which the tunnel was opened to.`)
  }
  if (hosts.length !== 1 || !hostHeaderMatches(hosts[0] ?? '', route.authority)) {
    return verdict(
      `The Host header must be ${host}${port === 443 ? '' : `:${port}`}, once, as the tunnel was opened to it.`,
    )
  }
  return undefined
}

const verdict = (reason: string): Verdict => ({ code: 'egress.misdirected', reason, outcome: 'misused' })

/** What can be refused by looking at the head of the request alone. */
function refusalOf(request: IncomingMessage, tunnel: Tunnel, limits: Limits): Verdict | undefined {
  const { method = '', url = '' } = request
  const wrong = misdirected(request, tunnel)
  if (wrong) return wrong
  if (isAmbiguousPath(pathOf(url))) {
    return {
      code: 'request.invalid',
      reason: 'The path must be absolute, without dot segments, backslashes or encoded slashes.',
    }
  }
  if (request.headers.upgrade !== undefined) {
    return {
      code: 'egress.unsupported',
      reason: 'Protocol upgrades (WebSocket, h2c) do not pass the proxy yet. Use plain HTTPS requests.',
    }
  }
  if (!tunnel.route.rules.some((rule) => ruleAdmits(rule, method, pathOf(url)))) {
    return {
      code: 'egress.denied',
      reason: `${method} on this path is not on the sandbox's allow list, though its host is.`,
    }
  }
  const framing = framingOf(request.rawHeaders)
  if (framing.kind === 'length' && framing.bytes > limits.requestBodyBytes) return tooLarge(limits)
  const named = [...pairsOf(request.rawHeaders)].some(([name]) => placeholdersIn(name).length > 0)
  return named
    ? { code: 'request.invalid', reason: 'A placeholder cannot be the name of a header.' }
    : undefined
}

const tooLarge = (limits: Limits): Verdict => ({
  code: 'request.too_large',
  reason: `A request body may have ${limits.requestBodyBytes} bytes at most.`,
})

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

/** Codes that say the system cannot answer now, not that the placeholder was somewhere it should not be. */
const notMisuse =
  /^(?:lease\.ended|vault\.(?:sealed|uninitialised)|server\.internal)$|^(?:audit|store|egress\.unavailable)\b/

export function createForward({ sandboxId, ask, ledger, patterns, limits }: Needs): Forward {
  /** One placeholder's value, which is looked for in every answer from here on. */
  const resolveOne = async (claim: ResolveClaim, tally: Tally): Promise<string | Verdict> => {
    const reply = await ask('resolve', claim)
    if ('refusal' in reply) {
      return notMisuse.test(reply.refusal.code) ? reply.refusal : { ...reply.refusal, outcome: 'misused' }
    }
    const { value, leaseId } = reply.answer
    patterns.add(value)
    if (leaseId !== null) tally.leaseIds.push(leaseId)
    if (value.length >= shortestValue && fitsHeader(value)) return value
    const reason = `A secret of several lines, or of less than ${shortestValue} characters, cannot be lent through the proxy.`
    return { code: 'request.invalid', reason }
  }

  /** Exchanges every placeholder for its value, or says which one may not be and why. */
  const resolveAll = async (
    parts: RequestParts,
    { request, tunnel, tally }: Passing,
  ): Promise<RequestParts | Verdict> => {
    const found = placeholdersOf(parts)
    tally.placeholders = found.length
    const values = new Map<string, string>()
    const at = {
      sandboxId,
      ...tunnel.route.authority,
      method: request.method ?? '',
      path: pathOf(parts.target),
    }
    for (const placeholder of found) {
      const value = await resolveOne({ ...at, placeholder }, tally)
      if (typeof value !== 'string') return value
      values.set(placeholder, value)
    }
    return values.size === 0 ? parts : exchange(parts, values)
  }

  const fail = (
    { response, tally }: Passing,
    refusal: Verdict,
    outcome: Tally['outcome'] = 'denied',
  ): void => {
    // The first reason is the cause; what breaks after it is a consequence.
    if (tally.reason !== null || response.writableEnded) return
    tally.outcome = refusal.outcome ?? outcome
    tally.reason = refusal.reason
    refuse(response, refusal)
  }

  const stream = (passing: Passing, upstream: ClientRequest): void => {
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

  const pass = (passing: Passing, parts: RequestParts, framing: BodyFraming): void => {
    const { request, response, tunnel, tally } = passing
    const method = request.method ?? ''
    const headers = requestHeaders(parts.headers, {
      method,
      framing: parts.body ? { kind: 'length', bytes: parts.body.length } : framing,
      wholeOnly: patterns.all.length > 0,
    })
    const upstream = sendTo(tunnel.route, { method, target: parts.target, headers }, limits)
    upstream.once('error', (error) => {
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
    else stream(passing, upstream)
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
    const parts = await resolveAll({ target, headers: request.rawHeaders, body, contentType }, passing)
    if ('code' in parts) return fail(passing, parts)
    if (!response.destroyed) pass(passing, parts, framing)
  }

  return async (request, response, tunnel, expectsContinue) => {
    const tally: Tally = {
      outcome: 'allowed',
      reason: null,
      leaseIds: [],
      placeholders: 0,
      bytesOut: 0,
      bytesIn: 0,
      redactions: 0,
    }
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
    try {
      await serve({ request, response, tunnel, tally }, expectsContinue)
    } catch {
      const reason =
        'The request could not be passed on: the client broke it off, or something is wrong inside the proxy.'
      fail({ request, response, tunnel, tally }, { code: 'server.internal', reason }, 'failed')
    }
  }
}
