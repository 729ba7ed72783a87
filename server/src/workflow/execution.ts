import { AppError, type Clock, digestOf, type Log, reasonOf } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import type { Action, TaskResult } from './action.ts'
import {
  type Abort,
  type Attempt,
  type Ending,
  eventOf,
  failureOf,
  placesOf,
  startAttempt,
} from './attempt.ts'
import type { OnBoundary } from './host-needs.ts'
import { contextOf, keyOf } from './inputs.ts'
import { type PlannedTask, timeoutSecondsOf } from './plan.ts'
import { plannedOf, type RunRecord } from './run-record.ts'
import type { HostWriter, Transitions, Work } from './transition.ts'

type Task = { readonly runId: string; readonly taskId: string }
type Attempted = Task & { readonly attempt: number }

/** The attempts that run in this process, each from the moment it is on disk until what came of it is. */
export type Execution<T extends Task> = {
  /** Runs the attempt that `run` says has begun. Resolves when its end is on disk; undefined when there is nothing to run. */
  begin(task: T, run: RunRecord): Promise<void> | undefined
  has(task: Task): boolean
  /** Tells one attempt to stop; `stop` is heeded only by what may run again. */
  abort(task: Task, why: Abort): void
  /** Tells everything to stop, or only what may run again. */
  stop(which: 'all' | 'idempotent'): void
  /** Completes the task and the action's own writes together. Returns the failure when those writes refused. */
  complete(attempted: Attempted, result: TaskResult): Promise<{ error: unknown } | undefined>
}

type Needs<T extends Task> = {
  store: Pick<Store, 'write'>
  transitions: Pick<Transitions, 'tell'>
  actions: ReadonlyMap<string, Action>
  clock: Clock
  log: Log
  writer: HostWriter
  onBoundary: OnBoundary
  /** The attempt is over, and its end is written or will be written by another. */
  onEnded: (task: T) => void
}

type Running = Attempt & { readonly idempotent: boolean }
/** How long an attempt may take to return after it was told to stop. */
export const graceSeconds = 10
const largestOutputBytes = 1024 * 1024

export function createExecution<T extends Task>(needs: Needs<T>): Execution<T> {
  const { store, transitions, actions, clock, log, onBoundary, onEnded } = needs
  const { transact, insist, tell } = needs.writer
  const running = new Map<string, Running>()

  function begin(task: T, run: RunRecord): Promise<void> | undefined {
    const { runId, taskId } = task
    const planned = plannedOf(run, taskId)
    const action = planned && actions.get(planned.action)
    if (!planned || !action) return undefined
    const attempt = startAttempt({
      execute: (signal, heartbeat) => {
        onBoundary(`${taskId}:started`, runId)
        return action.execute(contextOf(run, planned, { action, signal, heartbeat }))
      },
      timeoutSeconds: timeoutSecondsOf(planned),
      heartbeatSeconds: planned.heartbeatSeconds,
      graceSeconds,
      clock,
    })
    running.set(keyOf(runId, taskId), { ...attempt, idempotent: action.idempotent })
    return attempt.ended.then((ending) => {
      onBoundary(`${taskId}:executed`, runId)
      running.delete(keyOf(runId, taskId))
      return finish(run, planned, action, ending).finally(() => onEnded(task))
    })
  }

  async function finish(run: RunRecord, planned: PlannedTask, action: Action, ending: Ending): Promise<void> {
    const runId = run.id
    const taskId = planned.id
    const attempt = run.status.tasks.get(taskId)?.attempt ?? 0
    const about = {
      taskId,
      attempt,
      idempotent: action.idempotent,
      timeoutSeconds: timeoutSecondsOf(planned),
      heartbeatSeconds: planned.heartbeatSeconds,
      retryCodes: planned.retry?.codes,
      at: clock.now().getTime(),
      jitter: jitterOf(`${runId}:${taskId}:${attempt}`),
    }
    if (ending.kind === 'succeeded') {
      const failure = await complete({ runId, taskId, attempt }, ending.result)
      if (failure) await tell(runId, eventOf(failedBy(failure.error), about), { ending: { runId, taskId } })
    } else {
      if (ending.kind === 'failed' && !ending.aborted) reportFailure({ runId, taskId }, ending.error)
      await tell(runId, eventOf(ending, about), { ending: { runId, taskId } })
      if (ending.kind === 'gone') endLate({ runId, taskId }, action, ending.returned)
    }
    onBoundary(`${taskId}:completed`, runId)
  }

  const reportFailure = (task: Task, error: unknown): void =>
    log.warn({ ...task, reason: failureOf(error), at: placesOf(error) }, 'a task failed')

  async function complete(
    { runId, taskId, attempt }: Attempted,
    result: TaskResult,
  ): Promise<{ error: unknown } | undefined> {
    const output = JSON.stringify(result.output ?? null)
    if (output.length > largestOutputBytes) {
      return { error: new AppError('request.too_large', `the task's output has ${output.length} bytes`) }
    }
    const refusals: { error: unknown }[] = []
    await insist(runId, async () => {
      refusals.length = 0
      const work: Work = async (tx, t) => {
        if (!transitions.tell(t, { type: 'TaskSucceeded', taskId, attempt }, { output })) return
        await result.commit?.(tx).catch((error: unknown) => {
          if (!(error instanceof AppError && error.code.startsWith('store.'))) refusals.push({ error })
          throw error
        })
      }
      const write = transact(runId, work, { ending: { runId, taskId } })
      await write.catch((error: unknown) => {
        if (refusals.length === 0) throw error
        reportFailure({ runId, taskId }, error)
      })
    })
    return refusals[0]
  }

  /** What an attempt that was given up left behind, once it is really over. */
  function endLate({ runId, taskId }: Task, action: Action, returned: Promise<void>): void {
    log.warn({ runId, taskId }, 'a task did not heed its signal and was given up')
    const { ended } = action
    if (!ended) return
    const end = async (): Promise<void> => {
      await returned
      await store.write((tx) => ended(tx, { runId, taskId, reason: 'returned after it was given up' }))
    }
    end().catch((error) => log.error({ runId, taskId, reason: reasonOf(error) }, 'a late task was not ended'))
  }

  return {
    begin,
    has: ({ runId, taskId }) => running.has(keyOf(runId, taskId)),
    abort({ runId, taskId }, why) {
      const attempt = running.get(keyOf(runId, taskId))
      if (why !== 'stop' || attempt?.idempotent) attempt?.abort(why)
    },
    stop(which) {
      for (const attempt of running.values()) if (which === 'all' || attempt.idempotent) attempt.abort('stop')
    },
    complete,
  }
}

const failedBy = (error: unknown): { kind: 'failed'; error: unknown; aborted: Abort | null } => ({
  kind: 'failed',
  error,
  aborted: null,
})

/** In [0, 1), the same for the same attempt: it only has to differ between tasks. */
const jitterOf = (key: string): number => Number.parseInt(digestOf(key).slice(0, 8), 16) / 2 ** 32
