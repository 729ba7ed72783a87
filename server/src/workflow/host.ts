import { AppError, type Clock, digestOf, type Log, reasonOf } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
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
import { createBeginning } from './beginning.ts'
import type { ApprovalGate } from './gate.ts'
import { contextOf, keyOf, plannedOf } from './inputs.ts'
import { createJobs, type Job } from './jobs.ts'
import type { PlannedTask } from './plan.ts'
import { recoverAttempts } from './recovery.ts'
import { type Command, due, type RunEvent } from './reducer.ts'
import type { Transition, Transitions, Work } from './transition.ts'
import { busyRuns, holdHost, type RunRecord, takeHost } from './workflow-store.ts'

/** Runs the tasks of all runs in this process. It holds no truth: what it knows can be read again from the store. */
export type Host = {
  /** Takes the host lease, takes up what a dead host left, and resolves when work goes on. */
  run(): Promise<void>
  /** Starts nothing more, lets what runs end, and resolves when it has. */
  stop(): Promise<void>
  /** Something about this run was committed: look what is due. */
  wake(runId: string): void
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  transitions: Transitions
  gate: Pick<ApprovalGate, 'request' | 'redeem'>
  actions: ReadonlyMap<string, Action>
  clock: Clock
  log: Log
  concurrency: number
  onBoundary: (name: string) => void
  onFinished: (runId: string) => void
}

type Running = Attempt & { readonly idempotent: boolean; readonly over: Promise<void> }
const defaultTimeoutSeconds = 900
const graceSeconds = 10
const storeRetrySeconds = 1
/** Work is driven by events; this is for those that another process committed on a shared database. */
const sweepSeconds = 5
const largestOutputBytes = 1024 * 1024

