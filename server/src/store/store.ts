import type { Sql, SqlValue } from './sql.ts'

/** Reads see what is committed. Each call is one statement; rows come back as plain objects keyed by column name. */
export type Reader = {
  all<Row>(query: Sql): Promise<Row[]>
  get<Row>(query: Sql): Promise<Row | undefined>
}

/**
 * One write transaction. Everything done through it commits together or not at all.
 * A `Tx` is used by one caller at a time, and only statements are awaited inside it: no network, no timers.
 */
export type Tx = Reader & {
  /** Runs a statement that changes rows; returns how many. */
  run(query: Sql): Promise<number>
  /**
   * Runs a statement whose outcome nobody here waits for: at the end of the transaction, or before its next other statement. That
   * spares a savepoint, so it has to be one that only a failing database refuses: all who share the commit may fail with it.
   */
  put(query: Sql, only?: OnlyIf): void
  /** Hands something to `collector`, which stores it with what others have handed to it, before the commit that they share. */
  collect<T>(collector: Collector<T>, item: T): void
  /** Called once, after the commit is durable. Not called when the transaction fails. */
  afterCommit(call: () => void): void
  /** Called once when the transaction is over, whichever way, after what `afterCommit` calls. */
  afterEnd(call: () => void): void
}

/** What is put has to change so many rows; else its transaction fails, as if the database had refused it. */
export type OnlyIf = { readonly changes: number; readonly otherwise: () => Error }

/** Called once a commit, in the same database transaction as all that `items` belong to; if it throws, nothing of that is stored. */
export type Collector<T> = (tx: Pick<Tx, 'all' | 'get' | 'run'>, items: readonly T[]) => Promise<void>

export type Durability =
  /** Resolves when the commit is on disk. */
  | 'disk'
  /** Resolves when the operating system has it: survives `kill -9`, not a power cut. */
  | 'kernel'

export type Store = Reader & {
  readonly dialect: Dialect
  /** Runs `work` in a transaction, alone: transactions of one process never interleave. Rolled back when it throws. */
  write<T>(work: (tx: Tx) => Promise<T>, durability?: Durability): Promise<T>
  /**
   * Runs the `job` that a module exports, in a transaction of its own, in another thread, and resolves when it is as durable as asked: on disk unless
   * said otherwise. For long work whose input does not have to be sent. Only where the database is a file; elsewhere it is done with `write`.
   */
  aside?<Input, Output>(module: URL, input: Input, durability?: Durability): Promise<Output>
  /** Applies what is new, in order. Refuses a database that a newer Keyward has written. */
  migrate(migrations: readonly Migration[]): Promise<void>
  /**
   * Shows all tables as they were at one moment, however long `work` takes; others write meanwhile. Tables come in the order in
   * which they were made, so that what is referred to comes first; `migrations` made them.
   */
  copy<T>(work: (tables: readonly CopiedTable[], migrations: readonly string[]) => Promise<T>): Promise<T>
  /** Resolves if the store can write now, else throws the reason as an AppError. */
  check(): Promise<void>
  close(): Promise<void>
}

/** What a module exports for `aside`, by the name of `job`. Input and output are cloned on their way. */
export type AsideJob<Input, Output> = (tx: Pick<Tx, 'all' | 'get' | 'run'>, input: Input) => Promise<Output>

/** Rows come in chunks, their values in the order of `columns`. */
export type CopiedTable = {
  readonly name: string
  readonly columns: readonly string[]
  rows(): AsyncIterable<SqlValue[][]>
}

export type Dialect = 'sqlite' | 'postgres'

/** Forward only. `id` sorts; `up` gives statements for a dialect. Once released it never changes. */
export type Migration = { readonly id: string; readonly up: (types: ColumnTypes) => readonly string[] }

/** What the two databases name differently. Times are milliseconds since 1970 in an `int8`; JSON is text. */
export type ColumnTypes = { readonly bytes: string; readonly int8: string }
