import type { Json } from '@keyward/contract'
import { AppError, type Clock, digestOf, type Log, reasonOf } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Action, TaskContext, TaskResult } from './action.ts'
import {
  type Abort,
  type Attempt,
  type Ending,
  eventOf,
  failureOf,
  placesOf,
  startAttempt,
} from './attempt.ts'
import { type ApprovalGate, approvalDigest } from './gate.ts'
import { createJobs, type Job } from './jobs.ts'
import { type PlannedTask, plainJson, planDigestOf } from './plan.ts'
import { type Command, due, type RunEvent } from './reducer.ts'
import type { Transition, Transitions } from './transition.ts'
import {
  busyRuns,
  factsOf,
  holdHost,
  type RunRecord,
  readRun,
  runningAttempts,
  takeHost,
} from './workflow-store.ts'

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
type Work = (tx: Tx, transition: Transition) => Promise<void>

const defaultTimeoutSeconds = 900
const graceSeconds = 10
const storeRetrySeconds = 1
const previewRetrySeconds = 5
const largestOutputBytes = 1024 * 1024

export function createHost(needs: Needs): Host {
  const { store, transitions, gate, actions, clock, log, onBoundary } = needs
  let fence: number | undefined
  let stopping = false
  const running = new Map<string, Running>()
  const jobs = createJobs({ clock, concurrency: needs.concurrency, begin: (job) => track(perform(job)) })
  const pending = new Set<Promise<void>>()

  function track(work: Promise<void>): void {
    const tracked = work
      .catch((error) =>
        log.error({ reason: reasonOf(error), at: placesOf(error) }, 'the workflow host failed'),
      )
      .finally(() => pending.delete(tracked))
    pending.add(tracked)
  }

  /** One transition of one run, in one transaction, then what it commands. */
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

  /** Repeats a transaction until the store takes it: a full disk or a lost connection must not lose what happened. */
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

  const tell = (runId: string, event: RunEvent): Promise<void> =>
    insist(runId, () => transact(runId, async (_tx, t) => void transitions.tell(t, event)))

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
      if (job.kind === 'ask') await ask(job)
      else await start(job)
    } finally {
      if (!running.has(keyOf(job.runId, job.taskId))) jobs.done(job)
    }
  }

  /** Waits for a person: the preview is taken before the transaction, and nothing is held after it. */
  async function ask({ runId, taskId }: Job): Promise<void> {
    const run = await readRun(store, runId)
    const planned = run && plannedOf(run, taskId)
    if (!planned?.approval) return
    const preview = await previewOf(runId, planned)
    if (!preview) return
    onBoundary(`${taskId}:previewed`)
    await insist(runId, () =>
      transact(runId, async (tx, t) => {
        if (!due(t.run.status).some((c) => c.type === 'RequestApproval' && c.taskId === taskId)) return
        const approvalId = await gate.request(tx, questionOf(t.run, planned, preview.value))
        const facts = { preview: JSON.stringify(preview.value) }
        transitions.tell(t, { type: 'ApprovalRequested', taskId, approvalId }, facts)
      }),
    )
    onBoundary(`${taskId}:asked`)
  }

  /** The preview, or undefined when the task was refused or has to wait for what is unavailable. */
  async function previewOf(runId: string, planned: PlannedTask): Promise<{ value: Json } | undefined> {
    try {
      return { value: await takePreview(actions.get(planned.action), planned) }
    } catch (error) {
      if (error instanceof AppError && error.status === 503) {
        log.warn({ runId, taskId: planned.id, reason: reasonOf(error) }, 'a preview has to wait')
        jobs.later({ runId, taskId: planned.id }, previewRetrySeconds * 1000, () => wake(runId))
        return undefined
      }
      log.warn(
        { runId, taskId: planned.id, reason: failureOf(error), at: placesOf(error) },
        'a preview failed',
      )
      await tell(runId, {
        type: 'TaskRefused',
        taskId: planned.id,
        reason: `no preview: ${failureOf(error)}`,
      })
      return undefined
    }
  }

  async function start(job: Job): Promise<void> {
    const { runId, taskId } = job
    const run = await readRun(store, runId)
    const planned = run && plannedOf(run, taskId)
    if (!planned) return
    if (!actions.has(planned.action)) {
      const reason = `this version of Keyward has no action '${planned.action}'`
      return tell(runId, { type: 'TaskRefused', taskId, reason })
    }
    const seen = planned.approval ? await previewNow(run, planned) : undefined
    if (seen === 'later') return
    onBoundary(`${taskId}:starting`)
    const started: RunRecord[] = []
    await insist(runId, () =>
      transact(runId, async (tx, t) => {
        started.length = 0
        const attempt = (t.run.status.tasks.get(taskId)?.attempt ?? 0) + 1
        if (!due(t.run.status).some((c) => c.type === 'StartTask' && c.taskId === taskId)) return
        if (plannedOf(t.run, taskId)?.approval && !(await redeemed(tx, t, taskId, seen))) return
        if (transitions.tell(t, { type: 'TaskStarted', taskId, attempt })) started.push(t.run)
      }),
    )
    const [begun] = started
    if (begun) execute(job, begun)
  }

  type Seen = { readonly value: Json } | { readonly failure: string }

  /**
   * What a gated task would do as the world is now. Once an attempt has begun, the world is partly its own work: then what was
   * approved counts, and the action compares piece by piece.
   */
  async function previewNow(run: RunRecord, planned: PlannedTask): Promise<Seen | 'later'> {
    const status = run.status.tasks.get(planned.id)
    if (status && status.attempt > 0) return { value: JSON.parse(factsOf(run, planned.id).preview ?? 'null') }
    try {
      return { value: await takePreview(actions.get(planned.action), planned) }
    } catch (error) {
      if (!(error instanceof AppError && error.status === 503)) return { failure: failureOf(error) }
      jobs.later({ runId: run.id, taskId: planned.id }, previewRetrySeconds * 1000, () => wake(run.id))
      return 'later'
    }
  }

  /** Uses the approval up in the starting transaction, or leaves it voided and the task failed. */
  async function redeemed(tx: Tx, t: Transition, taskId: string, seen: Seen | undefined): Promise<boolean> {
    const planned = plannedOf(t.run, taskId)
    const approvalId = t.run.status.tasks.get(taskId)?.approvalId
    if (!planned || !approvalId) return false
    const digest =
      seen && 'value' in seen
        ? approvalDigest(planned, planDigestOf(t.run.plan), seen.value)
        : digestOf({ unreadable: seen?.failure ?? 'no preview was taken' })
    const redemption = await gate.redeem(tx, { approvalId, runId: t.run.id, taskId, digest })
    if (redemption.valid) return true
    const failure = seen && 'failure' in seen ? ` (${seen.failure})` : ''
    const reason = `${redemption.reason}${failure}`
    transitions.tell(t, { type: 'ApprovalDecided', taskId, approvalId, decision: 'voided', reason })
    return false
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

  /** A task that a dead host left running: asked about where its action can tell, then run again or given to a person. */
  async function recover({ runId, taskId, attempt }: Awaited<ReturnType<typeof runningAttempts>>[number]) {
    const run = await readRun(store, runId)
    const planned = run && plannedOf(run, taskId)
    const action = planned && actions.get(planned.action)
    const reason = 'the server went down while this ran'
    const lost = { type: 'HostLost', taskId, attempt, reason } as const
    if (!run || !planned || !action) return tell(runId, { ...lost, repeatable: false })
    if (action.idempotent) return tell(runId, { ...lost, repeatable: true })
    const found = await reconciled(run, planned, action)
    if (found.effect === 'done') {
      const failure = await complete(runId, { taskId, attempt }, found.result)
      if (failure) await tell(runId, { ...lost, repeatable: false, reason: failureOf(failure.error) })
      return
    }
    const why = found.effect === 'unknown' ? `${reason}; ${found.reason}` : reason
    return tell(runId, { ...lost, repeatable: found.effect === 'none', reason: why })
  }

  async function reconciled(run: RunRecord, planned: PlannedTask, action: Action) {
    const unknown = (reason: string) => ({ effect: 'unknown', reason }) as const
    if (!action.reconcile)
      return unknown('whether it had its effect is not known, and it must not happen twice')
    try {
      return await action.reconcile(contextOf(run, planned, AbortSignal.timeout(graceSeconds * 1000)))
    } catch (error) {
      return unknown(`and finding out whether it had its effect failed: ${failureOf(error)}`)
    }
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
      const left = await runningAttempts(store)
      if (left.length > 0) log.info({ tasks: left.length }, 'taking up tasks that were running')
      await Promise.all(left.map(recover))
      for (const runId of await busyRuns(store)) wake(runId)
    },
    async stop() {
      stopping = true
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

const keyOf = (runId: string, taskId: string): string => `${runId}:${taskId}`

const plannedOf = (run: RunRecord, taskId: string): PlannedTask | undefined =>
  run.plan.tasks.find((task) => task.id === taskId)

async function takePreview(action: Action | undefined, { args }: PlannedTask): Promise<Json> {
  return plainJson<Json>((await action?.preview?.(args)) ?? null)
}

function questionOf(run: RunRecord, planned: PlannedTask, preview: Json) {
  return {
    runId: run.id,
    taskId: planned.id,
    action: planned.action,
    title: planned.title,
    target: planned.approval?.target ?? planned.action,
    requestedBy: run.requestedBy,
    risk: planned.risk,
    reversible: planned.reversible,
    args: planned.args,
    preview,
    planDigest: run.planDigest,
    digest: approvalDigest(planned, run.planDigest, preview),
    expiresInSeconds: planned.approval?.expiresInSeconds ?? 0,
    unattended: run.unattended,
  }
}

function contextOf(run: RunRecord, planned: PlannedTask, signal: AbortSignal): TaskContext {
  const preview = factsOf(run, planned.id).preview
  return {
    runId: run.id,
    taskId: planned.id,
    attempt: run.status.tasks.get(planned.id)?.attempt ?? 0,
    idempotencyKey: keyOf(run.id, planned.id),
    args: planned.args,
    outputs: Object.fromEntries(
      planned.needs.map((need) => [need, JSON.parse(factsOf(run, need).output ?? 'null')]),
    ),
    approvedPreview: preview === null ? null : JSON.parse(preview),
    signal,
    requestedBy: run.requestedBy,
  }
}

const failedBy = (error: unknown): { kind: 'failed'; error: unknown; aborted: Abort | null } => ({
  kind: 'failed',
  error,
  aborted: null,
})

/** In [0, 1), the same for the same attempt: it only has to differ between tasks. */
const jitterOf = (key: string): number => Number.parseInt(digestOf(key).slice(0, 8), 16) / 2 ** 32
