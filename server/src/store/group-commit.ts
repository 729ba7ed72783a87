import { AppError, createGathering } from '../core/index.ts'
import type { Sql } from './sql.ts'
import type { Collector, Durability, OnlyIf, Tx } from './store.ts'

/** The one connection that writes. Statements are awaited one at a time. */
export type WriteConnection = {
  exec(statement: string): Promise<void>
  all<Row>(query: Sql): Promise<Row[]>
  get<Row>(query: Sql): Promise<Row | undefined>
  run(query: Sql): Promise<number>
  /** In this order; fails at the first that does not do what it is put for. */
  runAll(puts: readonly Put[]): Promise<void>
  /** Whether a statement that fails spoils the whole transaction even when it only reads, as with PostgreSQL. */
  readonly readsCanSpoil: boolean
  /** False when the database has already rolled the transaction back by itself, as SQLite does when the disk is full. */
  inTransaction(): boolean
  /** Resolves when everything committed so far is on disk. */
  sync(): Promise<void>
}

export type Put = { readonly query: Sql; readonly only: OnlyIf | undefined }

/** @param changed how many rows the statement has changed */
export function assertChanged({ only }: Put, changed: number): void {
  if (only && changed !== only.changes) throw only.otherwise()
}

type Job = {
  readonly work: (tx: Tx) => Promise<unknown>
  readonly durability: Durability
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly afterCommit: (() => void)[]
  readonly afterEnd: (() => void)[]
  /** Statements that were put and not yet run. */
  readonly puts: Put[]
  readonly items: { readonly collector: Collector<never>; readonly item: unknown }[]
  /**
   * What would have to be undone if it failed: nothing yet, all since its savepoint, or the whole transaction, because it is alone or has
   * nothing left to do but what it has put.
   */
  stake: 'nothing' | 'savepoint' | 'transaction'
  value?: unknown
}

const largestBatch = 128
const commitsPerSync = 100
const isUrgent = ({ durability }: Pick<Job, 'durability'>): boolean => durability === 'kernel'
const isRead = ({ text }: Sql): boolean => text.startsWith('select')
const rolledBack = (): AppError =>
  new AppError('store.unavailable', 'the database has rolled the transaction back. Nothing was changed.')

/**
 * Group commit: transactions that wait at the same time share one database transaction and one sync of the disk. Each has a savepoint
 * of its own from its first change on, unless all its changes are put to its end. One that throws undoes its own changes only.
 */
