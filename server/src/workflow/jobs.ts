import type { Clock } from '../core/index.ts'
import type { Shared, SharedKeys } from './shared-keys.ts'
import { createWaitingLine } from './waiting-line.ts'

/** Something the host has in hand for one task: asking for its approval, or starting and running it. */
export type Job = {
  readonly kind: 'ask' | 'start'
  readonly runId: string
  readonly taskId: string
  /** The highest goes first; who came first among equals. 0 when absent. */
  readonly priority?: number | undefined
  readonly shared?: Shared | undefined
}
type Task = Pick<Job, 'runId' | 'taskId'>

/**
 * At most one job for a task, and so many at once in all. A task keeps its slot until `done`; who finds none waits in line.
 */
export type Jobs = {
  /** Begins the job now or when a slot is free; nothing happens when the task is in hand already. */
  add(job: Job): void
  /**
   * Takes a slot for a job that the caller begins itself; false when none is free, others wait, or the task is in hand. With `ending` it
   * can be the slot of a task that is over, so that a run goes on; now and then that goes to who waits.
   */
  claim(job: Job, ending?: Task): boolean
  done(job: Job): void
  /** The task's attempt has ended, and what it freed has begun. */
  over(task: Task): void
  has(task: Task): boolean
  /** Calls once after a while, unless cleared; replaces what waits for this task. */
  later(task: Task, milliseconds: number, call: () => void): void
  /** The runs that have something in hand, in line or on a timer. */
  runs(): ReadonlySet<string>
  /** Forgets what has not begun. */
  clear(): void
}

/** `passedOn`: how often the slot has gone from one task of a run to the next, while others may have waited. */
type Held = { readonly job: Job; readonly passedOn: number }
const mostPassedOn = 8

type Needs = {
  clock: Pick<Clock, 'after'>
  concurrency: number
  keys: SharedKeys
  begin: (job: Job) => void
}

export function createJobs({ clock, concurrency, keys, begin }: Needs): Jobs {
  const active = new Map<string, Held>()
  const waiting = createWaitingLine()
  const timers = new Map<string, { runId: string; cancel: () => void }>()
  const keyOf = ({ runId, taskId }: Task): string => `${runId}:${taskId}`

  const held = keys.of(() => fill())

  const hasRoom = ({ shared }: Job, ending?: Held): boolean =>
    shared === undefined || held.room(shared, ending && keyOf(ending.job)) > 0

  function hold(job: Job, passedOn: number): void {
    active.set(keyOf(job), { job, passedOn })
    if (job.shared) held.take(job.shared, keyOf(job))
  }

  function letGo(job: Job): void {
    active.delete(keyOf(job))
    if (job.shared) held.free(job.shared, keyOf(job))
  }

  const nextInLine = (): Job | undefined => waiting.first((key, job) => !active.has(key) && hasRoom(job))

  const mayPassOn = ({ passedOn }: Held, { priority = 0 }: Job): boolean =>
    passedOn < mostPassedOn && (nextInLine()?.priority ?? priority) <= priority

  function fill(): void {
    while (active.size < concurrency && waiting.size() > 0) {
      const job = nextInLine()
      if (!job) return
      const key = keyOf(job)
      waiting.delete(key)
      hold(job, 0)
      begin(job)
    }
  }

  return {
    add(job) {
      if (active.get(keyOf(job))?.job.kind === job.kind) return
      waiting.put(keyOf(job), job)
      fill()
    },
    claim(job, ending) {
      const key = keyOf(job)
      const over = ending && active.get(keyOf(ending))
      if (active.has(key) || !hasRoom(job, over)) return false
      const isFree = active.size < concurrency && waiting.size() === 0
      if (!isFree && !(over && mayPassOn(over, job))) return false
      if (!isFree && over) letGo(over.job)
      hold(job, isFree || !over ? 0 : over.passedOn + 1)
      return true
    },
    done(job) {
      if (active.get(keyOf(job))?.job === job) letGo(job)
      fill()
    },
    over(task) {
      const over = active.get(keyOf(task))?.job
      if (over?.kind === 'start') letGo(over)
      fill()
    },
    has: (task) => active.has(keyOf(task)) || waiting.has(keyOf(task)),
    later(task, milliseconds, call) {
      const key = keyOf(task)
      timers.get(key)?.cancel()
      const cancel = clock.after(milliseconds, () => {
        timers.delete(key)
        call()
      })
      timers.set(key, { runId: task.runId, cancel })
    },
    runs: () =>
      new Set(
        [...[...active.values()].map(({ job }) => job), ...waiting.jobs(), ...timers.values()].map(
          ({ runId }) => runId,
        ),
      ),
    clear() {
      waiting.clear()
      for (const { cancel } of timers.values()) cancel()
      timers.clear()
    },
  }
}
