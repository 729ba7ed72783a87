import type { Audit, EntryInput } from '../audit/index.ts'
import type { Durability, Store } from '../store/index.ts'

/** Stores the entries of reads. Resolves when the entry has come as far as was asked; only then may the value leave. */
export type ReadLog = { record(entry: EntryInput): Promise<void> }

type Needs = { store: Pick<Store, 'write'>; audit: Pick<Audit, 'record'>; durability: Durability }
type Waiting = { readonly entry: EntryInput; resolve(): void; reject(error: unknown): void }

/**
 * Reads that come together share a transaction: what arrives while one is under way waits for the next. Each still has an entry
 * of its own. If the transaction fails, all of them fail, and nothing leaves.
 */
export function createReadLog({ store, audit, durability }: Needs): ReadLog {
  let waiting: Waiting[] = []
  let busy = false

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        await store.write(async (tx) => {
          for (const { entry } of batch) await audit.record(tx, entry)
        }, durability)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    busy = false
  }

  return {
    record: (entry) =>
      new Promise((resolve, reject) => {
        waiting.push({ entry, resolve, reject })
        if (busy) return
        busy = true
        // After the other requests of this turn of the event loop, which then share the first transaction too.
        setImmediate(() => void flush())
      }),
  }
}
