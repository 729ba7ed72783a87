import { randomUUID } from 'node:crypto'
import type { Reader, Store } from '../store/index.ts'
import type { Barrier } from './barrier/barrier.ts'

/** What a vault is called, for clients that keep apart the vaults they know. It is the same for as long as the vault exists. */
export type Cluster = {
  /** Reads it, once the vault is open; a vault that has no name yet is given one. */
  load(): Promise<void>
  forget(): void
  /** Undefined while the vault is sealed. */
  current(): ClusterName | undefined
}
type ClusterName = { readonly name: string; readonly id: string }

type Needs = { barrier: Pick<Barrier, 'get' | 'put'>; store: Pick<Store, 'write'> }

const storedAt = 'sys/cluster'

export function createCluster({ barrier, store }: Needs): Cluster {
  let current: ClusterName | undefined
  const stored = async (reader?: Reader): Promise<ClusterName | undefined> => {
    const bytes = await barrier.get(storedAt, reader)
    return bytes && (JSON.parse(bytes.toString('utf8')) as ClusterName)
  }
  const made = (): Promise<ClusterName> =>
    store.write(async (tx) => {
      const known = await stored(tx)
      if (known) return known
      const id = randomUUID()
      const fresh = { name: `keyward-${id.slice(0, 8)}`, id }
      await barrier.put(tx, storedAt, JSON.stringify(fresh))
      return fresh
    })
  return {
    async load() {
      current = (await stored()) ?? (await made())
    },
    forget() {
      current = undefined
    },
    current: () => current,
  }
}
