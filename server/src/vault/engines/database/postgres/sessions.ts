import { constants } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import type { Secret } from '../../../../core/index.ts'
import { reasonOf } from '../../../../core/index.ts'
import { refused, signInRefused, unreachable, withoutSecrets } from '../failure.ts'
import type { PostgresAddress, TlsMode } from './address.ts'
import { createGate } from './gate.ts'
import { standardIterations } from './scram.ts'
import { createTurnstile } from './turnstile.ts'

/** Sessions of one PostgreSQL server, opened when needed and kept for the next who needs one. */
export type Sessions = {
  /** Hands out a session for `work`. After a failure it is closed, which rolls back what it had begun. */
  run<T>(secrets: readonly Secret[], work: (session: Session) => Promise<T>): Promise<T>
  /** Whether somebody else can sign in at the same server; nothing is kept of it. */
  admits(user: string, password: Secret): Promise<boolean>
  /** Nobody begins to sign in while `work` runs: it changes the password that they would do it with. */
  whileNobodySignsIn<T>(work: () => Promise<T>): Promise<T>
  /** What the server said of itself when the first session was opened. */
  facts(): Promise<ServerFacts>
  close(): void
}

/** `scramIterations`: how the server stores a password that it is given; undefined: not with SCRAM. */
export type ServerFacts = { readonly scramIterations: number | undefined }
type Opened = {
  readonly pool: pg.Pool
  readonly facts: ServerFacts
  /** How many hold a session of it or are about to. */
  users: number
  /** It ends with its last user: a pool that is told to end serves nobody who waits for it. */
  leaving: boolean
}

/** Statements go as one message; the rows of the last one come back. */
export type Session = (statements: string) => Promise<readonly Record<string, unknown>[]>

type Needs = {
  readonly address: PostgresAddress
  readonly password: () => Secret
  readonly tls: { readonly ca?: string; readonly certificate?: string; readonly key?: Secret }
  readonly most: number
  readonly keepIdle: boolean
  readonly lifetimeSeconds: number
}

const idleMilliseconds = 300_000
const longestFileBytes = 1024 * 1024
/** Longer than the statement timeout that the server is told, so that normally the server gives up first. */
const queryMilliseconds = 45_000

export function createSessions(needs: Needs): Sessions {
  let opened: Promise<Opened> | undefined
  /** Who still comes is served, and what is opened for them ends with them. */
  let closed = false
  // The pool takes the wait for a session in use for a server that does not answer: nobody waits there.
  const turnstile = createTurnstile(needs.most)
  const signIns = createGate()

  /** Which host and which way of TLS work is found out once, and again after a connection broke. */
  async function open(): Promise<Opened> {
    let failure: unknown
    for (const config of await candidates(needs)) {
      try {
        const facts = await probe(config, needs.address.writable)
        return { pool: poolOf(config, needs), facts, users: 0, leaving: false }
      } catch (error) {
        failure = error
        if (error instanceof pg.DatabaseError && isSignIn(error)) break
      }
    }
    throw failure
  }

  function forget(known: Promise<Opened>): void {
    if (opened === known) opened = undefined
    known
      .then((pooled) => {
        pooled.leaving = true
        return endUnused(pooled)
      })
      .catch(() => undefined)
  }

  async function endUnused({ pool, users, leaving }: Opened): Promise<void> {
    if (leaving && users === 0 && !pool.ending) await pool.end()
  }

  /** What could not be opened is not kept: the next who needs it tries anew. */
  async function usable(mine: Promise<Opened>): Promise<Opened> {
    try {
      return await mine
    } catch (error) {
      forget(mine)
      throw error
    }
  }

  async function withSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
    opened ??= signIns.pass(open)
    const mine = opened
    const pooled = await usable(mine)
    if (pooled.leaving) return withSession(work)
    pooled.users++
    let client: pg.PoolClient | undefined
    try {
      client = await signIns.pass(() => pooled.pool.connect())
      const held = client
      const result = await work((statements) => rowsOf(held, statements))
      held.release()
      return result
    } catch (error) {
      client?.release(true)
      if (!(error instanceof pg.DatabaseError) || isConnectionError(error)) forget(mine)
      throw error
    } finally {
      pooled.users--
      if (closed) forget(mine)
      else endUnused(pooled).catch(() => undefined)
    }
  }

  return {
    async run(secrets, work) {
      try {
        return await turnstile.pass(() => withSession(work))
      } catch (error) {
        throw translated(error, [...secrets, needs.password()])
      }
    },
    whileNobodySignsIn: signIns.shutWhile,
    async facts() {
      try {
        opened ??= signIns.pass(open)
        const mine = opened
        const { facts } = await usable(mine)
        if (closed) forget(mine)
        return facts
      } catch (error) {
        throw translated(error, [needs.password()])
      }
    },
    async admits(user, password) {
      try {
        return await signsIn(await candidates(needs), user, password)
      } catch (error) {
        throw translated(error, [password, needs.password()])
      }
    },
    close() {
      closed = true
      if (opened) forget(opened)
    },
  }
}

async function rowsOf(client: pg.PoolClient, statements: string): Promise<Record<string, unknown>[]> {
  const result: pg.QueryResult | pg.QueryResult[] = await client.query(statements)
  return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? []
}

