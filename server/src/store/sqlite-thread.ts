import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { AppError, type Clock } from '../core/index.ts'

/** A second connection to the database, on a thread of its own, which begins with the first work for it and ends when there was none for a while. */
export type SqliteThread = {
  /** Copies as much of the log into the database as can be copied while others write. */
  checkpoint(): Promise<void>
  /** The job of a module, in a transaction. Nobody else writes meanwhile. */
  run<Input, Output>(module: URL, input: Input): Promise<Output>
  close(): Promise<void>
}

export type ThreadData = { readonly file: string; readonly compiled: string | undefined }
export type Task =
  | { readonly number: number; readonly kind: 'checkpoint' }
  | { readonly number: number; readonly kind: 'job'; readonly module: string; readonly input: unknown }
export type Report = {
  readonly number: number
  readonly output?: unknown
  readonly failure?: { readonly code: AppError['code'] | undefined; readonly detail: string }
}

type Open = { resolve(output: unknown): void; reject(error: unknown): void }
type Wanted =
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'job'; readonly module: string; readonly input: unknown }

/** A source file when run from source, a compiled one when installed. */
const workerModule = new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url)
/** What it holds at a time are a few rows. The less it may take, the sooner it collects what it does not need. */
const limits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 }
/** A thread takes 11 MB, and 40 ms of processor time to begin. */
const idleMs = 30_000

export function createSqliteThread(file: string, clock: Pick<Clock, 'after'>): SqliteThread {
  let worker: Worker | undefined
  let ending: Promise<unknown> | undefined
  let stay = (): void => {}
  let number = 0
  const open = new Map<number, Open>()

  function begin(): Worker {
    // The folder that this thread uses holds one for each version of Node.
    const folder = getCompileCacheDir()
    const compiled = folder === undefined ? undefined : dirname(folder)
    const workerData: ThreadData = { file, compiled }
    const begun = new Worker(workerModule, { workerData, env: {}, execArgv: [], resourceLimits: limits })
    begun.on('message', ({ number: of, output, failure }: Report) => {
      const task = open.get(of)
      open.delete(of)
      if (failure) task?.reject(errorOf(failure))
      else task?.resolve(output)
      if (open.size === 0) rest(begun)
    })
    let reason = 'the thread of the database ended'
    begun.on('error', (error) => {
      reason = `${reason}: ${error.message}`
    })
    begun.on('exit', () => {
      if (worker !== begun) return
      // The next work begins another.
      worker = undefined
      for (const { reject } of open.values()) reject(new AppError('store.unavailable', reason))
      open.clear()
    })
    return begun
  }

  function rest(idle: Worker): void {
    idle.unref()
    stay = clock.after(idleMs, () => {
      if (worker !== idle) return
      worker = undefined
      ending = idle.terminate()
    })
  }

  function ask(wanted: Wanted): Promise<unknown> {
    stay()
    worker ??= begin()
    const asked = worker
    return new Promise((resolve, reject) => {
      const task: Task = { ...wanted, number: ++number }
      open.set(task.number, { resolve, reject })
      asked.ref()
      asked.postMessage(task)
    })
  }

  return {
    async checkpoint() {
      await ask({ kind: 'checkpoint' })
    },
    run: <Input, Output>(module: URL, input: Input) =>
      ask({ kind: 'job', module: module.href, input }) as Promise<Output>,
    async close() {
      stay()
      await Promise.all([ending, worker?.terminate()])
    },
  }
}

const errorOf = ({ code, detail }: NonNullable<Report['failure']>): Error =>
  code === undefined ? new Error(detail) : new AppError(code, detail)
