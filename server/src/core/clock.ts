/** The time and the timers that a domain may use; tests pass their own. */
export type Clock = {
  now(): Date
  /** Calls back once after `milliseconds`; returns what cancels it. */
  after(milliseconds: number, call: () => void): () => void
}

const longestTimeout = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => new Date(),
  after(milliseconds, call) {
    const timer = setTimeout(call, Math.min(Math.max(0, milliseconds), longestTimeout))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
