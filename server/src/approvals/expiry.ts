import type { Clock } from '../core/index.ts'
import type { Pending } from './waiting-store.ts'

/** Timers of single questions. A timer counts the time that really passes, whatever happens to the clock. */
export type Expiry = {
  arm(approval: Pick<Pending, 'id' | 'requestedAt' | 'expiresAt'>): void
  disarm(id: string): void
  has(id: string): boolean
  clear(): void
}

/** Well below what a timer can hold. */
const longestWaitMilliseconds = 24 * 3600 * 1000

export function createExpiry(clock: Clock, expire: (id: string) => void): Expiry {
  const timers = new Map<string, () => void>()

  function wait(id: string, milliseconds: number): void {
    const step = Math.min(milliseconds, longestWaitMilliseconds)
    const cancel = clock.after(step, () => {
      timers.delete(id)
      if (milliseconds > step) wait(id, milliseconds - step)
      else expire(id)
    })
    timers.set(id, cancel)
  }

  function disarm(id: string): void {
    timers.get(id)?.()
    timers.delete(id)
  }

  return {
    arm({ id, requestedAt, expiresAt }) {
      disarm(id)
      const left = expiresAt - clock.now().getTime()
      wait(id, Math.max(0, Math.min(left, expiresAt - requestedAt)))
    },
    disarm,
    has: (id) => timers.has(id),
    clear() {
      for (const id of [...timers.keys()]) disarm(id)
    },
  }
}
