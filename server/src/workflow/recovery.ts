import type { Log } from '../core/index.ts'
import type { Reader } from '../store/index.ts'
import type { Action, Reconciled, TaskResult } from './action.ts'
import { failureOf } from './attempt.ts'
import { contextOf } from './inputs.ts'
import type { Jobs } from './jobs.ts'
import type { PlannedTask } from './plan.ts'
import { plannedOf, type RunRecord } from './run-record.ts'
import type { HostWriter, Transitions } from './transition.ts'
import { readRun, runningAttempts, unknownAttempts } from './workflow-store.ts'

type Attempted = { readonly runId: string; readonly taskId: string; readonly attempt: number }

type Needs = {
  store: Reader
  actions: ReadonlyMap<string, Action>
  log: Log
  transitions: Pick<Transitions, 'tell' | 'resolved'>
  writer: HostWriter
  jobs: Pick<Jobs, 'later'>
  track: (work: Promise<void>) => void
  /** Completes the attempt; gives the failure when the action's own writes refused. */
  complete: (attempted: Attempted, result: TaskResult) => Promise<{ error: unknown } | undefined>
}

export type Recovery = {
  /** Takes up every task that a dead host left running, and asks on about those whose outcome is unknown. */
  takeUp(): Promise<void>
  /** A task that a dead host left running: asked about where its action can tell, then run again or given to a person. */
  recover(attempted: Attempted): Promise<void>
  /** Asks the action whether an attempt of unknown outcome had its effect, now and then until it can tell or a person says. */
  find(attempted: Attempted): Promise<void>
}

const reconcileMilliseconds = 10_000
const firstPauseSeconds = 30
const longestPauseSeconds = 3600

export function createRecovery(needs: Needs): Recovery {
  const { store, actions, log, complete, transitions, jobs, track } = needs
  const { insist, transact, tell } = needs.writer

  async function recover({ runId, taskId, attempt }: Attempted): Promise<void> {
    const run = await readRun(store, runId)
    const planned = run && plannedOf(run, taskId)
    const action = planned && actions.get(planned.action)
    const reason = 'the server went down while this ran'
    const lost = { type: 'HostLost', taskId, attempt, reason } as const
    if (!run || !planned || !action) return tell(runId, { ...lost, repeatable: false })
    if (action.idempotent) return tell(runId, { ...lost, repeatable: true })
    const found = await reconciled(run, planned, action)
    if (found.effect === 'done') {
      const failure = await complete({ runId, taskId, attempt }, found.result)
      if (failure) await tell(runId, { ...lost, repeatable: false, reason: failureOf(failure.error) })
      return
    }
    const why = found.effect === 'unknown' ? `${reason}; ${found.reason}` : reason
    return tell(runId, { ...lost, repeatable: found.effect === 'none', reason: why })
  }

  async function find(attempted: Attempted, pauseSeconds = firstPauseSeconds): Promise<void> {
    const { runId, taskId, attempt } = attempted
    const run = await readRun(store, runId)
    const task = run?.status.tasks.get(taskId)
    const planned = run && plannedOf(run, taskId)
    const action = planned && actions.get(planned.action)
    if (!run || !planned || !action?.reconcile || task?.state !== 'Ambiguous' || task.attempt !== attempt)
      return
    const found = await reconciled(run, planned, action)
    if (found.effect !== 'unknown') return settleFound(attempted, found)
    const again = Math.min(pauseSeconds * 2, longestPauseSeconds)
    jobs.later(attempted, pauseSeconds * 1000, () => track(find(attempted, again)))
  }

  async function settleFound(
    { runId, taskId, attempt }: Attempted,
    found: Exclude<Reconciled, { effect: 'unknown' }>,
  ): Promise<void> {
    const { effect } = found
    const reason = 'the action found out'
    await insist(runId, () =>
      transact(runId, async (tx, t) => {
        const facts = found.effect === 'done' ? { output: JSON.stringify(found.result.output ?? null) } : {}
        if (!transitions.tell(t, { type: 'TaskResolved', taskId, attempt, effect, reason }, facts)) return
        await transitions.resolved(tx, t.run, { taskId, effect, reason, by: null })
        if (found.effect === 'done') await found.result.commit?.(tx)
      }),
    )
  }

  return {
    recover,
    find: (attempted) => find(attempted),
    async takeUp() {
      const left = await runningAttempts(store, 'embedded')
      if (left.length > 0) log.info({ tasks: left.length }, 'taking up tasks that were running')
      const unknown = await unknownAttempts(store, 'embedded')
      await Promise.all(left.map(recover))
      for (const attempted of unknown) track(find(attempted))
    },
  }
}

async function reconciled(run: RunRecord, planned: PlannedTask, action: Action): Promise<Reconciled> {
  const unknown = (reason: string) => ({ effect: 'unknown', reason }) as const
  if (!action.reconcile)
    return unknown('whether it had its effect is not known, and it must not happen twice')
  try {
    return await action.reconcile(
      contextOf(run, planned, { action, signal: AbortSignal.timeout(reconcileMilliseconds) }),
    )
  } catch (error) {
    return unknown(`and finding out whether it had its effect failed: ${failureOf(error)}`)
  }
}
