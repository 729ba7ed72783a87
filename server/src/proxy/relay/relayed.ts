import { type Duplex, pipeline, Transform } from 'node:stream'
import type { Budgets } from '../budgets.ts'
import type { Verdict } from '../judge.ts'
import type { Ledger } from '../ledger.ts'
import type { Ask, Limits, Questions } from '../messages.ts'
import { placeholderWatch } from '../placeholders.ts'
import { type Patterns, redactText } from '../redact.ts'
import type { Route } from '../route.ts'
import { count, leftFor, newTally, overBudget, type Tally } from '../tally.ts'
import type { Underway } from '../underway.ts'
import { type Masker, maskerOf } from './mask.ts'
import { refused, verdictIn } from './refused.ts'

export type RelayNeeds = {
  readonly sandboxId: string
  readonly ask: Ask
  readonly ledger: Pick<Ledger, 'report'>
  readonly patterns: Patterns
  readonly limits: Limits
  readonly underway: Underway
  readonly budgets: Budgets
}

/** One connection of a client, and what is known of it so far. */
export type Relayed = {
  readonly client: Duplex
  readonly route: Route
  readonly tally: Tally
  /** As it is recorded; what the client asks for is known later. */
  readonly about: { method: string; path: string; user?: string }
  /** Ends with the connection, however that ends. */
  own(stream: Duplex): void
  /** The lease that it lives by from now on. Throws when that has ended. */
  borrow(login: Borrowed): void
}

type Borrowed = Questions['sshTunnel']['answer'] & { readonly username?: string }

type Served = {
  readonly client: Duplex
  readonly route: Route
  readonly method: string
  work(relayed: Relayed): Promise<void>
  /** A refusal in the words of the protocol. */
  say(verdict: Verdict): Buffer | string
}

/** Serves one connection, and records it when it has ended. */
export async function serve(needs: RelayNeeds, { client, route, method, work, say }: Served): Promise<void> {
  const tally = newTally()
  const about: Relayed['about'] = { method, path: '' }
  const owned = new Set<Duplex>([client])
  const end = (): void => {
    for (const stream of owned) stream.destroy()
  }
  const passage = needs.underway.begin((reason) => {
    tally.reason ??= reason
    end()
  })
  const own = (stream: Duplex): void => {
    owned.add(stream)
    if (client.destroyed) stream.destroy()
  }
  const borrow: Relayed['borrow'] = ({ leaseId, budgets, expiresAt, username }) => {
    tally.leaseIds.push(leaseId)
    needs.budgets.join(tally, budgets)
    if (username !== undefined) about.user = username
    const over = passage.use([leaseId], expiresAt)
    if (over !== undefined) throw refused({ code: 'lease.ended', reason: over })
    if (leftFor(tally) <= 0) throw refused(overBudget)
  }
  try {
    await work({ client, route, tally, about, own, borrow })
  } catch (error) {
    client.end(say(noteFailure(tally, withoutValues(error, needs.patterns))))
  } finally {
    passage.end()
    needs.budgets.leave(tally)
    const { budgets: _, expiresAt: __, ...told } = tally
    await needs.ledger.report({
      sandboxId: needs.sandboxId,
      ...route.authority,
      status: null,
      ...about,
      ...told,
    })
    end()
  }
}

/** A server that refuses may repeat what it was sent, and its words are told and recorded. */
function withoutValues(error: unknown, patterns: Patterns): unknown {
  const verdict = verdictIn(error)
  if (!verdict) return error
  const latin1 = Buffer.from(verdict.reason).toString('latin1')
  const reason = Buffer.from(redactText(patterns, latin1, 'latin1'), 'latin1').toString()
  return refused({ ...verdict, reason })
}

/** Writes down why a connection ended, unless that is known already; returns the words for the client. */
function noteFailure(tally: Tally, error: unknown): Verdict {
  const { code, message } = error as NodeJS.ErrnoException
  // Node's code, or words of ours: never what was sent.
  const words = code ?? (/^(?:no |it ended)/.test(message) ? message : 'it failed')
  const verdict = verdictIn(error) ?? {
    code: 'egress.unreachable' as const,
    reason: `The connection was not made (${words}).`,
  }
  if (tally.reason === null) {
    const isOurs = verdict.code !== 'egress.unreachable'
    tally.outcome = verdict.outcome ?? (isOurs ? 'denied' : 'failed')
    tally.reason = verdict.reason
  }
  return verdict
}

type Pipes = {
  readonly relayed: Relayed
  readonly upstream: Duplex
  readonly patterns: Patterns
  /** Of what the server sends: how many of the last bytes belong to a message that has not ended. */
  readonly follow: (chunk: Buffer) => number
  /** What the client's side has to pass before; it may refuse. */
  readonly outward: Transform
}

/** Passes everything on, counted, until one side ends; placeholders stop it, and known values are covered. */
export function passOn({ relayed, upstream, patterns, follow, outward }: Pipes): Promise<void> {
  const masker = maskerFor(relayed, patterns)
  const inward = step((chunk) => masker.push(chunk, follow(chunk)))
  return passThrough({ relayed, upstream, outward, inward })
}

export const maskerFor = ({ tally }: Relayed, patterns: Patterns): Masker =>
  maskerOf(patterns, () => {
    tally.redactions++
  })

type Ways = Pick<Pipes, 'relayed' | 'upstream' | 'outward'> & { readonly inward: Transform }

/** The same with an answer's way of the protocol's own. */
export function passThrough({ relayed, upstream, outward, inward }: Ways): Promise<void> {
  const { client, tally } = relayed
  const watch = placeholderWatch(() => {
    tally.outcome = 'misused'
    tally.reason ??= 'A placeholder was sent to the server itself; it is the password of the login alone.'
  })
  return joined(
    relayed,
    [client, outward, watch, metered(tally, 'bytesOut'), upstream],
    [upstream, metered(tally, 'bytesIn'), inward, client],
  )
}

/** Runs both directions. A client that has said everything is still answered; once the server has, nothing is left. */
export function joined(
  { tally, client }: Relayed,
  out: readonly [Duplex, ...Duplex[]],
  back: readonly [Duplex, ...Duplex[]],
): Promise<void> {
  const ended = (error: unknown): void => {
    if (verdictIn(error)) noteFailure(tally, error)
    if (error) for (const [source] of [out, back]) source.destroy()
  }
  return new Promise((resolve) => {
    pipeline(out, ended)
    pipeline(back, (error) => {
      ended(error)
      client.destroy()
      resolve()
    })
  })
}

/** Counts what passes, and stops at what the lease has left. */
export const metered = (tally: Tally, way: 'bytesOut' | 'bytesIn'): Transform =>
  step((chunk) => {
    if (!count(tally, way, chunk.length)) throw refused(overBudget)
    return chunk
  })

/** A stream that changes each chunk, or refuses it. */
export const step = (change: (chunk: Buffer) => Buffer): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        done(null, change(chunk))
      } catch (error) {
        done(error as Error)
      }
    },
  })

/** The server's answer to a question, or its refusal thrown. */
export async function answered<T>(reply: Promise<{ answer: T } | { refusal: Verdict }>): Promise<T> {
  const given = await reply
  if ('refusal' in given) throw refused(given.refusal)
  return given.answer
}
