import type { Log } from '../core/index.ts'
import type { Reader } from '../store/index.ts'
import type { Action, Reconciled, TaskResult } from './action.ts'
import { failureOf } from './attempt.ts'
import { contextOf, plannedOf } from './inputs.ts'
import type { PlannedTask } from './plan.ts'
import type { RunEvent } from './reducer.ts'
import { type RunRecord, readRun, runningAttempts } from './workflow-store.ts'

type Attempted = { readonly runId: string; readonly taskId: string; readonly attempt: number }

type Needs = {
  store: Reader
  actions: ReadonlyMap<string, Action>
  tell: (runId: string, event: RunEvent) => Promise<void>
  /** Completes the attempt; gives the failure when the action's own writes refused. */
  complete: (attempted: Attempted, result: TaskResult) => Promise<{ error: unknown } | undefined>
}

const reconcileMilliseconds = 10_000

/** Takes up every task that a dead host left running. */
export async function recoverAttempts(needs: Needs & { log: Log }): Promise<void> {
  const left = await runningAttempts(needs.store, 'embedded')
  if (left.length > 0) needs.log.info({ tasks: left.length }, 'taking up tasks that were running')
  await Promise.all(left.map(createRecovery(needs)))
}

/** A task that a dead host left running: asked about where its action can tell, then run again or given to a person. */
export function createRecovery({ store, actions, tell, complete }: Needs) {
  return async ({ runId, taskId, attempt }: Attempted): Promise<void> => {
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
}

async function reconciled(run: RunRecord, planned: PlannedTask, action: Action): Promise<Reconciled> {
  const unknown = (reason: string) => ({ effect: 'unknown', reason }) as const
  if (!action.reconcile)
    return unknown('whether it had its effect is not known, and it must not happen twice')
  try {
    return await action.reconcile(contextOf(run, planned, AbortSignal.timeout(reconcileMilliseconds)))
  } catch (error) {
    return unknown(`and finding out whether it had its effect failed: ${failureOf(error)}`)
  }
}