function poolOf(config: pg.ClientConfig, { most, keepIdle, lifetimeSeconds }: Needs): pg.Pool {
  const pool = new pg.Pool({
    ...config,
    max: most,
    idleTimeoutMillis: idleMilliseconds,
    maxLifetimeSeconds: lifetimeSeconds,
    allowExitOnIdle: true,
    ...(keepIdle ? {} : { maxUses: 1 }),
  })
  // An idle session that breaks is replaced; who needs one and gets none learns it.
  pool.on('error', () => undefined)
  // The same while it is in use: the statement that waits fails, and that is enough.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

async function probe(config: pg.ClientConfig, writable: boolean): Promise<ServerFacts> {
  const client = new pg.Client(config)
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query(factsQuery)
    const { standby, encryption, iterations } = rows[0] ?? {}
    if (writable && standby) throw new Error('it is a standby server')
    const scramIterations =
      encryption === 'scram-sha-256' ? Number(iterations ?? standardIterations) : undefined
    return { scramIterations }
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function signsIn(
  configs: readonly pg.ClientConfig[],
  user: string,
  password: Secret,
): Promise<boolean> {
  let failure: unknown
  for (const config of configs) {
    const client = new pg.Client({ ...config, user, password: () => password.reveal() })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return true
    } catch (error) {
      if (error instanceof pg.DatabaseError && isNotLetIn(error)) return false
      failure = error
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  throw failure
}

/** `scram_iterations` is there since PostgreSQL 16. */
const factsQuery = `select pg_is_in_recovery() as standby, current_setting('password_encryption') as encryption,
  current_setting('scram_iterations', true) as iterations`

async function candidates({ address, password, tls }: Needs): Promise<pg.ClientConfig[]> {
  const material = await tlsMaterial(address, tls)
  const base = {
    user: address.user,
    database: address.database,
    // A function, so that neither PGPASSWORD nor a password file of the server's account is asked.
    password: () => password().reveal(),
    application_name: address.applicationName,
    connectionTimeoutMillis: address.connectSeconds * 1000,
    query_timeout: queryMilliseconds,
    keepAlive: true,
    enableChannelBinding: address.channelBinding,
    ...(address.options === '' ? {} : { options: address.options }),
  }
  return address.hosts.flatMap(({ host, port }) =>
    tlsChoices(address.tls, host, material).map((ssl) => ({ ...base, host, port, ssl })),
  )
}

/** `allow` and `prefer` try both ways, in their order; only the `verify` modes know with whom they speak. */
function tlsChoices(mode: TlsMode, host: string, material: ConnectionOptions): (false | ConnectionOptions)[] {
  if (mode === 'disable' || host.startsWith('/')) return [false]
  // An address has no name to ask for, but it is what the certificate has to be for.
  const name = isIP(host) === 0 ? { servername: host } : { host }
  const verified = { ...material, ...name, rejectUnauthorized: true }
  if (mode === 'verify-full') return [verified]
  // libpq checks the authority, not the name, when a root certificate is given with `require`.
  if (mode === 'verify-ca' || (mode === 'require' && material.ca))
    return [{ ...verified, checkServerIdentity: () => undefined }]
  const unverified = { ...material, rejectUnauthorized: false }
  if (mode === 'require') return [unverified]
  return mode === 'prefer' ? [unverified, false] : [false, unverified]
}

async function tlsMaterial({ files }: PostgresAddress, tls: Needs['tls']): Promise<ConnectionOptions> {
  const ca = tls.ca ?? (files.ca && files.ca !== 'system' ? await fileText(files.ca) : undefined)
  const cert = tls.certificate ?? (files.certificate ? await fileText(files.certificate) : undefined)
  const key = tls.key?.reveal() ?? (files.key ? await fileText(files.key) : undefined)
  return { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) }
}

/** Only of a file: whoever configures a connection could name a device that never ends, or a pipe that never answers. */
async function fileText(path: string): Promise<string> {
  try {
    const file = await openFile(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const about = await file.stat()
      if (!about.isFile() || about.size > longestFileBytes) throw new Error('it is no file of keys')
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch {
    throw refused('a certificate or key file that connection_url names cannot be read on the server')
  }
}

// https://www.postgresql.org/docs/15/errcodes-appendix.html
const isSignIn = ({ code = '' }: pg.DatabaseError): boolean => code.startsWith('28')
/** The second: it may not connect to the database. */
const isNotLetIn = (error: pg.DatabaseError): boolean => isSignIn(error) || error.code === '42501'
const isConnectionError = ({ code = '' }: pg.DatabaseError): boolean => /^(?:08|57P|53300)/.test(code)

function translated(error: unknown, secrets: readonly Secret[]): unknown {
  if (!(error instanceof Error) || error.name === 'AppError') return error
  const words = withoutSecrets(reasonOf(error), secrets)
  if (!(error instanceof pg.DatabaseError)) {
    const code = 'code' in error ? ` (${String(error.code)})` : ''
    return unreachable(`PostgreSQL cannot be reached: ${words || 'no connection'}${code}`)
  }
  if (isSignIn(error)) return signInRefused(`PostgreSQL does not let Keyward in: ${words}`)
  // The server may have said this after it had committed: it was stopped, or broke off.
  if (isConnectionError(error)) return unreachable(`PostgreSQL says: ${words} (${error.code})`)
  return refused(`PostgreSQL says: ${words} (${error.code})`)
}
