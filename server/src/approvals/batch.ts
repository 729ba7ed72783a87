import type { ApprovalState, Code } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import type { Approval } from './approvals-store.ts'

/** What became of one answer of several: the approval's state, or why it did not count. */
export type AnsweredOne =
  | { approvalId: string; state: ApprovalState; code: null; detail: null }
  | { approvalId: string; state: null; code: Code; detail: string }

/** One answer for many hides what they are unless they are alike and can do little harm. Throws `request.invalid`. */
export function assertAlike(approvals: readonly (Approval | undefined)[]): void {
  const known = approvals.filter((approval) => approval !== undefined)
  const grave = known.find(({ risk }) => risk !== 'low')
  if (grave)
    throw new AppError('request.invalid', `${grave.id} is of ${grave.risk} risk; answer it for itself`)
  if (new Set(known.map(({ action }) => action)).size > 1)
    throw new AppError('request.invalid', 'they ask for different actions; answer each kind for itself')
}

export function refusedOne(approvalId: string, error: unknown): AnsweredOne {
  if (!(error instanceof AppError)) throw error
  return { approvalId, state: null, code: error.code, detail: error.detail ?? error.message }
}
