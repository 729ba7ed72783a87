import type { ApprovalGrantView, DelegationView, EventName, Json } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import { AppError, actorOf, type Clock, canonicalJson, newId, type Principal } from '../core/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import type { ApprovalQuestion } from '../workflow/index.ts'
import {
  type Delegation,
  endDelegation,
  insertDelegation,
  readDelegation,
  readDelegations,
} from './delegations-store.ts'
import type { Directory } from './directory.ts'
import {
  type ApprovalGrant,
  endGrant,
  grantsFor,
  insertGrant,
  readGrant,
  readGrants,
} from './grants-store.ts'
import type { Terms } from './rules.ts'

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  clock: Pick<Clock, 'now'>
  directory: Directory
}
type Paging = { cursor?: string | undefined; limit: number }
type Page<T> = { items: T[]; next: string | null }

/** Rights to answer that people lend each other, and answers that they give ahead. */
export type Rights = {
  delegate(
    by: Principal,
    given: { personId: string; ttlSeconds: number; reason: string },
  ): Promise<DelegationView>
  delegations(query: Paging): Promise<Page<DelegationView>>
  /** By either of the two, or an owner. */
  endDelegation(by: Principal, id: string): Promise<DelegationView>
  grant(
    by: Principal,
    given: Pick<ApprovalGrant, 'action' | 'target' | 'args' | 'maxRisk' | 'reason'> & {
      requestedBy?: string | undefined
      ttlSeconds: number
    },
  ): Promise<ApprovalGrantView>
  grants(query: Paging): Promise<Page<ApprovalGrantView>>
  /** By who gave it, or an owner. */
  endGrant(by: Principal, id: string): Promise<ApprovalGrantView>
}

const iso = (at: number): string => new Date(at).toISOString()

export function createRights({ store, audit, clock, directory }: Needs): Rights {
  const now = (): number => clock.now().getTime()

  function assertPerson(by: Principal): void {
    if (by.kind !== 'person')
      throw new AppError('policy.denied', 'only people who have signed in answer approvals')
  }

  const record = (tx: Tx, type: EventName, actor: string, target: string, detail: { [key: string]: Json }) =>
    audit.record(tx, { type, outcome: 'done', actor, target, detail })

  /** Read again after it ended. */
  async function endOne<T>(
    by: Principal,
    one: {
      read: (tx: Tx) => Promise<T | undefined>
      missing: AppError
      mine: (found: T) => readonly string[]
    },
    end: (tx: Tx, at: number) => Promise<boolean>,
    told: { type: EventName; target: string },
  ): Promise<T> {
    return store.write(async (tx) => {
      const found = await one.read(tx)
      if (!found) throw one.missing
      if (!by.roles.includes('owner') && !one.mine(found).includes(actorOf(by)))
        throw new AppError('policy.denied', `${told.target} is not yours to end`)
      if (await end(tx, now())) await record(tx, told.type, actorOf(by), told.target, {})
      return (await one.read(tx)) ?? found
    })
  }

  return {
    delegate: (by, { personId, ttlSeconds, reason }) =>
      store.write(async (tx) => {
        assertPerson(by)
        const [from, to] = [actorOf(by), `person:${personId}`]
        if (from === to || !(await directory.person(tx, to)))
          throw new AppError('person.not_found', `there is no other open account ${personId}`)
        const one: Delegation = {
          id: newId('dlg', clock.now()),
          from,
          to,
          reason,
          createdAt: now(),
          untilAt: now() + ttlSeconds * 1000,
          endedAt: null,
          endedBy: null,
        }
        await insertDelegation(tx, one)
        const detail = { from, to, reason, until: iso(one.untilAt) }
        await record(tx, 'delegation.created', from, `delegation:${one.id}`, detail)
        return delegationView(one)
      }),
    delegations: (query) => pageOf(query, (limited) => readDelegations(store, limited), delegationView),
    endDelegation: async (by, id) =>
      delegationView(
        await endOne(
          by,
          {
            read: (tx) => readDelegation(tx, id),
            missing: new AppError('delegation.not_found', `there is no delegation ${id}`),
            mine: ({ from, to }) => [from, to],
          },
          (tx, at) => endDelegation(tx, id, actorOf(by), at),
          { type: 'delegation.ended', target: `delegation:${id}` },
        ),
      ),
    grant: (by, { ttlSeconds, requestedBy = null, ...given }) =>
      store.write(async (tx) => {
        assertPerson(by)
        const one: ApprovalGrant = {
          ...given,
          requestedBy,
          id: newId('agr', clock.now()),
          createdBy: actorOf(by),
          createdAt: now(),
          untilAt: now() + ttlSeconds * 1000,
          endedAt: null,
          endedBy: null,
        }
        await insertGrant(tx, one)
        const { id: _, endedAt: _a, endedBy: _b, ...detail } = grantView(one)
        await record(tx, 'approval.granted', one.createdBy, `approval-grant:${one.id}`, detail)
        return grantView(one)
      }),
    grants: (query) => pageOf(query, (limited) => readGrants(store, limited), grantView),
    endGrant: async (by, id) =>
      grantView(
        await endOne(
          by,
          {
            read: (tx) => readGrant(tx, id),
            missing: new AppError('grant.not_found', `nothing of the id ${id} was allowed ahead`),
            mine: ({ createdBy }) => [createdBy],
          },
          (tx, at) => endGrant(tx, id, actorOf(by), at),
          { type: 'approval.grant_ended', target: `approval-grant:${id}` },
        ),
      ),
  }
}

const delegationView = ({ createdAt, untilAt, endedAt, ...same }: Delegation): DelegationView => ({
  ...same,
  createdAt: iso(createdAt),
  until: iso(untilAt),
  endedAt: endedAt === null ? null : iso(endedAt),
})

const grantView = ({ createdAt, untilAt, endedAt, args, ...same }: ApprovalGrant): ApprovalGrantView => ({
  ...same,
  args: { ...args },
  createdAt: iso(createdAt),
  until: iso(untilAt),
  endedAt: endedAt === null ? null : iso(endedAt),
})

async function pageOf<T extends { readonly id: string }, V>(
  { cursor, limit }: Paging,
  read: (query: { cursor: string | undefined; limit: number }) => Promise<T[]>,
  view: (one: T) => V,
): Promise<Page<V>> {
  const rows = await read({ cursor, limit: limit + 1 })
  const shown = rows.slice(0, limit)
  return { items: shown.map(view), next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null }
}

/** The grant that allows a question ahead. What needs several people or a second factor is always asked. */
export async function grantOf(
  reader: Reader,
  question: ApprovalQuestion,
  terms: Terms,
  now: number,
): Promise<ApprovalGrant | undefined> {
  const { action, args, requestedBy, risk, rules } = question
  if (terms.quorum > 1 || terms.needsSecondFactor) return undefined
  const grants = await grantsFor(reader, action, rules.target, now)
  return grants.find(
    (grant) =>
      (risk === 'low' || risk === grant.maxRisk) &&
      (grant.requestedBy === null || grant.requestedBy === requestedBy) &&
      isLike(args, grant.args),
  )
}

function isLike(args: Json, wanted: Readonly<Record<string, Json>>): boolean {
  if (args === null || typeof args !== 'object' || Array.isArray(args))
    return Object.keys(wanted).length === 0
  return Object.entries(wanted).every(([name, value]) => {
    const found = Object.hasOwn(args, name) ? args[name] : undefined
    return found !== undefined && canonicalJson(found) === canonicalJson(value)
  })
}
