import { closeSync, fdatasync, fsyncSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { AppError, reasonOf } from '../core/index.ts'
import { createChunk, ownTables } from './copy.ts'
import { createGroupCommit, type WriteConnection } from './group-commit.ts'
import { migrateWith } from './migrate.ts'
import type { Sql, SqlValue } from './sql.ts'
import { sql } from './sql.ts'
import type { CopiedTable, Store } from './store.ts'

const largestCheckedAtStartBytes = 64 * 1024 * 1024
/**
 * 16 MB of log. A checkpoint stops the process while it copies pages into the database and syncs it. The longer the log, the fewer requests
 * meet one, and the more pages in it are newer versions of others; but the longer it takes, 10 ms for 2000 pages.
 */
const checkpointPages = 4000
/** Rows are found by keyed digests, which lie anywhere in the file. Memory is taken only as it fills. */
const cacheKilobytes = 8 * 1024

/**
 * SQLite in WAL mode. The connection commits with `synchronous = normal`, which leaves the log unsynced; `write` then syncs the
 * log itself, off the main thread and once for all that wait. A caller is answered only after that sync, so what `synchronous =
 * full` promises holds, without stopping the process for each sync (docs/decisions/0002).
 */
export function openSqliteStore(file: string): Store {
  const { writer, reader, logFd } = open(file)
  const connection = writeConnection(writer, file, createLogSync(file, logFd))
  const commits = createGroupCommit(connection)
  const readAll = statementCache(reader, file)
  const store: Store = {
    dialect: 'sqlite',
    async all<Row>(query: Sql) {
      return readAll.all<Row>(query)
    },
    async get<Row>(query: Sql) {
      return readAll.get<Row>(query)
    },
    write: (work, durability = 'disk') => commits.write(work, durability),
    migrate: (migrations) => migrateWith(store, { bytes: 'blob', int8: 'integer' }, migrations),
    copy: (work) => copyOf(file, work),
    async check() {
      // A page is really written: `begin` alone would not notice a full disk.
      await store.write((tx) => tx.run(sql`update store_probe set written = written + 1`))
    },
    async close() {
      try {
        await commits.idle()
      } finally {
        reader.close()
        writer.close()
        closeSync(logFd)
      }
    },
  }
  return store
}

/** A connection of its own, whose one read transaction sees what was committed when it began. */
async function copyOf<T>(
  file: string,
  work: (tables: readonly CopiedTable[], migrations: readonly string[]) => Promise<T>,
): Promise<T> {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
  try {
    db.exec('begin')
    const names = textsOf(db, `select name from sqlite_master where type = 'table' order by rowid`)
    const tables = names.filter((name) => !ownTables.has(name) && !name.startsWith('sqlite_'))
    const migrations = names.includes('schema_migrations')
      ? textsOf(db, 'select id from schema_migrations order by id')
      : []
    return await work(
      tables.map((name) => tableOf(db, name)),
      migrations,
    )
  } catch (error) {
    throw translated(error, file)
  } finally {
    db.close()
  }
}

const textsOf = (db: DatabaseSync, query: string): string[] =>
  db
    .prepare(query)
    .all()
    .map((row) => String(Object.values(row)[0]))

function tableOf(db: DatabaseSync, name: string): CopiedTable {
  const columns = db
    .prepare(`pragma table_info(${name})`)
    .all()
    .map((column) => String(column['name']))
  return {
    name,
    columns,
    async *rows() {
      const statement = db.prepare(`select ${columns.join(', ')} from ${name} order by 1`)
      statement.setReturnArrays(true)
      const chunk = createChunk()
      for (const row of statement.iterate() as Iterable<unknown>) {
        if (!chunk.add(row as SqlValue[])) continue
        yield chunk.take()
        // Reading stops the process; between two chunks others have their turn.
        await new Promise((resolve) => setImmediate(resolve))
      }
      const last = chunk.take()
      if (last.length > 0) yield last
    },
  }
}

function open(file: string): { writer: DatabaseSync; reader: DatabaseSync; logFd: number } {
  try {
    makePrivate(file)
    const writer = new DatabaseSync(file, { timeout: 5000 })
    writer.exec('pragma journal_mode = wal')
    writer.exec('pragma synchronous = normal')
    writer.exec(`pragma wal_autocheckpoint = ${checkpointPages}`)
    writer.exec('pragma foreign_keys = on')
    writer.exec(`pragma cache_size = -${cacheKilobytes}`)
    writer.exec('create table if not exists store_probe (written integer not null)')
    writer.exec('insert into store_probe select 0 where not exists (select 1 from store_probe)')
    if (statSync(file).size <= largestCheckedAtStartBytes) checkPages(writer, file)
    const logFd = openSync(`${file}-wal`, 'r+')
    syncFolder(dirname(file))
    const reader = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
    return { writer, reader, logFd }
  } catch (error) {
    throw translated(error, file)
  }
}

/** Made before SQLite makes it, for its owner alone; the log and the shared memory beside it get the same mode. */
function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'a', 0o600))
  } catch (error) {
    throw new AppError('store.unavailable', `${file} cannot be opened: ${reasonOf(error)}`)
  }
}

