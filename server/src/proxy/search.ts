/** Finds many byte strings at once, in one pass that looks at a fraction of the bytes. */
export type Search = {
  /** Every occurrence, also those that overlap, in the order of their beginnings. */
  spans(data: Buffer): Span[]
  occurs(data: Buffer): boolean
  /** How many of the last bytes may be the beginning of one; with `share`, only where that much of it is there. */
  begun(data: Buffer, share?: number): number
}
export type Span = { readonly from: number; readonly to: number }

/** Of two neighbouring bytes seven bits each: distinct for text, and few enough for a processor's first cache. */
const pairOf = (first = 0, second = 0): number => ((first & 0x7f) << 7) | (second & 0x7f)
const pairs = 1 << 14

function byPair(wanted: readonly Buffer[], at: number): Map<number, Buffer[]> {
  const buckets = new Map<number, Buffer[]>()
  for (const bytes of wanted) {
    const pair = pairOf(bytes[at], bytes[at + 1])
    buckets.set(pair, [...(buckets.get(pair) ?? []), bytes])
  }
  return buckets
}

/** Whether the bytes, or as many of them as the data has room for, stand there. */
function standsAt(data: Buffer, from: number, bytes: Buffer): boolean {
  const end = Math.min(bytes.length, data.length - from)
  for (let at = 0; at < end; at++) if (data[from + at] !== bytes[at]) return false
  return true
}

/** How far a window may move on that ends in a pair: to where the pair stands in one of the wanted, or past it. */
function shiftsOf(wanted: readonly Buffer[], window: number): Uint8Array {
  const shifts = new Uint8Array(pairs).fill(window - 1)
  for (const bytes of wanted)
    for (let at = 0; at + 2 <= window; at++) {
      const pair = pairOf(bytes[at], bytes[at + 1])
      shifts[pair] = Math.min(shifts[pair] ?? 0, window - 2 - at)
    }
  return shifts
}

/**
 * After S. Wu and U. Manber, "A fast algorithm for multi-pattern searching" (TR-94-17, University of Arizona, 1994): a window as
 * long as the shortest of the wanted moves over the data, and the two bytes at its end tell how far. Each has two bytes at least.
 */
export function createSearch(wanted: readonly Buffer[]): Search {
  const lengths = wanted.map(({ length }) => length)
  const window = Math.min(255, ...lengths)
  const longest = Math.max(0, ...lengths)
  const shifts = shiftsOf(wanted, window)
  const byEnd = byPair(wanted, window - 2)
  const byBeginning = byPair(wanted, 0)
  const byFirst = Map.groupBy(wanted, (bytes) => bytes[0])

  /** Where the next pair stands that one of the wanted has at the end of its window; -1 when none follows. */
  const candidate = (data: Buffer, from: number): number => {
    const last = data.length - 2
    for (let at = from; at <= last; ) {
      const shift = shifts[pairOf(data[at], data[at + 1])] ?? 0
      if (shift === 0) return at
      at += shift
    }
    return -1
  }

  function* found(data: Buffer): Generator<Span> {
    for (let at = candidate(data, window - 2); at >= 0; at = candidate(data, at + 1)) {
      const from = at - (window - 2)
      for (const bytes of byEnd.get(pairOf(data[at], data[at + 1])) ?? [])
        if (from + bytes.length <= data.length && standsAt(data, from, bytes))
          yield { from, to: from + bytes.length }
    }
  }

  /** What begins in the last bytes and has no room to end. */
  const beginsAt = (data: Buffer, from: number, share: number): boolean => {
    const left = data.length - from
    const candidates =
      left === 1 ? byFirst.get(data[from]) : byBeginning.get(pairOf(data[from], data[from + 1]))
    if (!candidates) return false
    return candidates.some(
      (bytes) => left < bytes.length && left >= share * bytes.length && standsAt(data, from, bytes),
    )
  }

  return {
    spans: (data) => [...found(data)],
    occurs: (data) => !found(data).next().done,
    begun(data, share = 0) {
      for (let from = Math.max(0, data.length - longest + 1); from < data.length; from++)
        if (beginsAt(data, from, share)) return data.length - from
      return 0
    },
  }
}
