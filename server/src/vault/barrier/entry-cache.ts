/** What was decrypted lately, bounded in bytes; what was not used for longest goes first. */
export type EntryCache = {
  get(path: string): CachedEntry | undefined
  put(path: string, entry: CachedEntry): void
  delete(path: string): void
  clear(): void
}

/** `parsed` is what the entry's owner made of the bytes, kept so that a hot entry is parsed once. */
export type CachedEntry = { readonly bytes: Buffer; parsed: unknown }

export function parsedOf<T>(entry: CachedEntry, parse: (bytes: Buffer) => T): T {
  entry.parsed ??= parse(entry.bytes)
  return entry.parsed as T
}

/** What an entry costs besides its bytes: keys, objects, what was parsed from it. */
const overheadBytes = 256

/**
 * What is used stays among the recent; when they are half of the limit, those that were not used since the last time go. To move each
 * to the end of one map at each use would cost more than what a hit saves.
 */
export function createEntryCache(limitBytes: number): EntryCache {
  let recent = new Map<string, CachedEntry>()
  let older = new Map<string, CachedEntry>()
  let recentBytes = 0
  const costOf = (path: string, entry: CachedEntry): number =>
    overheadBytes + 2 * path.length + 2 * entry.bytes.length

  function drop(path: string): void {
    older.delete(path)
    const entry = recent.get(path)
    if (!entry) return
    recentBytes -= costOf(path, entry)
    recent.delete(path)
  }

  function keep(path: string, entry: CachedEntry): void {
    const cost = costOf(path, entry)
    if (recentBytes + cost > limitBytes / 2) {
      older = recent
      recent = new Map()
      recentBytes = 0
    }
    recent.set(path, entry)
    recentBytes += cost
  }

  return {
    get(path) {
      const entry = recent.get(path)
      if (entry) return entry
      const old = older.get(path)
      if (!old) return undefined
      older.delete(path)
      keep(path, old)
      return old
    },
    put(path, entry) {
      drop(path)
      if (costOf(path, entry) <= limitBytes / 8) keep(path, entry)
    },
    delete: drop,
    clear() {
      for (const { bytes } of [...recent.values(), ...older.values()]) bytes.fill(0)
      recent.clear()
      older.clear()
      recentBytes = 0
    },
  }
}

const knownPaths = 1000

/** A set of paths that starts anew when it is full. */
export function createKnown(): Pick<Set<string>, 'has' | 'add' | 'delete' | 'clear'> {
  const paths = new Set<string>()
  return {
    has: (path) => paths.has(path),
    add(path) {
      if (paths.size >= knownPaths) paths.clear()
      return paths.add(path)
    },
    delete: (path) => paths.delete(path),
    clear: () => paths.clear(),
  }
}
