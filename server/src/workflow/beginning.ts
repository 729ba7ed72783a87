import type { Json } from '@keyward/contract'
import { AppError, digestOf, type Log, reasonOf } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { Action } from './action.ts'
import { failureOf, placesOf } from './attempt.ts'
import { due } from './due.ts'
import { type ApprovalGate, approvalDigest } from './gate.ts'
import type { OnBoundary } from './host-needs.ts'
import { filledIn, questionOf, subrunInputOf, takePreview } from './inputs.ts'
import type { Job, Jobs } from './jobs.ts'
import { type Plan, type PlannedTask, planDigestOf } from './plan.ts'
import { factsOf, plannedOf, type RunRecord } from './run-record.ts'
import type { HostWriter, Transition, Transitions, Work } from './transition.ts'

type Needs = {
  store: Reader
  transitions: Pick<Transitions, 'tell' | 'current'>
  gate: Pick<ApprovalGate, 'request' | 'redeem'>
  actions: ReadonlyMap<string, Action>
  jobs: Pick<Jobs, 'later'>
  log: Log
  onBoundary: OnBoundary
  writer: HostWriter
  wake: (runId: string) => void
  execute: (job: Job, run: RunRecord) => void
  planFlow: PlanFlow
  startChild: StartChild
}

/** Plans a flow for a run that is a task; refuses what who asked for the parent may not start. */
export type PlanFlow = (request: { flow: string; input: Json; requestedBy: string }) => Promise<Plan>
/** Stores the run that a task is, and gives its id. */
export type StartChild = (tx: Tx, child: { plan: Plan; parent: RunRecord; taskId: string }) => Promise<string>

/** What a task needs before it runs: its approval asked for, or its approval used up and its attempt on disk. */
export type Beginning = { ask(job: Job): Promise<void>; start(job: Job): Promise<void> }

/** How long until a preview is taken again that could not be taken because something is unavailable. */
const previewRetryMilliseconds = 5000

