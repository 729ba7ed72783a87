import type { EventName, Json, LiveEvent } from '@keyward/contract'
import { type Clock, type Log, reasonOf } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import { deleteBefore, eventsAfter, insertEvents, lastSeq } from './bus-store.ts'

export type Bus = {
  /** Puts an event into the outbox in the caller's transaction; listeners hear of it after the commit. */
  publish(tx: Tx, event: { type: EventName; subject: string; data?: Json }): Promise<void>
  /** Hears every event committed from now on, in order. Returns what ends it. */
  subscribe(hear: (event: LiveEvent) => void): () => void
  /** Events after `seq`, oldest first, for a listener that was away. */
  since(seq: number, limit: number): Promise<LiveEvent[]>
}

/** How many events stay for listeners that were away; trimmed each time as many have come. */
const kept = 10_000
const trimEvery = 1000

/** Has its number once it is placed. */
type Published = { -readonly [Key in keyof LiveEvent]: LiveEvent[Key] }

/** Numbers the events of all transactions that share a commit, and stores them. */
async function place(tx: Pick<Tx, 'get' | 'run'>, events: readonly Published[]): Promise<void> {
  const last = await lastSeq(tx)
  events.forEach((event, i) => {
    event.seq = last + i + 1
  })
  await insertEvents(tx, events)
  const trimmed = Math.floor((last + events.length) / trimEvery) * trimEvery
  if (trimmed > last) await deleteBefore(tx, trimmed - kept)
}

export function createBus({ store, clock, log }: { store: Store; clock: Pick<Clock, 'now'>; log: Log }): Bus {
  const listeners = new Set<(event: LiveEvent) => void>()

  function tell(event: LiveEvent): void {
    for (const hear of listeners) {
      try {
        hear(event)
      } catch (error) {
        log.error({ event: event.type, reason: reasonOf(error) }, 'a listener failed')
      }
    }
  }

  return {
    async publish(tx, { type, subject, data = null }) {
      const published: Published = { type, subject, data, at: clock.now().toISOString(), seq: 0 }
      tx.collect(place, published)
      tx.afterCommit(() => tell(published))
    },
    subscribe(hear) {
      listeners.add(hear)
      return () => listeners.delete(hear)
    },
    since: (seq, limit) => eventsAfter(store, seq, limit),
  }
}
