import type { LiveEvent } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'
import { type Clock, type Log, newId, reasonOf } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import { channelsToldOf, insertDelivery, putCursor, readCursor } from './deliveries-store.ts'
import type { Notices } from './notices.ts'
import { follows, leads } from './routing.ts'
import type { OpenChannel } from './settings.ts'

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  bus: Pick<Bus, 'subscribe' | 'since'>
  clock: Clock
  log: Log
  notices: Pick<Notices, 'weightOf'>
  channels: () => readonly OpenChannel[]
  /** There are new deliveries. */
  wake: () => void
}

const page = 1000
/** The outbox keeps ten thousand events; the cursor must not fall behind them. */
const longestLag = 2000
const againMs = 1000

/**
 * Makes of events what is to be sent, each once: rows and cursor commit together, so that what a killed server had heard of is not lost.
 */
export function createOutbox(needs: Needs) {
  const { store, bus, clock, log, notices, channels, wake } = needs
  const waiting: LiveEvent[] = []
  let cursor = 0
  let stored = 0
  let caughtUp = false
  let working: Promise<void> | undefined
  let cancelRetry = (): void => undefined
  let unsubscribe = (): void => undefined

  const mayConcern = ({ type }: LiveEvent): boolean =>
    !type.startsWith('channel.') &&
    channels().some(({ routes }) => follows(type) || routes.some(({ events }) => events.includes(type)))

  async function receiversOf(event: LiveEvent): Promise<OpenChannel[]> {
    const at = new Date(event.at)
    const { type, subject } = event
    const concerned = channels().filter(({ createdAt }) => createdAt <= at.getTime())
    if (concerned.length === 0) return []
    const weight = await notices.weightOf({ event: type, subject, at, data: event.data })
    if (!weight.worthTelling) return []
    const told = follows(type) ? await channelsToldOf(store, subject) : []
    return concerned.filter(({ id, routes }) => told.includes(id) || leads(routes, type, weight))
  }

  async function take(event: LiveEvent): Promise<void> {
    const receivers = mayConcern(event) ? await receiversOf(event) : []
    if (receivers.length > 0 || event.seq - stored >= longestLag) {
      const now = clock.now()
      const { type, subject, seq } = event
      const same = { seq, event: type, subject, at: Date.parse(event.at), data: JSON.stringify(event.data) }
      const due = {
        state: 'waiting',
        attempts: 0,
        created_at: now.getTime(),
        next_at: now.getTime(),
      } as const
      const rest = { sent_at: null, problem: null }
      await store.write(async (tx) => {
        for (const { id } of receivers)
          await insertDelivery(tx, { id: newId('dlv', now), channel_id: id, ...same, ...due, ...rest })
        await putCursor(tx, seq)
      })
      stored = seq
      if (receivers.length > 0) wake()
    }
    cursor = Math.max(cursor, event.seq)
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const [event] = waiting
      if (event && event.seq > cursor) await take(event)
      waiting.shift()
    }
  }

  function work(): void {
    if (working || !caughtUp) return
    working = drain()
      .catch((error: unknown) => {
        log.error({ reason: reasonOf(error) }, 'an event could not be handed to channels; it is tried again')
        cancelRetry = clock.after(againMs, work)
      })
      .finally(() => {
        working = undefined
      })
  }

  async function catchUp(): Promise<void> {
    for (;;) {
      const events = await bus.since(cursor, page)
      for (const event of events) await take(event)
      if (events.length < page) return
    }
  }

  return {
    async start(): Promise<void> {
      const known = await readCursor(store)
      // The first start ever looks at nothing that was before: no channel was there to be told.
      cursor = known ?? 0
      stored = cursor
      await catchUp()
      unsubscribe = bus.subscribe((event) => {
        // What concerns nobody is not worth a turn, but the cursor must not fall behind.
        const behind = event.seq - stored >= longestLag
        if (caughtUp && waiting.length === 0 && !working && !behind && !mayConcern(event)) {
          cursor = event.seq
          return
        }
        waiting.push(event)
        work()
      })
      await catchUp()
      caughtUp = true
      work()
    },
    async stop(): Promise<void> {
      unsubscribe()
      cancelRetry()
      await working
    },
    /** Resolves when all that was heard has been made into deliveries. */
    async idle(): Promise<void> {
      while (working) await working
    },
  }
}