export function createBeginning(needs: Needs): Beginning {
  const { store, transitions, gate, actions, jobs, log, onBoundary, wake, execute } = needs
  const { insist, transact, tell } = needs.writer

  /** Waits for a person: the preview is taken before the transaction, and nothing is held after it. */
  async function ask({ runId, taskId }: Job): Promise<void> {
    const run = await transitions.current(store, runId)
    const planned = run && plannedOf(run, taskId)
    if (!run || !planned?.approval) return
    const seen = await previewOf(run, planned)
    if (!seen) return
    onBoundary(`${taskId}:previewed`, runId)
    await insist(runId, () =>
      transact(runId, async (tx, t) => {
        if (!due(t.run.status).some((c) => c.type === 'RequestApproval' && c.taskId === taskId)) return
        const asked = { action: actions.get(planned.action), preview: seen.value }
        const approvalId = await gate.request(tx, questionOf(t.run, seen.planned, asked))
        const facts = { preview: JSON.stringify(seen.value) }
        transitions.tell(t, { type: 'ApprovalRequested', taskId, approvalId }, facts)
      }),
    )
    onBoundary(`${taskId}:asked`, runId)
  }

  /** The preview, or undefined when the task was refused or has to wait for what is unavailable. */
  async function previewOf(
    run: RunRecord,
    unfilled: PlannedTask,
  ): Promise<{ planned: PlannedTask; value: Json } | undefined> {
    const runId = run.id
    const action = actions.get(unfilled.action)
    try {
      const planned = filledIn(run, unfilled, action)
      return { planned, value: await takePreview(action, run, planned) }
    } catch (error) {
      if (error instanceof AppError && error.status === 503) {
        log.warn({ runId, taskId: unfilled.id, reason: reasonOf(error) }, 'a preview has to wait')
        jobs.later({ runId, taskId: unfilled.id }, previewRetryMilliseconds, () => wake(runId))
        return undefined
      }
      log.warn(
        { runId, taskId: unfilled.id, reason: failureOf(error), at: placesOf(error) },
        'a preview failed',
      )
      await tell(runId, {
        type: 'TaskRefused',
        taskId: unfilled.id,
        reason: `no preview: ${failureOf(error)}`,
      })
      return undefined
    }
  }

  async function start(job: Job): Promise<void> {
    const { runId, taskId } = job
    const run = await transitions.current(store, runId)
    const planned = run && plannedOf(run, taskId)
    if (!planned) return
    if (planned.subrun) return startSubrun(run, taskId, planned.subrun)
    if (!actions.has(planned.action)) {
      const reason = `this version of Keyward has no action '${planned.action}'`
      return tell(runId, { type: 'TaskRefused', taskId, reason })
    }
    const seen = planned.approval ? await previewNow(run, planned) : undefined
    if (seen === 'later') return
    onBoundary(`${taskId}:starting`, runId)
    const started: RunRecord[] = []
    const work: Work = async (tx, t) => {
      started.length = 0
      const attempt = (t.run.status.tasks.get(taskId)?.attempt ?? 0) + 1
      if (!due(t.run.status).some((c) => c.type === 'StartTask' && c.taskId === taskId)) return
      if (plannedOf(t.run, taskId)?.approval && !(await redeemed(tx, t, taskId, seen))) return
      if (transitions.tell(t, { type: 'TaskStarted', taskId, attempt })) started.push(t.run)
    }
    await insist(runId, () => transact(runId, work, { anew: planned.approval !== undefined }))
    const [begun] = started
    if (begun) execute(job, begun)
  }

  /** The task becomes a run of its own, planned before the transaction in which both begin. */
  async function startSubrun(
    run: RunRecord,
    taskId: string,
    { flow, input }: { flow: string; input: Json },
  ): Promise<void> {
    const { id: runId, requestedBy } = run
    const plan = await needs
      .planFlow({ flow, input: subrunInputOf(run, taskId, input), requestedBy })
      .catch((error: unknown) => {
        if (error instanceof AppError) return error
        throw error
      })
    if (plan instanceof AppError) {
      if (plan.status !== 503) return tell(runId, { type: 'TaskRefused', taskId, reason: failureOf(plan) })
      return jobs.later({ runId, taskId }, previewRetryMilliseconds, () => wake(runId))
    }
    await insist(runId, () =>
      transact(runId, async (tx, t) => {
        const attempt = (t.run.status.tasks.get(taskId)?.attempt ?? 0) + 1
        if (!due(t.run.status).some((c) => c.type === 'StartTask' && c.taskId === taskId)) return
        const childRunId = await needs.startChild(tx, { plan, parent: t.run, taskId })
        transitions.tell(t, { type: 'TaskStarted', taskId, attempt }, { childRunId })
      }),
    )
    onBoundary(`${taskId}:begun`, runId)
  }

  type Seen = { readonly value: Json } | { readonly failure: string }

  /**
   * What a gated task would do as the world is now. Once an attempt has begun, the world is partly its own work: then what was
   * approved counts, and the action compares piece by piece.
   */
  async function previewNow(run: RunRecord, planned: PlannedTask): Promise<Seen | 'later'> {
    const status = run.status.tasks.get(planned.id)
    if (status && status.attempt > 0) return { value: JSON.parse(factsOf(run, planned.id).preview ?? 'null') }
    const action = actions.get(planned.action)
    try {
      return { value: await takePreview(action, run, filledIn(run, planned, action)) }
    } catch (error) {
      if (!(error instanceof AppError && error.status === 503)) return { failure: failureOf(error) }
      jobs.later({ runId: run.id, taskId: planned.id }, previewRetryMilliseconds, () => wake(run.id))
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
        ? approvalDigest(filledIn(t.run, planned, undefined), planDigestOf(t.run.plan), seen.value)
        : digestOf({ unreadable: seen?.failure ?? 'no preview was taken' })
    const redemption = await gate.redeem(tx, { approvalId, runId: t.run.id, taskId, digest })
    if (redemption.valid) return true
    const failure = seen && 'failure' in seen ? ` (${seen.failure})` : ''
    const reason = `${redemption.reason}${failure}`
    transitions.tell(t, { type: 'ApprovalDecided', taskId, approvalId, decision: 'voided', reason })
    return false
  }

  return { ask, start }
}
