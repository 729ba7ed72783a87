import { reasonOf } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import { placesOf } from './attempt.ts'
import { createBeginning } from './beginning.ts'
import { due } from './due.ts'
import { createExecution, graceSeconds } from './execution.ts'
import type { HostNeeds } from './host-needs.ts'
import { createJobs, type Job } from './jobs.ts'
import type { PlannedTask } from './plan.ts'
import { createRecovery } from './recovery.ts'
import { plannedOf, type RunRecord } from './run-record.ts'
import type { Command, RunEvent } from './run-status.ts'
import { priorityOf, sharedBy } from './shared-keys.ts'
import type { HostWriter, Transition, Work } from './transition.ts'
import { busyRuns, holdHost, hostTaken, isHost, takeHost } from './workflow-store.ts'

/** Runs the tasks of all runs in this process. It holds no truth: what it knows can be read again from the store. */
export type Host = {
  /** Takes the host lease, takes up what a dead host left, and resolves when work goes on. */
  run(): Promise<void>
  /** Starts nothing more, lets what runs end, and resolves when it has. */
  stop(): Promise<void>
  /** Something about this run was committed: look what is due. */
  wake(runId: string): void
}

type Transacting = NonNullable<Parameters<HostWriter['transact']>[2]>
type Begun = { readonly job: Job; readonly run: RunRecord }
type Claiming = { readonly ending: Transacting['ending'] | undefined; readonly started: Begun[] }

const storeRetrySeconds = 1
/** Work is driven by events; this is for those that another process committed on a shared database. */
const sweepSeconds = 5

