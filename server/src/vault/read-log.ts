import type { Audit, EntryInput } from '../audit/index.ts'
import type { Durability, Store } from '../store/index.ts'

/** Stores the entries of reads. Resolves when the entry has come as far as was asked; only then may the value leave. */
export type ReadLog = { record(entry: EntryInput): Promise<void> }

type Needs = { store: Pick<Store, 'write'>; audit: Pick<Audit, 'record'>; durability: Durability }
type Waiting = { readonly entry: EntryInput; resolve(): void; reject(error: unknown): void }

/**
 * Reads that come together share a transaction: what arrives until it begins goes into it. Each still has an entry of its own. If
 * the transaction fails, all of them fail, and nothing leaves.
 */
export function createReadLog({ store, audit, durability }: Needs): ReadLog {
  /** For the transaction that has been asked for and has not begun. */
  let waiting: Waiting[] = []

  function take(): Waiting[] {
    const taken = waiting
    waiting = []
    return taken
  }

  async function flush(): Promise<void> {
    let batch: Waiting[] = []
    try {
      await store.write(async (tx) => {
        batch = take()
        for (const { entry } of batch) await audit.record(tx, entry)
      }, durability)
      for (const { resolve } of batch) resolve()
    } catch (error) {
      // It may have failed before it began.
      for (const { reject } of batch.length > 0 ? batch : take()) reject(error)
    }
  }

  return {
    record: (entry) =>
      new Promise((resolve, reject) => {
        waiting.push({ entry, resolve, reject })
        if (waiting.length === 1) void flush()
      }),
  }
}
