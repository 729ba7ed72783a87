import { join } from 'node:path'
import { type Clock, systemClock } from '../core/index.ts'
import type { Store } from './store.ts'

/** The store of this process: PostgreSQL when `databaseUrl` is given, else `keyward.db` in the data folder (which must be locked). */
export async function openStore(place: {
  dataDir: string
  databaseUrl?: string | undefined
  clock?: Pick<Clock, 'after'>
}): Promise<Store> {
  if (place.databaseUrl) {
    const { openPostgresStore } = await import('./postgres.ts')
    return openPostgresStore(place.databaseUrl)
  }
  const { openSqliteStore } = await import('./sqlite.ts')
  return openSqliteStore(join(place.dataDir, 'keyward.db'), place.clock ?? systemClock)
}