function checkPages(db: DatabaseSync, file: string): void {
  const [row] = db.prepare('pragma quick_check(1)').all()
  const verdict = String(row?.['quick_check'] ?? row?.['integrity_check'])
  if (verdict !== 'ok') throw new AppError('store.corrupt', damage(file, verdict))
}

const damage = (file: string, what: string): string =>
  `${file}: ${what}. Nothing was changed. Stop Keyward, keep a copy of this file, and restore the last backup.`

function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}

/** One sync serves everyone who asked before it began. A failed sync poisons the store: what is on disk is unknown from then on. */
function createLogSync(file: string, logFd: number): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  let failure: AppError | undefined

  const start = (): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      if (failure) return reject(failure)
      fdatasync(logFd, (error) => {
        if (!error) return resolve()
        failure = new AppError(
          'store.unavailable',
          `${file}-wal cannot be synced: ${error.message}. Restart Keyward.`,
        )
        reject(failure)
      })
    })

  const begin = (): Promise<void> => {
    const current = start().finally(() => {
      if (running === current) running = undefined
    })
    running = current
    return current
  }

  return () => {
    if (!running) return begin()
    next ??= running.then(ignore, ignore).then(() => {
      next = undefined
      return begin()
    })
    return next
  }
}

const ignore = (): void => undefined

function statementCache(db: DatabaseSync, file: string) {
  const prepared = new Map<string, StatementSync>()
  const statement = (text: string): StatementSync => {
    let found = prepared.get(text)
    if (!found) {
      found = db.prepare(text)
      prepared.set(text, found)
    }
    return found
  }
  const guarded = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw translated(error, file)
    }
  }
  return {
    all: <Row>({ text, values }: Sql): Row[] => guarded(() => statement(text).all(...values) as Row[]),
    get: <Row>({ text, values }: Sql): Row | undefined =>
      guarded(() => statement(text).get(...values) as Row | undefined),
    run: ({ text, values }: Sql): number => guarded(() => Number(statement(text).run(...values).changes)),
    exec: (text: string): void => guarded(() => void statement(text).run()),
  }
}

function writeConnection(db: DatabaseSync, file: string, sync: () => Promise<void>): WriteConnection {
  const { all, get, run, exec } = statementCache(db, file)
  return {
    async exec(text) {
      exec(text === 'begin' ? 'begin immediate' : text)
    },
    async all<Row>(query: Sql) {
      return all<Row>(query)
    },
    async get<Row>(query: Sql) {
      return get<Row>(query)
    },
    async run(query) {
      return run(query)
    },
    async runAll(queries) {
      for (const query of queries) run(query)
    },
    readsCanSpoil: false,
    inTransaction: () => db.isOpen && db.isTransaction,
    sync,
  }
}

/** SQLite's result codes that an owner can act on: https://sqlite.org/rescode.html */
function translated(error: unknown, file: string): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error
  const extended = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : 0
  switch (extended & 0xff) {
    case 13:
      return new AppError(
        'store.full',
        `the disk of ${file} is full. Nothing was changed. Free some space; Keyward goes on by itself.`,
        { cause: error },
      )
    case 11:
    case 26:
      return new AppError('store.corrupt', damage(file, error.message), { cause: error })
    case 5:
    case 8:
    case 10:
    case 14:
      return new AppError('store.unavailable', `${file}: ${reasonOf(error)}`, { cause: error })
    default:
      return error
  }
}
