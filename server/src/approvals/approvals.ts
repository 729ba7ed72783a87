import type {
  ApprovalChannel,
  ApprovalRule,
  ApprovalState,
  ApprovalView,
  Json,
  Risk,
} from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  type Log,
  type Principal,
  reasonOf,
  systemPrincipal,
} from '../core/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import type { ApprovalClaim, ApprovalGate, Workflow } from '../workflow/index.ts'
import { createAnswering } from './answering.ts'
import {
  type Approval,
  type End,
  endPending,
  markRedeemed,
  pendingOfRun,
  readApproval,
  readApprovals,
  voidApproval,
} from './approvals-store.ts'
import { createAsking } from './asking.ts'
import { type AnsweredOne, assertAlike, refusedOne } from './batch.ts'
import { createCarrying } from './carrying.ts'
import type { Directory } from './directory.ts'
import { readGrant } from './grants-store.ts'
import { createLookingAgain } from './looking-again.ts'
import { createRecorder } from './record.ts'
import { createReminders } from './reminders.ts'
import { createRights, type Rights } from './rights.ts'
import { defaultRules } from './rules.ts'
import { readRule, writeRule } from './rules-store.ts'
import { type Answer, type MayApprove, unattendedId } from './ruling.ts'
import { viewsOf } from './views.ts'
import { type Alone, lastAlone, readAlone } from './waiting-store.ts'
import { createWatch } from './watch.ts'

type Given = { digest: string; reason?: string | undefined; channel?: ApprovalChannel | undefined }

type Changed = {
  digest: string
  args: Json
  reason: string
  channel?: ApprovalChannel | undefined
}

export type Approvals = ApprovalGate &
  Rights & {
    /** Allows exactly what the digest names, once. Still pending afterwards when more people have to. */
    approve(principal: Principal, id: string, answer: Given): Promise<ApprovalView>
    deny(principal: Principal, id: string, answer: Given): Promise<ApprovalView>
    /** The same, for channels: the principal is the person to whom the channel's account was linked. */
    answer(
      principal: Principal,
      id: string,
      answer: Given & { decision: 'approved' | 'denied' },
    ): Promise<ApprovalView>
    /** The same answer to several of low risk that ask for the same action; each counts, or does not, for itself. */
    answerMany(
      principal: Principal,
      answers: readonly { approvalId: string; digest: string }[],
      answer: Omit<Given, 'digest'> & { decision: 'approved' | 'denied' },
    ): Promise<AnsweredOne[]>
    /** Asks with other arguments instead; gives the question that takes the place of this one. */
    change(principal: Principal, id: string, wanted: Changed): Promise<ApprovalView>
    read(id: string): Promise<ApprovalView>
    page(query: {
      cursor?: string | undefined
      limit: number
      state?: ApprovalState | undefined
    }): Promise<{ items: ApprovalView[]; next: string | null }>
    rules(): Promise<ApprovalRule[]>
    setRule(rule: ApprovalRule, by: Principal): Promise<ApprovalRule>
    /**
     * Something has changed that these words of a subject name: in the background, what such an open question asks for is compared with
     * what would run now, and where that is something else it is voided.
     */
    lookAgain(words: string): void
    /** Ends what nobody answered in time, and reminds of what waits for long. */
    doDue(): Promise<void>
    /** Takes up what waits in the store: what is due, and answers for unattended runs. */
    run(): Promise<void>
    stop(): Promise<void>
  }

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Clock
  log: Log
  workflow: Pick<Workflow, 'decide' | 'change' | 'waitsWith' | 'driftOf'>
  directory: Directory
  mayApprove: MayApprove
  /** A hash of the policies in force. */
  policyVersion: () => string
}

type Asked = Pick<Approval, 'id' | 'digest' | 'runId' | 'taskId'>

const unattended = systemPrincipal(unattendedId)
const clockActor = actorOf(systemPrincipal('clock'))
const workflowActor = actorOf(systemPrincipal('workflow'))
const risks: readonly Risk[] = ['low', 'medium', 'high', 'critical']

