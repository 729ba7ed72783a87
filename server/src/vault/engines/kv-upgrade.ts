import type { Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { createKv2Store } from './kv2-store.ts'

/** Makes the secrets of an unversioned mount the first versions of a versioned one, all in one transaction. */
export async function upgradeKv(tx: Tx, barrier: Barrier, mountId: string, now: number): Promise<void> {
  const root = `kv/${mountId}/`
  const secrets = new Map<string, string>()
  const collect = async (folder: string): Promise<void> => {
    for (const key of await barrier.list(root + folder, tx)) {
      const bytes = key.endsWith('/')
        ? await collect(folder + key)
        : await barrier.get(root + folder + key, tx)
      if (bytes) secrets.set(folder + key, bytes.toString('utf8'))
    }
  }
  await collect('')
  await barrier.deleteFolder(tx, root)
  const versioned = createKv2Store(barrier, mountId)
  for (const [name, text] of secrets) await versioned.write(tx, name, text, now)
}
