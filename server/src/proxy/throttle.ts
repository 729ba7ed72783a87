type Rate = { readonly burst: number; readonly perSecond: number }

/** Buckets are forgotten once so many are known, those that are full first. */
const mostKnown = 10_000

/** Lets so many through at once and so many a second, for each address by itself. `now` in seconds. */
export function createThrottle({ burst, perSecond }: Rate, now: () => number) {
  const buckets = new Map<string, { left: number; at: number }>()

  function forget(at: number): void {
    for (const [address, bucket] of buckets)
      if (bucket.left + (at - bucket.at) * perSecond >= burst) buckets.delete(address)
    // All of them are at work: a flood from many addresses is for the limits on handshakes and connections.
    if (buckets.size >= mostKnown) buckets.clear()
  }

  return {
    admits(address: string): boolean {
      const at = now()
      if (buckets.size >= mostKnown) forget(at)
      const { left, at: before } = buckets.get(address) ?? { left: burst, at }
      const refilled = Math.min(burst, left + (at - before) * perSecond)
      buckets.set(address, { left: refilled >= 1 ? refilled - 1 : refilled, at })
      return refilled >= 1
    },
  }
}
