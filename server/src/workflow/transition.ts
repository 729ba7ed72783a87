import type { Json } from '@keyward/contract'
import type { Audit, EntryInput } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { actorOf, type Clock, systemPrincipal } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { Action } from './action.ts'
import { evaluationOf, outputOf } from './inputs.ts'
import { runOutcomeOf } from './outcome.ts'
import { next } from './reducer.ts'
import type { RunCache } from './run-cache.ts'
import { factsOf, plannedOf, type RunRecord, type TaskFacts } from './run-record.ts'
import {
  type Command,
  isEnded,
  isRunEnded,
  type RunEvent,
  type RunStatus,
  type TaskStatus,
} from './run-status.ts'
import { readRevision, readRun, updateRun } from './workflow-store.ts'

/** One run inside one transaction: read, told what happened, and saved with the audit entries and events of all of it. */
export type Transition = {
  run: RunRecord
  /** As it was read. */
  readonly before: RunStatus
  readonly commands: Command[]
  readonly steps: Step[]
  /** Those of `run`, once one of them has changed here. */
  facts?: Map<string, TaskFacts>
}
type Step = { readonly taskId: string; readonly before: TaskStatus; readonly after: TaskStatus }

export type Transitions = {
  /** The run as it is now, to look at. */
  current(reader: Reader, runId: string): Promise<RunRecord | undefined>
  open(tx: Tx, runId: string): Promise<Transition | undefined>
  /** With all of it, its plan too, read from the database: before something happens that was approved. */
  openAnew(tx: Tx, runId: string): Promise<Transition | undefined>
  /** Applies an event; false when it does not fit, and then nothing changed. `facts` go into the row of the event's task. */
  tell(transition: Transition, event: RunEvent, facts?: Partial<TaskFacts>): boolean
  save(tx: Tx, transition: Transition): Promise<void>
  /** Records that it was found out, or said by a person, whether an attempt had its effect. */
  resolved(tx: Tx, run: RunRecord, found: Found): Promise<void>
}
type Found = {
  readonly taskId: string
  readonly effect: 'done' | 'none'
  readonly reason: string
  /** Null when the action itself found out. */
  readonly by: string | null
}

/** The one way in which a host changes a run. */
export type HostWriter = {
  /** One transition of one run in one transaction, checked to be this host's, and then what it commands. */
  transact(runId: string, work: Work, how?: How): Promise<void>
  /** Repeats a transaction until the store takes it: a full disk or a lost connection must not lose what happened. */
  insist(runId: string, write: () => Promise<void>): Promise<void>
  tell(runId: string, event: RunEvent, how?: How): Promise<void>
}
type How = {
  /** The run is read anew, with its plan: something is to happen that was approved. */
  readonly anew?: boolean
  /** The task whose attempt this ends: what it frees can go on in its place. */
  readonly ending?: { readonly runId: string; readonly taskId: string }
}
export type Work = (tx: Tx, transition: Transition) => Promise<void>

type Needs = {
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  actions: ReadonlyMap<string, Action>
  cache: RunCache
  /** Another run than the one at hand was changed in this transaction. */
  onOther: (tx: Tx, run: RunRecord) => Promise<void>
}

const actor = actorOf(systemPrincipal('workflow'))

