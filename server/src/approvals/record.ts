import type { ApprovalState, Json } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { actorOf } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import type { Approval } from './approvals-store.ts'
import type { Answer, Refusal, Ruling } from './ruling.ts'
import { contentOf } from './views.ts'

type Needs = { audit: Pick<Audit, 'record'>; bus: Pick<Bus, 'publish'> }
type Happened =
  | 'requested'
  | 'changed'
  | 'counted'
  | 'reminded'
  | 'escalated'
  | Exclude<ApprovalState, 'pending'>
type By = { readonly actor: string; readonly detail?: { [key: string]: Json } }

/** Says what happened to an approval, to the audit log in full and to the bus by reference. */
export type Recorder = {
  tell(tx: Tx, what: Happened, approval: Approval, by: By): Promise<void>
  refused(
    tx: Tx,
    approval: Approval,
    given: Answer,
    refusal: Refusal,
    ruling: Ruling | undefined,
  ): Promise<void>
}

const outcomes: Readonly<Record<Happened, 'intent' | 'done' | 'denied'>> = {
  requested: 'intent',
  changed: 'done',
  counted: 'done',
  reminded: 'done',
  escalated: 'done',
  approved: 'done',
  denied: 'denied',
  expired: 'denied',
  cancelled: 'denied',
  voided: 'denied',
  superseded: 'denied',
}

export function createRecorder({ audit, bus }: Needs): Recorder {
  return {
    async tell(tx, what, approval, { actor, detail }) {
      const { id, runId, taskId, state, channel } = approval
      const type = `approval.${what}` as const
      await audit.record(tx, {
        type,
        outcome: outcomes[what],
        actor,
        target: `approval:${id}`,
        correlation: runId,
        detail: { ...contentOf(approval), ...detail },
      })
      const requestedAt = new Date(approval.requestedAt).toISOString()
      const data = { approvalId: id, runId, taskId, state, channel, requestedAt }
      await bus.publish(tx, { type, subject: `approval:${id}`, data })
    },
    async refused(tx, approval, given, refusal, ruling) {
      const { principal, decision, digest, reason, channel, isChange } = given
      await audit.record(tx, {
        type: 'approval.refused',
        outcome: 'denied',
        actor: actorOf(principal),
        target: `approval:${approval.id}`,
        correlation: approval.runId,
        detail: {
          ...contentOf(approval),
          decision: isChange ? 'changed' : decision,
          answeredDigest: digest,
          reason,
          channel,
          code: refusal.code,
          policies: [...(ruling?.policies ?? [])],
        },
      })
    },
  }
}
