import { type Budget, type Destination, type Injection, injectionText, type Json } from '@keyward/contract'
import { AppError, actorOf, newId, type Principal } from '../core/index.ts'
import { hashToken } from '../identity/index.ts'
import type { Tx } from '../store/index.ts'
import { covers, describeDestination, normalDestination, placeOf } from './destinations.ts'
import type { IssuedLease, Needs as LendNeeds } from './lend.ts'
import {
  ancestorsOf,
  destinationsOf,
  injectionOf,
  insertLease,
  type LeaseRow,
  leaseById,
} from './lend-store.ts'
import { newPlaceholder, withLook } from './new-placeholder.ts'
import { keepPlaceholder } from './receipts.ts'

export type Delegation = {
  /** The agent that holds the lease. */
  readonly principal: Principal & { readonly scopes?: readonly string[] }
  readonly leaseId: string
  readonly toAgentId: string
  readonly purpose: string
  /** Those of the lease when absent. */
  readonly destinations?: readonly Destination[] | undefined
  /** As that of the lease when absent. */
  readonly injection?: Injection | undefined
  /** What is left of the lease at most; all of that when absent. */
  readonly budget?: Budget | undefined
  readonly ttlSeconds: number
  /** Whether it can be passed on once more. */
  readonly delegable: boolean
}

type Needs = Pick<
  LendNeeds,
  'store' | 'audit' | 'bus' | 'clock' | 'policy' | 'identity' | 'vault' | 'placeholderForm'
> & {
  view: (row: LeaseRow) => IssuedLease['lease']
}

/** A lease, one of it, one of that, and one more. */
const deepest = 3

/** Passes on a part of a lease. Nothing of the part is wider, longer or more than the whole, now or later. */
export function createDelegation(needs: Needs) {
  const { store, audit, bus, clock, policy, identity, vault, view, placeholderForm } = needs

  async function partiesOf(tx: Tx, holderId: string, toAgentId: string) {
    const [holder, to] = [await identity.agent(holderId, tx), await identity.agent(toAgentId, tx)]
    if (!to) throw new AppError('agent.not_found', `No agent has the id ${toAgentId}.`)
    for (const agent of [holder, to])
      if (agent?.state !== 'active') throw new AppError('agent.inactive', `${agent?.name} is not active.`)
    return { to, sameOwner: holder?.owner === to.owner && to.id !== holderId }
  }

  async function checked(tx: Tx, asked: Delegation): Promise<LeaseRow> {
    const { principal, leaseId, toAgentId } = asked
    if (principal.kind !== 'agent')
      throw new AppError('policy.denied', 'only the agent that holds a lease passes it on; people grant')
    const parent = await leaseById(tx, leaseId)
    // Of others an agent does not even learn that they are there.
    if (!parent || parent.agent_id !== principal.id)
      throw new AppError('lease.not_found', `You hold no lease ${leaseId}.`)
    const now = clock.now().getTime()
    if (parent.state !== 'active' || now >= parent.expires_at)
      throw new AppError('lease.ended', `The lease ${leaseId} is over.`)
    const { to, sameOwner } = await partiesOf(tx, parent.agent_id, toAgentId)
    const { agent_id, secret_path, delegable } = parent
    const decision = policy.decide({
      principal,
      action: 'leases.delegate',
      resource: {
        type: 'Lease',
        id: parent.id,
        attributes: { agent: `agent:${agent_id}`, secretPath: secret_path, delegable: delegable === 1 },
      },
      context: { to: `agent:${to.id}`, sameOwner },
    })
    if (!decision.allow) throw new AppError('policy.denied', decision.reason)
    return parent
  }

  async function attempt(tx: Tx, asked: Delegation): Promise<IssuedLease> {
    const parent = await checked(tx, asked)
    const looks = await withLook(asked.injection, placeholderForm)
    const child = childOf(parent, { ...asked, injection: looks })
    const tooWide = excessOf(parent, child, asked.budget)
    if (tooWide) throw new AppError('lease.too_wide', `The part would be ${tooWide}`)
    const now = clock.now()
    const agent = await identity.agent(asked.toAgentId, tx)
    const placeholder = await newPlaceholder(child.injection, placeholderForm)
    const { budget = {} } = asked
    const row: LeaseRow = {
      ...parent,
      id: newId('lea', now),
      placeholder_hash: hashToken(placeholder),
      agent_id: asked.toAgentId,
      agent_name: agent?.name ?? '',
      // Whoever got the whole for a task may let another agent do a part of it elsewhere; it ends with the whole all the same.
      run_id: null,
      task_id: null,
      purpose: asked.purpose,
      destinations: JSON.stringify(child.destinations),
      injection: JSON.stringify(child.injection),
      uses: 0,
      uses_left: budget.uses ?? parent.uses_left,
      uses_per_minute: budget.usesPerMinute ?? parent.uses_per_minute,
      minute_at: null,
      minute_uses: null,
      bytes_left: budget.bytes ?? parent.bytes_left,
      issued_at: now.getTime(),
      expires_at: Math.min(now.getTime() + asked.ttlSeconds * 1000, parent.expires_at),
      last_used_at: null,
      parent_id: parent.id,
      ancestors: JSON.stringify([parent.id, ...ancestorsOf(parent)]),
      delegable: asked.delegable ? 1 : 0,
    }
    await insertLease(tx, row)
    await keepPlaceholder(tx, vault.sealed, row.id, placeholder)
    await tell(tx, asked, parent, row)
    return { lease: view(row), placeholder: prefixed(child.injection, placeholder) }
  }

  async function tell(tx: Tx, asked: Delegation, parent: LeaseRow, row: LeaseRow): Promise<void> {
    const target = `lease:${row.id}`
    const detail = {
      ...detailOf(asked),
      secretPath: row.secret_path,
      expiresAt: new Date(row.expires_at).toISOString(),
    }
    const { principal } = asked
    await audit.record(tx, {
      type: 'lease.delegated',
      outcome: 'done',
      actor: actorOf(principal),
      target,
      correlation: parent.run_id ?? '',
      detail,
    })
    await bus.publish(tx, { type: 'lease.delegated', subject: target })
  }

  return async (given: Delegation): Promise<IssuedLease> => {
    const asked = given.destinations
      ? { ...given, destinations: given.destinations.map(normalDestination) }
      : given
    try {
      return await store.write((tx) => attempt(tx, asked))
    } catch (error) {
      if (error instanceof AppError)
        await audit.recordNow({
          type: 'lease.denied',
          outcome: 'denied',
          actor: actorOf(asked.principal),
          target: `lease:${asked.leaseId}`,
          detail: { ...detailOf(asked), reason: error.detail ?? error.message },
        })
      throw error
    }
  }
}