export function createHost(needs: HostNeeds): Host {
  const { store, transitions, actions, clock, log, onBoundary } = needs
  let fence: number | undefined
  let stopping = false
  let cancelSweep = (): void => undefined
  const jobs = createJobs({ ...needs, begin: (job) => track(perform(job)) })
  const pending = new Set<Promise<void>>()
  const writer = { transact, insist, tell }
  const execution = createExecution<Job>({
    ...needs,
    writer,
    onEnded: jobs.done,
  })
  const beginning = createBeginning({
    ...needs,
    jobs,
    writer,
    wake,
    execute,
  })
  const recovery = createRecovery({ ...needs, writer, jobs, track, complete: execution.complete })

  function track(work: Promise<void>): void {
    const tracked = work
      .catch((error) =>
        log.error({ reason: reasonOf(error), at: placesOf(error) }, 'the workflow host failed'),
      )
      .finally(() => pending.delete(tracked))
    pending.add(tracked)
  }

  async function transact(runId: string, work: Work, { anew, ending }: Transacting = {}): Promise<void> {
    const started: Begun[] = []
    let commands: readonly Command[] = []
    let changed: RunRecord | undefined
    try {
      await store.write(async (tx) => {
        const held = await heldLease(tx)
        const transition = await (anew ? transitions.openAnew : transitions.open)(tx, runId)
        if (!transition) return
        await work(tx, transition)
        commands = [...transition.commands]
        claimAll(transition, commands, { ending, started })
        await transitions.save(tx, transition)
        // After all that is read: a read sends what was put before it, which then needs a savepoint of its own.
        holdHost(tx, held, clock.now().getTime())
        changed = transition.run
        onBoundary('committing', runId)
      })
      onBoundary('committed', runId)
    } catch (error) {
      for (const { job } of started) jobs.done(job)
      throw error
    }
    if (ending) jobs.over(ending)
    for (const { job, run } of started) execute(job, run)
    if (changed) for (const command of commands) take(changed, command)
  }

  /** Starts tasks in the transaction that freed them, where they need no approval and a slot is free. */
  function claimAll(
    transition: Transition,
    commands: readonly Command[],
    { ending, started }: Claiming,
  ): void {
    if (stopping) return
    for (const command of commands) {
      const job = claim(transition, command, ending)
      if (job) started.push({ job, run: transition.run })
    }
  }

  function claim(transition: Transition, command: Command, ending: Claiming['ending']): Job | undefined {
    if (command.type !== 'StartTask') return undefined
    const { run } = transition
    const planned = plannedOf(run, command.taskId)
    if (!planned || planned.approval || !actions.has(planned.action)) return undefined
    const job = jobOf('start', run, planned)
    if (!jobs.claim(job, ending)) return undefined
    transitions.tell(transition, { type: 'TaskStarted', taskId: command.taskId, attempt: command.attempt })
    return job
  }

  function take(run: RunRecord, command: Command): void {
    const runId = run.id
    if (command.type === 'FinishRun') needs.onFinished(run)
    else if (command.type === 'CancelTask') execution.abort({ runId, taskId: command.taskId }, 'cancel')
    else if (!stopping) plan(run, command)
  }

  function plan(run: RunRecord, command: Exclude<Command, { type: 'FinishRun' | 'CancelTask' }>): void {
    const runId = run.id
    const { taskId } = command
    switch (command.type) {
      case 'SetTimer': {
        const { attempt, at } = command
        const retry = (): void => track(tell(runId, { type: 'RetryDue', taskId, attempt }))
        jobs.later({ runId, taskId }, Math.max(0, at - clock.now().getTime()), retry)
        break
      }
      case 'Reconcile':
        track(recovery.find({ runId, taskId, attempt: command.attempt }))
        break
      case 'RequestApproval':
      case 'StartTask': {
        const planned = plannedOf(run, taskId)
        if (!planned) break
        if (command.type === 'StartTask') limitWait(runId, planned, command.attempt)
        jobs.add(jobOf(command.type === 'StartTask' ? 'start' : 'ask', run, planned))
        break
      }
      case 'Evaluate':
        // Answered in the transaction that asked.
        break
    }
  }

  function jobOf(kind: Job['kind'], run: RunRecord, planned: PlannedTask): Job {
    const shared = kind === 'start' ? sharedBy(planned) : undefined
    return { kind, runId: run.id, taskId: planned.id, priority: priorityOf(run), shared }
  }

  /** A task that might begin and does not, because others are at it, fails when its time is over. */
  function limitWait(
    runId: string,
    { id: taskId, startTimeoutSeconds: limit }: PlannedTask,
    attempt: number,
  ): void {
    if (limit === undefined || jobs.has({ runId, taskId })) return
    const reason = `timed out: could not begin within ${limit} seconds`
    clock.after(limit * 1000, () => {
      if (fence !== undefined && !stopping)
        track(tell(runId, { type: 'StartTimedOut', taskId, attempt, reason }))
    })
  }

  async function heldLease(tx: Tx): Promise<number> {
    if (fence !== undefined && (await isHost(tx, fence))) return fence
    fence = undefined
    throw hostTaken()
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

  function tell(runId: string, event: RunEvent, how?: Transacting): Promise<void> {
    return insist(runId, () => transact(runId, async (_tx, t) => void transitions.tell(t, event), how))
  }

  const pause = (seconds: number): Promise<void> =>
    new Promise((resolve) => {
      clock.after(seconds * 1000, resolve)
    })

  function loseHost(): void {
    if (stopping) return
    stopping = true
    jobs.clear()
    execution.stop('all')
    log.error({}, 'another process has become the workflow host; this one runs nothing more')
  }

  async function perform(job: Job): Promise<void> {
    try {
      await beginning[job.kind](job)
    } finally {
      if (!execution.has(job)) jobs.done(job)
    }
  }

  /** The attempt is on disk as running; only now does anything happen outside. */
  function execute(job: Job, run: RunRecord): void {
    const over = fence === undefined ? undefined : execution.begin(job, run)
    if (!over) {
      jobs.done(job)
      return
    }
    if (stopping) execution.stop('idempotent')
    track(over)
  }

  function wake(runId: string): void {
    if (fence === undefined || stopping) return
    track(
      insist(runId, async () => {
        const run = await transitions.current(store, runId)
        if (run) for (const command of due(run.status)) take(run, command)
      }),
    )
  }

  /** Wakes the runs that have something to do and nothing in hand, and those that are told to stop. */
  async function sweep(): Promise<void> {
    if (fence === undefined || stopping) return
    const busy = await busyRuns(store, 'embedded').catch((error) => {
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
      await recovery.takeUp()
      await sweep()
    },
    async stop() {
      stopping = true
      cancelSweep()
      jobs.clear()
      execution.stop('idempotent')
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