export function createHost(needs: Needs): Host {
  const { store, transitions, actions, clock, log, onBoundary } = needs
  let fence: number | undefined
  let stopping = false
  let cancelSweep = (): void => undefined
  const running = new Map<string, Running>()
  const jobs = createJobs({ clock, concurrency: needs.concurrency, begin: (job) => track(perform(job)) })
  const pending = new Set<Promise<void>>()
  const beginning = createBeginning({
    ...needs,
    jobs,
    writer: { transact, insist, tell },
    wake,
    execute,
  })

  function track(work: Promise<void>): void {
    const tracked = work
      .catch((error) =>
        log.error({ reason: reasonOf(error), at: placesOf(error) }, 'the workflow host failed'),
      )
      .finally(() => pending.delete(tracked))
    pending.add(tracked)
  }

  async function transact(
    runId: string,
    work: Work,
    commandsOf = (t: Transition) => t.commands,
  ): Promise<void> {
    const started: { job: Job; run: RunRecord }[] = []
    let commands: readonly Command[] = []
    try {
      await store.write(async (tx) => {
        await holdLease(tx)
        const transition = await transitions.open(tx, runId)
        if (!transition) return
        await work(tx, transition)
        commands = [...commandsOf(transition)]
        for (const command of stopping ? [] : commands) {
          const job = claim(transition, command)
          if (job) started.push({ job, run: transition.run })
        }
        await transitions.save(tx, transition)
        onBoundary('committing')
      })
      onBoundary('committed')
    } catch (error) {
      for (const { job } of started) jobs.done(job)
      throw error
    }
    for (const { job, run } of started) execute(job, run)
    for (const command of commands) take(runId, command)
  }

  /** Starts a task in the transaction that freed it, when it needs no approval and a slot is free. */
  function claim(transition: Transition, command: Command): Job | undefined {
    if (command.type !== 'StartTask' || plannedOf(transition.run, command.taskId)?.approval) return undefined
    const job: Job = { kind: 'start', runId: transition.run.id, taskId: command.taskId }
    if (!actions.has(plannedOf(transition.run, command.taskId)?.action ?? '') || !jobs.claim(job))
      return undefined
    transitions.tell(transition, { type: 'TaskStarted', taskId: command.taskId, attempt: command.attempt })
    return job
  }

  function take(runId: string, command: Command): void {
    if (command.type === 'FinishRun') needs.onFinished(runId)
    else if (command.type === 'CancelTask') running.get(keyOf(runId, command.taskId))?.abort('cancel')
    else if (!stopping) plan(runId, command)
  }

  function plan(runId: string, command: Exclude<Command, { type: 'FinishRun' | 'CancelTask' }>): void {
    const { taskId } = command
    if (command.type === 'SetTimer') {
      const { attempt, at } = command
      const retry = (): void => track(tell(runId, { type: 'RetryDue', taskId, attempt }))
      jobs.later({ runId, taskId }, Math.max(0, at - clock.now().getTime()), retry)
    } else {
      jobs.add({ kind: command.type === 'StartTask' ? 'start' : 'ask', runId, taskId })
    }
  }

  async function holdLease(tx: Tx): Promise<void> {
    if (fence !== undefined && (await holdHost(tx, fence, clock.now().getTime()))) return
    fence = undefined
    throw new AppError(
      'request.conflict',
      'another Keyward process has become the workflow host of this store',
    )
  }

  async function insist(runId: string, write: () => Promise<void>): Promise<void> {
    while (fence !== undefined) {
      try {
        return await write()
      } catch (error) {
        if (fence === undefined) break
        log.error(
          { runId, reason: reasonOf(error), at: placesOf(error) },
          'a run could not be written; trying again',
        )
        if (stopping) return
        await pause(storeRetrySeconds)
      }
    }
    loseHost()
  }

  function tell(runId: string, event: RunEvent): Promise<void> {
    return insist(runId, () => transact(runId, async (_tx, t) => void transitions.tell(t, event)))
  }

  const pause = (seconds: number): Promise<void> =>
    new Promise((resolve) => {
      clock.after(seconds * 1000, resolve)
    })

  function loseHost(): void {
    if (stopping) return
    stopping = true
    jobs.clear()
    for (const attempt of running.values()) attempt.abort('stop')
    log.error({}, 'another process has become the workflow host; this one runs nothing more')
  }

  async function perform(job: Job): Promise<void> {
    try {
      await beginning[job.kind](job)
    } finally {
      if (!running.has(keyOf(job.runId, job.taskId))) jobs.done(job)
    }
  }

  /** The attempt is on disk as running; only now does anything happen outside. */
  function execute(job: Job, run: RunRecord): void {
    const { runId, taskId } = job
    const planned = plannedOf(run, taskId)
    const action = planned && actions.get(planned.action)
    if (!planned || !action || fence === undefined) {
      jobs.done(job)
      return
    }
    const timeoutSeconds = planned.timeoutSeconds ?? defaultTimeoutSeconds
    const attempt = startAttempt({
      execute: (signal) => {
        onBoundary(`${taskId}:started`)
        return action.execute(contextOf(run, planned, signal))
      },
      timeoutSeconds,
      graceSeconds,
      clock,
    })
    const over = attempt.ended.then((ending) => {
      onBoundary(`${taskId}:executed`)
      return finish(job, run, planned, action, ending)
    })
    running.set(keyOf(runId, taskId), { ...attempt, idempotent: action.idempotent, over })
    if (stopping && action.idempotent) attempt.abort('stop')
    track(over)
  }

  async function finish(
    job: Job,
    run: RunRecord,
    planned: PlannedTask,
    action: Action,
    ending: Ending,
  ): Promise<void> {
    const { runId, taskId } = job
    running.delete(keyOf(runId, taskId))
    jobs.done(job)
    const attempt = run.status.tasks.get(taskId)?.attempt ?? 0
    const about = {
      taskId,
      attempt,
      idempotent: action.idempotent,
      timeoutSeconds: planned.timeoutSeconds ?? defaultTimeoutSeconds,
      at: clock.now().getTime(),
      jitter: jitterOf(`${runId}:${taskId}:${attempt}`),
    }
    if (ending.kind === 'succeeded') {
      const failure = await complete(runId, { taskId, attempt }, ending.result)
      if (failure) await tell(runId, eventOf(failedBy(failure.error), about))
    } else {
      if (ending.kind === 'failed' && !ending.aborted) reportFailure(runId, taskId, ending.error)
      await tell(runId, eventOf(ending, about))
      if (ending.kind === 'gone') endLate(runId, taskId, action, ending.returned)
    }
    onBoundary(`${taskId}:completed`)
  }

  const reportFailure = (runId: string, taskId: string, error: unknown): void =>
    log.warn({ runId, taskId, reason: failureOf(error), at: placesOf(error) }, 'a task failed')

  /** Completes the task and the action's own writes together. Returns the failure when those writes refused. */
  async function complete(
    runId: string,
    { taskId, attempt }: { taskId: string; attempt: number },
    result: TaskResult,
  ): Promise<{ error: unknown } | undefined> {
    const output = JSON.stringify(result.output ?? null)
    if (output.length > largestOutputBytes) {
      return { error: new AppError('request.too_large', `the task's output has ${output.length} bytes`) }
    }
    const refusals: { error: unknown }[] = []
    await insist(runId, async () => {
      refusals.length = 0
      const write = transact(runId, async (tx, t) => {
        if (!transitions.tell(t, { type: 'TaskSucceeded', taskId, attempt }, { output })) return
        await result.commit?.(tx).catch((error: unknown) => {
          if (!(error instanceof AppError && error.code.startsWith('store.'))) refusals.push({ error })
          throw error
        })
      })
      await write.catch((error: unknown) => {
        if (refusals.length === 0) throw error
        reportFailure(runId, taskId, error)
      })
    })
    return refusals[0]
  }

  /** What an attempt that was given up left behind, once it is really over. */
  function endLate(runId: string, taskId: string, action: Action, returned: Promise<void>): void {
    log.warn({ runId, taskId }, 'a task did not heed its signal and was given up')
    const { ended } = action
    if (!ended) return
    const end = async (): Promise<void> => {
      await returned
      await store.write((tx) => ended(tx, { runId, taskId, reason: 'returned after it was given up' }))
    }
    end().catch((error) => log.error({ runId, taskId, reason: reasonOf(error) }, 'a late task was not ended'))
  }

  function wake(runId: string): void {
    if (fence === undefined || stopping) return
    track(
      insist(runId, () =>
        transact(
          runId,
          async () => undefined,
          (t) => due(t.run.status),
        ),
      ),
    )
  }

  /** Wakes the runs that have something to do and nothing in hand, and those that are told to stop. */
  async function sweep(): Promise<void> {
    if (fence === undefined || stopping) return
    const busy = await busyRuns(store).catch((error) => {
      log.error({ reason: reasonOf(error) }, 'the runs could not be read; trying again')
      return []
    })
    const inHand = jobs.runs()
    for (const { id, cancelled } of busy) if (cancelled || !inHand.has(id)) wake(id)
    cancelSweep = clock.after(sweepSeconds * 1000, () => track(sweep()))
  }

  async function waitFor(milliseconds: number, promises: Iterable<Promise<void>>): Promise<void> {
    let cancel = (): void => undefined
    const timeout = new Promise<void>((resolve) => {
      cancel = clock.after(milliseconds, resolve)
    })
    await Promise.race([Promise.all(promises), timeout])
    cancel()
  }

  return {
    async run() {
      if (fence !== undefined) return
      stopping = false
      fence = await store.write((tx) => takeHost(tx, clock.now().getTime()))
      await recoverAttempts({ store, actions, log, tell, complete })
      await sweep()
    },
    async stop() {
      stopping = true
      cancelSweep()
      jobs.clear()
      for (const attempt of running.values()) if (attempt.idempotent) attempt.abort('stop')
      while (pending.size > 0) {
        const before = [...pending]
        await waitFor((graceSeconds + 2) * 1000, before)
        if (before.every((work) => pending.has(work))) break
      }
      fence = undefined
    },
    wake,
  }
}

const failedBy = (error: unknown): { kind: 'failed'; error: unknown; aborted: Abort | null } => ({
  kind: 'failed',
  error,
  aborted: null,
})

/** In [0, 1), the same for the same attempt: it only has to differ between tasks. */
const jitterOf = (key: string): number => Number.parseInt(digestOf(key).slice(0, 8), 16) / 2 ** 32
