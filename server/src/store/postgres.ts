import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { AppError, reasonOf } from '../core/index.ts'
import { createChunk, ownTables } from './copy.ts'
import { assertChanged, createGroupCommit, type WriteConnection } from './group-commit.ts'
import { migrateWith } from './migrate.ts'
import { type Sql, type SqlValue, sql } from './sql.ts'
import type { CopiedTable, Store } from './store.ts'

/** Any fixed number: the advisory lock that says which process owns this database. */
const ownerLock = 7_211_986_413
const readConnections = 4

/**
 * PostgreSQL 15 or newer. One session writes and holds an advisory lock, so that a second Keyward on the same database is
 * refused; reads go through a small pool.
 */
export async function openPostgresStore(databaseUrl: string): Promise<Store> {
  const types = {
    getTypeParser: (id: number, format?: 'text' | 'binary') =>
      id === 20 ? Number : pg.types.getTypeParser(id, format),
  }
  const config: pg.ClientConfig = {
    connectionString: databaseUrl,
    types: types as pg.CustomTypesConfig,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  }
  const numbered = createNumbering()
  const pool = new pg.Pool({ ...config, max: readConnections })
  // An idle connection that breaks is replaced by the pool; the query that needs one reports the failure.
  pool.on('error', () => undefined)
  const owner = createOwner(config)
  try {
    await owner.client()
  } catch (error) {
    await pool.end()
    throw error
  }
  const commits = createGroupCommit(writeConnection(owner, numbered))
  const store: Store = {
    dialect: 'postgres',
    async all<Row>(query: Sql) {
      return (await guarded(() => pool.query(numbered(query)))).rows as Row[]
    },
    async get<Row>(query: Sql) {
      return (await guarded(() => pool.query(numbered(query)))).rows[0] as Row | undefined
    },
    write: (work, durability = 'disk') => commits.write(work, durability),
    migrate: (migrations) => migrateWith(store, { bytes: 'bytea', int8: 'bigint' }, migrations),
    copy: (work) => guarded(() => copyOf(config, work)),
    async check() {
      await store.write((tx) => tx.run(sql`update store_owner set checks = checks + 1`))
    },
    async close() {
      await commits.idle()
      await owner.close()
      await pool.end()
    },
  }
  return store
}

/** A session of its own, whose one transaction sees what was committed when it began. */
async function copyOf<T>(
  config: pg.ClientConfig,
  work: (tables: readonly CopiedTable[], migrations: readonly string[]) => Promise<T>,
): Promise<T> {
  const client = new pg.Client(config)
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const { rows } = await client.query<{ name: string; columns: string[] }>(tablesAndColumns)
    const applied = rows.some(({ name }) => name === 'schema_migrations')
      ? await client.query<{ id: string }>('select id from schema_migrations order by id')
      : { rows: [] }
    return await work(
      rows.filter(({ name }) => !ownTables.has(name)).map((table) => tableOf(client, table)),
      applied.rows.map(({ id }) => id),
    )
  } finally {
    await client.end()
  }
}

const tablesAndColumns = `select c.relname as name, array_agg(a.attname::text order by a.attnum) as columns
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace group by c.oid, c.relname order by c.oid`

function tableOf(client: pg.Client, { name, columns }: { name: string; columns: string[] }): CopiedTable {
  return {
    name,
    columns,
    async *rows() {
      await client.query(
        `declare rows_of_table no scroll cursor for select ${columns.join(', ')} from ${name} order by 1`,
      )
      // How large rows are is not known before they are here.
      const fetch = { text: 'fetch 20 from rows_of_table', rowMode: 'array' } as const
      const chunk = createChunk()
      try {
        for (;;) {
          const { rows } = await client.query<SqlValue[]>(fetch)
          const full = rows.map(chunk.add).some(Boolean)
          if (!full && rows.length > 0) continue
          const taken = chunk.take()
          if (taken.length > 0) yield taken
          if (rows.length === 0) return
        }
      } finally {
        await client.query('close rows_of_table')
      }
    },
  }
}