export function createTransitions({ audit, bus, clock, actions, cache, onOther }: Needs): Transitions {
  async function saveStep(tx: Tx, run: RunRecord, step: Step): Promise<void> {
    const { taskId, after } = step
    const planned = plannedOf(run, taskId)
    const entry = entryOf(run, step, planned?.action ?? 'unknown')
    if (entry) {
      await audit.record(tx, entry)
      await bus.publish(tx, { type: entry.type, subject: `run:${run.id}`, data: toldOf(run, step) })
    }
    const left = hasLeft(step)
    const action = left && planned ? actions.get(planned.action) : undefined
    await action?.ended?.(tx, { runId: run.id, taskId, reason: after.reason ?? after.state })
  }

  async function saveEnd(tx: Tx, run: RunRecord): Promise<void> {
    const { state, reason } = run.status
    const came = runOutcomeOf(run.status)
    const outcome = state === 'Succeeded' ? 'done' : state === 'Cancelled' ? 'denied' : 'failed'
    await audit.record(tx, {
      type: 'run.finished',
      outcome,
      actor,
      target: `run:${run.id}`,
      correlation: run.id,
      detail: { state, outcome: came, reason, flow: run.flow },
    })
    const startedAt = new Date(run.createdAt).toISOString()
    const data = { runId: run.id, state, outcome: came, flow: run.flow, startedAt }
    await bus.publish(tx, { type: 'run.finished', subject: `run:${run.id}`, data })
  }

  /** What an event commands, or undefined when it does not fit. */
  function apply(transition: Transition, event: RunEvent, facts: Partial<TaskFacts>): Command[] | undefined {
    const before = transition.run.status
    const [status, commands] = next(before, event)
    if (status === before) return undefined
    const now = clock.now().getTime()
    const all = transition.facts ?? new Map(transition.run.facts)
    transition.facts = all
    status.tasks.forEach((after, taskId) => {
      const was = before.tasks.get(taskId)
      if (!was || was === after) return
      transition.steps.push({ taskId, before: was, after })
      const own = 'taskId' in event && event.taskId === taskId ? facts : {}
      all.set(taskId, { ...factsOf(transition.run, taskId), ...timesOf(was, after, now), ...own })
    })
    const finishedAt = isRunEnded(status.state) ? now : null
    transition.run = { ...transition.run, status, facts: all, finishedAt }
    return commands
  }

  const opened = (run: RunRecord | undefined): Transition | undefined =>
    run && { run, before: run.status, commands: [], steps: [] }

  async function current(reader: Reader, runId: string): Promise<RunRecord | undefined> {
    const known = cache.get(runId)
    const isCurrent = known !== undefined && (await readRevision(reader, runId)) === known.revision
    return isCurrent ? known : readRun(reader, runId)
  }

  const open = async (tx: Tx, runId: string): Promise<Transition | undefined> =>
    opened(await current(tx, runId))

  const openAnew = async (tx: Tx, runId: string): Promise<Transition | undefined> =>
    opened(await readRun(tx, runId))

  async function save(tx: Tx, { run, before, commands, steps }: Transition): Promise<void> {
    if (run.status === before) return
    cache.put(tx, updateRun(tx, run, before))
    for (const step of steps) await saveStep(tx, run, step)
    if (!commands.some(({ type }) => type === 'FinishRun')) return
    await saveEnd(tx, run)
    await endTaskOfParent(tx, run)
  }

  /** A run that is a task of another one ends that task, in the same transaction. */
  async function endTaskOfParent(tx: Tx, run: RunRecord): Promise<void> {
    const { parentRunId, parentTaskId: taskId } = run
    const transition = parentRunId === null ? undefined : await open(tx, parentRunId)
    if (!transition || taskId === null || factsOf(transition.run, taskId).childRunId !== run.id) return
    const attempt = transition.run.status.tasks.get(taskId)?.attempt ?? 0
    const { event, output } = endingOf(run, { taskId, attempt, at: clock.now().getTime() })
    if (!tell(transition, event, { output })) return
    await save(tx, transition)
    await onOther(tx, transition.run)
  }

  function tell(transition: Transition, event: RunEvent, facts: Partial<TaskFacts> = {}): boolean {
    const commands = apply(transition, event, facts)
    for (let command = commands?.shift(); commands && command; command = commands.shift()) {
      if (command.type !== 'Evaluate') {
        transition.commands.push(command)
        continue
      }
      const { taskId } = command
      const found = evaluationOf(transition.run, taskId)
      commands.push(...(apply(transition, { type: 'TaskEvaluated', taskId, found }, {}) ?? []))
    }
    return commands !== undefined
  }

  return {
    current,
    open,
    openAnew,
    tell,
    save,
    async resolved(tx, run, { taskId, effect, reason, by }) {
      await audit.record(tx, {
        type: 'task.resolved',
        outcome: 'done',
        actor: by ?? actor,
        target: `task:${run.id}:${taskId}`,
        correlation: run.id,
        detail: { effect, reason },
      })
      const data = { runId: run.id, taskId, effect }
      await bus.publish(tx, { type: 'task.resolved', subject: `run:${run.id}`, data })
    },
  }
}

