import type { Clock } from './clock.ts'
import { reasonOf } from './errors.ts'
import type { Log } from './log.ts'

export type Looking = {
  /** Looks at once, and again and again until `stop`. */
  start(): void
  stop(): void
  isStopped(): boolean
  /** There may be something to do: looks again, after the look that goes on. */
  wake(): void
  /** Resolves when nothing is left to do for now. */
  idle(): Promise<void>
}

const lookEveryMilliseconds = 5000

/** Looks for what is due, one look at a time. A look that fails is logged and comes again. */
export function createLooking(
  { clock, log }: { clock: Pick<Clock, 'after'>; log: Log },
  look: () => Promise<void>,
): Looking {
  let working: Promise<void> | undefined
  let again = false
  let stopped = true
  let cancel = (): void => undefined

  async function workOff(): Promise<void> {
    do {
      again = false
      if (stopped) return
      await look()
    } while (again)
  }

  function wake(): void {
    if (stopped) return
    if (working) {
      again = true
      return
    }
    cancel()
    working = workOff()
      .catch((error: unknown) => {
        if (!stopped)
          log.error({ reason: reasonOf(error) }, 'what is due could not be read; it is read again')
      })
      .finally(() => {
        working = undefined
        if (!stopped) cancel = clock.after(lookEveryMilliseconds, wake)
      })
  }

  return {
    start() {
      stopped = false
      wake()
    },
    stop() {
      stopped = true
      cancel()
    },
    isStopped: () => stopped,
    wake,
    async idle() {
      while (working) await working
    },
  }
}
