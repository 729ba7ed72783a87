/** Lets so many in at once; who comes later waits, first come first served, for as long as it takes. */
export type Turnstile = { pass<T>(work: () => Promise<T>): Promise<T> }

export function createTurnstile(most: number): Turnstile {
  let free = most
  const waiting: (() => void)[] = []
  return {
    async pass(work) {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await work()
      } finally {
        // The place goes to the next in line, before anybody who comes now.
        const next = waiting.shift()
        if (next) next()
        else free++
      }
    },
  }
}
