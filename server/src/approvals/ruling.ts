import type { ApprovalChannel, ApprovalView, Code } from '@keyward/contract'
import { actorOf, type Principal } from '../core/index.ts'
import type { Counted } from './answers-store.ts'
import type { Approval } from './approvals-store.ts'

/** What policy says about one person answering one approval. */
export type Ruling = {
  readonly allow: boolean
  readonly policies: readonly string[]
  readonly reason: string
  /** `self` only where the policy `solo` lets the only account answer its own request. */
  readonly mode: 'person' | 'self'
}

/** What somebody wants to do with a question. Who denies or changes one must be allowed to approve it, and to do that. */
export type Answering = 'approve' | 'deny' | 'change'

/**
 * Asked before each answer. The principal `system:unattended` is asked about for a run that was started without a person;
 * `unattended` says that this is one. `requesters` are all who stand behind the request: an agent, and whose agent it is.
 */
export type MayApprove = (
  principal: Principal,
  approval: ApprovalView & {
    readonly unattended: boolean
    readonly requesters: readonly string[]
  },
  as: Answering,
) => Ruling | Promise<Ruling>

export type Answer = {
  readonly principal: Principal
  readonly decision: 'approved' | 'denied'
  /** What the answerer saw. */
  readonly digest: string
  readonly reason: string | null
  readonly channel: ApprovalChannel
  /** Given ahead, by this grant. */
  readonly grantId?: string
  /** It is to be asked with other arguments instead; judged like an approval of which nothing hangs on a second factor. */
  readonly isChange?: true
}

/** In whose right an answer may count: one's own, or that of somebody who delegated it. */
export type Authority = {
  readonly actor: string
  /** The account is open, and a delegation still in force. */
  readonly live: boolean
  readonly groups: readonly string[]
  readonly ruling: Ruling
}

export type Refusal = { readonly code: Code; readonly detail: string }

export type Case = {
  readonly approval: Approval
  readonly answer: Answer
  readonly requesters: readonly string[]
  /** One's own first. */
  readonly authorities: readonly Authority[]
  readonly answers: readonly Counted[]
  readonly now: number
}

export const unattendedId = 'unattended'
/** How long a second factor is fresh. */
const freshMs = 5 * 60_000
/** A clock that went back further than this cannot tell what is fresh. */
const skewMs = 60_000

const ownChannels: readonly ApprovalChannel[] = ['console', 'cli', 'api', 'none']

/** What is grave, or for several people, is not approved by who changed it: then they stand behind it like its requester. */
export const behindIt = (
  { changedBy, quorum, risk }: Pick<Approval, 'changedBy' | 'quorum' | 'risk'>,
  requesters: readonly string[],
): readonly string[] =>
  quorum > 1 || risk === 'high' || risk === 'critical'
    ? [...new Set([...requesters, ...changedBy])]
    : requesters

/** In whose right this answer counts, or why it does not. Who may not answer learns nothing about the state. */
export function judge(about: Case): Authority | Refusal {
  const { approval, answer, now } = about
  const authority = byAuthority(about)
  if ('code' in authority) return authority
  return (
    byState(approval) ??
    byTime(approval, now) ??
    byDigest(approval, answer) ??
    byChannel(approval, answer) ??
    (answer.isChange ? authority : (bySecondFactor(approval, answer, now) ?? byVoice(about, authority)))
  )
}

export const isRefusal = (judged: Authority | Refusal): judged is Refusal => 'code' in judged

function byAuthority({ approval, answer, requesters, authorities }: Case): Authority | Refusal {
  const { principal, decision } = answer
  const [own] = authorities
  if (!own) return denied('nobody is known to answer')
  if (principal.kind === 'agent') return denied('an agent never answers an approval')
  if (principal.kind === 'system') return bySystem(approval, principal, own)
  if (requesters.includes(own.actor)) {
    if (decision === 'denied' || (own.ruling.allow && own.ruling.mode === 'self')) return own
    return { code: 'approval.self', detail: `${own.actor} asked for it: ${own.ruling.reason}` }
  }
  // Whoever changed it answers in their own right or not at all.
  const rights = approval.changedBy.includes(own.actor) ? [own] : authorities
  const allowed = rights.filter(({ ruling, live }) => live && ruling.allow)
  if (allowed.length === 0) return denied(own.live ? own.ruling.reason : 'the account is closed')
  const asked = allowed.filter(({ groups }) => isAsked(approval, groups))
  if (asked.length === 0)
    return { code: 'approval.not_asked', detail: `it is for people in ${approval.groups.join(' or ')}` }
  return (
    asked.find(({ actor }) => !requesters.includes(actor)) ?? {
      code: 'approval.self',
      detail: 'who delegated the right to answer asked for it',
    }
  )
}

const denied = (detail: string): Refusal => ({ code: 'policy.denied', detail })

export const isAsked = (approval: Pick<Approval, 'groups'>, groups: readonly string[]): boolean =>
  approval.groups.length === 0 || approval.groups.some((group) => groups.includes(group))

function bySystem(approval: Approval, { id }: Principal, own: Authority): Authority | Refusal {
  if (id !== unattendedId || !approval.unattended)
    return denied('Keyward answers only for runs that were started unattended')
  if (approval.quorum > 1 || approval.needsSecondFactor || approval.groups.length > 0)
    return denied('this needs people, however its run was started')
  return own.ruling.allow ? own : denied(own.ruling.reason)
}

function byState({ id, state, decidedBy, supersededBy }: Approval): Refusal | undefined {
  switch (state) {
    case 'pending':
      return undefined
    case 'expired':
      return { code: 'approval.expired', detail: `nobody answered ${id} in time` }
    case 'voided':
      return { code: 'approval.void', detail: `${id} was voided: what would run changed` }
    case 'superseded':
      return { code: 'approval.void', detail: `${id} was replaced by ${supersededBy ?? 'another'}` }
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

const byChannel = ({ id, risk }: Approval, { channel }: Answer): Refusal | undefined =>
  risk === 'low' || ownChannels.includes(channel)
    ? undefined
    : {
        code: 'approval.channel',
        detail: `${id} is of ${risk} risk; ${channel} decides what is of low risk. Answer it on Keyward's own page`,
      }

function bySecondFactor(
  { id, needsSecondFactor }: Approval,
  { decision, principal }: Answer,
  now: number,
): Refusal | undefined {
  if (!needsSecondFactor || decision === 'denied' || isFresh(principal, now)) return undefined
  return {
    code: 'approval.second_factor',
    detail: `${id} needs a second factor within the last five minutes: keyward second-factor confirm, or the page of your account`,
  }
}

function isFresh({ secondFactorAt }: Principal, now: number): boolean {
  if (!secondFactorAt) return false
  const age = now - secondFactorAt.getTime()
  return age < freshMs && age > -skewMs
}

/** Nobody has two voices: neither who answers, nor in whose right it is answered. */
function byVoice({ approval, answer, answers }: Case, authority: Authority): Authority | Refusal {
  if (answer.decision === 'denied') return authority
  const voices = answers.flatMap(({ by, onBehalfOf }) => [by, onBehalfOf ?? by])
  const used = [actorOf(answer.principal), authority.actor].find((actor) => voices.includes(actor))
  if (used === undefined) return authority
  return { code: 'approval.answered', detail: `${used} has allowed ${approval.id} already; it needs others` }
}
