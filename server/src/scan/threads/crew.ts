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
const mostHands = 8
/** So many jobs for each hand are under way, so that none waits for the next one, and no more are in memory. */
const jobsForHand = 2

/** Looks through everything on other threads, one for each processor. They live as long as the scan. */
export function createThreadedCrew(needs: ThreadNeeds): Crew {
  const { blueprint, heapMegabytes = 160, silentSeconds = 60, main } = needs
  const most = needs.hands ?? Math.min(mostHands, availableParallelism())

  return {
    async *look(jobs, signal) {
      const hands: Hand[] = []
      const free: Hand[] = []
      const waiting: ((hand: Hand) => void)[] = []
      const dismiss = async (): Promise<void> => void (await Promise.all(hands.map((hand) => hand.dismiss())))
      const onAbort = (): void => void dismiss()

      async function someone(): Promise<Hand> {
        const idle = free.pop()
        if (idle) return idle
        if (hands.length >= most) return new Promise((resolve) => waiting.push(resolve))
        const hand = hire({ blueprint, heapMegabytes, silentSeconds, ...(main && { main }) })
        hands.push(hand)
        return hand
      }

      async function done(job: Job): Promise<Looked[]> {
        const hand = await someone()
        const looked = await hand.look(job)
        const next = waiting.shift()
        if (next) next(hand)
        else free.push(hand)
        return looked
      }

      signal?.throwIfAborted()
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        yield* inOrder(jobs, done, most * jobsForHand)
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

/** Keeps up to `most` jobs under way and gives what they come to in their order. */
async function* inOrder(
  jobs: AsyncIterable<Job>,
  done: (job: Job) => Promise<Looked[]>,
  most: number,
): AsyncGenerator<Looked[]> {
  const underWay: Promise<Looked[]>[] = []
  for await (const job of jobs) {
    const looking = done(job)
    // Whoever waits for it hears of a failure; until then nobody does.
    looking.catch(() => undefined)
    underWay.push(looking)
    const first = underWay.length < most ? undefined : underWay.shift()
    if (first) yield await first
  }
  for (const looking of underWay) yield await looking
}

/** What is looked through before other threads are worth their start. */
const soon = { items: 192, bytes: 6e6 }

/** Begins on this thread, and goes on on others when there is more to do than they take to start. */
export function createGrowingCrew(lone: Crew, threaded: Crew): Crew {
  return {
    async *look(jobs, signal) {
      const iterator = jobs[Symbol.asyncIterator]()
      let ended = false
      let [items, bytes] = [0, 0]
      async function* first(): AsyncGenerator<Job> {
        while (items < soon.items && bytes < soon.bytes) {
          const next = await iterator.next()
          if (next.done) {
            ended = true
            return
          }
          items += next.value.items.length
          yield next.value
        }
      }
      try {
        for await (const looked of lone.look(first(), signal)) {
          for (const { bytesScanned } of looked) bytes += bytesScanned
          yield looked
        }
        if (!ended) yield* threaded.look({ [Symbol.asyncIterator]: () => iterator }, signal)
      } finally {
        await iterator.return?.()
      }
    },
  }
}
