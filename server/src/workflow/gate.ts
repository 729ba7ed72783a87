import type { Json, Risk } from '@keyward/contract'
import { digestOf } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import type { GateRules, PlannedTask } from './plan.ts'

/** Who is asked before a gated task runs. `main` gives the approvals. */
export type ApprovalGate = {
  /** Stores the question in the caller's transaction; the answer comes through `Workflow.decide`. */
  request(tx: Tx, question: ApprovalQuestion): Promise<string>
  /**
   * Uses the approval up, for this task alone. A later attempt of the same task with the same digest is let through again.
   * When the digest is another, the approval is voided in the caller's transaction and the task must not run.
   */
  redeem(tx: Tx, claim: ApprovalClaim): Promise<Redemption>
  /** Withdraws what the run still waits for. */
  cancelForRun(tx: Tx, runId: string, reason: string): Promise<void>
}

export type ApprovalQuestion = {
  readonly runId: string
  readonly taskId: string
  readonly action: string
  readonly title: string
  readonly rules: GateRules
  readonly requestedBy: string
  readonly risk: Risk
  readonly reversible: boolean
  readonly args: Json
  readonly preview: Json
  readonly planDigest: string
  /** The canonical JSON whose SHA-256 is `digest`. */
  readonly subject: string
  readonly digest: string
  readonly unattended: boolean
  /** Whether other arguments can take the place of these. */
  readonly changeable: boolean
  /** Asked because somebody changed the arguments of the question before. */
  readonly change?: { readonly approvalId: string; readonly by: string; readonly reason: string }
}

export type ApprovalClaim = {
  readonly approvalId: string
  readonly runId: string
  readonly taskId: string
  readonly digest: string
}

type Redemption = { readonly valid: true } | { readonly valid: false; readonly reason: string }

/** What an approval is bound to: the action, its arguments, the plan around it, and the world as the preview shows it. */
export const approvalSubject = (planned: PlannedTask, planDigest: string, preview: Json): Json => ({
  action: planned.action,
  args: planned.args,
  planDigest,
  preview,
})

export const approvalDigest = (planned: PlannedTask, planDigest: string, preview: Json): string =>
  digestOf(approvalSubject(planned, planDigest, preview))