const prefixed = (how: Injection, placeholder: string): string =>
  `${'prefix' in how ? (how.prefix ?? '') : ''}${placeholder}`

type Child = { readonly destinations: readonly Destination[]; readonly injection: Injection }

const childOf = (parent: LeaseRow, { destinations, injection }: Delegation): Child => ({
  destinations: destinations ?? destinationsOf(parent),
  injection: injection ?? injectionOf(parent),
})

/** How the part would go beyond the whole, after "would be"; undefined when it keeps within. */
function excessOf(parent: LeaseRow, child: Child, budget: Budget = {}): string | undefined {
  if (ancestorsOf(parent).length + 1 > deepest) return `passed on more than ${deepest} times.`
  if (!covers(destinationsOf(parent), child.destinations))
    return `for places of which it is not certain that the lease allows them: it allows ${destinationsOf(parent).map(placeOf).join(', ')}.`
  if (!isWithin(injectionOf(parent), child.injection))
    return `lent ${injectionText(child.injection)}, the lease is ${injectionText(injectionOf(parent))}.`
  const limits = [
    ['uses', budget.uses, parent.uses_left],
    ['uses a minute', budget.usesPerMinute, parent.uses_per_minute],
    ['bytes', budget.bytes, parent.bytes_left],
  ] as const
  const over = limits.find(([, wanted, left]) => wanted !== undefined && left !== null && wanted > left)
  return over && `for ${over[1]} ${over[0]}; the lease has ${over[2]}.`
}

const isSame = (a: object, b: object): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
const sorted = (one: object): [string, unknown][] => Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1))

const inRequests: readonly Injection['kind'][] = ['bearer', 'basic', 'header', 'query', 'cookie', 'body']

/** The same, one place instead of any, or fewer regions and services of AWS. What is not certain is not within. */
function isWithin(whole: Injection, part: Injection): boolean {
  if (isSame(whole, part)) return true
  if (whole.kind === 'anywhere') return inRequests.includes(part.kind)
  if (whole.kind !== 'aws' || part.kind !== 'aws') return false
  const { regions, services, ...rest } = whole
  const { regions: someRegions, services: someServices, ...same } = part
  const fewer = (all: readonly string[] | undefined, some: readonly string[] | undefined): boolean =>
    all === undefined || (some?.every((one) => all.includes(one)) ?? false)
  return isSame(rest, same) && fewer(regions, someRegions) && fewer(services, someServices)
}

const detailOf = ({
  leaseId,
  toAgentId,
  purpose,
  destinations,
  injection,
  budget,
  ttlSeconds,
  delegable,
}: Delegation): {
  [key: string]: Json
} => ({
  lease: leaseId,
  agent: `agent:${toAgentId}`,
  purpose,
  destinations: destinations?.map(describeDestination) ?? null,
  injection: injection ? injectionText(injection) : null,
  budget: budget ? { ...(budget as { [key: string]: Json }) } : null,
  ttlSeconds,
  delegable,
})
