// What every engine of bench/runs.ts carries: nine tasks that do nothing but be counted, two of them at the same time, one after
// a person's approval, which is given as soon as it is asked for.
import { median, rounded } from '../figures.ts'
import { childrenOf, processorSeconds, residentMegabytes } from '../servers.ts'
import { type StepId, steps } from './steps.ts'

/** What a task does: it is counted by its idempotency key, `<run>:<task>`. */
export type Effect = (run: string, step: StepId) => void

/** An engine that a child process of the benchmark has started. */
export type Carrier = {
  /** Starts a run by this name, approves what it asks for, and resolves when it has succeeded. */
  carry(run: string): Promise<void>
  stop(): Promise<void>
}

export type Carried = {
  readonly runsPerSecond: number
  readonly taskMilliseconds: { readonly p50: number; readonly p99: number }
  readonly aloneMillisecondsPerRun: number
  /** User and system, of this process, while many runs are at it. */
  readonly workerProcessorMillisecondsPerRun: number
  readonly workerRssMegabytes: number
  /** The same of the servers and databases that the worker has started. */
  readonly serversProcessorMillisecondsPerRun: number
  readonly serversPssMegabytes: number
  readonly effects: number
  readonly repeatedEffects: number
  readonly missingEffects: number
}

const alone = 15
export const atOnce = 200

/** Counts effects, and takes the time from the end of what a task needs to its own beginning. */
function createLedger() {
  const at = new Map<string, number>()
  let repeated = 0
  const waits: number[] = []
  const effect: Effect = (run, id) => {
    const now = performance.now()
    const key = `${run}:${id}`
    if (at.has(key)) repeated++
    at.set(key, now)
  }
  /** Of the tasks that wait for other tasks only, not for a start or a person. */
  function noteWaits(run: string): void {
    for (const { id, needs, ...step } of steps) {
      if ('approved' in step || needs.length === 0) continue
      const freed = Math.max(...needs.map((need) => at.get(`${run}:${need}`) ?? Number.NaN))
      waits.push((at.get(`${run}:${id}`) ?? Number.NaN) - freed)
    }
  }
  return { effect, noteWaits, waits, effects: () => at.size, repeated: () => repeated }
}

const quantile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ??
  Number.NaN

/** Every process that this one has started, and those that they have. */
const servers = (pid = process.pid): number[] =>
  childrenOf(pid).flatMap((child) => [child, ...servers(child)])
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
const serverSeconds = (): number => sum(servers().map(processorSeconds))

/** Fifteen runs one at a time, then rounds of two hundred at once, of which the median counts. */
export async function measure(open: (effect: Effect) => Promise<Carrier>, rounds: number): Promise<Carried> {
  const ledger = createLedger()
  const carrier = await open(ledger.effect)
  let begun = 0
  const carryOne = async (): Promise<string> => {
    const run = `bench-${++begun}`
    await carrier.carry(run)
    return run
  }
  for (let i = 0; i < 5; i++) await carryOne()
  const aloneAt = performance.now()
  for (let i = 0; i < alone; i++) ledger.noteWaits(await carryOne())
  const aloneMilliseconds = (performance.now() - aloneAt) / alone
  const rates: number[] = []
  const before = process.cpuUsage()
  const serversBefore = serverSeconds()
  for (let round = 0; round < rounds; round++) {
    const roundAt = performance.now()
    await Promise.all(Array.from({ length: atOnce }, carryOne))
    rates.push((atOnce * 1000) / (performance.now() - roundAt))
  }
  const { user, system } = process.cpuUsage(before)
  const serversSeconds = serverSeconds() - serversBefore
  const serversPss = sum(servers().map((pid) => residentMegabytes(pid).pss))
  const workerRss = process.memoryUsage().rss / 2 ** 20
  await carrier.stop()
  return {
    runsPerSecond: rounded(median(rates)),
    taskMilliseconds: {
      p50: rounded(quantile(ledger.waits, 0.5), 2),
      p99: rounded(quantile(ledger.waits, 0.99), 2),
    },
    aloneMillisecondsPerRun: rounded(aloneMilliseconds, 1),
    workerProcessorMillisecondsPerRun: rounded((user + system) / 1000 / (rounds * atOnce), 2),
    workerRssMegabytes: rounded(workerRss),
    serversProcessorMillisecondsPerRun: rounded((serversSeconds * 1000) / (rounds * atOnce), 2),
    serversPssMegabytes: rounded(serversPss),
    effects: ledger.effects(),
    repeatedEffects: ledger.repeated(),
    missingEffects: begun * steps.length - ledger.effects(),
  }
}
