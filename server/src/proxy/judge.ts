import { hostHeaderMatches, isAmbiguousPath, ruleAdmits } from './destination.ts'
import type { Direct } from './direct.ts'
import type { HttpRequest } from './either-http.ts'
import { framingOf, pairsOf, valuesOf } from './headers.ts'
import type { Sender } from './http2-upstream.ts'
import type { Limits, Refusal } from './messages.ts'
import { placeholdersIn } from './placeholders.ts'
import type { Route } from './route.ts'
import { handshakeRefusal } from './websocket-handshake.ts'

/** A TLS connection of the client, and where it leads. */
export type Tunnel = {
  readonly route: Route
  readonly serverName: string | false
  /** How requests of a connection of HTTP/2 are sent on. */
  readonly sender?: Sender
  /** How those of HTTP/1.1 are that are known whole; others go by the route's agent. */
  readonly direct?: Direct
}

/** `misused`: not only refused, but something that a well-behaved client does not try. */
export type Verdict = Refusal & { readonly outcome?: 'misused' }

/** A request's target without its query, which may carry what must not be recorded. */
export const pathOf = (target: string): string => target.replace(/[?#].*$/s, '')
function misdirected(request: HttpRequest, { route, serverName }: Tunnel): Verdict | undefined {
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
export function refusalOf(
  request: HttpRequest,
  tunnel: Tunnel,
  limits: Limits,
  isUpgrade: boolean,
): Verdict | undefined {
  const { method = '', url = '' } = request
  const wrong = misdirected(request, tunnel)
  if (wrong) return wrong
  if (isAmbiguousPath(pathOf(url))) {
    return {
      code: 'request.invalid',
      reason: 'The path must be absolute, without dot segments or backslashes, encoded or not.',
    }
  }
  const unfit = isUpgrade ? handshakeRefusal(request) : upgradeRefusal(request)
  if (unfit) return unfit
  if (!tunnel.route.rules.some((rule) => ruleAdmits(rule, method, pathOf(url)))) {
    return {
      code: 'egress.denied',
      reason: `${method} on this path is not on the sandbox's allow list, though its host is.`,
    }
  }
  if (valuesOf(request.rawHeaders, 'authorization').length > 1) {
    return { code: 'request.invalid', reason: 'The header Authorization may stand in a request once.' }
  }
  const framing = framingOf(request.rawHeaders)
  if (framing.kind === 'length' && framing.bytes > limits.requestBodyBytes) return tooLarge(limits)
  const named = [...pairsOf(request.rawHeaders)].some(([name]) => placeholdersIn(name).length > 0)
  return named
    ? { code: 'request.invalid', reason: 'A placeholder cannot be the name of a header.' }
    : undefined
}

const upgradeRefusal = ({ headers }: HttpRequest): Verdict | undefined =>
  headers.upgrade === undefined
    ? undefined
    : {
        code: 'egress.unsupported',
        reason: 'Of the protocols to upgrade to, only WebSocket passes. Use plain HTTPS requests.',
      }

export const tooLarge = (limits: Limits): Verdict => ({
  code: 'request.too_large',
  reason: `A request body may have ${limits.requestBodyBytes} bytes at most.`,
})
