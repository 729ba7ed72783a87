import type { Audit } from '../../audit/index.ts'
import { actorOf, type Clock, type Log, reasonOf, systemPrincipal } from '../../core/index.ts'
import type { Store } from '../../store/index.ts'
import type { Ending, Outcome } from './ending.ts'
import type { LeaseBook } from './lease-book.ts'
import {
  hurryFailing,
  type LeaseRow,
  markExpired,
  readDueLeases,
  readMounts,
  readNextDue,
} from './lease-store.ts'

/**
 * Ends leases when their time has come: one lane for each mount, so that a destination that hangs holds up its own leases only.
 * Nothing is kept in memory but the time when a lane looks next; what is due is read from the store.
 */
export type Lanes = {
  /** Looks at every mount that has leases, soon. */
  kick(): void
  /** A lease of this mount is due then. */
  dueAt(mount: Uint8Array, at: number): void
  /** The destination of this mount has just done something: its lane need not rest. */
  worked(mount: Uint8Array): void
  stop(): void
  idle(): Promise<void>
}

type Needs = {
  store: Pick<Store, 'get' | 'all' | 'write'>
  audit: Pick<Audit, 'record'>
  clock: Clock
  log: Log
  book: LeaseBook
  ending: Ending
  /** Whether a request of this process is making it at this moment. */
  isBeingMade: (id: Uint8Array) => boolean
  beingMade: () => number
  isOpen: () => boolean
}

type Lane = {
  readonly mount: Uint8Array
  running: Promise<void> | undefined
  /** Something came while it ran. */
  again: boolean
  /** Failures since the last success: the more, the longer the lane rests, and the fewer it tries at once. */
  failures: number
  restsUntil: number
  nextAt: number
  /** What came up while it ran. */
  wantedAt: number
  cancel: () => void
  stopped: boolean
}

const batchSize = 256
const atOnce = 32
const firstRestMilliseconds = 1_000
const longestRestMilliseconds = 60_000
/** So many failures in a row look like a destination that was away, not like one bad lease. */
const outage = 3
const damaged = { id: 'damaged', role: '' }
const never = Number.POSITIVE_INFINITY

