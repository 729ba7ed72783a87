import type { EventName, Json } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import { AppError, type Clock, type Log, reasonOf, repeat } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Channel, Outcome } from './channel.ts'
import {
  type DeliveryRow,
  forgetSentBefore,
  holdChannel,
  markBegun,
  markDead,
  markLater,
  markSent,
  nextDue,
  nextTime,
  putReference,
  readReference,
} from './deliveries-store.ts'
import type { Notices } from './notices.ts'
import type { OpenChannel } from './settings.ts'

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  clock: Clock
  log: Log
  /** Between 0 and 1, so that what failed together is not tried again together. */
  random: () => number
  notices: Pick<Notices, 'noticeOf'>
  channels: () => readonly OpenChannel[]
  /** Reads the channel's secret; throws `vault.sealed`, `channel.refused`. */
  open: (channel: OpenChannel) => Promise<Channel>
  isSealed: () => boolean
}

type Failure = Exclude<Outcome, { state: 'sent' }>

/** Twelve tries, the last one after some three and a half hours. */
const mostAttempts = 12
const firstWaitMs = 5000
const longestWaitMs = 3_600_000
const sealedWaitMs = 5000
const timeoutMs = 30_000
const keptMs = 30 * 86_400_000
const forgetEveryMs = 6 * 3_600_000
const actor = 'system:channels'

/** Sends what is due: each channel one after another, channels beside each other. */
export function createCourier(needs: Needs) {
  const { store, audit, clock, log, random, notices, channels, open, isSealed } = needs
  const busy = new Map<string, Promise<void>>()
  let cancelTimer = (): void => undefined
  let stopForgetting = (): void => undefined
  let stopped = true
  const now = (): number => clock.now().getTime()
  const forget = (): Promise<void> => store.write((tx) => forgetSentBefore(tx, now() - keptMs))

  const entryOf = (channel: OpenChannel, row: DeliveryRow, detail: { [key: string]: Json } = {}) => ({
    actor,
    target: `channel:${channel.id}`,
    correlation: row.id,
    detail: { name: channel.name, kind: channel.kind, event: row.event, subject: row.subject, ...detail },
  })

  async function tryIt(channel: OpenChannel, row: DeliveryRow): Promise<Outcome> {
    try {
      const notice = await notices.noticeOf({
        event: row.event as EventName | 'test',
        subject: row.subject,
        at: new Date(row.at),
        data: JSON.parse(row.data) as Json,
      })
      const reference = await readReference(store, channel.id, row.subject)
      const service = await open(channel)
      return await service.deliver(notice, { id: row.id, reference, signal: AbortSignal.timeout(timeoutMs) })
    } catch (error) {
      const never = error instanceof AppError && (error.code === 'channel.refused' || error.status === 404)
      return { state: never ? 'never' : 'later', problem: reasonOf(error) }
    }
  }

  /** The intent, with the secret that is read for it, is on disk before anything leaves. */
  async function send(channel: OpenChannel, row: DeliveryRow): Promise<Outcome> {
    await store.write(async (tx) => {
      await markBegun(tx, row.id)
      const detail = { attempt: row.attempts + 1, secretPath: channel.secretPath }
      await audit.record(tx, {
        type: 'channel.notified',
        outcome: 'intent',
        ...entryOf(channel, row, detail),
      })
    })
    const outcome = await tryIt(channel, row)
    if (outcome.state === 'sent') await keepSent(channel, row, outcome.reference)
    else await keepFailed(channel, row, outcome)
    return outcome
  }

  async function keepSent(channel: OpenChannel, row: DeliveryRow, reference: string | null): Promise<void> {
    await store.write(async (tx) => {
      await markSent(tx, row.id, now())
      if (reference !== null)
        await putReference(tx, { channelId: channel.id, subject: row.subject, reference })
      const detail = { attempt: row.attempts + 1 }
      await audit.record(tx, { type: 'channel.notified', outcome: 'done', ...entryOf(channel, row, detail) })
    })
  }

  async function giveUp(tx: Tx, channel: OpenChannel, row: DeliveryRow, problem: string): Promise<void> {
    await markDead(tx, row.id, problem)
    const detail = { attempts: row.attempts + 1, problem }
    await audit.record(tx, { type: 'channel.gave_up', outcome: 'failed', ...entryOf(channel, row, detail) })
    log.warn({ channel: channel.name, delivery: row.id, reason: problem }, 'a message was given up')
  }

  async function keepFailed(channel: OpenChannel, row: DeliveryRow, failure: Failure): Promise<void> {
    const { problem } = failure
    const attempt = row.attempts + 1
    const asked = failure.state === 'later' ? failure.retryAfterSeconds : undefined
    const isLast = failure.state === 'never' || (asked === undefined && attempt >= mostAttempts)
    await store.write(async (tx) => {
      const detail = { attempt, problem }
      await audit.record(tx, {
        type: 'channel.notified',
        outcome: 'failed',
        ...entryOf(channel, row, detail),
      })
      if (isLast) return giveUp(tx, channel, row, problem)
      const nextAt = now() + (asked === undefined ? waitAfter(attempt, random()) : asked * 1000)
      await markLater(tx, row.id, { problem, nextAt, counts: asked === undefined })
      if (asked !== undefined) await holdChannel(tx, channel.id, nextAt)
    })
  }

  async function serve(channelId: string): Promise<void> {
    for (;;) {
      const channel = channels().find(({ id }) => id === channelId)
      if (stopped || isSealed() || !channel || channel.paused) return
      const row = await nextDue(store, channelId, now())
      if (!row) return
      await send(channel, row)
    }
  }

  function wake(): void {
    if (stopped) return
    for (const { id } of channels()) {
      if (busy.has(id)) continue
      const done = serve(id)
        .catch((error: unknown) => log.error({ reason: reasonOf(error) }, 'a channel could not be served'))
        .finally(() => {
          busy.delete(id)
          arm().catch((error: unknown) =>
            log.error({ reason: reasonOf(error) }, 'channels wait for a wake-up'),
          )
        })
      busy.set(id, done)
    }
  }

  /** One timer, for what is due first. */
  async function arm(): Promise<void> {
    const at = await nextTime(store)
    cancelTimer()
    if (stopped || at === undefined) return
    cancelTimer = clock.after(Math.max(at - now(), isSealed() ? sealedWaitMs : 50), wake)
  }

  return {
    wake,
    send,
    async start(): Promise<void> {
      stopped = false
      stopForgetting = repeat(
        { clock, log },
        { name: 'sent messages', milliseconds: forgetEveryMs, work: forget },
      )
      await forget()
      wake()
    },
    async stop(): Promise<void> {
      stopped = true
      stopForgetting()
      cancelTimer()
      await Promise.all(busy.values())
    },
    async idle(): Promise<void> {
      while (busy.size > 0) await Promise.all(busy.values())
    },
  }
}

/** Doubles each time; half of it is drawn. */
const waitAfter = (attempt: number, drawn: number): number => {
  const full = Math.min(firstWaitMs * 2 ** (attempt - 1), longestWaitMs)
  return full / 2 + (full / 2) * drawn
}
