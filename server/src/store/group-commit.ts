import { AppError } from '../core/index.ts'
import type { Sql } from './sql.ts'
import type { Durability, Tx } from './store.ts'

/** The one connection that writes. Statements are awaited one at a time. */
export type WriteConnection = {
  exec(statement: string): Promise<void>
  all<Row>(query: Sql): Promise<Row[]>
  get<Row>(query: Sql): Promise<Row | undefined>
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
  readonly afterCommit: (() => void)[]
  readonly afterEnd: (() => void)[]
  value?: unknown
}

const largestBatch = 128
const commitsPerSync = 100
const isUrgent = ({ durability }: Pick<Job, 'durability'>): boolean => durability === 'kernel'
const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Group commit: transactions that wait at the same time share one database transaction, each in a savepoint of its own, and
 * one sync of the disk. A job that throws undoes its own savepoint only.
 */
export function createGroupCommit(connection: WriteConnection) {
  const waiting: Job[] = []
  let draining: Promise<void> | undefined
  /** The newest sync of the disk, while it is under way. */
  let syncing: Promise<void> | undefined
  /** Commits since the last sync. */
  let unsynced = 0
  /** How many of those that wait do not wait for the disk; `hurry` tells that one has come. */
  let urgent = 0
  let hurry = (): void => undefined
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

  /** Without `async` of its own, because nine statements make a write of a secret. */
  function told<T>(job: Job, statement: (connection: WriteConnection) => Promise<T>): Promise<T> {
    try {
      return statement(inside(job))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  const txFor = (job: Job): Tx => ({
    all: (query) => told(job, (open) => open.all(query)),
    get: (query) => told(job, (open) => open.get(query)),
    run: (query) => told(job, (open) => open.run(query)),
    afterCommit: (call) => void job.afterCommit.push(call),
    afterEnd: (call) => void job.afterEnd.push(call),
  })

  /** A job that is alone has the whole transaction for its savepoint. */
  async function runJob(job: Job, alone: boolean): Promise<boolean> {
    if (!alone) await connection.exec('savepoint job')
    running = job
    try {
      job.value = await job.work(txFor(job))
      running = undefined
      if (!alone) await connection.exec('release savepoint job')
      return true
    } catch (error) {
      running = undefined
      fail(job, error)
      if (alone || !connection.inTransaction()) throw error
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
      for (const job of batch) if (await runJob(job, batch.length === 1)) done.push(job)
      await connection.exec('commit')
      return done
    } catch (error) {
      // Nothing of this batch is stored. Failing what has failed already has no effect.
      for (const job of batch) fail(job, error)
      if (connection.inTransaction()) await connection.exec('rollback').catch(() => undefined)
      return []
    }
  }

  function settle(job: Job): void {
    for (const call of job.afterCommit) call()
    end(job)
    job.resolve(job.value)
  }

  function fail(job: Job, error: unknown): void {
    end(job)
    job.reject(error)
  }

  function end(job: Job): void {
    for (const call of job.afterEnd.splice(0)) call()
  }

  /** The next jobs, together with all that can come along without waiting longer. */
  async function gather(): Promise<Job[]> {
    // What else comes in this turn of the event loop, such as requests of other connections.
    await endOfTurn()
    // Who waits for the disk waits for the sync under way in any case; what comes until it ends shares the next.
    const hurried = new Promise<void>((resolve) => {
      hurry = resolve
    })
    if (syncing && urgent === 0) await Promise.race([syncing, hurried])
    const batch = waiting.splice(0, largestBatch)
    urgent = waiting.filter(isUrgent).length
    return batch
  }

  /** Answers the jobs when the disk has them. */
  async function settleOnDisk(jobs: readonly Job[]): Promise<void> {
    try {
      await connection.sync()
      for (const job of jobs) settle(job)
    } catch (error) {
      for (const job of jobs) fail(job, error)
    }
  }

  /**
   * When nobody waits for the disk, the log is synced all the same, in the background: else a checkpoint would have to do it, and the
   * process stands still for that.
   */
  function syncNowAndThen(): void {
    if (++unsynced < commitsPerSync) return
    unsynced = 0
    // A log that cannot be synced tells so to the next who waits for it.
    connection.sync().catch(() => undefined)
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const done = await commitBatch(await gather())
      for (const job of done) if (isUrgent(job)) settle(job)
      const toSync = done.filter((job) => !isUrgent(job))
      if (toSync.length === 0) {
        syncNowAndThen()
        continue
      }
      unsynced = 0
      // Not awaited: work that does not wait for the disk goes on while this batch reaches it.
      const reached = settleOnDisk(toSync).finally(() => {
        if (syncing === reached) syncing = undefined
      })
      syncing = reached
    }
    draining = undefined
  }

  return {
    write<T>(work: (tx: Tx) => Promise<T>, durability: Durability): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        const settled = { resolve: resolve as (value: unknown) => void, reject }
        const job: Job = { work, durability, ...settled, afterCommit: [], afterEnd: [] }
        waiting.push(job)
        if (isUrgent(job)) {
          urgent++
          hurry()
        }
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
