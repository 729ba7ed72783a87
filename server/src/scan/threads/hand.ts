import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Job, Looked } from './job.ts'
import { type Blueprint, notBegun, type Order, type Report, unpacked, type WorkerData } from './message.ts'

/** One thread that looks through what it is given. When it dies, another takes its place. */
export type Hand = {
  /** Jobs are done in turn. Rejects when the hand is dismissed meanwhile, or cannot work at all. */
  look(job: Job): Promise<Looked[]>
  dismiss(): Promise<void>
}

export type HandNeeds = {
  readonly blueprint: Blueprint
  readonly heapMegabytes: number
  /** Without a sign of life for so long, a thread is ended. Work is counted, so only an endless pattern comes to this. */
  readonly silentSeconds: number
  /** The module that the thread runs; another one only where a thread's death is tested. */
  readonly main?: URL
}

type Task = Omit<Order, 'passedOver'> & {
  passedOver: Order['passedOver']
  resolve(looked: Looked[]): void
  reject(error: Error): void
}

/** A source file when run from source, a compiled one when installed. */
const workerModule = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)
const [index, life, working] = [0, 1, 2]

/** The folder that this thread uses holds one for each version of Node. */
function compiledIn(): string | undefined {
  const folder = getCompileCacheDir()
  return folder === undefined ? undefined : dirname(folder)
}

export function hire({ blueprint, heapMegabytes, silentSeconds, main = workerModule }: HandNeeds): Hand {
  const signs = new Int32Array(new SharedArrayBuffer(12))
  /** In the order in which the thread works on them. */
  const tasks: Task[] = []
  let given = 0
  let dismissed = false
  let reason = ''
  let worker = start()
  const watch = setInterval(endIfSilent(), silentSeconds * 1000)
  watch.unref()

  function start(): Worker {
    reason = 'the thread that looked through it ended'
    Atomics.store(signs, index, notBegun)
    Atomics.store(signs, working, notBegun)
    const begun = new Worker(main, {
      workerData: { ...blueprint, signs: signs.buffer, compiled: compiledIn() } satisfies WorkerData,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes, maxYoungGenerationSizeMb: 6 },
    })
    begun.on('message', ({ number, packed }: Report) => {
      const done = tasks[0]?.number === number ? tasks.shift() : undefined
      done?.resolve(unpacked(packed))
    })
    begun.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'it needs more memory than a scan may use' : reason
    })
    begun.on('exit', fell)
    return begun
  }

  /** What it was looking at is told and passed over; the rest of its jobs begins again on a new thread. */
  function fell(): void {
    const at = Atomics.load(signs, index)
    const number = Atomics.load(signs, working)
    const task = tasks.find((each) => each.number === number)
    if (dismissed || number === notBegun || (task && at === notBegun)) {
      for (const each of tasks.splice(0)) each.reject(new Error('the thread of a scan ended before it began'))
      return
    }
    if (task) task.passedOver = new Map(task.passedOver).set(at, reason)
    worker = start()
    for (const each of tasks) order(each)
  }

  function order({ number, job, passedOver }: Task): void {
    worker.postMessage({ number, job, passedOver } satisfies Order)
  }

  function endIfSilent(): () => void {
    let last: { task: Task | undefined; life: number } = { task: undefined, life: 0 }
    return () => {
      const now = { task: tasks[0], life: Atomics.load(signs, life) }
      const silent = now.task && now.task === last.task && now.life === last.life
      last = now
      if (!silent || Atomics.load(signs, index) === notBegun) return
      reason = `looking through it took more than ${silentSeconds} seconds`
      void worker.terminate()
    }
  }

  return {
    look: (job) =>
      new Promise((resolve, reject) => {
        if (dismissed) reject(new Error('the scan was ended'))
        else {
          const task = { number: given++, job, passedOver: new Map(), resolve, reject }
          tasks.push(task)
          order(task)
        }
      }),
    async dismiss() {
      dismissed = true
      clearInterval(watch)
      await worker.terminate()
    },
  }
}