export function createGroupCommit(
  connection: WriteConnection,
  /** Told of each commit. */
  committed: () => void = () => undefined,
  /** On a clock that is never set back. */
  milliseconds?: () => number,
) {
  const waiting: Job[] = []
  const gathering = createGathering(milliseconds)
  /** What another connection is to do between two commits. */
  const turns: (() => Promise<void>)[] = []
  let draining: Promise<void> | undefined
  /** The newest sync of the disk, while it is under way. */
  let syncing: Promise<void> | undefined
  /** Commits since the last sync. */
  let unsynced = 0
  /** How many of those that wait do not wait for the disk; `hurry` tells that one has come. */
  let urgent = 0
  let hurry = (): void => undefined
  /** The job whose turn it is. */
  let running: Job | undefined

  /**
   * Outside of its own turn a statement would be stored by itself, or in somebody else's transaction: after the job has
   * ended, and after the database has rolled back by itself and the job went on regardless.
   */
  function inside(job: Job): WriteConnection {
    if (running !== job) throw new Error('a transaction was used after its end')
    if (connection.inTransaction()) return connection
    throw rolledBack()
  }

  /** Without `async` of its own for what most statements are: they come by the dozen. */
  function told<T>(job: Job, query: Sql, statement: (connection: WriteConnection) => Promise<T>): Promise<T> {
    try {
      const open = inside(job)
      const isPlain = job.puts.length === 0 && (job.stake !== 'nothing' || isRead(query))
      return isPlain ? statement(open) : toldAfterPuts(job, open, statement)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async function toldAfterPuts<T>(
    job: Job,
    open: WriteConnection,
    statement: (connection: WriteConnection) => Promise<T>,
  ): Promise<T> {
    if (job.stake === 'nothing') await save(job)
    await open.runAll(job.puts.splice(0))
    return statement(inside(job))
  }

  async function save(job: Job): Promise<void> {
    await connection.exec('savepoint job')
    job.stake = 'savepoint'
  }

  /** At its end, nothing is left in a job that could fail: its changes need no savepoint any more. */
  async function runPuts(job: Job): Promise<void> {
    const open = inside(job)
    if (job.stake === 'nothing') job.stake = 'transaction'
    await open.runAll(job.puts.splice(0))
  }

  const txFor = (job: Job): Tx => ({
    all: (query) => told(job, query, (open) => open.all(query)),
    get: (query) => told(job, query, (open) => open.get(query)),
    run: (query) => told(job, query, (open) => open.run(query)),
    put(query, only) {
      inside(job)
      job.puts.push({ query, only })
    },
    collect(collector, item) {
      inside(job)
      job.items.push({ collector: collector as Collector<never>, item })
    },
    afterCommit: (call) => void job.afterCommit.push(call),
    afterEnd: (call) => void job.afterEnd.push(call),
  })

  /** A job that is alone has the whole transaction for its savepoint. */
  async function runJob(job: Job, alone: boolean): Promise<boolean> {
    if (alone) job.stake = 'transaction'
    else if (connection.readsCanSpoil) await save(job)
    running = job
    try {
      job.value = await job.work(txFor(job))
      if (job.puts.length > 0) await runPuts(job)
      running = undefined
      if (job.stake === 'savepoint') await connection.exec('release savepoint job')
      return true
    } catch (error) {
      running = undefined
      fail(job, error)
      await undo(job, error)
      return false
    }
  }

  /** Throws when more than the job has to be undone. */
  async function undo(job: Job, error: unknown): Promise<void> {
    if (job.stake === 'transaction' || !connection.inTransaction()) throw error
    if (job.stake === 'nothing') return
    await connection.exec('rollback to savepoint job')
    await connection.exec('release savepoint job')
  }

  async function storeCollected(jobs: readonly Job[]): Promise<void> {
    const collected = new Map<Collector<never>, unknown[]>()
    for (const { items } of jobs)
      for (const { collector, item } of items) {
        const others = collected.get(collector)
        if (others) others.push(item)
        else collected.set(collector, [item])
      }
    for (const [collector, items] of collected) {
      if (!connection.inTransaction()) throw rolledBack()
      await collector(connection, items as never[])
    }
  }

  /** Runs the jobs in one database transaction; returns those that succeeded. */
  async function commitBatch(batch: readonly Job[]): Promise<Job[]> {
    const done: Job[] = []
    try {
      await connection.exec('begin')
      for (const job of batch) if (await runJob(job, batch.length === 1)) done.push(job)
      await storeCollected(done)
      await connection.exec('commit')
      committed()
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

  /** What else comes in this turn of the event loop, such as requests of other connections, and in those after it that bring more. */
  const untilNobodyComes = (): Promise<void> =>
    gathering.untilNobodyComes(
      () => waiting.length,
      () => waiting.length < largestBatch,
      () => urgent === 0,
    )

  /** The next jobs, together with all that can come along without waiting longer. */
  async function gather(): Promise<Job[]> {
    await untilNobodyComes()
    // Who waits for the disk waits for the sync under way in any case; what comes until it ends shares the next.
    const hurried = new Promise<void>((resolve) => {
      hurry = resolve
    })
    if (syncing && urgent === 0) {
      await Promise.race([syncing, hurried])
      // Those who have just been answered may come again at once.
      await untilNobodyComes()
    }
    const batch = waiting.splice(0, largestBatch)
    urgent = waiting.filter(isUrgent).length
    return batch
  }

  /** Answers the jobs when the disk has them. */
  async function settleOnDisk(jobs: readonly Job[]): Promise<void> {
    try {
      await gathering.around(connection.sync)
      for (const job of jobs) settle(job)
      gathering.expect(jobs.length + waiting.length)
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

  /** Does work of another connection when there is no transaction here, and none begins until it is done. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      turns.push(() => work().then(resolve, reject))
      draining ??= drain()
    })
  }

  async function commitNext(): Promise<void> {
    const done = await commitBatch(await gather())
    for (const job of done) if (isUrgent(job)) settle(job)
    const toSync = done.filter((job) => !isUrgent(job))
    if (toSync.length === 0) return syncNowAndThen()
    unsynced = 0
    // Not awaited: work that does not wait for the disk goes on while this batch reaches it.
    const reached = settleOnDisk(toSync).finally(() => {
      if (syncing === reached) syncing = undefined
    })
    syncing = reached
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0 || turns.length > 0) {
      for (const turn of turns.splice(0)) await turn()
      if (waiting.length > 0) await commitNext()
    }
    draining = undefined
  }

  return {
    write<T>(work: (tx: Tx) => Promise<T>, durability: Durability): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        const settled = { resolve: resolve as (value: unknown) => void, reject }
        const told = { afterCommit: [], afterEnd: [], puts: [], items: [] }
        const job: Job = { work, durability, ...settled, ...told, stake: 'nothing' }
        waiting.push(job)
        if (isUrgent(job)) {
          urgent++
          hurry()
        }
        draining ??= drain()
      })
    },
    inTurn,
    /** Resolves when nothing waits any more. */
    async idle(): Promise<void> {
      while (draining) await draining
      await connection.sync()
    },
  }
}
