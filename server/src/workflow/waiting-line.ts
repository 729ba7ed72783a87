import type { Job } from './jobs.ts'

/** Jobs that wait: the highest priority goes first, and of those who came first. */
export type WaitingLine = {
  size(): number
  has(key: string): boolean
  /** At the end of its priority's line, or in the place of what waits by this key. */
  put(key: string, job: Job): void
  delete(key: string): void
  /** The first that may go. Asks of those before it only. */
  first(mayGo: (key: string, job: Job) => boolean): Job | undefined
  jobs(): Iterable<Job>
  clear(): void
}

export function createWaitingLine(): WaitingLine {
  const all = new Map<string, Job>()
  /** By priority, the highest first. */
  let lines: { readonly priority: number; readonly jobs: Map<string, Job> }[] = []

  function lineOf({ priority = 0 }: Job): Map<string, Job> {
    const known = lines.find((line) => line.priority === priority)
    if (known) return known.jobs
    const line = { priority, jobs: new Map<string, Job>() }
    lines = [...lines, line].sort((a, b) => b.priority - a.priority)
    return line.jobs
  }

  function remove(key: string): void {
    const job = all.get(key)
    if (!job) return
    const line = lineOf(job)
    all.delete(key)
    line.delete(key)
    if (line.size === 0) lines = lines.filter(({ jobs }) => jobs !== line)
  }

  return {
    size: () => all.size,
    has: (key) => all.has(key),
    put(key, job) {
      const before = all.get(key)
      if (before && before.priority !== job.priority) remove(key)
      all.set(key, job)
      lineOf(job).set(key, job)
    },
    delete: remove,
    first(mayGo) {
      for (const { jobs } of lines) for (const [key, job] of jobs) if (mayGo(key, job)) return job
      return undefined
    },
    jobs: () => all.values(),
    clear() {
      all.clear()
      lines = []
    },
  }
}
