import { AppError } from '../core/index.ts'
import { sql } from './sql.ts'
import type { ColumnTypes, Migration, Store } from './store.ts'

/** Applies the migrations that are missing, in the order of their ids, in one transaction. */
export async function migrateWith(
  store: Pick<Store, 'write'>,
  types: ColumnTypes,
  migrations: readonly Migration[],
): Promise<void> {
  await store.write(async (tx) => {
    await tx.run(sql`create table if not exists schema_migrations (id text primary key)`)
    const rows = await tx.all<{ id: string }>(sql`select id from schema_migrations`)
    const applied = new Set(rows.map((row) => row.id))
    const known = new Set(migrations.map((migration) => migration.id))
    const unknown = [...applied].filter((id) => !known.has(id)).sort()
    if (unknown.length > 0)
      throw new AppError(
        'store.newer',
        `it holds ${unknown.join(', ')}, which this version does not know. Use the newer version again.`,
      )
    for (const migration of [...migrations].sort((a, b) => (a.id < b.id ? -1 : 1))) {
      if (applied.has(migration.id)) continue
      for (const text of migration.up(types)) await tx.run({ text, values: [] })
      await tx.run(sql`insert into schema_migrations (id) values (${migration.id})`)
    }
  })
}
