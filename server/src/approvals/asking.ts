import type { ApprovalRule, Json, Risk } from '@keyward/contract'
import { AppError, actorOf, type Clock, digestOf, newId, newUuid, systemPrincipal } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { ApprovalQuestion } from '../workflow/index.ts'
import { type Approval, type End, insertApproval, pendingOfRun, readApproval } from './approvals-store.ts'
import type { Carrying } from './carrying.ts'
import type { Recorder } from './record.ts'
import { grantOf } from './rights.ts'
import { type Terms, termsOf } from './rules.ts'

type Needs = {
  clock: Pick<Clock, 'now'>
  recorder: Pick<Recorder, 'tell'>
  carrying: Pick<Carrying, 'candidate'>
  policyVersion: () => string
  ruleOf(reader: Reader, risk: Risk): Promise<ApprovalRule>
  /** Ends a pending approval and says so to everybody. */
  end(tx: Tx, id: string, ending: End): Promise<Approval | undefined>
  expired(): End
  /** What was asked is committed. */
  takeUp(approval: Approval): void
}

const workflowActor = actorOf(systemPrincipal('workflow'))

/** Puts a question, in the transaction of whoever waits for its answer. */
export function createAsking(needs: Needs) {
  const { clock, recorder } = needs

  async function request(tx: Tx, question: ApprovalQuestion): Promise<string> {
    const { change } = question
    const before = change && (await readApproval(tx, change.approvalId))
    if (change && !before) throw new AppError('approval.not_found', change.approvalId)
    const approval = await newApproval(tx, question, before)
    await supersede(tx, approval, question)
    await insertApproval(tx, approval)
    const { unattended } = approval
    await recorder.tell(tx, 'requested', approval, { actor: approval.requestedBy, detail: { unattended } })
    if (change && before) await tellChange(tx, approval, before, change)
    tx.afterCommit(() => needs.takeUp(approval))
    return approval.id
  }

  /** @param before the question whose arguments were changed, if that is why it is asked */
  async function newApproval(
    tx: Tx,
    question: ApprovalQuestion,
    before: Approval | undefined,
  ): Promise<Approval> {
    const now = clock.now()
    const { args: _, change, preview, rules, ...asked } = question
    const rule = await needs.ruleOf(tx, question.risk)
    const terms = within(termsOf(rule, rules, now.getTime()), before)
    const base: Omit<Approval, 'grantId' | 'carriedFrom'> = {
      ...asked,
      ...terms,
      id: newId('apr', now),
      nonce: newUuid(now),
      policyVersion: needs.policyVersion(),
      target: rules.target,
      blastRadius: rules.blastRadius ?? null,
      rollback: rules.rollback ?? null,
      preview: JSON.stringify(preview),
      changedBy: change ? [...new Set([...(before?.changedBy ?? []), change.by])] : [],
      replaces: before?.id ?? null,
      // A person has looked at it and meant something else: a person answers.
      unattended: question.unattended && !change,
      ...unanswered,
      requestedAt: now.getTime(),
    }
    if (change) return { ...base, grantId: null, carriedFrom: null }
    const grant = await grantOf(tx, question, terms, now.getTime())
    const carriedFrom = grant || base.unattended ? null : await needs.carrying.candidate(tx, base)
    return { ...base, grantId: grant?.id ?? null, carriedFrom }
  }

  /** A task has one open question: a new one takes the place of the one before. */
  async function supersede(
    tx: Tx,
    { id, runId, taskId }: Approval,
    { change }: ApprovalQuestion,
  ): Promise<void> {
    for (const old of await pendingOfRun(tx, runId)) {
      if (old.taskId !== taskId) continue
      await end(tx, old.id, {
        ...needs.expired(),
        state: 'superseded',
        decidedBy: change?.by ?? workflowActor,
        reason: change ? `its arguments were changed: ${change.reason}` : 'the task was asked for anew',
        supersededBy: id,
      })
    }
  }

  const end = needs.end

  const tellChange = (
    tx: Tx,
    approval: Approval,
    before: Approval,
    { by, reason }: NonNullable<ApprovalQuestion['change']>,
  ): Promise<void> =>
    recorder.tell(tx, 'changed', approval, {
      actor: by,
      detail: {
        reason,
        digestBefore: before.digest,
        argsHashBefore: argsHashOf(before),
        argsHash: argsHashOf(approval),
      },
    })

  return { request }
}

const unanswered = {
  state: 'pending',
  mode: null,
  channel: null,
  decidedBy: null,
  reason: null,
  decidedAt: null,
  redeemedAt: null,
  remindedAt: null,
  escalatedAt: null,
  supersededBy: null,
  carriedTo: null,
} as const

/** Whoever changes a question wins no time by it. */
const within = (terms: Terms, before: Approval | undefined): Terms => ({
  ...terms,
  expiresAt: Math.min(terms.expiresAt, before?.expiresAt ?? terms.expiresAt),
})

const argsHashOf = ({ subject }: Approval): string => {
  const { args }: { args: Json } = JSON.parse(subject)
  return digestOf(args)
}
