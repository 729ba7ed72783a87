import type { ApprovalView, Json } from '@keyward/contract'
import { digestOf } from '../core/index.ts'
import type { Reader } from '../store/index.ts'
import { answersOf, type Counted } from './answers-store.ts'
import type { Approval } from './approvals-store.ts'

const at = (milliseconds: number): string => new Date(milliseconds).toISOString()
const atOrNull = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : at(milliseconds)

function viewOf(approval: Approval, answers: readonly Counted[]): ApprovalView {
  const {
    unattended: _u,
    redeemedAt: _r,
    escalateTo: _e,
    remindAt: _ra,
    escalateAt: _ea,
    carriedTo: _ct,
    carriedFrom,
    changedBy,
    preview,
    groups,
    requestedAt,
    decidedAt,
    expiresAt,
    remindedAt,
    escalatedAt,
    ...same
  } = approval
  return {
    ...same,
    preview: JSON.parse(preview),
    previewDigest: digestOf(JSON.parse(preview)),
    groups: [...groups],
    changedBy: [...changedBy],
    carriedFrom: same.mode === 'carried' ? carriedFrom : null,
    approvals: answers.map(({ approvalId: _a, at: answeredAt, secondFactorAt, ...answer }) => ({
      ...answer,
      at: at(answeredAt),
      secondFactorAt: atOrNull(secondFactorAt),
    })),
    requestedAt: at(requestedAt),
    decidedAt: atOrNull(decidedAt),
    expiresAt: at(expiresAt),
    remindedAt: atOrNull(remindedAt),
    escalatedAt: atOrNull(escalatedAt),
  }
}

/** With the answers that counted, read once for all of them. */
export async function viewsOf(reader: Reader, approvals: readonly Approval[]): Promise<ApprovalView[]> {
  const answers = await answersOf(
    reader,
    approvals.map(({ id }) => id),
  )
  const byId = Map.groupBy(answers, ({ approvalId }) => approvalId)
  return approvals.map((approval) => viewOf(approval, byId.get(approval.id) ?? []))
}

/** What every entry about an approval says: all of it, and of the preview its hash. */
export const contentOf = (approval: Approval): { [key: string]: Json } => ({
  runId: approval.runId,
  taskId: approval.taskId,
  action: approval.action,
  title: approval.title,
  target: approval.target,
  requestedBy: approval.requestedBy,
  risk: approval.risk,
  reversible: approval.reversible,
  quorum: approval.quorum,
  groups: [...approval.groups],
  needsSecondFactor: approval.needsSecondFactor,
  changedBy: [...approval.changedBy],
  replaces: approval.replaces,
  blastRadius: approval.blastRadius,
  rollback: approval.rollback,
  digest: approval.digest,
  planDigest: approval.planDigest,
  policyVersion: approval.policyVersion,
  nonce: approval.nonce,
  previewDigest: digestOf(JSON.parse(approval.preview)),
  requestedAt: at(approval.requestedAt),
  expiresAt: at(approval.expiresAt),
})
