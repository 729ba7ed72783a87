import type { ApprovalState, ApprovalView, Json } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  digestOf,
  type Log,
  newId,
  type Principal,
  reasonOf,
  systemPrincipal,
} from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type {
  ApprovalClaim,
  ApprovalGate,
  ApprovalQuestion,
  Redemption,
  Workflow,
} from '../workflow/index.ts'
import {
  type Approval,
  type ApprovalMode,
  type End,
  endPending,
  insertApproval,
  markRedeemed,
  pendingOfRun,
  readApproval,
  readApprovals,
  readPending,
  voidApproval,
} from './approvals-store.ts'
import { createExpiry } from './expiry.ts'
import { type Answer, type MayApprove, type Refusal, type Ruling, refusalOf, unattendedId } from './ruling.ts'

export type Approvals = ApprovalGate & {
  /** Allows exactly what the digest names, once. */
  approve(
    principal: Principal,
    id: string,
    answer: { digest: string; reason?: string | undefined },
  ): Promise<ApprovalView>
  deny(
    principal: Principal,
    id: string,
    answer: { digest: string; reason?: string | undefined },
  ): Promise<ApprovalView>
  read(id: string): Promise<ApprovalView>
  page(query: {
    cursor?: string | undefined
    limit: number
    state?: ApprovalState | undefined
  }): Promise<{ items: ApprovalView[]; next: string | null }>
  /** Ends what nobody answered in time, by the clock; returns how many. */
  expireDue(): Promise<number>
  /** Takes up what waits in the store: timers, and answers for unattended runs. */
  run(): Promise<void>
  stop(): Promise<void>
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Clock
  log: Log
  workflow: Pick<Workflow, 'decide'>
  mayApprove: MayApprove
}

const unattended = systemPrincipal(unattendedId)
const clockActor = actorOf(systemPrincipal('clock'))
const workflowActor = actorOf(systemPrincipal('workflow'))

