import type { Duplex } from 'node:stream'
import { refuse } from './answer.ts'
import type { HttpRequest, HttpResponse } from './either-http.ts'
import type { Tunnel, Verdict } from './judge.ts'
import { leftFor, overBudget, type Tally } from './tally.ts'
import type { Passage } from './underway.ts'

/** One request on its way through. */
export type Passing = {
  readonly request: HttpRequest
  readonly response: HttpResponse
  readonly tally: Tally
  /** Another one for a request that shows a certificate: its connections are its own. */
  tunnel: Tunnel
  readonly passage: Passage
  /** The connection itself, when the request asks for another protocol on it. */
  readonly upgrade: Upgrade | undefined
  /** Ends what is under way to the destination. */
  giveUp?: () => void
  /** Ends what the request has become; it is no request any more. */
  stop?: (refusal: Verdict, outcome: Tally['outcome']) => void
}
export type Upgrade = {
  readonly socket: Duplex
  readonly head: Buffer
  /** Nothing of HTTP is heard or said on the connection any more. */
  release(): void
}

export const leaseEnded = (reason: string): Verdict => ({ code: 'lease.ended', reason })

/** Refuses the request, or breaks off the answer that has begun. */
export function fail(
  { response, tally, giveUp, stop }: Passing,
  refusal: Verdict,
  outcome: Tally['outcome'] = 'denied',
): void {
  if (stop) {
    stop(refusal, outcome)
    return
  }
  // The first reason is the cause; what breaks after it is a consequence.
  if (tally.reason !== null || response.writableEnded) return
  tally.outcome = refusal.outcome ?? outcome
  tally.reason = refusal.reason
  refuse(response, refusal)
  // At once: a client that does not take the refusal could else keep an upload, or a request that waits to be sent, alive.
  giveUp?.()
}

/** What the leases of a request say against it, once they are known. */
export function lateRefusal({ passage, tally }: Pick<Passing, 'passage' | 'tally'>): Verdict | undefined {
  const over = passage.use(tally.leaseIds, tally.expiresAt)
  if (over !== undefined) return leaseEnded(over)
  return leftFor(tally) <= 0 ? overBudget : undefined
}
