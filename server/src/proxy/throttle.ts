import { isIPv6, SocketAddress } from 'node:net'

type Rate = { readonly burst: number; readonly perSecond: number }

/** Buckets are forgotten once so many are known, those that are full first. */
const mostKnown = 10_000

/**
 * Whom an address stands for. Whoever has one address of IPv6 has 64 bits of them (RFC 6177 gives no site less), so these count
 * as one; an address of IPv4 that is written as one of IPv6 is the former.
 */
export function holderOf(address: string): string {
  const [bare = ''] = address.split('%')
  if (!isIPv6(bare)) return address
  // Written in its one shortest form, an IPv4 part in dots.
  const { address: short } = new SocketAddress({ address: bare, family: 'ipv6' })
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(short) ?? []
  if (mapped !== undefined) return mapped
  const [before = '', after] = short.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  // A part in dots is two groups, and both lie in the lower half.
  const tailGroups = tail.length + (tail.at(-1)?.includes('.') ? 1 : 0)
  const zeros = after === undefined ? 0 : 8 - head.length - tailGroups
  return `${[...head, ...Array<string>(zeros).fill('0'), ...tail].slice(0, 4).join(':')}::/64`
}

/** Lets so many through at once and so many a second, for each holder of an address by itself. `now` in seconds. */
export function createThrottle({ burst, perSecond }: Rate, now: () => number) {
  const buckets = new Map<string, { left: number; at: number }>()

  function forget(at: number): void {
    for (const [holder, bucket] of buckets)
      if (bucket.left + (at - bucket.at) * perSecond >= burst) buckets.delete(holder)
    // All of them are at work: a flood from many addresses is for the limits on handshakes and connections.
    if (buckets.size >= mostKnown) buckets.clear()
  }

  return {
    admits(address: string): boolean {
      const at = now()
      const holder = holderOf(address)
      if (buckets.size >= mostKnown) forget(at)
      const { left, at: before } = buckets.get(holder) ?? { left: burst, at }
      const refilled = Math.min(burst, left + (at - before) * perSecond)
      buckets.set(holder, { left: refilled >= 1 ? refilled - 1 : refilled, at })
      return refilled >= 1
    },
  }
}
