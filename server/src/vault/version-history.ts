import type { Clock } from '../core/index.ts'
import type { Reader, Store } from '../store/index.ts'
import type { Barrier } from './barrier/barrier.ts'

type Installed = { readonly version: string; readonly installedAt: string }

/** Which versions have opened this vault, oldest first. */
export type VersionHistory = {
  /** Adds this version, when it is new here. */
  note(): Promise<void>
  all(): Promise<readonly Installed[]>
}

type Needs = {
  barrier: Barrier
  store: Pick<Store, 'write'>
  clock: Pick<Clock, 'now'>
  version: string
}

const storedAt = 'sys/version-history'

export function createVersionHistory({ barrier, store, clock, version }: Needs): VersionHistory {
  const stored = async (reader?: Reader): Promise<readonly Installed[]> => {
    const bytes = await barrier.get(storedAt, reader)
    return bytes ? (JSON.parse(bytes.toString('utf8')) as Installed[]) : []
  }
  return {
    async note() {
      if ((await stored()).some((known) => known.version === version)) return
      await store.write(async (tx) => {
        const next = [...(await stored(tx)), { version, installedAt: clock.now().toISOString() }]
        await barrier.put(tx, storedAt, JSON.stringify(next))
      })
    },
    all: stored,
  }
}
