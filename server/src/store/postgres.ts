import { createHash } from 'node:crypto'
import pg from 'pg'
import { AppError, reasonOf } from '../core/index.ts'
import { createGroupCommit, type WriteConnection } from './group-commit.ts'
import { migrateWith } from './migrate.ts'
import { type Sql, sql } from './sql.ts'
import type { Store } from './store.ts'

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

type Owner = { client(): Promise<pg.Client>; current(): pg.Client | undefined; close(): Promise<void> }

/**
 * The writing session. When it breaks, the next write opens another and takes the lock again; if a different process had the
 * lock in between (the epoch moved), what this process remembers may be stale, and it must be restarted.
 */
function createOwner(config: pg.ClientConfig): Owner {
  let connected: pg.Client | undefined
  let epoch: number | undefined
  let closed = false

  async function connect(): Promise<pg.Client> {
    if (closed) throw new AppError('store.unavailable', 'the database connection is closed')
    const client = new pg.Client(config)
    client.on('error', () => {
      if (connected === client) connected = undefined
    })
    await guarded(() => client.connect())
    try {
      epoch = await takeOwnership(client, epoch)
    } catch (error) {
      await client.end()
      throw error
    }
    connected = client
    return client
  }

  return {
    current: () => connected,
    client: async () => connected ?? (await connect()),
    async close() {
      closed = true
      await connected?.end()
    },
  }
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
  const must = (): pg.Client => {
    const client = owner.current()
    if (!client)
      throw new AppError(
        'store.unavailable',
        'the connection to PostgreSQL was lost. Nothing was changed; try again.',
      )
    return client
  }
  return {
    async exec(statement) {
      const client = statement === 'begin' ? await owner.client() : must()
      if (statement === 'commit' || statement === 'rollback') inTransaction = false
      await guarded(() => client.query(statement))
      if (statement === 'begin') inTransaction = true
    },
    async all<Row>(query: Sql) {
      return (await guarded(() => must().query(numbered(query)))).rows as Row[]
    },
    async run(query) {
      return (await guarded(() => must().query(numbered(query)))).rowCount ?? 0
    },
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

/** PostgreSQL's conditions that an owner can act on: https://www.postgresql.org/docs/15/errcodes-appendix.html */
async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AppError || !(error instanceof Error)) throw error
    const code = 'code' in error ? String(error.code) : ''
    if (code === '53100')
      throw new AppError('store.full', 'the disk of the PostgreSQL server is full', { cause: error })
    if (code === 'XX001' || code === 'XX002')
      throw new AppError('store.corrupt', `PostgreSQL says: ${error.message}`, { cause: error })
    if (
      /^(08|57P|28|3D)/.test(code) ||
      /^E[A-Z]+$/.test(code) ||
      /terminated|timeout|not queryable|closed/i.test(error.message)
    )
      throw new AppError(
        'store.unavailable',
        `PostgreSQL says: ${reasonOf(error)}. Check KEYWARD_DATABASE_URL and that the server runs.`,
        { cause: error },
      )
    throw error
  }
}