const largestOutputBytes = 1024 * 1024

/** What the end of a run means for the task that it is. */
function endingOf(
  run: RunRecord,
  about: { taskId: string; attempt: number; at: number },
): { event: RunEvent; output: string | null } {
  const { taskId, attempt } = about
  const outputs = Object.fromEntries(run.plan.tasks.map(({ id }) => [id, outputOf(run, id) ?? null]))
  const output = JSON.stringify({ runId: run.id, outputs })
  const failed = { ...about, type: 'TaskFailed', retryable: false, uncertain: false, jitter: 0 } as const
  if (run.status.state !== 'Succeeded')
    return {
      event: { ...failed, reason: `run ${run.id}: ${run.status.reason ?? run.status.state}` },
      output: null,
    }
  if (output.length <= largestOutputBytes)
    return { event: { type: 'TaskSucceeded', taskId, attempt }, output }
  return {
    event: { ...failed, reason: `the outputs of run ${run.id} have ${output.length} bytes` },
    output: null,
  }
}

function timesOf(
  was: TaskStatus,
  { state, attempt, priorAttempts }: TaskStatus,
  now: number,
): Partial<TaskFacts> {
  if (state === 'Running')
    return { attemptAt: now, finishedAt: null, ...(attempt === priorAttempts + 1 ? { startedAt: now } : {}) }
  if (isEnded(state)) return { finishedAt: now }
  return isEnded(was.state) ? { finishedAt: null, output: null, changedArgs: null } : {}
}

const hasLeft = ({ before, after }: Step): boolean => before.state === 'Running' && after.state !== 'Running'

/** For whoever listens; `startedAt` is that of the attempt which began or ended, null where none did. */
function toldOf(run: RunRecord, step: Step): Json {
  const { taskId, after } = step
  const { state, attempt } = after
  const attemptAt = state === 'Running' || hasLeft(step) ? factsOf(run, taskId).attemptAt : null
  return {
    ...{ runId: run.id, taskId, state, attempt },
    action: plannedOf(run, taskId)?.action ?? 'unknown',
    startedAt: attemptAt === null ? null : new Date(attemptAt).toISOString(),
  }
}

/** Audit has an entry where an attempt begins and where it ends, and where a task ends without one. */
function entryOf(run: RunRecord, { taskId, before, after }: Step, action: string): EntryInput | undefined {
  // In the order of their names, which is that of the canonical form: nothing has to be sorted then.
  const detail: { [key: string]: Json } = { action }
  if (after.approvalId !== null) detail['approvalId'] = after.approvalId
  detail['attempt'] = after.attempt
  const shared = { actor, target: `task:${run.id}:${taskId}`, correlation: run.id }
  if (after.state === 'Running') {
    detail['requestedBy'] = run.requestedBy
    return { ...shared, type: 'task.started', outcome: 'intent', detail }
  }
  if (before.state !== 'Running' && !isEnded(after.state)) return undefined
  detail['reason'] = after.reason
  detail['requestedBy'] = run.requestedBy
  detail['retryAt'] = after.retryAt
  detail['state'] = after.state
  return { ...shared, type: 'task.finished', outcome: outcomeOf(after), detail }
}

function outcomeOf({ state }: TaskStatus): EntryInput['outcome'] {
  if (state === 'Succeeded') return 'done'
  return state === 'Cancelled' || state === 'Skipped' ? 'denied' : 'failed'
}
