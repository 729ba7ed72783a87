import { AppError } from '../core/index.ts'
import type { SqlValue } from './sql.ts'
import type { CopiedTable, Migration, Store, Tx } from './store.ts'

/** What each database keeps for itself; a copy holds nothing of it. */
export const ownTables: ReadonlySet<string> = new Set(['schema_migrations', 'store_probe', 'store_owner'])

/** As many rows as are read, or written, at once; fewer when they are large. */
const rowsAtOnce = 200
const mostBytesAtOnce = 4 * 1024 * 1024

/** Collects rows until there are enough for a chunk. */
export function createChunk() {
  let rows: SqlValue[][] = []
  let bytes = 0
  return {
    /** True when the chunk is full. */
    add(row: SqlValue[]): boolean {
      rows.push(row)
      for (const value of row)
        bytes += value instanceof Uint8Array || typeof value === 'string' ? value.length : 8
      return rows.length >= rowsAtOnce || bytes >= mostBytesAtOnce
    },
    take(): SqlValue[][] {
      const taken = rows
      rows = []
      bytes = 0
      return taken
    },
  }
}
/** SQLite takes this many values in a statement; PostgreSQL takes more. */
const mostValues = 32_000

type Part = { readonly table: string; readonly columns: readonly string[]; readonly rows: SqlValue[][] }

export type Copy = {
  /** Ids of the migrations that made the tables. */
  readonly migrations: readonly string[]
  /** Rows of one table follow each other, tables in the order in which they refer to each other. */
  readonly parts: AsyncIterable<Part>
}

/**
 * Puts a copy into an empty store, whichever database it came from: all of it in one transaction, or nothing. Nobody else uses
 * the store meanwhile, so the copy may come from a file. Returns how many rows each table got.
 */
export async function fillStore(
  store: Store,
  migrations: readonly Migration[],
  { migrations: wanted, parts }: Copy,
): Promise<Map<string, number>> {
  const known = new Set(migrations.map(({ id }) => id))
  const unknown = wanted.filter((id) => !known.has(id))
  if (unknown.length > 0)
    throw new AppError('store.newer', `it needs ${unknown.join(', ')}, which this version does not know`)
  await store.migrate(migrations.filter(({ id }) => wanted.includes(id)))
  return store.write(async (tx) => {
    const counts = new Map<string, number>()
    const columns = new Map((await store.copy(async (tables) => tables)).map((table) => [table.name, table]))
    for await (const part of parts) {
      assertFits(part, columns.get(part.table))
      if (!counts.has(part.table)) await assertEmpty(tx, part.table)
      await insert(tx, part)
      counts.set(part.table, (counts.get(part.table) ?? 0) + part.rows.length)
    }
    return counts
  })
}

/** Puts a copy's rows in the place of all that `tables` hold. */
export async function replaceRows(
  tx: Tx,
  tables: readonly CopiedTable[],
  parts: AsyncIterable<Part>,
): Promise<void> {
  // What refers to others goes first.
  for (const { name } of [...tables].reverse()) await tx.run({ text: `delete from ${name}`, values: [] })
  for await (const part of parts) {
    assertFits(
      part,
      tables.find(({ name }) => name === part.table),
    )
    await insert(tx, part)
  }
}

/** Names come from a file: only those of this database's own tables and columns become part of a statement. */
function assertFits({ table, columns }: Part, known: CopiedTable | undefined): void {
  const fits = known && columns.length > 0 && columns.every((column) => known.columns.includes(column))
  if (!fits) throw new AppError('backup.invalid', `the table ${table} is not as this version knows it`)
}

async function assertEmpty(tx: Tx, table: string): Promise<void> {
  if (await tx.get({ text: `select 1 as found from ${table} limit 1`, values: [] }))
    throw new AppError('backup.target_used', `the table ${table} of the database holds something already`)
}

async function insert(tx: Tx, { table, columns, rows }: Part): Promise<void> {
  const most = Math.max(1, Math.min(rowsAtOnce, Math.floor(mostValues / columns.length)))
  for (let from = 0; from < rows.length; from += most) {
    const some = rows.slice(from, from + most)
    const places = `(${columns.map(() => '?').join(',')})`
    const text = `insert into ${table} (${columns.join(',')}) values ${some.map(() => places).join(',')}`
    await tx.run({ text, values: some.flat() })
  }
}
