import type { Json, RunDetail } from '@keyward/contract'
import type { Audit, EntryInput } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { AppError, actorOf, type Principal } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { ApprovalGate } from './gate.ts'
import { factsOf, type RunRecord } from './run-record.ts'
import { isRunEnded, type RunEvent } from './run-status.ts'
import type { Transition, Transitions } from './transition.ts'
import { runDetail } from './views.ts'

/** What people do to a run that exists. Each throws `run.not_found`, and `run.state` when the run is not in a state for it. */
export type Steering = {
  /** Nothing that has not begun ever will; what runs is told to stop, runs that are its tasks too. */
  cancel(runId: string, by: Principal, reason?: string): Promise<RunDetail>
  /** Nothing more begins; what runs ends by itself, and approvals can still be answered. */
  pause(runId: string, by: Principal, reason?: string): Promise<RunDetail>
  resume(runId: string, by: Principal): Promise<RunDetail>
  /** Goes on with a run that failed or was cancelled: from this task, or from all that failed. */
  retry(runId: string, by: Principal, taskId?: string): Promise<RunDetail>
  /** Says whether a task whose outcome is unknown had its effect. */
  resolve(runId: string, by: Principal, said: Said): Promise<RunDetail>
}
export type Said = {
  readonly taskId: string
  /** `none`: it did not happen, and the task runs again. */
  readonly effect: 'done' | 'none'
  /** What it would have given, for `done`. */
  readonly output?: Json | undefined
  readonly reason: string
}

type Needs = {
  store: Pick<Store, 'write'>
  transitions: Transitions
  gate: Pick<ApprovalGate, 'cancelForRun'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  /** The run was changed in this transaction: somebody may have to go on with it. */
  onChanged: (tx: Tx, run: RunRecord) => Promise<void>
}

export function createSteering({ store, transitions, gate, audit, bus, onChanged }: Needs): Steering {
  async function opened(tx: Tx, runId: string): Promise<Transition> {
    const transition = await transitions.open(tx, runId)
    if (!transition) throw new AppError('run.not_found', `there is no run '${runId}'`)
    return transition
  }

  type Step = {
    readonly event: RunEvent
    readonly by: Principal
    readonly type: 'run.cancelled' | 'run.paused' | 'run.resumed' | 'run.retried'
    readonly outcome: EntryInput['outcome']
    readonly detail: { [key: string]: Json }
  }

  async function take(tx: Tx, transition: Transition, step: Step): Promise<void> {
    const { id } = transition.run
    await audit.record(tx, {
      type: step.type,
      outcome: step.outcome,
      actor: actorOf(step.by),
      target: `run:${id}`,
      correlation: id,
      detail: step.detail,
    })
    await bus.publish(tx, { type: step.type, subject: `run:${id}`, data: { runId: id } })
    await transitions.save(tx, transition)
    await onChanged(tx, transition.run)
  }

  function change(runId: string, step: Step, refusal: (run: RunRecord) => string): Promise<RunDetail> {
    return store.write(async (tx) => {
      const transition = await opened(tx, runId)
      if (!transitions.tell(transition, step.event)) throw new AppError('run.state', refusal(transition.run))
      await take(tx, transition, step)
      return runDetail(transition.run)
    })
  }

  async function cancel(tx: Tx, runId: string, by: Principal, reason: string): Promise<RunDetail> {
    const transition = await opened(tx, runId)
    const { state } = transition.run.status
    if (isRunEnded(state)) throw new AppError('run.state', `run ${runId} has ended already (${state})`)
    const event: RunEvent = { type: 'CancelRequested', reason }
    if (!transitions.tell(transition, event)) {
      await onChanged(tx, transition.run)
      return runDetail(transition.run)
    }
    await gate.cancelForRun(tx, runId, reason)
    await take(tx, transition, { event, by, type: 'run.cancelled', outcome: 'intent', detail: { reason } })
    for (const child of childrenOf(transition.run)) await cancelChild(tx, child, by, reason)
    return runDetail((await opened(tx, runId)).run)
  }

  async function cancelChild(tx: Tx, runId: string, by: Principal, reason: string): Promise<void> {
    const child = await transitions.open(tx, runId)
    if (child && !isRunEnded(child.run.status.state)) await cancel(tx, runId, by, reason)
  }

  const ended = (run: RunRecord): string => `run ${run.id} is ${run.status.state}`

  return {
    cancel: (runId, by, reason) =>
      store.write((tx) => cancel(tx, runId, by, `run.cancelled: ${reason ?? `by ${actorOf(by)}`}`)),
    pause(runId, by, given) {
      const reason = `run.paused: ${given ?? `by ${actorOf(by)}`}`
      const event: RunEvent = { type: 'PauseRequested', reason }
      return change(runId, { event, by, type: 'run.paused', outcome: 'done', detail: { reason } }, ended)
    },
    resume: (runId, by) =>
      change(
        runId,
        { event: { type: 'ResumeRequested' }, by, type: 'run.resumed', outcome: 'done', detail: {} },
        (run) => `run ${run.id} is ${run.status.state}, not paused`,
      ),
    retry(runId, by, taskId) {
      const event: RunEvent = { type: 'RetryRequested', taskId: taskId ?? null }
      const detail = { taskId: taskId ?? null }
      return change(runId, { event, by, type: 'run.retried', outcome: 'intent', detail }, (run) =>
        isRunEnded(run.status.state) && run.status.state !== 'Succeeded'
          ? `nothing of run ${run.id} can go on from ${taskId ? `'${taskId}'` : 'where it stopped'}`
          : `run ${run.id} is ${run.status.state}; only one that failed or was cancelled goes on`,
      )
    },
    resolve: (runId, by, { taskId, effect, output, reason }) =>
      store.write(async (tx) => {
        const transition = await opened(tx, runId)
        const attempt = transition.run.status.tasks.get(taskId)?.attempt ?? 0
        const facts = effect === 'done' ? { output: JSON.stringify(output ?? null) } : {}
        if (!transitions.tell(transition, { type: 'TaskResolved', taskId, attempt, effect, reason }, facts))
          throw new AppError('run.state', `the outcome of '${taskId}' of run ${runId} is not unknown`)
        await transitions.resolved(tx, transition.run, { taskId, effect, reason, by: actorOf(by) })
        await transitions.save(tx, transition)
        await onChanged(tx, transition.run)
        return runDetail(transition.run)
      }),
  }
}

/** The runs that are tasks of this one and have begun. */
const childrenOf = (run: RunRecord): string[] =>
  [...run.status.tasks]
    .filter(([, { state }]) => state === 'Running')
    .flatMap(([id]) => factsOf(run, id).childRunId ?? [])