type Owner = {
  client(): Promise<pg.Client>
  current(): pg.Client | undefined
  /** Whether a transaction is stored whose answer to `commit` was lost with the connection. Throws when nobody can say now. */
  isStored(transactionId: string): Promise<boolean>
  close(): Promise<void>
}

/** How long to wait before each try to learn the fate of a transaction; the old session may still be ending. */
const askAgainMilliseconds = [0, 200, 1000, 3000]

/**
 * The writing session. When it breaks, the next write opens another and takes the lock again; if a different process had the
 * lock in between (the epoch moved), what this process remembers may be stale, and it must be restarted.
 */
function createOwner(config: pg.ClientConfig): Owner {
  let connected: pg.Client | undefined
  let epoch: number | undefined
  let closed = false
  /** A transaction that was refused to its callers though it may be stored: nothing is written before its fate is known. */
  let doubtful: string | undefined

  async function connect(): Promise<pg.Client> {
    if (closed) throw new AppError('store.unavailable', 'the database connection is closed')
    const client = new pg.Client(config)
    client.on('error', () => {
      if (connected === client) connected = undefined
    })
    await guarded(() => client.connect())
    try {
      await guarded(() => client.query(durableCommits))
      epoch = await takeOwnership(client, epoch)
      await settleDoubt(client)
    } catch (error) {
      await client.end()
      throw error
    }
    connected = client
    return client
  }

  /** What was stored although its callers were refused is unknown to everything that this process remembers. */
  async function settleDoubt(client: pg.Client): Promise<void> {
    if (doubtful === undefined) return
    if (await statusOf(client, doubtful))
      throw new AppError(
        'store.unavailable',
        'a transaction whose answer was lost has been stored, so what this process remembers is old. Restart it.',
      )
    doubtful = undefined
  }

  return {
    current: () => connected,
    client: async () => connected ?? (await connect()),
    async isStored(transactionId) {
      let failure: unknown
      for (const milliseconds of askAgainMilliseconds) {
        await sleep(milliseconds)
        try {
          return await statusOf(connected ?? (await connect()), transactionId)
        } catch (error) {
          failure = error
        }
      }
      doubtful = transactionId
      throw failure
    },
    async close() {
      closed = true
      await connected?.end()
    },
  }
}

/** A server can be set up to answer before a commit is on disk. */
const durableCommits = `select set_config('synchronous_commit', 'on', false)
  where current_setting('synchronous_commit') = 'off'`

/** Only this session can have the owner's lock, so the session of the transaction has ended and its fate is final. */
async function statusOf(client: pg.Client, transactionId: string): Promise<boolean> {
  const { rows } = await guarded(() =>
    client.query('select pg_xact_status($1::xid8) as status', [transactionId]),
  )
  return rows[0].status === 'committed'
}

async function takeOwnership(client: pg.Client, previousEpoch: number | undefined): Promise<number> {
  const lock = await guarded(() => client.query('select pg_try_advisory_lock($1) as taken', [ownerLock]))
  if (!lock.rows[0].taken)
    throw new AppError(
      'store.locked',
      'another Keyward is connected to this PostgreSQL database. Stop it, or use another database.',
    )
  await guarded(() =>
    client.query('create table if not exists store_owner (epoch bigint not null, checks bigint not null)'),
  )
  await guarded(() =>
    client.query('insert into store_owner select 0, 0 where not exists (select 1 from store_owner)'),
  )
  const { rows } = await guarded(() =>
    client.query('update store_owner set epoch = epoch + 1 returning epoch'),
  )
  const epoch: number = rows[0].epoch
  if (previousEpoch !== undefined && epoch !== previousEpoch + 1)
    throw new AppError(
      'store.locked',
      'another Keyward used this database while the connection was lost. Restart this one.',
    )
  return epoch
}