export function createLanes(needs: Needs): Lanes {
  const { store, audit, clock, log, book, ending, isBeingMade } = needs
  const lanes = new Map<string, Lane>()
  const actor = actorOf(systemPrincipal('expiry'))
  let looking: Promise<void> | undefined
  let lookAgain = false
  const now = (): number => clock.now().getTime()
  const mayRun = (lane: Lane): boolean => !lane.stopped && needs.isOpen()

  function laneOf(mount: Uint8Array): Lane {
    const key = Buffer.from(mount).toString('hex')
    const known = lanes.get(key)
    if (known) return known
    const lane: Lane = {
      mount,
      running: undefined,
      again: false,
      failures: 0,
      restsUntil: 0,
      nextAt: never,
      wantedAt: never,
      cancel: () => undefined,
      stopped: false,
    }
    lanes.set(key, lane)
    return lane
  }

  /** Records what is about to be ended because its time has come. */
  async function takeExpired(rows: readonly LeaseRow[]): Promise<void> {
    const expired = rows.filter(({ stage }) => stage === 'pending' || stage === 'live')
    if (expired.length === 0) return
    await store.write(async (tx) => {
      for (const row of expired) {
        if (!(await markExpired(tx, row.id, now()))) continue
        const { id, role } = book.openIfWhole(row) ?? damaged
        const reason = row.stage === 'live' ? 'its time has come' : 'whoever made it did not finish'
        await audit.record(tx, {
          type: 'lease.expired',
          outcome: 'intent',
          actor,
          target: `lease:${id}`,
          detail: { role, reason },
        })
      }
    })
  }

  async function settled(lane: Lane, outcome: Outcome): Promise<void> {
    if (!outcome.ended) {
      lane.failures++
      lane.restsUntil =
        now() + Math.min(firstRestMilliseconds * 2 ** (lane.failures - 1), longestRestMilliseconds)
      return
    }
    const wasAway = lane.failures >= outage
    lane.failures = 0
    lane.restsUntil = 0
    if (wasAway) await store.write((tx) => hurryFailing(tx, lane.mount, now()))
  }

  /** Tries what is due; says whether it is worth looking for more at once. */
  async function round(lane: Lane): Promise<boolean> {
    const due = await readDueLeases(store, lane.mount, now(), batchSize + needs.beingMade())
    const rows = due.filter(({ id }) => !isBeingMade(id) && !ending.isBusy(id))
    // After a failure one lease tries whether the destination is back.
    const chosen = lane.failures > 0 ? rows.slice(0, 1) : rows
    if (chosen.length === 0) return false
    await takeExpired(chosen)
    let failed = false
    await inParallel(chosen, atOnce, async (row) => {
      if (failed || !mayRun(lane)) return
      const outcome = await ending.end(row)
      failed ||= !outcome.ended
      if (mayRun(lane)) await settled(lane, outcome)
    })
    return !failed
  }

  async function work(lane: Lane): Promise<void> {
    while (mayRun(lane)) {
      lane.again = false
      if (now() < lane.restsUntil) break
      if (!(await round(lane)) && !lane.again) break
    }
    if (mayRun(lane)) await plan(lane)
  }

  async function plan(lane: Lane): Promise<void> {
    const next = await readNextDue(store, lane.mount, now())
    // What somebody else has in hand: they tell when they are done; and should they not, it is not forgotten.
    const inHand = (await readDueLeases(store, lane.mount, now(), 1)).length > 0
    const lookAt = inHand ? now() + longestRestMilliseconds : never
    const restEnd = lane.restsUntil > now() ? lane.restsUntil : never
    wake(lane, Math.min(next ?? never, restEnd, lookAt, lane.wantedAt))
  }

  function wake(lane: Lane, at: number): void {
    lane.cancel()
    lane.nextAt = at
    if (at !== never) lane.cancel = clock.after(Math.max(0, at - now()), () => start(lane))
  }

  function start(lane: Lane): void {
    lane.cancel()
    lane.nextAt = never
    if (!mayRun(lane)) return
    if (lane.running) {
      lane.again = true
      return
    }
    lane.wantedAt = never
    lane.running = work(lane)
      .catch((error: unknown) => {
        // Sealed, or stopped, in the middle of it: what is left is done when the vault opens.
        if (!mayRun(lane)) return
        log.error({ reason: reasonOf(error) }, 'leases could not be ended; trying again in a minute')
        wake(lane, now() + longestRestMilliseconds)
      })
      .finally(() => {
        lane.running = undefined
        if (lane.again) start(lane)
      })
  }

  async function look(): Promise<void> {
    for (const mount of needs.isOpen() ? await readMounts(store) : []) start(laneOf(mount))
  }

  function kick(): void {
    if (looking) {
      lookAgain = true
      return
    }
    looking = look()
      .catch((error: unknown) => {
        if (needs.isOpen()) log.error({ reason: reasonOf(error) }, 'leases could not be looked up')
      })
      .finally(() => {
        looking = undefined
        if (!lookAgain) return
        lookAgain = false
        kick()
      })
  }

  return {
    kick,
    dueAt(mount, at) {
      const lane = laneOf(mount)
      if (lane.running) lane.wantedAt = Math.min(lane.wantedAt, at)
      else if (at < lane.nextAt) wake(lane, at)
    },
    worked(mount) {
      const lane = laneOf(mount)
      if (lane.restsUntil === 0) return
      lane.restsUntil = 0
      start(lane)
    },
    stop() {
      for (const lane of lanes.values()) {
        lane.stopped = true
        lane.cancel()
      }
      lanes.clear()
    },
    async idle() {
      for (;;) {
        const running = [looking, ...[...lanes.values()].map((lane) => lane.running)].filter(Boolean)
        if (running.length === 0) return
        await Promise.all(running)
      }
    },
  }
}

export async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = [...items].reverse()
  const worker = async (): Promise<void> => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
}
