import { AppError, reasonOf } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import { placesOf } from '../attempt.ts'
import { createBeginning } from '../beginning.ts'
import { due } from '../due.ts'
import { createExecution, graceSeconds } from '../execution.ts'
import type { HostNeeds } from '../host-needs.ts'
import { keyOf } from '../inputs.ts'
import type { Job } from '../jobs.ts'
import { createRecovery } from '../recovery.ts'
import { factsOf, plannedOf, type RunRecord } from '../run-record.ts'
import { type Command, isRunEnded, type RunEvent } from '../run-status.ts'
import type { Work } from '../transition.ts'
import { readRun } from '../workflow-store.ts'
import type { Activities, Attempted, Seen, TaskCommand } from './shapes.ts'
import { createTurns } from './turns.ts'

/** Temporal's hold on one activity: told that it lives, and telling when it is to stop. */
export type Lifeline = {
  heartbeat(): void
  readonly signal: AbortSignal
  /** Why the signal came: the run asked for it, the worker ends, or Temporal has lost sight of the activity. */
  ending(): 'cancel' | 'stop' | 'lost'
}

/** The tasks of Temporal's runs that this process carries out. */
export type Carrier = {
  activities(lifeline: () => Lifeline): Activities
  /** Tells at once what runs here and is to stop; elsewhere it is told with the next heartbeat. */
  heedCancel(runId: string): Promise<void>
  /** How many attempts run here. */
  running(): number
  /** Tells runs again whose turn has come. */
  remind(): void
  start(): void
  /** Begins nothing more, and tells what may run again to stop. Resolves when the questions are out that were being asked. */
  stop(): Promise<void>
}

type Needs = Omit<HostNeeds, 'concurrency'> & {
  heartbeatSeconds: number
  /** There is something to do for a run: its workflow is to look. */
  news: (tx: Tx, runId: string) => Promise<void>
}

const storeRetryMs = 1000
/** Two workers wrote the same run at once. */
const conflictRetryMs = 20
/**
 * How long a look waits for the questions that it asks. A question that is out by then costs Temporal no activity; one whose preview
 * takes longer becomes one, because a look holds a place among the few that a worker has.
 */
const askInLookMs = 500
/** Questions that looks ask at once; the activities' limit bounds the others. */
const mostAskedInLooks = 8

