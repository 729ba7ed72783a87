import { AppError } from '../core/index.ts'
import type { Sql } from './sql.ts'
import type { Durability, Tx } from './store.ts'

/** The one connection that writes. Statements are awaited one at a time. */
export type WriteConnection = {
  exec(statement: string): Promise<void>
  all<Row>(query: Sql): Promise<Row[]>
  run(query: Sql): Promise<number>
  /** False when the database has already rolled the transaction back by itself, as SQLite does when the disk is full. */
  inTransaction(): boolean
  /** Resolves when everything committed so far is on disk. */
  sync(): Promise<void>
}

type Job = {
  readonly work: (tx: Tx) => Promise<unknown>
  readonly durability: Durability
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly after: (() => void)[]
  value?: unknown
}

const largestBatch = 128
const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Group commit: transactions that wait at the same time share one database transaction, each in a savepoint of its own, and
 * one sync of the disk. A job that throws undoes its own savepoint only.
 */
export function createGroupCommit(connection: WriteConnection) {
  const waiting: Job[] = []
  let draining: Promise<void> | undefined
  /** The job whose savepoint is open. */
  let running: Job | undefined

  /**
   * Outside of its own savepoint a statement would be stored by itself, or in somebody else's transaction: after the job has
   * ended, and after the database has rolled back by itself and the job went on regardless.
   */
  function inside(job: Job): WriteConnection {
    if (running !== job) throw new Error('a transaction was used after its end')
    if (connection.inTransaction()) return connection
    throw new AppError(
      'store.unavailable',
      'the database has rolled the transaction back. Nothing was changed.',
    )
  }

  const txFor = (job: Job): Tx => ({
    all: async (query) => inside(job).all(query),
    async get<Row>(query: Sql) {
      return (await inside(job).all<Row>(query))[0]
    },
    run: async (query) => inside(job).run(query),
    afterCommit: (call) => void job.after.push(call),
  })

  async function runJob(job: Job): Promise<boolean> {
    await connection.exec('savepoint job')
    running = job
    try {
      job.value = await job.work(txFor(job))
      running = undefined
      await connection.exec('release savepoint job')
      return true
    } catch (error) {
      running = undefined
      job.reject(error)
      if (!connection.inTransaction()) throw error
      await connection.exec('rollback to savepoint job')
      await connection.exec('release savepoint job')
      return false
    }
  }

  /** Runs the jobs in one database transaction; returns those that succeeded. */
  async function commitBatch(batch: readonly Job[]): Promise<Job[]> {
    const done: Job[] = []
    try {
      await connection.exec('begin')
      for (const job of batch) if (await runJob(job)) done.push(job)
      await connection.exec('commit')
      return done
    } catch (error) {
      // Nothing of this batch is stored. Rejecting a promise that is settled already has no effect.
      for (const job of batch) job.reject(error)
      if (connection.inTransaction()) await connection.exec('rollback').catch(() => undefined)
      return []
    }
  }

  function settle(job: Job): void {
    for (const call of job.after) call()
    job.resolve(job.value)
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      // What else comes in this turn of the event loop, such as requests of other connections, shares the batch.
      await endOfTurn()
      const done = await commitBatch(waiting.splice(0, largestBatch))
      for (const job of done) if (job.durability === 'kernel') settle(job)
      const toSync = done.filter((job) => job.durability === 'disk')
      if (toSync.length === 0) continue
      // Not awaited: the next batch runs while this one reaches the disk.
      connection.sync().then(
        () => toSync.forEach(settle),
        (error) => {
          for (const job of toSync) job.reject(error)
        },
      )
    }
    draining = undefined
  }

  return {
    write<T>(work: (tx: Tx) => Promise<T>, durability: Durability): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        waiting.push({ work, durability, resolve: resolve as (value: unknown) => void, reject, after: [] })
        draining ??= drain()
      })
    },
    /** Resolves when nothing waits any more. */
    async idle(): Promise<void> {
      while (draining) await draining
      await connection.sync()
    },
  }
}
