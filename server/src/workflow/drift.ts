import { AppError } from '../core/index.ts'
import type { Reader } from '../store/index.ts'
import type { Action } from './action.ts'
import { failureOf } from './attempt.ts'
import { type ApprovalClaim, approvalDigest } from './gate.ts'
import { filledIn, takePreview } from './inputs.ts'
import { planDigestOf } from './plan.ts'
import { plannedOf } from './run-record.ts'
import { readRun } from './workflow-store.ts'

export type Drift = {
  /**
   * Why what would run now is not what this open question asks for. Undefined while it is, when the task waits for it no more, and when
   * it cannot be told at the moment.
   */
  driftOf(claim: ApprovalClaim): Promise<string | undefined>
}

type Needs = { store: Reader; actions: ReadonlyMap<string, Action> }

/** The same look as right before the task, taken while somebody is still asked. */
export function createDrift({ store, actions }: Needs): Drift {
  return {
    async driftOf({ runId, taskId, approvalId, digest }) {
      const run = await readRun(store, runId)
      const status = run?.status.tasks.get(taskId)
      const planned = run && plannedOf(run, taskId)
      if (!planned || status?.state !== 'AwaitingApproval' || status.approvalId !== approvalId)
        return undefined
      const action = actions.get(planned.action)
      try {
        const filled = filledIn(run, planned, action)
        const now = approvalDigest(filled, planDigestOf(run.plan), await takePreview(action, run, filled))
        return now === digest ? undefined : 'what would run is not what was asked for any more'
      } catch (error) {
        if (error instanceof AppError && refusals.has(error.code)) return failureOf(error)
        throw error
      }
    },
  }
}

/** What an action says of the world; everything else may pass, and is asked again right before the task. */
const refusals: ReadonlySet<string> = new Set(['connector.refused', 'task.data_missing'])
