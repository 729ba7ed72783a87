import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { AppError, reasonOf } from '../core/index.ts'
import type { Sql } from './sql.ts'

/** The statements of one connection, each prepared once. */
export function statementCache(db: DatabaseSync, file: string) {
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

export const damage = (file: string, what: string): string =>
  `${file}: ${what}. Nothing was changed. Stop Keyward, keep a copy of this file, and restore the last backup.`

/** SQLite's result codes that an owner can act on: https://sqlite.org/rescode.html */
export function translated(error: unknown, file: string): unknown {
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
