import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { type Hand, hire } from './hand.ts'
import type { Job, Looked, Looker } from './job.ts'
import type { Blueprint } from './message.ts'

/** Whoever looks through jobs. What each job holds comes in the order of the jobs. */
export type Crew = {
  look(jobs: AsyncIterable<Job>, signal?: AbortSignal): AsyncGenerator<Looked[]>
}

/** Looks through everything on the thread that asks, which has a turn for others between two jobs. */
export function createLoneCrew(looker: () => Looker): Crew {
  return {
    async *look(jobs, signal) {
      for await (const job of jobs) {
        yield await looker().look(job, { signal })
        await setImmediate()
      }
    },
  }
}

type ThreadNeeds = {
  readonly blueprint: Blueprint
  readonly hands?: number
  readonly heapMegabytes?: number
  readonly silentSeconds?: number
  readonly main?: URL
}

/** More than this are no faster: one thread lists the folder for all of them. */
const mostThreads = 8
/** So many jobs for each other thread are under way, so that it has something to do while this one is busy. */
const jobsForHand = 4

/** Looks through everything on other threads, one for each processor. They live as long as the scan. */
export function createThreadedCrew(needs: ThreadNeeds): Crew {
  const count = needs.hands ?? Math.min(mostThreads, availableParallelism())
  return {
    async *look(jobs, signal) {
      const others = createOthers(needs, { count, may: () => true, signal })
      yield* others.during(inOrder(jobs, others.places))
    },
  }
}

/** What is looked through before other threads are worth their start. */
const soon = { items: 192, bytes: 6e6 }

/**
 * Begins on this thread. When there is more to do than others take to start, they take as much as they can, and this
 * one the rest: one thread less than with others alone has to be begun and kept in memory.
 */
export function createGrowingCrew(looker: () => Looker, needs: ThreadNeeds): Crew {
  const count = needs.hands ?? Math.min(mostThreads, availableParallelism()) - 1
  return {
    async *look(jobs, signal) {
      const done = { items: 0, bytes: 0 }
      const may = (): boolean => done.items >= soon.items || done.bytes >= soon.bytes
      const others = createOthers(needs, { count, may, signal })
      const own: Place = {
        busy: 0,
        hasRoom: () => own.busy === 0,
        async look(job) {
          await setImmediate()
          signal?.throwIfAborted()
          const looked = await looker().look(job, { signal })
          done.items += job.items.length
          for (const { bytesScanned } of looked) done.bytes += bytesScanned
          return looked
        },
      }
      yield* others.during(inOrder(jobs, others.places, own))
    },
  }
}

/** Somebody who takes jobs. */
type Place = { busy: number; hasRoom(): boolean; look(job: Job): Promise<Looked[]> }

type OthersNeeds = {
  readonly count: number
  /** Whether they are worth their start by now. */
  readonly may: () => boolean
  readonly signal: AbortSignal | undefined
}

/** Other threads, each begun when there is a job for it, and all ended with what they were begun for. */
function createOthers(
  { blueprint, heapMegabytes = 160, silentSeconds = 60, main }: ThreadNeeds,
  { count, may, signal }: OthersNeeds,
) {
  const hands: Hand[] = []
  const dismiss = async (): Promise<void> => void (await Promise.all(hands.map((hand) => hand.dismiss())))
  const onAbort = (): void => void dismiss()

  function begin(): Hand {
    const hand = hire({ blueprint, heapMegabytes, silentSeconds, ...(main && { main }) })
    hands.push(hand)
    return hand
  }

  function place(): Place {
    let hand: Hand | undefined
    const here: Place = {
      busy: 0,
      hasRoom: () => here.busy < jobsForHand && may(),
      look(job) {
        hand ??= begin()
        return hand.look(job)
      },
    }
    return here
  }

  return {
    places: Array.from({ length: count }, place),
    async *during(looking: AsyncIterable<Looked[]>): AsyncGenerator<Looked[]> {
      signal?.throwIfAborted()
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        yield* looking
      } catch (error) {
        signal?.throwIfAborted()
        throw error
      } finally {
        signal?.removeEventListener('abort', onAbort)
        await dismiss()
      }
    },
  }
}

/** So many jobs may be done before the first of them is, whose results are told first. */
const mostAhead = 256

type UnderWay = { readonly looked: Promise<Looked[]>; done: boolean }

/** Gives each job to the least busy of the others, or to `own` when they have enough; tells results in the jobs' order. */
async function* inOrder(
  jobs: AsyncIterable<Job>,
  others: readonly Place[],
  own?: Place,
): AsyncGenerator<Looked[]> {
  const underWay: UnderWay[] = []
  let wake = (): void => undefined

  function free(): Place | undefined {
    const open = others.filter((place) => place.hasRoom())
    return open.toSorted((a, b) => a.busy - b.busy)[0] ?? (own?.hasRoom() ? own : undefined)
  }

  function begin(place: Place, job: Job): void {
    place.busy++
    const one: UnderWay = { done: false, looked: place.look(job) }
    const end = (): void => {
      place.busy--
      one.done = true
      wake()
    }
    // Whoever waits for it hears of a failure; until then nobody does.
    one.looked.then(end, end)
    underWay.push(one)
  }

  async function* finished(): AsyncGenerator<Looked[]> {
    for (let first = underWay[0]; first?.done; first = underWay[0]) {
      underWay.shift()
      yield await first.looked
    }
  }

  for await (const job of jobs) {
    let place = free()
    while (!place || underWay.length >= mostAhead) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      yield* finished()
      place = free()
    }
    begin(place, job)
    yield* finished()
  }
  for (const { looked } of underWay) yield await looked
}
