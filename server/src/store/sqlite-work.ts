import { DatabaseSync } from 'node:sqlite'
import { parentPort } from 'node:worker_threads'
import { AppError, reasonOf } from '../core/index.ts'
import { statementCache } from './sqlite-statements.ts'
import type { Report, Task } from './sqlite-thread.ts'
import type { AsideJob, Tx } from './store.ts'

type Statements = ReturnType<typeof statementCache>

/** Does what comes from the main thread, one after the other. */
export function serveThread(file: string): void {
  const db = new DatabaseSync(file, { timeout: 5000 })
  db.exec('pragma synchronous = normal; pragma wal_autocheckpoint = 0; pragma foreign_keys = on')
  const statements = statementCache(db, file)
  let last = Promise.resolve()
  parentPort?.on('message', (task: Task) => {
    last = last.then(async () => parentPort?.postMessage(await reported(task, statements)))
  })
}

async function reported(task: Task, statements: Statements): Promise<Report> {
  const { number } = task
  try {
    return { number, output: await outputOf(task, statements) }
  } catch (error) {
    const known = error instanceof AppError
    return {
      number,
      failure: { code: known ? error.code : undefined, detail: (known && error.detail) || reasonOf(error) },
    }
  }
}

async function outputOf(task: Task, statements: Statements): Promise<unknown> {
  if (task.kind === 'checkpoint') {
    statements.all({ text: 'pragma wal_checkpoint(passive)', values: [] })
    return undefined
  }
  const { job } = (await import(task.module)) as { job: AsideJob<unknown, unknown> }
  statements.exec('begin immediate')
  try {
    const output = await job(transactionOf(statements), task.input)
    statements.exec('commit')
    return output
  } catch (error) {
    try {
      statements.exec('rollback')
    } catch {
      // The database has done so by itself, as it does when the disk is full.
    }
    throw error
  }
}

const transactionOf = ({ all, get, run }: Statements): Pick<Tx, 'all' | 'get' | 'run'> => ({
  all: async (query) => all(query),
  get: async (query) => get(query),
  run: async (query) => run(query),
})
