/** What was decrypted lately, bounded in bytes; the least recently used goes first. */
export type EntryCache = {
  get(path: string): CachedEntry | undefined
  put(path: string, entry: CachedEntry): void
  delete(path: string): void
  clear(): void
}

/** `parsed` is what the entry's owner made of the bytes, kept so that a hot entry is parsed once. */
export type CachedEntry = { readonly bytes: Buffer; parsed: unknown }

/** What an entry costs besides its bytes: keys, objects, what was parsed from it. */
const overheadBytes = 256

export function createEntryCache(limitBytes: number): EntryCache {
  const entries = new Map<string, CachedEntry>()
  let size = 0
  const costOf = (path: string, entry: CachedEntry): number =>
    overheadBytes + 2 * path.length + 2 * entry.bytes.length

  function drop(path: string): void {
    const entry = entries.get(path)
    if (!entry) return
    size -= costOf(path, entry)
    entries.delete(path)
  }

  return {
    get(path) {
      const entry = entries.get(path)
      if (!entry) return undefined
      entries.delete(path)
      entries.set(path, entry)
      return entry
    },
    put(path, entry) {
      drop(path)
      const cost = costOf(path, entry)
      if (cost > limitBytes / 8) return
      entries.set(path, entry)
      size += cost
      for (const oldest of entries.keys()) {
        if (size <= limitBytes) break
        drop(oldest)
      }
    },
    delete: drop,
    clear() {
      for (const entry of entries.values()) entry.bytes.fill(0)
      entries.clear()
      size = 0
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
