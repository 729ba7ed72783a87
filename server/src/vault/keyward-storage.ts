import type { Reader, Tx } from '../store/index.ts'
import type { Barrier } from './barrier/barrier.ts'

/** Bytes under paths, encrypted by the barrier and shown by no API. */
export type SealedStorage = {
  get(path: string, reader?: Reader): Promise<Buffer | undefined>
  put(tx: Tx, path: string, bytes: Uint8Array): Promise<void>
  delete(tx: Tx, path: string): Promise<void>
  /** Names directly below `prefix` (empty, or ending in `/`). */
  list(prefix: string): Promise<string[]>
}

const root = 'keyward/'

export function createKeywardStorage(barrier: Barrier): SealedStorage {
  return {
    async get(path, reader) {
      // A copy: what the barrier keeps in memory is shared.
      const bytes = await barrier.get(root + path, reader)
      return bytes && Buffer.from(bytes)
    },
    put: (tx, path, bytes) => barrier.put(tx, root + path, bytes),
    async delete(tx, path) {
      await barrier.delete(tx, root + path)
    },
    list: (prefix) => barrier.list(root + prefix),
  }
}
