import { AppError, actorOf, type Clock, systemPrincipal } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Workflow } from '../workflow/index.ts'
import { answersOf, type Counted, insertAnswer } from './answers-store.ts'
import {
  type Approval,
  type End,
  markCarried,
  readApproval,
  shortenTo,
  unusedOf,
  voidApproval,
} from './approvals-store.ts'
import type { Recorder } from './record.ts'

/** An approval that its run never used answers the same question once more: nobody is asked twice for one thing. */
export type Carrying = {
  /**
   * The unused approval that a new question may be answered with; null when there is none. One of the same task that was given for
   * something else than is asked now is voided: the world has moved on since.
   */
  candidate(tx: Tx, asked: Asked): Promise<string | null>
  /** Answers it, if the approval is still unused and everybody who gave it may still give it. Throws `approval.void`. */
  carry(id: string): Promise<void>
}

type Asked = Pick<
  Approval,
  'requestedBy' | 'planDigest' | 'taskId' | 'digest' | 'policyVersion' | 'target' | 'quorum' | 'requestedAt'
>

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  clock: Pick<Clock, 'now'>
  recorder: Pick<Recorder, 'tell'>
  workflow: Pick<Workflow, 'waitsWith'>
  /** Of the answers to an approval, those whose givers may still give them to this one; looked up before the transaction. */
  standingFor(approval: Approval, from: Approval): Promise<(tx: Tx) => Promise<readonly Counted[]>>
  end(tx: Tx, id: string, ending: End): Promise<Approval | undefined>
}

const workflowActor = actorOf(systemPrincipal('workflow'))

export function createCarrying({ store, clock, recorder, workflow, standingFor, end }: Needs): Carrying {
  /** Of those that no task may still begin with. */
  async function free(tx: Tx, asked: Asked): Promise<Approval[]> {
    const unused = await unusedOf(tx, asked)
    const kept: Approval[] = []
    for (const one of unused)
      if (!(await workflow.waitsWith(tx, { ...one, approvalId: one.id }))) kept.push(one)
    return kept
  }

  async function candidate(tx: Tx, asked: Asked): Promise<string | null> {
    const alive = (await free(tx, asked)).filter(({ expiresAt }) => asked.requestedAt < expiresAt)
    for (const one of alive.filter(({ digest }) => digest !== asked.digest)) {
      const reason = 'what is asked for now is not what was approved'
      await voidApproval(tx, one.id, reason)
      const detail = { reason, foundDigest: asked.digest }
      await recorder.tell(tx, 'voided', { ...one, state: 'voided', reason }, { actor: workflowActor, detail })
    }
    return alive.find((one) => isSame(one, asked))?.id ?? null
  }

  async function carry(id: string): Promise<void> {
    const asked = await readApproval(store, id)
    const given = asked?.carriedFrom ? await readApproval(store, asked.carriedFrom) : undefined
    if (!asked || !given) throw new AppError('approval.not_found', id)
    const standing = await standingFor(asked, given)
    await store.write(async (tx) => {
      const now = clock.now().getTime()
      const [approval, from] = [await readApproval(tx, id), await readApproval(tx, given.id)]
      if (approval?.state !== 'pending' || !from) throw new AppError('approval.answered', id)
      const lost = whyNot(approval, from, await standing(tx), now)
      if (lost !== undefined) throw new AppError('approval.void', `${from.id} does not answer ${id}: ${lost}`)
      if (!(await markCarried(tx, from.id, id, now))) throw new AppError('approval.answered', from.id)
      await shortenTo(tx, id, from.expiresAt)
      for (const answer of await answersOf(tx, [from.id]))
        await insertAnswer(tx, { ...answer, approvalId: id })
      await end(tx, id, {
        state: 'approved',
        mode: 'carried',
        channel: from.channel,
        decidedBy: from.decidedBy ?? workflowActor,
        reason: `approved as ${from.id}, which was not used`,
        decidedAt: now,
      })
    })
  }

  return { candidate, carry }
}

/** Action, arguments, plan and preview are the digest's. A changed question was never planned like this. */
const isSame = (given: Approval, asked: Asked): boolean =>
  given.digest === asked.digest &&
  given.policyVersion === asked.policyVersion &&
  given.target === asked.target &&
  given.changedBy.length === 0

/** Why an approval is not enough for a question that is otherwise the same. */
function whyNot(
  asked: Approval,
  from: Approval,
  standing: readonly Counted[],
  now: number,
): string | undefined {
  if (from.state !== 'approved' || from.redeemedAt !== null) return 'it is used'
  if (now >= from.expiresAt) return 'its time is over'
  if (standing.length < asked.quorum) return 'not enough of those who gave it may still answer'
  if (asked.needsSecondFactor && standing.some(({ secondFactorAt }) => secondFactorAt === null))
    return 'it was given without a second factor'
  return undefined
}