function writeConnection(owner: Owner, numbered: Numbered): WriteConnection {
  let inTransaction = false
  let transactionId = ''
  const must = (): pg.Client => {
    const client = owner.current()
    if (!client)
      throw new AppError(
        'store.unavailable',
        'the connection to PostgreSQL was lost. Nothing was changed; try again.',
      )
    return client
  }
  async function begin(): Promise<void> {
    const client = await owner.client()
    // Two statements in one message; the id is what a lost answer is asked about.
    const results: unknown = await guarded(() => client.query('begin; select pg_current_xact_id() as id'))
    const [, named] = results as pg.QueryResult<{ id: string }>[]
    transactionId = named?.rows[0]?.id ?? ''
    inTransaction = true
  }

  async function commit(): Promise<void> {
    const client = must()
    inTransaction = false
    try {
      await client.query('commit')
    } catch (error) {
      // A refusal that came is the truth; an answer that was lost with the session may have been either.
      if (error instanceof pg.DatabaseError && !/^(?:08|57P)/.test(error.code ?? '')) throw translated(error)
      if (await owner.isStored(transactionId)) return
      throw translated(error)
    }
  }

  const run = async (query: Sql): Promise<number> =>
    (await guarded(() => must().query(numbered(query)))).rowCount ?? 0

  return {
    async exec(statement) {
      if (statement === 'begin') return begin()
      if (statement === 'commit') return commit()
      const client = must()
      if (statement === 'rollback') inTransaction = false
      await guarded(() => client.query(statement))
    },
    async all<Row>(query: Sql) {
      return (await guarded(() => must().query(numbered(query)))).rows as Row[]
    },
    async get<Row>(query: Sql) {
      return (await guarded(() => must().query(numbered(query)))).rows[0] as Row | undefined
    },
    run,
    async runAll(puts) {
      for (const put of puts) assertChanged(put, await run(put.query))
    },
    readsCanSpoil: true,
    inTransaction: () => inTransaction && owner.current() !== undefined,
    // `synchronous_commit` is on: a commit that returned is on disk.
    sync: async () => undefined,
  }
}

type Numbered = (query: Sql) => pg.QueryConfig

/** `?` becomes `$1`, `$2`, …; statements are prepared once a session under a name made from their text. */
function createNumbering(): Numbered {
  const known = new Map<string, { name: string; text: string }>()
  const numberedText = (text: string): { name: string; text: string } => {
    let place = 0
    const name = createHash('sha256').update(text).digest('base64url').slice(0, 32)
    return { name, text: text.replace(/\?/g, () => `$${++place}`) }
  }
  const binary = (value: Sql['values'][number]) => (value instanceof Uint8Array ? Buffer.from(value) : value)
  return ({ text, values }) => {
    const statement = known.get(text) ?? numberedText(text)
    known.set(text, statement)
    return { ...statement, values: values.map(binary) }
  }
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw translated(error)
  }
}

/** PostgreSQL's conditions that an owner can act on: https://www.postgresql.org/docs/15/errcodes-appendix.html */
function translated(error: unknown): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error
  const code = 'code' in error ? String(error.code) : ''
  if (code === '53100')
    return new AppError('store.full', 'the disk of the PostgreSQL server is full', { cause: error })
  if (code === 'XX001' || code === 'XX002')
    return new AppError('store.corrupt', `PostgreSQL says: ${error.message}`, { cause: error })
  if (
    /^(08|57P|28|3D)/.test(code) ||
    /^E[A-Z]+$/.test(code) ||
    /terminated|timeout|not queryable|closed/i.test(error.message)
  )
    return new AppError(
      'store.unavailable',
      `PostgreSQL says: ${reasonOf(error)}. Check KEYWARD_DATABASE_URL and that the server runs.`,
      { cause: error },
    )
  return error
}
