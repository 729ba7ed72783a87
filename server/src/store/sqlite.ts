import { closeSync, fdatasync, fsyncSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError, type Clock, reasonOf } from '../core/index.ts'
import { createChunk, ownTables } from './copy.ts'
import { assertChanged, createGroupCommit, type WriteConnection } from './group-commit.ts'
import { migrateWith } from './migrate.ts'
import type { Sql, SqlValue } from './sql.ts'
import { sql } from './sql.ts'
import { damage, statementCache, translated } from './sqlite-statements.ts'
import { createSqliteThread, type SqliteThread } from './sqlite-thread.ts'
import type { CopiedTable, Durability, Store } from './store.ts'

const largestCheckedAtStartBytes = 64 * 1024 * 1024
/** How many pages of the log are left for a checkpoint, and after how many the log begins anew: 32 MB, of which many are versions of one page. */
const checkpointPages = 2000
const longestLogPages = 8000
/** When the other thread does not keep up, who commits does it, and everybody waits. */
const emergencyPages = 32_000
/** How often one looks, in commits. */
const commitsPerLook = 32

/**
 * SQLite in WAL mode. The connection commits with `synchronous = normal`, which leaves the log unsynced; `write` then syncs the
 * log itself, off the main thread and once for all that wait. A caller is answered only after that sync, so what `synchronous =
 * full` promises holds, without stopping the process for each sync (docs/decisions/0002).
 */
export function openSqliteStore(file: string, clock: Pick<Clock, 'after'>): Store {
  const { writer, reader, logFd } = open(file)
  const thread = createSqliteThread(file, clock)
  const own = statementCache(writer, file)
  const connection = writeConnection(writer, own, createLogSync(file, logFd))
  const checkpoint = createCheckpoints(writer, thread)
  const commits = createGroupCommit(connection, () => checkpoint(1, commits.inTurn))
  const beside = statementCache(reader, file)
  /**
   * What the writing connection has written it still has in memory, while the other one has to fetch it from the log anew after each commit.
   * Within a transaction it would show what is not committed.
   */
  const readerFor = ({ text }: Sql): typeof beside =>
    text.startsWith('select') && !writer.isTransaction ? own : beside
  const store: Store = {
    dialect: 'sqlite',
    async all<Row>(query: Sql) {
      return readerFor(query).all<Row>(query)
    },
    async get<Row>(query: Sql) {
      return readerFor(query).get<Row>(query)
    },
    write: (work, durability = 'disk') => commits.write(work, durability),
    async aside<Input, Output>(job: URL, input: Input, durability: Durability = 'disk') {
      const done = await commits.inTurn(() => thread.run<Input, Output>(job, input))
      // One that is long enough for the other thread fills the log as many commits do.
      checkpoint(commitsPerLook, commits.inTurn)
      if (durability === 'disk') await connection.sync()
      return done
    },
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
        await thread.close()
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
    writer.exec(`pragma wal_autocheckpoint = ${emergencyPages}`)
    writer.exec('pragma foreign_keys = on')
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

function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}

type LogState = { readonly log: number; readonly checkpointed: number }

/**
 * Copies what is in the log into the database, on the other thread: it takes milliseconds and syncs both. Writers go on meanwhile. The log
 * can begin anew only when all of it is copied at a moment when nobody writes: so when it is long, the rest is copied in a turn of its own.
 */
function createCheckpoints(db: DatabaseSync, thread: Pick<SqliteThread, 'checkpoint'>) {
  // SQLite 3.51 only looks; an older one takes it for a checkpoint, which is right too, and slower.
  const look = db.prepare('pragma wal_checkpoint(noop)')
  let unseen = 0
  let running = false
  return (commits: number, inTurn: (work: () => Promise<unknown>) => Promise<unknown>): void => {
    unseen += commits
    if (running || unseen < commitsPerLook) return
    unseen = 0
    const { log, checkpointed } = look.get() as LogState
    if (log - checkpointed < checkpointPages) return
    running = true
    thread
      .checkpoint()
      .then(() => (log < longestLogPages ? undefined : inTurn(() => thread.checkpoint())))
      // It is tried again; in the end, a commit does it and tells.
      .catch(ignore)
      .finally(() => {
        running = false
      })
  }
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

function writeConnection(
  db: DatabaseSync,
  { all, get, run, exec }: ReturnType<typeof statementCache>,
  sync: () => Promise<void>,
): WriteConnection {
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
    async runAll(puts) {
      for (const put of puts) assertChanged(put, run(put.query))
    },
    readsCanSpoil: false,
    inTransaction: () => db.isOpen && db.isTransaction,
    sync,
  }
}