export function createApprovals(needs: Needs): Approvals {
  const { store, audit, bus, clock, log, workflow, directory, mayApprove } = needs
  const background = new Set<Promise<void>>()
  const recorder = createRecorder({ audit, bus })
  const { remind } = createReminders({ store, clock, recorder, onStep: (noted) => watch.stepped(noted) })
  const watch = createWatch({
    store,
    clock,
    inBackground,
    expire: (id) => logged(expire(id)),
    remind: (id) => logged(remind(id)),
  })
  let stopping = false
  const nowMilliseconds = (): number => clock.now().getTime()
  const { answer, assertMayChange, standingFor } = createAnswering({
    store,
    clock,
    directory,
    recorder,
    mayApprove,
    found,
    end,
    expired,
  })
  const carrying = createCarrying({ store, clock, recorder, workflow, standingFor, end })
  const { policyVersion } = needs
  const asked = { clock, recorder, carrying, policyVersion, ruleOf, end, expired, takeUp }
  const { request } = createAsking(asked)
  const { lookAgain } = createLookingAgain({ store, workflow, logged: (work) => logged(work), drifted })

  const logged = (work: Promise<unknown>): Promise<void> =>
    work.then(
      () => undefined,
      (error) => log.error({ reason: reasonOf(error) }, 'an approval could not be taken further'),
    )

  function inBackground(work: () => Promise<unknown>): void {
    const done = logged(work()).finally(() => background.delete(done))
    background.add(done)
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
    const { state, decidedBy, mode, reason, channel } = ending
    const decidedAt = new Date(ending.decidedAt).toISOString()
    const [view] = await viewsOf(tx, [ended])
    await recorder.tell(tx, state, ended, {
      actor: decidedBy,
      detail: {
        decision: state,
        operator: decidedBy,
        mode,
        reason,
        channel,
        decidedAt,
        policies: [...policies],
        approvals: view?.approvals ?? [],
        supersededBy: ended.supersededBy,
      },
    })
    if (state !== 'cancelled' && state !== 'superseded') {
      const { runId, taskId } = ended
      await workflow.decide(tx, { runId, taskId, approvalId: id, decision: state, reason })
    }
    tx.afterCommit(() => watch.ended(id))
    return ended
  }

  function expired(): End {
    return {
      state: 'expired',
      mode: null,
      channel: null,
      decidedBy: clockActor,
      reason: 'nobody answered in time',
      decidedAt: nowMilliseconds(),
    }
  }

  function drifted(id: string, reason: string): Promise<unknown> {
    return store.write((tx) =>
      end(tx, id, { ...expired(), state: 'voided', decidedBy: workflowActor, reason }),
    )
  }

  const expire = (id: string): Promise<boolean> =>
    store.write(async (tx) => (await end(tx, id, expired())) !== undefined)

  async function found(id: string): Promise<Approval> {
    const approval = await readApproval(store, id)
    if (!approval) throw new AppError('approval.not_found', `there is no approval '${id}'`)
    return approval
  }

  async function answerUnattended({ id, digest, ...task }: Asked): Promise<void> {
    const given: Answer = {
      principal: unattended,
      decision: 'approved',
      digest,
      reason: 'started without a person at the terminal',
      channel: 'none',
    }
    await answer(id, given).catch((error) => {
      log.warn(
        { ...task, approvalId: id, reason: reasonOf(error) },
        'an unattended run has to wait for a person',
      )
    })
  }

  /** In the name of who allowed it ahead, judged like an answer that they gave now. */
  async function answerGranted({ id, digest, ...task }: Asked, grantId: string): Promise<void> {
    const grant = await readGrant(store, grantId)
    const giver = grant && (await directory.person(store, grant.createdBy))
    if (!giver) return
    const { name, roles } = giver
    const given: Answer = {
      principal: { kind: 'person', id: giver.id, name, roles },
      decision: 'approved',
      digest,
      reason: `allowed ahead by ${grantId}: ${grant.reason}`,
      channel: 'none',
      grantId,
    }
    await answer(id, given).catch((error) => {
      log.warn(
        { ...task, approvalId: id, reason: reasonOf(error) },
        'what was allowed ahead has to wait for a person',
      )
    })
  }

  const answerCarried = ({ id, digest: _, ...task }: Asked): Promise<void> =>
    carrying.carry(id).catch((error) => {
      log.info({ ...task, approvalId: id, reason: reasonOf(error) }, 'an approval was not carried over')
    })

  /** The preview of other arguments is taken before the transaction that asks with them. */
  async function change(principal: Principal, id: string, wanted: Changed): Promise<ApprovalView> {
    const { digest, args, reason, channel = 'api' } = wanted
    const given: Answer = { principal, decision: 'approved', digest, reason, channel }
    const { runId, taskId } = await assertMayChange(id, given)
    const by = actorOf(principal)
    const next = await workflow.change({ runId, taskId, approvalId: id, args, by, reason }, async (tx) => {
      const now = await readApproval(tx, id)
      if (now?.state !== 'pending')
        throw new AppError('approval.answered', `${id} is ${now?.state ?? 'gone'}`)
    })
    const [view] = await viewsOf(store, [await found(next)])
    if (!view) throw new AppError('approval.not_found', next)
    return view
  }

  async function ruleOf(reader: Reader, risk: Risk): Promise<ApprovalRule> {
    return (await readRule(reader, risk)) ?? defaultRules[risk]
  }

  function takeUp(approval: Approval): void {
    watch.asked(approval)
    inBackground(() => answerAlone(approval))
  }

  /** Where no person has to be waited for. */
  async function answerAlone(asked: Alone): Promise<void> {
    const { id, digest, runId, taskId, grantId, carriedFrom } = asked
    const question = { id, digest, runId, taskId }
    if (carriedFrom !== null) await answerCarried(question)
    else if (grantId !== null) await answerGranted(question, grantId)
    else if (asked.unattended) await answerUnattended(question)
  }

  /** As far as `last`: what is asked from now on is answered as it is asked. */
  async function answerAllAlone(last: string): Promise<void> {
    const limit = 100
    let after = ''
    while (!stopping) {
      const page = await readAlone(store, { after, limit, last })
      await Promise.all(page.map((asked) => logged(answerAlone(asked))))
      after = page.at(-1)?.id ?? after
      if (page.length < limit) return
    }
  }

  async function redeem(tx: Tx, claim: ApprovalClaim): ReturnType<ApprovalGate['redeem']> {
    const approval = await readApproval(tx, claim.approvalId)
    if (!approval) return { valid: false, reason: `there is no approval '${claim.approvalId}'` }
    if (approval.runId !== claim.runId || approval.taskId !== claim.taskId) {
      return { valid: false, reason: `${approval.id} was given for another task` }
    }
    if (approval.state !== 'approved') return { valid: false, reason: `${approval.id} is ${approval.state}` }
    if (approval.carriedTo !== null)
      return { valid: false, reason: `${approval.id} was used by ${approval.carriedTo}` }
    if (approval.digest !== claim.digest) {
      const reason = 'what would run is not what was approved'
      await voidApproval(tx, approval.id, reason)
      const voided: Approval = { ...approval, state: 'voided', reason }
      await recorder.tell(tx, 'voided', voided, {
        actor: workflowActor,
        detail: { reason, foundDigest: claim.digest },
      })
      return { valid: false, reason }
    }
    await markRedeemed(tx, approval.id, nowMilliseconds())
    return { valid: true }
  }

  const answered = (decision: Answer['decision']) => {
    return (principal: Principal, id: string, { digest, reason = undefined, channel = 'api' }: Given) =>
      answer(id, { principal, decision, digest, reason: reason ?? null, channel })
  }

  return {
    request,
    change,
    redeem,
    async cancelForRun(tx, runId, reason) {
      const ending: End = { ...expired(), state: 'cancelled', decidedBy: workflowActor, reason }
      for (const { id } of await pendingOfRun(tx, runId)) await end(tx, id, ending)
    },
    approve: answered('approved'),
    deny: answered('denied'),
    ...createRights({ store, audit, clock, directory }),
    async answerMany(principal, answers, { decision, ...given }) {
      assertAlike(await Promise.all(answers.map(({ approvalId }) => readApproval(store, approvalId))))
      const results: AnsweredOne[] = []
      for (const { approvalId, digest } of answers)
        results.push(
          await answered(decision)(principal, approvalId, { ...given, digest }).then(
            ({ state }) => ({ approvalId, state, code: null, detail: null }),
            (error: unknown) => refusedOne(approvalId, error),
          ),
        )
      return results
    },
    answer: (principal, id, { decision, ...given }) => answered(decision)(principal, id, given),
    async read(id) {
      const [view] = await viewsOf(store, [await found(id)])
      if (!view) throw new AppError('approval.not_found', id)
      return view
    },
    async page({ cursor, limit, state }) {
      const items = await readApprovals(store, { cursor, limit: limit + 1, state })
      const shown = items.slice(0, limit)
      const next = items.length > limit ? (shown.at(-1)?.id ?? null) : null
      return { items: await viewsOf(store, shown), next }
    },
    rules: () => Promise.all(risks.map((risk) => ruleOf(store, risk))),
    setRule: (rule, by) =>
      store.write(async (tx) => {
        const before = await ruleOf(tx, rule.risk)
        await writeRule(tx, rule)
        await audit.record(tx, {
          type: 'approval.rule_changed',
          outcome: 'done',
          actor: actorOf(by),
          target: `approval-rule:${rule.risk}`,
          detail: { before, rule },
        })
        return rule
      }),
    lookAgain: (words) => inBackground(() => lookAgain(words)),
    doDue: watch.look,
    async run() {
      stopping = false
      await watch.run()
      const last = await lastAlone(store)
      inBackground(() => answerAllAlone(last))
    },
    async stop() {
      stopping = true
      watch.stop()
      while (background.size > 0) await Promise.all(background)
    },
  }
}