export function createApprovals(needs: Needs): Approvals {
  const { store, audit, bus, clock, log, workflow, mayApprove } = needs
  const background = new Set<Promise<void>>()
  const expiry = createExpiry(clock, (id) => inBackground(() => expire(id)))
  const nowMilliseconds = (): number => clock.now().getTime()

  function inBackground(work: () => Promise<unknown>): void {
    const done = work()
      .then(
        () => undefined,
        (error) => log.error({ reason: reasonOf(error) }, 'an approval could not be ended'),
      )
      .finally(() => background.delete(done))
    background.add(done)
  }

  /** What every entry about an approval says: all of it, and of the preview its hash. */
  const contentOf = (approval: Approval): { [key: string]: Json } => ({
    runId: approval.runId,
    taskId: approval.taskId,
    action: approval.action,
    title: approval.title,
    target: approval.target,
    requestedBy: approval.requestedBy,
    risk: approval.risk,
    reversible: approval.reversible,
    digest: approval.digest,
    planDigest: approval.planDigest,
    previewDigest: digestOf(JSON.parse(approval.preview)),
    requestedAt: new Date(approval.requestedAt).toISOString(),
    expiresAt: new Date(approval.expiresAt).toISOString(),
  })

  async function record(
    tx: Tx,
    what: 'requested' | Exclude<ApprovalState, 'pending'>,
    approval: Approval,
    by: { actor: string; detail?: { [key: string]: Json } },
  ): Promise<void> {
    const { id, runId, taskId } = approval
    const type = `approval.${what}` as const
    await audit.record(tx, {
      type,
      outcome: what === 'requested' ? 'intent' : what === 'approved' ? 'done' : 'denied',
      actor: by.actor,
      target: `approval:${id}`,
      correlation: runId,
      detail: { ...contentOf(approval), ...by.detail },
    })
    const { state } = approval
    await bus.publish(tx, { type, subject: `approval:${id}`, data: { approvalId: id, runId, taskId, state } })
  }

  /** Ends a pending approval and says so to audit, bus and workflow, all in the caller's transaction. */
  async function end(
    tx: Tx,
    id: string,
    ending: End,
    policies: readonly string[] = [],
  ): Promise<Approval | undefined> {
    const ended = await endPending(tx, id, ending)
    if (!ended) return undefined
    const { state, decidedBy, mode, reason } = ending
    const decidedAt = new Date(ending.decidedAt).toISOString()
    const detail = { decision: state, operator: decidedBy, mode, reason, decidedAt, policies: [...policies] }
    await record(tx, state, ended, { actor: decidedBy, detail })
    if (state === 'approved' || state === 'denied' || state === 'expired') {
      const { runId, taskId } = ended
      await workflow.decide(tx, { runId, taskId, approvalId: id, decision: state, reason })
    }
    tx.afterCommit(() => expiry.disarm(id))
    return ended
  }

  const expired = (): End => ({
    state: 'expired',
    mode: null,
    decidedBy: clockActor,
    reason: 'nobody answered in time',
    decidedAt: nowMilliseconds(),
  })

  const expire = (id: string): Promise<boolean> =>
    store.write(async (tx) => (await end(tx, id, expired())) !== undefined)

  async function found(id: string): Promise<Approval> {
    const approval = await readApproval(store, id)
    if (!approval) throw new AppError('approval.not_found', `there is no approval '${id}'`)
    return approval
  }

  /** One transaction decides, whoever else answers meanwhile. A refusal is audited and committed too, then thrown. */
  async function answer(id: string, given: Answer): Promise<ApprovalView> {
    const asked = await found(id)
    const ruling = await mayApprove(given.principal, { ...viewOf(asked), unattended: asked.unattended })
    const verdict = await store.write(async (tx): Promise<Approval | Refusal> => {
      const approval = (await readApproval(tx, id)) ?? asked
      const refusal = refusalOf(approval, given, ruling, nowMilliseconds())
      if (!refusal) {
        const decided = await end(tx, id, endOf(approval, given), ruling.policies)
        if (decided) return decided
      }
      if (refusal?.code === 'approval.expired') await end(tx, id, expired())
      return refuse(
        tx,
        approval,
        given,
        ruling,
        refusal ?? { code: 'approval.answered', detail: `${id} just was` },
      )
    })
    if ('code' in verdict) throw new AppError(verdict.code, verdict.detail)
    return viewOf(verdict)
  }

  function endOf(approval: Approval, { principal, decision, reason }: Answer): End {
    const self: ApprovalMode = actorOf(principal) === approval.requestedBy ? 'self' : 'person'
    const mode = principal.kind === 'system' ? 'unattended' : self
    return { state: decision, mode, decidedBy: actorOf(principal), reason, decidedAt: nowMilliseconds() }
  }

  async function refuse(
    tx: Tx,
    approval: Approval,
    given: Answer,
    ruling: Ruling,
    refusal: Refusal,
  ): Promise<Refusal> {
    const { decision, digest, reason } = given
    await audit.record(tx, {
      type: 'approval.refused',
      outcome: 'denied',
      actor: actorOf(given.principal),
      target: `approval:${approval.id}`,
      correlation: approval.runId,
      detail: {
        ...contentOf(approval),
        decision,
        answeredDigest: digest,
        reason,
        code: refusal.code,
        policies: [...ruling.policies],
      },
    })
    return refusal
  }

  async function answerUnattended(id: string, digest: string): Promise<void> {
    const given: Answer = {
      principal: unattended,
      decision: 'approved',
      digest,
      reason: 'started without a person at the terminal',
    }
    await answer(id, given).catch((error) => {
      log.warn({ approvalId: id, reason: reasonOf(error) }, 'an unattended run has to wait for a person')
    })
  }

  async function request(tx: Tx, question: ApprovalQuestion): Promise<string> {
    const now = clock.now()
    const { args: _, preview, expiresInSeconds, ...asked } = question
    const approval: Approval = {
      ...asked,
      id: newId('apr', now),
      preview: JSON.stringify(preview),
      state: 'pending',
      mode: null,
      decidedBy: null,
      reason: null,
      requestedAt: now.getTime(),
      decidedAt: null,
      expiresAt: now.getTime() + expiresInSeconds * 1000,
      redeemedAt: null,
    }
    await insertApproval(tx, approval)
    await record(tx, 'requested', approval, {
      actor: approval.requestedBy,
      detail: { unattended: approval.unattended },
    })
    tx.afterCommit(() => {
      expiry.arm(approval)
      if (approval.unattended) inBackground(() => answerUnattended(approval.id, approval.digest))
    })
    return approval.id
  }

  async function redeem(tx: Tx, claim: ApprovalClaim): Promise<Redemption> {
    const approval = await readApproval(tx, claim.approvalId)
    if (!approval) return { valid: false, reason: `there is no approval '${claim.approvalId}'` }
    if (approval.runId !== claim.runId || approval.taskId !== claim.taskId) {
      return { valid: false, reason: `${approval.id} was given for another task` }
    }
    if (approval.state !== 'approved') return { valid: false, reason: `${approval.id} is ${approval.state}` }
    if (approval.digest !== claim.digest) {
      const reason = 'what would run is not what was approved'
      await voidApproval(tx, approval.id, reason)
      const voided: Approval = { ...approval, state: 'voided', reason }
      await record(tx, 'voided', voided, {
        actor: workflowActor,
        detail: { reason, foundDigest: claim.digest },
      })
      return { valid: false, reason }
    }
    await markRedeemed(tx, approval.id, nowMilliseconds())
    return { valid: true }
  }

  async function expireDue(): Promise<number> {
    const now = nowMilliseconds()
    const due = (await readPending(store)).filter(({ expiresAt }) => expiresAt <= now)
    const ended = await Promise.all(due.map(({ id }) => expire(id)))
    return ended.filter(Boolean).length
  }

  const answered = (decision: Answer['decision']) => {
    return (principal: Principal, id: string, given: { digest: string; reason?: string | undefined }) =>
      answer(id, { principal, decision, digest: given.digest, reason: given.reason ?? null })
  }

  return {
    request,
    redeem,
    async cancelForRun(tx, runId, reason) {
      const ending: End = { ...expired(), state: 'cancelled', decidedBy: workflowActor, reason }
      for (const { id } of await pendingOfRun(tx, runId)) await end(tx, id, ending)
    },
    approve: answered('approved'),
    deny: answered('denied'),
    read: async (id) => viewOf(await found(id)),
    async page({ cursor, limit, state }) {
      const items = await readApprovals(store, { cursor, limit: limit + 1, state })
      const shown = items.slice(0, limit)
      return { items: shown.map(viewOf), next: items.length > limit ? (shown.at(-1)?.id ?? null) : null }
    },
    expireDue,
    async run() {
      await expireDue()
      for (const pending of await readPending(store)) {
        expiry.arm(pending)
        if (pending.unattended) {
          inBackground(async () => answerUnattended(pending.id, (await found(pending.id)).digest))
        }
      }
    },
    async stop() {
      expiry.clear()
      while (background.size > 0) await Promise.all(background)
    },
  }
}

function viewOf(approval: Approval): ApprovalView {
  const { unattended: _u, redeemedAt: _r, preview, requestedAt, decidedAt, expiresAt, ...same } = approval
  return {
    ...same,
    preview: JSON.parse(preview),
    requestedAt: new Date(requestedAt).toISOString(),
    decidedAt: decidedAt === null ? null : new Date(decidedAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  }
}
