import type { Json } from '@keyward/contract'
import type { Audit, EntryInput } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { actorOf, type Clock, systemPrincipal } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import type { Action } from './action.ts'
import { type Command, isEnded, isRunEnded, next, type RunEvent, type TaskStatus } from './reducer.ts'
import { factsOf, type RunRecord, readRun, type TaskFacts, updateRun } from './workflow-store.ts'

/** One run inside one transaction: read, told what happened, and saved with the audit entries and events of all of it. */
export type Transition = {
  run: RunRecord
  readonly commands: Command[]
  readonly steps: Step[]
}
type Step = { readonly taskId: string; readonly before: TaskStatus; readonly after: TaskStatus }

export type Transitions = {
  open(tx: Tx, runId: string): Promise<Transition | undefined>
  /** Applies an event; false when it does not fit, and then nothing changed. `facts` go into the row of the event's task. */
  tell(transition: Transition, event: RunEvent, facts?: Partial<TaskFacts>): boolean
  save(tx: Tx, transition: Transition): Promise<void>
}

/** The one way in which a host changes a run. */
export type HostWriter = {
  /** One transition of one run in one transaction, checked to be this host's, and then what it commands. */
  transact(runId: string, work: Work): Promise<void>
  /** Repeats a transaction until the store takes it: a full disk or a lost connection must not lose what happened. */
  insist(runId: string, write: () => Promise<void>): Promise<void>
  tell(runId: string, event: RunEvent): Promise<void>
}
export type Work = (tx: Tx, transition: Transition) => Promise<void>

type Needs = {
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  actions: ReadonlyMap<string, Action>
}

const actor = actorOf(systemPrincipal('workflow'))

export function createTransitions({ audit, bus, clock, actions }: Needs): Transitions {
  async function saveStep(tx: Tx, run: RunRecord, step: Step): Promise<void> {
    const { taskId, before, after } = step
    const planned = run.plan.tasks.find((task) => task.id === taskId)
    const entry = entryOf(run, step, planned?.action ?? 'unknown')
    if (entry) {
      await audit.record(tx, entry)
      const { state, attempt } = after
      await bus.publish(tx, {
        type: entry.type,
        subject: `run:${run.id}`,
        data: { runId: run.id, taskId, state, attempt },
      })
    }
    const left = before.state === 'Running' && after.state !== 'Running'
    const action = left && planned ? actions.get(planned.action) : undefined
    await action?.ended?.(tx, { runId: run.id, taskId, reason: after.reason ?? after.state })
  }

  async function saveEnd(tx: Tx, run: RunRecord): Promise<void> {
    const { state, reason } = run.status
    const outcome = state === 'Succeeded' ? 'done' : state === 'Cancelled' ? 'denied' : 'failed'
    await audit.record(tx, {
      type: 'run.finished',
      outcome,
      actor,
      target: `run:${run.id}`,
      correlation: run.id,
      detail: { state, reason, flow: run.flow },
    })
    await bus.publish(tx, { type: 'run.finished', subject: `run:${run.id}`, data: { runId: run.id, state } })
  }

  return {
    async open(tx, runId) {
      const run = await readRun(tx, runId)
      return run && { run, commands: [], steps: [] }
    },

    tell(transition, event, facts = {}) {
      const before = transition.run.status
      const [status, commands] = next(before, event)
      if (status === before) return false
      const now = clock.now().getTime()
      const all = new Map(transition.run.facts)
      for (const [taskId, after] of status.tasks) {
        const was = before.tasks.get(taskId)
        if (!was || was === after) continue
        transition.steps.push({ taskId, before: was, after })
        const own = 'taskId' in event && event.taskId === taskId ? facts : {}
        all.set(taskId, { ...factsOf(transition.run, taskId), ...timesOf(after, now), ...own })
      }
      const finishedAt = isRunEnded(status.state) ? now : null
      transition.run = { ...transition.run, status, facts: all, finishedAt }
      transition.commands.push(...commands)
      return true
    },

    async save(tx, { run, commands, steps }) {
      if (steps.length === 0 && commands.length === 0) return
      await updateRun(tx, run, new Set(steps.map(({ taskId }) => taskId)))
      for (const step of steps) await saveStep(tx, run, step)
      if (commands.some(({ type }) => type === 'FinishRun')) await saveEnd(tx, run)
    },
  }
}

function timesOf({ state, attempt }: TaskStatus, now: number): Partial<TaskFacts> {
  if (state === 'Running') return attempt === 1 ? { startedAt: now, finishedAt: null } : { finishedAt: null }
  return isEnded(state) ? { finishedAt: now } : {}
}

/** Audit has an entry where an attempt begins and where it ends, and where a task ends without one. */
function entryOf(run: RunRecord, { taskId, before, after }: Step, action: string): EntryInput | undefined {
  const detail: { [key: string]: Json } = { action, attempt: after.attempt, requestedBy: run.requestedBy }
  if (after.approvalId !== null) detail['approvalId'] = after.approvalId
  const shared = { actor, target: `task:${run.id}:${taskId}`, correlation: run.id }
  if (after.state === 'Running') return { ...shared, type: 'task.started', outcome: 'intent', detail }
  if (before.state !== 'Running' && !isEnded(after.state)) return undefined
  return {
    ...shared,
    type: 'task.finished',
    outcome: outcomeOf(after),
    detail: { ...detail, state: after.state, reason: after.reason, retryAt: after.retryAt },
  }
}

function outcomeOf({ state }: TaskStatus): EntryInput['outcome'] {
  if (state === 'Succeeded') return 'done'
  return state === 'Cancelled' || state === 'Skipped' ? 'denied' : 'failed'
}
