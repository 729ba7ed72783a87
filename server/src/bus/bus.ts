import type { EventName, Json, LiveEvent } from '@keyward/contract'
import type { Tx } from '../store/index.ts'

export type Bus = {
  /** Puts an event into the outbox in the caller's transaction; listeners hear of it after the commit. */
  publish(tx: Tx, event: { type: EventName; subject: string; data?: Json }): Promise<void>
  /** Hears every event committed from now on, in order. Returns what ends it. */
  subscribe(hear: (event: LiveEvent) => void): () => void
  /** Events after `seq`, oldest first, for a listener that was away. */
  since(seq: number, limit: number): Promise<LiveEvent[]>
}
