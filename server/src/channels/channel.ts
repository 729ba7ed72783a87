import type { Socket } from 'node:net'
import type { ChannelKind, EventName, Json, Risk } from '@keyward/contract'
import type { Secret } from '../core/index.ts'

/** What people are told, the same for every kind of channel. Holds no secret: previews come masked. */
export type Notice = {
  readonly event: EventName | 'test' | 'message'
  /** `approval:apr_…`: what is told of one subject belongs together. */
  readonly subject: string
  readonly at: Date
  readonly title: string
  readonly facts: readonly (readonly [label: string, value: string])[]
  readonly risk: Risk
  /** `open` waits for somebody, `taken` has somebody's attention, `closed` is over, `note` is only told. */
  readonly stage: 'open' | 'taken' | 'closed' | 'note'
  /** The page of the console, or where else there is more of it. */
  readonly link: string | null
  /** What would run, as text, bounded. */
  readonly preview: string | null
  /** What a button would answer; null where the page has to be used. */
  readonly question: { readonly approvalId: string; readonly digest: string } | null
  /** For programs. */
  readonly data: Json
}

export type Delivery = {
  /** The same in every attempt. */
  readonly id: string
  /** What the first message about the subject left, if one was sent. */
  readonly reference: string | null
  readonly signal: AbortSignal
}

export type Outcome =
  | { readonly state: 'sent'; readonly reference: string | null }
  /** Trying again may help; `retryAfterSeconds` when the service has said when. */
  | {
      readonly state: 'later'
      readonly problem: string
      readonly retryAfterSeconds?: number | undefined
      /** Of HTTP, where the service answered by that. */
      readonly status?: number
      /** No answer was heard, so it may have been done. */
      readonly unheard?: true
    }
  /** Trying again does not help until somebody mends something. */
  | { readonly state: 'never'; readonly problem: string; readonly status?: number }

/** A way to tell people. At least once: after a crash the same delivery may come again, with the same id. */
export type Channel = {
  deliver(notice: Notice, delivery: Delivery): Promise<Outcome>
  /** Whether the service answers and knows the secret. People see nothing of it. Throws in words. */
  probe(signal: AbortSignal): Promise<void>
}

/** What a kind of channel may use. The fields of the secret are read before it is made, and the reading is on record. */
export type ChannelParts<Settings> = {
  readonly settings: Settings
  /** Throws `channel.refused` when the vault has no such field. */
  readonly secret: (field: string) => Secret
  readonly call: Call
  /** A connection to an address that the name may lead to; throws in words. */
  readonly open: (host: string, port: number) => Promise<Socket>
  readonly now: () => Date
}

/** One request to the channel's service; to addresses that it may have, by TLS unless it may be private. */
export type Call = (request: {
  readonly url: string
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal?: AbortSignal | undefined
}) => Promise<{
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}>

/** Which fields the secret of a kind must have; those after a `?` may be absent. */
export const secretFields: Readonly<Record<ChannelKind, readonly string[]>> = {
  slack: ['bot-token', 'signing-secret?'],
  teams: ['webhook-url?', 'app-password?'],
  email: ['password?'],
  webhook: ['key', 'previous-key?'],
  pagerduty: ['routing-key'],
}

/** Seconds that an answer asks to wait for: a number or a date (RFC 9110, 10.2.3), at most a day. */
export function retryAfterOf(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  now: Date,
): number | undefined {
  const value = headers['retry-after']
  if (typeof value !== 'string') return undefined
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : (Date.parse(value) - now.getTime()) / 1000
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 1), 86_400) : undefined
}

/** What became of a plain HTTP request that tells a service something. */
export function outcomeOf(
  answer: Awaited<ReturnType<Call>>,
  { now, gone = [] }: { now: Date; gone?: readonly number[] },
): Outcome {
  const { status, headers } = answer
  if (status >= 200 && status < 300) return { state: 'sent', reference: null }
  const problem = `the service answered with HTTP status ${status}`
  if (gone.includes(status)) return { state: 'never', problem, status }
  return { state: 'later', problem, status, retryAfterSeconds: retryAfterOf(headers, now) }
}
