import { join } from 'node:path'
import { auditMigrations, createAudit, createFileAnchor } from '../../src/audit/index.ts'
import { busMigrations, createBus } from '../../src/bus/index.ts'
import { silentLog, systemClock } from '../../src/core/index.ts'
import { openDataFolder, openStore, type Sql, sql, type Tx } from '../../src/store/index.ts'
import { engineMigrations } from './engine.ts'

const tables = {
  id: '9990-effects',
  up: () => [
    'create table effects (id text primary key, times integer not null)',
    'create table open_leases (id text primary key)',
  ],
}

/** What an engine in a process of its own needs, with a table in which effects are counted by their idempotency keys. */
export async function openEffects(dataDir: string) {
  const clock = systemClock
  const folder = openDataFolder(dataDir)
  const store = await openStore({ dataDir })
  await store.migrate([...auditMigrations, ...busMigrations, ...engineMigrations, tables])
  const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
  const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined })
  const bus = createBus({ store, clock, log: silentLog })
  return {
    world: { store, audit, bus, clock },
    count: async (query: Sql): Promise<number> => Number((await store.get<{ n: number }>(query))?.n),
    async close() {
      await store.close()
      folder.release()
    },
  }
}

export async function noteEffect(tx: Tx, idempotencyKey: string): Promise<void> {
  await tx.run(sql`insert into effects (id, times) values (${idempotencyKey}, 1)
    on conflict (id) do update set times = effects.times + 1`)
}
