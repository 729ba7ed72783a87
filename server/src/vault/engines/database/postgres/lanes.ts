import { createHash } from 'node:crypto'
import type { Secret } from '../../../../core/index.ts'
import { isRefusal } from '../failure.ts'
import type { Session, Sessions } from './sessions.ts'

/** One change of one role. */
export type Change = {
  readonly name: string
  /** Kept out of the words of a failure. */
  readonly secrets: readonly Secret[]
  /** The statements, given the role if there is one; undefined: nothing is to be done. */
  text(role: Role | undefined): Statements | undefined
  /** Whether this failure only says that the role is gone. */
  isGone?(code: string, role: Role | undefined): boolean
  /** Sends the statements that make the change and end the transaction, with what has to be so meanwhile. */
  readonly around?: (send: () => Promise<void>) => Promise<void>
  /** Sessions of the role are ended when its end is stored: they would outlive it. */
  readonly endsSessions?: boolean
}
export type Role = { readonly oid: number }
/** `first` touches nothing but the role itself; it takes the server some milliseconds, because of the password. */
export type Statements = { readonly first?: string; readonly rest: string }

/**
 * Changes of roles. PostgreSQL refuses two that touch the rights on one table at the same time, so those parts go one after the
 * other, while roles are made side by side. What comes together shares a transaction, and so one sync of the server's disk;
 * when that fails, or one of them has statements that others would feel, each has one of its own.
 */
export type Lanes = { run(change: Change): Promise<void> }

type Waiting = { readonly change: Change; resolve(): void; reject(error: unknown): void }

const mostTogether = 8
const statementMilliseconds = 30_000
const lockMilliseconds = 10_000
const tries = 5
/** What holds for whoever comes after it in the transaction, or in the session: the role, the search path, a transaction's end. */
const lasting = /\b(?:set|set_config|reset|discard|commit|rollback|abort)\b/i

export function createLanes(sessions: Pick<Sessions, 'run'>, count: number): Lanes {
  let waiting: Waiting[] = []
  let busy = 0

  const perform = (changes: readonly Change[]): Promise<Outcome> =>
    sessions.run(
      changes.flatMap(({ secrets }) => secrets),
      (session) => performed(session, changes),
    )

  async function performEach(batch: readonly Waiting[]): Promise<void> {
    for (const { change, resolve, reject } of batch) await perform([change]).then(() => resolve(), reject)
  }

  async function performBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcome = await perform(batch.map(({ change }) => change))
      if (outcome === 'apart') return performEach(batch)
      for (const { resolve } of batch) resolve()
    } catch (error) {
      // Certainly none of it is stored: whoever is not to blame shall not suffer.
      if (batch.length > 1 && isRefusal(error)) return performEach(batch)
      for (const { reject } of batch) reject(error)
    }
  }

  async function drain(): Promise<void> {
    busy++
    while (waiting.length > 0) {
      const share = Math.min(mostTogether, Math.ceil(waiting.length / count))
      const batch = waiting.slice(0, share)
      waiting = waiting.slice(share)
      await performBatch(batch)
    }
    busy--
  }

  return {
    run: (change) =>
      new Promise((resolve, reject) => {
        waiting.push({ change, resolve, reject })
        if (busy < count) void drain()
      }),
  }
}

/** `apart`: nothing was done, because they have to be done one by one. */
type Outcome = 'done' | 'apart'

async function performed(session: Session, changes: readonly Change[]): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(session, changes)
    } catch (error) {
      // Somebody else changed rights on the same table at this moment.
      if (attempt === tries || !/tuple concurrently/.test(String(error))) throw error
      await session('rollback')
    }
  }
}

/**
 * Who makes a role and who removes it take the same lock first, and what they do is sent when they have it: so removing waits for
 * a role that a process, dead by now, had just asked for, and none comes into being afterwards.
 */
async function once(session: Session, changes: readonly Change[]): Promise<Outcome> {
  const roles = await lockRoles(session, changes)
  const wanted = changes.flatMap((change) => {
    const role = roles.get(change.name)
    const text = change.text(role)
    return text === undefined ? [] : [{ change, role, text }]
  })
  const isLasting = wanted.some(({ text: { first = '', rest } }) => lasting.test(first) || lasting.test(rest))
  if (isLasting && changes.length > 1) {
    await session('rollback')
    return 'apart'
  }
  const ending = wanted.flatMap(({ change, role }) => (change.endsSessions && role ? [role.oid] : []))
  const statements = [
    ...wanted.flatMap(({ text: { first } }) => (first === undefined ? [] : [first])),
    ...(wanted.length > 0 ? [oneAfterTheOther] : []),
    ...wanted.map(({ text: { rest } }) => rest),
    'commit',
    ...(ending.length > 0 ? [endSessions(ending)] : []),
  ]
  try {
    const send = async (): Promise<void> => void (await session(statements.join(';\n')))
    await wanted.reduce((inner, { change: { around } }) => (around ? () => around(inner) : inner), send)()
    // The session is used by others after this.
    if (isLasting) await session('discard all')
  } catch (error) {
    const [only] = wanted
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (wanted.length !== 1 || !only?.change.isGone?.(code, only.role)) throw error
    await session('rollback')
  }
  return 'done'
}

async function lockRoles(session: Session, changes: readonly Change[]): Promise<Map<string, Role>> {
  const names = changes.map(({ name }) => name)
  const locks = names.map(lockOf).sort()
  const rows = await session(
    `begin; set local statement_timeout = ${statementMilliseconds}; set local lock_timeout = ${lockMilliseconds};` +
      ` set local idle_in_transaction_session_timeout = ${statementMilliseconds};` +
      ` select ${locks.map((lock) => `pg_advisory_xact_lock(${lock})`).join(', ')};` +
      ` select rolname, oid from pg_roles where rolname in (${names.map(literal).join(', ')})`,
  )
  return new Map(rows.map(({ rolname, oid }) => [String(rolname), { oid: Number(oid) }]))
}

/** Only where the account may end sessions of others; otherwise they end when their client goes. */
const endSessions = (oids: readonly number[]): string =>
  `select pg_terminate_backend(pid) from pg_stat_activity where usesysid in (${oids.join(', ')})` +
  ` and pid <> pg_backend_pid() and pg_has_role(current_user, 'pg_signal_backend', 'usage')`

const lockId = (text: string): string =>
  createHash('sha256').update(text).digest().readBigInt64BE().toString()
/** A lock that only those take who mean the same role. */
const lockOf = (name: string): string => lockId(`keyward user\0${name}`)
/** A lock of all who change rights. */
const oneAfterTheOther = `select pg_advisory_xact_lock(${lockId('keyward rights')})`

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