export function createCarrier(needs: Needs): Carrier {
  const { store, transitions, actions, clock, log, onBoundary } = needs
  let stopping = false
  const again = new Map<string, number>()
  const running = new Map<string, { job: Job; over: Promise<void> }>()
  const asking = new Map<string, Promise<void>>()
  const writer = { transact, insist, tell }
  const jobs = {
    later: ({ runId, taskId }: { runId: string; taskId: string }, milliseconds: number): void =>
      void again.set(keyOf(runId, taskId), milliseconds),
  }
  const execution = createExecution<Job>({ ...needs, writer, onEnded: () => undefined })
  const beginning = createBeginning({
    ...needs,
    writer,
    jobs,
    wake: () => undefined,
    execute(job, run) {
      const key = keyOf(job.runId, job.taskId)
      const over = execution.begin(job, run)?.finally(() => running.delete(key))
      if (over) running.set(key, { job, over })
      if (stopping) execution.stop('idempotent')
    },
  })
  const turns = createTurns({
    clock,
    keys: needs.keys,
    tell: (runId) => void insist(runId, () => store.write((tx) => needs.news(tx, runId))),
    giveUp: ({ runId, taskId, attempt, seconds }) => {
      const reason = `timed out: could not begin within ${seconds} seconds`
      const late = { type: 'StartTimedOut', taskId, attempt, reason } as const
      void insist(runId, () =>
        transact(runId, async (tx, t) => {
          if (transitions.tell(t, late)) await needs.news(tx, runId)
        }),
      )
    },
  })
  const recovery = createRecovery({
    ...needs,
    writer,
    jobs,
    track: () => undefined,
    complete: execution.complete,
  })

  async function transact(runId: string, work: Work, { anew }: { anew?: boolean } = {}): Promise<void> {
    let ended: RunRecord | undefined
    await store.write(async (tx) => {
      const transition = await (anew ? transitions.openAnew : transitions.open)(tx, runId)
      if (!transition) return
      await work(tx, transition)
      await transitions.save(tx, transition)
      ended = transition.commands.some(({ type }) => type === 'FinishRun') ? transition.run : undefined
      onBoundary('committing', runId)
    })
    await onBoundary('committed', runId)
    if (ended) needs.onFinished(ended)
  }

  async function insist(runId: string, write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write()
      } catch (error) {
        const conflict = error instanceof AppError && error.code === 'request.conflict'
        if (!conflict)
          log.error(
            { runId, reason: reasonOf(error), at: placesOf(error) },
            'a run could not be written; trying again',
          )
        if (stopping && !conflict) return
        await new Promise<void>((resolve) => {
          clock.after(conflict ? conflictRetryMs : storeRetryMs, resolve)
        })
      }
    }
  }

  function tell(runId: string, event: RunEvent): Promise<void> {
    return insist(runId, () => transact(runId, async (_tx, t) => void transitions.tell(t, event)))
  }

  /** What is due, once the questions are out that can be asked in no time. */
  async function lookAndAsk(runId: string): Promise<Seen> {
    const seen = await look(runId)
    const due = seen.commands.flatMap((c) => (c.type === 'RequestApproval' ? [c.taskId] : []))
    const questions = due.slice(0, Math.max(0, mostAskedInLooks - asking.size))
    if (questions.length === 0) return seen
    // One that fails is due as before, and fails again where Temporal sees it.
    await atMost(askInLookMs, Promise.allSettled(questions.map((taskId) => ask(runId, taskId))))
    return look(runId)
  }

  async function atMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
    let cancel = (): void => undefined
    const enough = new Promise<void>((resolve) => {
      cancel = clock.after(milliseconds, resolve)
    })
    await Promise.race([work, enough])
    cancel()
  }

  /** Asks once at a time, however many wait for it. */
  function ask(runId: string, taskId: string): Promise<void> {
    const key = keyOf(runId, taskId)
    const before = asking.get(key)
    if (before) return before
    const asked = beginning.ask({ kind: 'ask', runId, taskId }).finally(() => asking.delete(key))
    asking.set(key, asked)
    return asked
  }

  async function look(runId: string): Promise<Seen> {
    const run = await readRun(store, runId)
    if (!run || isRunEnded(run.status.state)) {
      turns.forget(runId)
      return { ended: true, commands: [], running: [], againMs: null }
    }
    const attempts = [...run.status.tasks]
      .filter(([taskId, { state }]) => state === 'Running' && factsOf(run, taskId).childRunId === null)
      .map(([taskId, { attempt }]) => ({ taskId, attempt }))
    const all = due(run.status)
    const mayBegin = turns.look(run, all)
    return {
      ended: false,
      commands: all.filter((c) => (c.type === 'StartTask' ? mayBegin.has(c.taskId) : isForWorker(run, c))),
      running: attempts,
      againMs: null,
    }
  }

  /** What asks about outputs is answered in the transaction that asks, and not every action can tell what it did. */
  function isForWorker(run: RunRecord, command: Command): boolean {
    if (command.type !== 'Reconcile') return command.type !== 'Evaluate'
    const action = plannedOf(run, command.taskId)?.action
    return actions.get(action ?? '')?.reconcile !== undefined
  }

  async function carryOut(runId: string, command: TaskCommand, lifeline: Lifeline): Promise<Seen> {
    const { taskId } = command
    const key = keyOf(runId, taskId)
    // A look may have asked, and found that it has to wait.
    if (command.type === 'RequestApproval' && !again.has(key)) await ask(runId, taskId)
    if (command.type === 'Reconcile') await recovery.find({ runId, taskId, attempt: command.attempt })
    if (command.type === 'StartTask') await startInTurn(runId, taskId, lifeline)
    else await followed(running.get(key), lifeline)
    const againMs = again.get(key) ?? null
    again.delete(key)
    return { ...(await look(runId)), againMs }
  }

  async function startInTurn(runId: string, taskId: string, lifeline: Lifeline): Promise<void> {
    const run = await readRun(store, runId)
    if (!run || !turns.take(run, taskId)) return
    try {
      await beginning.start({ kind: 'start', runId, taskId })
      await followed(running.get(keyOf(runId, taskId)), lifeline)
    } finally {
      turns.free(run, taskId)
    }
  }

  async function takeUp(runId: string, attempted: Attempted, lifeline: Lifeline): Promise<Seen> {
    // Temporal may have lost sight of what still runs here, after it was out of reach for a while.
    const here = running.get(keyOf(runId, attempted.taskId))
    if (here) await followed(here, lifeline)
    else await recovery.recover({ runId, ...attempted })
    return look(runId)
  }

  /** Resolves when the attempt has ended; passes on that it is to stop. What Temporal has lost sight of goes on, and Temporal is told. */
  async function followed(
    attempt: { job: Job; over: Promise<void> } | undefined,
    { signal, ending }: Lifeline,
  ): Promise<void> {
    if (!attempt) return
    const { job } = attempt
    const stop = (): void => {
      const why = ending()
      if (why !== 'lost') execution.abort(job, why)
      else void insist(job.runId, () => store.write((tx) => needs.news(tx, job.runId)))
    }
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
    try {
      await attempt.over
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** Temporal has recorded that it begins, and not yet what came of it. */
  async function bounded(name: string, runId: string, work: () => Promise<Seen>): Promise<Seen> {
    await onBoundary(`${name}:begun`, runId)
    const seen = await work()
    await onBoundary(`${name}:done`, runId)
    return seen
  }

  async function alive<T>(lifeline: Lifeline, work: () => Promise<T>): Promise<T> {
    let cancel = (): void => undefined
    const beat = (): void => {
      lifeline.heartbeat()
      cancel = clock.after((needs.heartbeatSeconds * 1000) / 4, beat)
    }
    beat()
    try {
      return await work()
    } finally {
      cancel()
    }
  }

  return {
    activities(lifelineNow) {
      return {
        look: (runId) => bounded('look', runId, () => lookAndAsk(runId)),
        carryOut(runId, command) {
          const lifeline = lifelineNow()
          const work = () => carryOut(runId, command, lifeline)
          return alive(lifeline, () => bounded(command.type, runId, work))
        },
        takeUp(runId, attempted) {
          const lifeline = lifelineNow()
          const work = () => takeUp(runId, attempted, lifeline)
          return alive(lifeline, () => bounded('takeUp', runId, work))
        },
        retryDue: (runId, { taskId, attempt }) =>
          bounded('retryDue', runId, async () => {
            await tell(runId, { type: 'RetryDue', taskId, attempt })
            return look(runId)
          }),
      }
    },
    async heedCancel(runId) {
      const here = [...running.values()].filter(({ job }) => job.runId === runId)
      if (here.length === 0) return
      const run = await readRun(store, runId)
      const cancelled = new Set(
        (run ? due(run.status) : []).flatMap((c) => (c.type === 'CancelTask' ? [c.taskId] : [])),
      )
      for (const { job } of here) if (cancelled.has(job.taskId)) execution.abort(job, 'cancel')
    },
    running: () => running.size,
    remind: turns.remind,
    start() {
      stopping = false
    },
    stop() {
      stopping = true
      turns.clear()
      execution.stop('idempotent')
      return atMost(graceSeconds * 1000, Promise.allSettled(asking.values()))
    },
  }
}
