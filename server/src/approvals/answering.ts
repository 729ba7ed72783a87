import type { ApprovalView } from '@keyward/contract'
import { AppError, actorOf, type Clock, type Principal } from '../core/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import { answersOf, type Counted, insertAnswer } from './answers-store.ts'
import { type Approval, type ApprovalMode, type End, readApproval } from './approvals-store.ts'
import { delegatorsOf } from './delegations-store.ts'
import { type Directory, requestersOf } from './directory.ts'
import { readGrant } from './grants-store.ts'
import type { Recorder } from './record.ts'
import {
  type Answer,
  type Authority,
  behindIt,
  isAsked,
  isRefusal,
  judge,
  type MayApprove,
  type Refusal,
  type Ruling,
} from './ruling.ts'
import { viewsOf } from './views.ts'

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  clock: Pick<Clock, 'now'>
  directory: Directory
  recorder: Recorder
  mayApprove: MayApprove
  found(id: string): Promise<Approval>
  /** Ends a pending approval and says so to everybody; undefined when somebody else was first. */
  end(tx: Tx, id: string, ending: End, policies: readonly string[]): Promise<Approval | undefined>
  expired(): End
}

type Facts = Parameters<MayApprove>[1]
/** What policy says, asked before the transaction: of each right that could be used, and of those who answered before. */
type Rulings = {
  readonly requesters: readonly string[]
  readonly own: readonly { readonly actor: string; readonly ruling: Ruling }[]
  readonly earlier: ReadonlyMap<string, boolean>
}

