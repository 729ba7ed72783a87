import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8'
import type { Clock } from './clock.ts'

/**
 * Collects garbage once and gives free memory back to the system. Starting takes more than running does, and V8 keeps it until it
 * has been idle for long; it stops the process for as long as it takes, some 60 ms after a start. The inspector is the only
 * public way to ask V8 for it.
 */
export async function releaseMemory(): Promise<void> {
  const { Session } = await import('node:inspector/promises')
  const session = new Session()
  session.connect()
  try {
    await session.post('HeapProfiler.collectGarbage')
  } finally {
    session.disconnect()
  }
}

/** Both halves together. */
const youngGenerationBytes = 8 * 1024 * 1024
/**
 * By so much the older part grows before it is collected: an eighth of what V8 chooses when there is no time. Much less would stop the process
 * for milliseconds more often than once in a hundred requests.
 */
const growingPercent = 40

/**
 * Holds the part of the heap where new objects lie at 8 MB, once it has grown so far. V8 lets it grow to four times that as soon as there
 * is load, which makes the process larger and no faster: what a request leaves behind is a few kilobytes. Its size can be said on
 * Node's command line only, which is not ours; how fast it grows is read at each collection. To be called when it is small. The part for
 * what lives longer is held in the same way.
 */
export function holdYoungGeneration(): void {
  const observer = new PerformanceObserver(() => {
    if (youngBytes() < youngGenerationBytes) return
    setFlagsFromString('--semi-space-growth-factor=1')
    setFlagsFromString(`--heap-growing-percent=${growingPercent}`)
    observer.disconnect()
  })
  observer.observe({ entryTypes: ['gc'] })
}

const youngBytes = (): number =>
  getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ??
  youngGenerationBytes

const lookEveryMs = 60_000
/** A process that was busier than this in a minute may have requests that a collection would hold up. */
const idleProcessorMs = 3_000

type Idle = {
  readonly clock: Pick<Clock, 'after'>
  /** Processor time of this process so far. */
  processorMs(): number
  /** What V8 holds. */
  heapBytes(): number
  release(): Promise<void>
}

export const thisProcess: Omit<Idle, 'clock'> = {
  processorMs() {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
  heapBytes: () => getHeapStatistics().total_heap_size,
  release: releaseMemory,
}

/** Gives memory back in the first idle minute, and in each after work that has made the heap a quarter larger: V8 alone keeps it. Returns what ends this. */
export function releaseWhenIdle({ clock, processorMs, heapBytes, release }: Idle): () => void {
  let settledBytes = 0
  let before = processorMs()
  let cancel = clock.after(lookEveryMs, look)
  function look(): void {
    cancel = clock.after(lookEveryMs, look)
    const used = processorMs() - before
    before += used
    if (used > idleProcessorMs || heapBytes() < settledBytes * 1.25) return
    // What could not be given back now is tried again.
    release().then(
      () => {
        settledBytes = heapBytes()
      },
      () => {},
    )
  }
  return () => cancel()
}
