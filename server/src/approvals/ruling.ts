import type { ApprovalView, Code } from '@keyward/contract'
import { actorOf, type Principal } from '../core/index.ts'
import type { Approval } from './approvals-store.ts'

/** What policy says about one person answering one approval. */
export type Ruling = {
  readonly allow: boolean
  readonly policies: readonly string[]
  readonly reason: string
  /** `self` only where the policy `solo` lets the only account answer its own request. */
  readonly mode: 'person' | 'self'
}

/**
 * Asked before each answer. The principal `system:unattended` is asked about for a run that was started without a person;
 * `unattended` says that this is one.
 */
export type MayApprove = (
  principal: Principal,
  approval: ApprovalView & { readonly unattended: boolean },
) => Ruling | Promise<Ruling>

export type Answer = {
  readonly principal: Principal
  readonly decision: 'approved' | 'denied'
  /** What the answerer saw. */
  readonly digest: string
  readonly reason: string | null
}

export type Refusal = { readonly code: Code; readonly detail: string }

export const unattendedId = 'unattended'

/** Why this answer does not count, or undefined when it does. Who may not answer learns nothing about the state. */
export function refusalOf(
  approval: Approval,
  answer: Answer,
  ruling: Ruling,
  now: number,
): Refusal | undefined {
  return (
    byAuthority(approval, answer, ruling) ??
    byState(approval) ??
    byTime(approval, now) ??
    byDigest(approval, answer)
  )
}

function byAuthority(
  approval: Approval,
  { principal, decision }: Answer,
  ruling: Ruling,
): Refusal | undefined {
  const { kind, id } = principal
  if (kind === 'agent') return { code: 'policy.denied', detail: 'an agent never answers an approval' }
  if (kind === 'system' && !(id === unattendedId && approval.unattended)) {
    return { code: 'policy.denied', detail: 'Keyward answers only for runs that were started unattended' }
  }
  const own = actorOf(principal) === approval.requestedBy
  if (own && decision === 'denied') return undefined
  if (own && !(ruling.allow && ruling.mode === 'self')) {
    return { code: 'approval.self', detail: `${actorOf(principal)} asked for it: ${ruling.reason}` }
  }
  return ruling.allow ? undefined : { code: 'policy.denied', detail: ruling.reason }
}

function byState({ id, state, decidedBy }: Approval): Refusal | undefined {
  switch (state) {
    case 'pending':
      return undefined
    case 'expired':
      return { code: 'approval.expired', detail: `nobody answered ${id} in time` }
    case 'voided':
      return { code: 'approval.void', detail: `${id} was voided: what would run changed` }
    case 'approved':
    case 'denied':
    case 'cancelled':
      return { code: 'approval.answered', detail: `${id} was ${state} by ${decidedBy ?? 'nobody'}` }
  }
}

const byTime = ({ id, expiresAt }: Approval, now: number): Refusal | undefined =>
  now < expiresAt
    ? undefined
    : { code: 'approval.expired', detail: `${id} expired at ${new Date(expiresAt).toISOString()}` }

const byDigest = ({ id, digest }: Approval, answer: Answer): Refusal | undefined =>
  digest === answer.digest
    ? undefined
    : { code: 'approval.void', detail: `the answer is to another digest than ${id} has; read it again` }