/** One transaction decides, whoever else answers meanwhile. A refusal is audited and committed too, then thrown. */
export function createAnswering(needs: Needs) {
  const { store, clock, directory, recorder, mayApprove, found, end } = needs

  async function factsOf(asked: Approval, isChange = false): Promise<Facts> {
    const [view] = await viewsOf(store, [asked])
    if (!view) throw new AppError('approval.not_found', asked.id)
    const who = await requestersOf(directory, store, asked.requestedBy)
    // Who has changed it may think better of it.
    const requesters = isChange ? who : behindIt(asked, who)
    return { ...view, unattended: asked.unattended, requesters }
  }

  async function rulingsFor(asked: Approval, { principal, isChange, decision }: Answer): Promise<Rulings> {
    const as = isChange ? 'change' : decision === 'denied' ? 'deny' : 'approve'
    const facts = await factsOf(asked, isChange)
    const { requesters } = facts
    const rights = await rightsOf(principal)
    const own = await Promise.all(
      rights.map(async (who) => ({ actor: actorOf(who), ruling: await mayApprove(who, facts, as) })),
    )
    return { requesters, own, earlier: await earlierOf(asked.id, facts) }
  }

  /** Whether policy still lets those answer who have answered before. */
  async function earlierOf(id: string, facts: Facts): Promise<Rulings['earlier']> {
    const earlier = await Promise.all(
      (await answersOf(store, [id])).map(
        async ({ by, onBehalfOf }) => [by, await stillMay(onBehalfOf ?? by, facts)] as const,
      ),
    )
    return new Map(earlier)
  }

  /** Of the answers to `from`, those that would count for `asked` now. */
  async function standingFor(asked: Approval, from: Approval): Promise<(tx: Tx) => Promise<Counted[]>> {
    const earlier = await earlierOf(from.id, await factsOf(asked))
    return (tx) => standing(tx, { ...asked, id: from.id }, { earlier })
  }

  /** The answerer, and in turn everybody who delegated the right to them, with the answerer's own freshness. */
  async function rightsOf(principal: Principal): Promise<Principal[]> {
    if (principal.kind !== 'person') return [principal]
    const from = await delegatorsOf(store, actorOf(principal), clock.now().getTime())
    const known = await Promise.all(from.map((actor) => directory.person(store, actor)))
    return [
      principal,
      ...known
        .filter((person) => person !== undefined)
        .map(({ id, name, roles }): Principal => ({ ...principal, id, name, roles })),
    ]
  }

  async function stillMay(actor: string, facts: Facts): Promise<boolean> {
    const person = await directory.person(store, actor)
    if (!person) return false
    const { id, name, roles } = person
    return (await mayApprove({ kind: 'person', id, name, roles }, facts, 'approve')).allow
  }

  async function authoritiesOf(tx: Tx, { principal }: Answer, { own }: Rulings): Promise<Authority[]> {
    const delegators = await delegatorsOf(tx, actorOf(principal), clock.now().getTime())
    return Promise.all(
      own.map(async ({ actor, ruling }): Promise<Authority> => {
        if (principal.kind !== 'person') return { actor, live: true, groups: [], ruling }
        const known = await directory.person(tx, actor)
        const live = known !== undefined && (actor === actorOf(principal) || delegators.includes(actor))
        return { actor, live, groups: known?.groups ?? [], ruling }
      }),
    )
  }

  /** Answers whose givers may still give them: who left a group or lost an account is not counted any more. */
  async function standing(tx: Tx, approval: Approval, rulings: Pick<Rulings, 'earlier'>): Promise<Counted[]> {
    const kept: Counted[] = []
    for (const answer of await answersOf(tx, [approval.id])) {
      const giver = await directory.person(tx, answer.by)
      const right = await directory.person(tx, answer.onBehalfOf ?? answer.by)
      const asked = right !== undefined && isAsked(approval, right.groups)
      if (giver && asked && rulings.earlier.get(answer.by) !== false) kept.push(answer)
    }
    return kept
  }

  /** What `take` makes of a good answer, in the transaction that found it to be one. */
  async function judged<T>(
    id: string,
    given: Answer,
    take: (tx: Tx, approval: Approval, authority: Authority, rulings: Rulings) => Promise<T>,
  ): Promise<T> {
    const asked = await found(id)
    const rulings = await rulingsFor(asked, given)
    const verdict = await store.write(async (tx): Promise<{ taken: T } | Refusal> => {
      const approval = (await readApproval(tx, id)) ?? asked
      const authorities = await authoritiesOf(tx, given, rulings)
      const answers = await answersOf(tx, [id])
      const { requesters } = rulings
      const now = clock.now().getTime()
      const asGiven = judge({ approval, answer: given, requesters, authorities, answers, now })
      const verdict = isRefusal(asGiven) ? asGiven : ((await staleGrant(tx, given)) ?? asGiven)
      if (!isRefusal(verdict)) return { taken: await take(tx, approval, verdict, rulings) }
      if (verdict.code === 'approval.expired') await end(tx, id, needs.expired(), [])
      await recorder.refused(tx, approval, given, verdict, authorities[0]?.ruling)
      return verdict
    })
    if ('code' in verdict) throw new AppError(verdict.code, verdict.detail)
    return verdict.taken
  }

  const answer = async (id: string, given: Answer): Promise<ApprovalView> =>
    viewOf(
      store,
      await judged(id, given, (tx, approval, authority, rulings) =>
        count(tx, approval, given, authority, rulings),
      ),
    )

  /** The question as it is open, for who may have it asked otherwise. */
  const assertMayChange = (id: string, given: Answer): Promise<Approval> =>
    judged(id, { ...given, isChange: true }, async (_, approval) => approval)

  async function staleGrant(tx: Tx, { grantId }: Answer): Promise<Refusal | undefined> {
    if (grantId === undefined) return undefined
    const grant = await readGrant(tx, grantId)
    const live = grant && grant.endedAt === null && grant.untilAt > clock.now().getTime()
    return live ? undefined : { code: 'grant.not_found', detail: `${grantId} is in force no more` }
  }

  /** Keeps the answer, and ends the approval when it was the last that lacked, or said no. */
  async function count(
    tx: Tx,
    approval: Approval,
    given: Answer,
    { actor, ruling }: Authority,
    rulings: Rulings,
  ): Promise<Approval> {
    const by = actorOf(given.principal)
    const now = clock.now().getTime()
    const before = await standing(tx, approval, rulings)
    await insertAnswer(tx, {
      approvalId: approval.id,
      by,
      onBehalfOf: actor === by ? null : actor,
      decision: given.decision,
      at: now,
      channel: given.channel,
      reason: given.reason,
      digest: given.digest,
      secondFactorAt: approval.needsSecondFactor ? (given.principal.secondFactorAt?.getTime() ?? null) : null,
    })
    if (given.decision === 'approved' && before.length + 1 < approval.quorum) {
      const detail = { operator: by, onBehalfOf: actor, reason: given.reason, channel: given.channel }
      const allowedBy = [...before.map((one) => one.by), by]
      await recorder.tell(tx, 'counted', approval, { actor: by, detail: { ...detail, allowedBy } })
      return approval
    }
    const ending: End = {
      state: given.decision,
      mode: modeOf(given, rulings.requesters.includes(actor)),
      channel: given.channel,
      decidedBy: by,
      reason: given.reason,
      decidedAt: now,
    }
    return (await end(tx, approval.id, ending, ruling.policies)) ?? approval
  }

  return { answer, assertMayChange, standingFor }
}

function modeOf({ grantId, principal }: Answer, own: boolean): ApprovalMode {
  if (grantId !== undefined) return 'grant'
  if (principal.kind === 'system') return 'unattended'
  return own ? 'self' : 'person'
}

async function viewOf(reader: Reader, approval: Approval): Promise<ApprovalView> {
  const [view] = await viewsOf(reader, [approval])
  if (!view) throw new AppError('approval.not_found', approval.id)
  return view
}
