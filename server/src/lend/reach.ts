import type { Reach, WayOut } from '@keyward/contract'
import { AppError, type Principal } from '../core/index.ts'
import type { Agent } from '../identity/index.ts'
import { connectDecision, useDecision } from './judging.ts'
import type { Needs } from './lend.ts'
import {
  byAgent,
  destinationsOf,
  type GrantRow,
  injectionOf,
  type LeaseRow,
  liveGrantsOf,
  liveLeases,
} from './lend-store.ts'
import { spentOf } from './use.ts'

type Judged = Pick<WayOut, 'open' | 'reason'>
type Place = WayOut['destination']

/** Each way by which a secret could leave with the agent, by the rules that its requests meet. Throws `agent.not_found`. */
export function createReach({ store, policy, identity, clock }: Needs) {
  return async (agentId: string): Promise<Omit<Reach, 'open'>> => {
    const agent = await identity.agent(agentId)
    if (!agent) throw new AppError('agent.not_found', `No agent has the id ${agentId}.`)
    const now = clock.now().getTime()
    const principal: Principal = { kind: 'agent', id: agent.id, name: agent.name, roles: [] }
    const judge = (place: Place, row?: LeaseRow): Judged => {
      const reason =
        stopped(agent) ??
        refusalIn(connectDecision(policy, principal, place)) ??
        (row && (spentOf(row, now) ?? refusalIn(useDecision(policy, principal, row, usualRequest(place)))))
      return reason === undefined
        ? { open: true, reason: row ? 'It holds a lease.' : 'It may ask for a lease.' }
        : { open: false, reason }
    }
    const leases = await liveLeases(store, byAgent(agentId), now)
    const grants = await liveGrantsOf(store, agentId, now)
    const ways = [
      ...leases.flatMap((row) => destinationsOf(row).map((place) => leaseWay(row, place, judge(place, row)))),
      ...grants.flatMap((row) => destinationsOf(row).map((place) => grantWay(row, place, judge(place)))),
    ]
    return { agentId, agentName: agent.name, state: agent.state, ways }
  }
}

const stopped = ({ name, state }: Agent): string | undefined =>
  state === 'active' ? undefined : `${name} is ${state}.`

const refusalIn = ({ allow, reason }: { allow: boolean; reason: string }): string | undefined =>
  allow ? undefined : reason

const usualRequest = (place: Place) => ({ ...place, method: place.methods?.[0] ?? 'GET' })

type Row = Pick<LeaseRow | GrantRow, 'id' | 'secret_path' | 'field' | 'injection' | 'run_id' | 'task_id'>

const way = (row: Row, destination: Place) => ({
  id: row.id,
  secretPath: row.secret_path,
  field: row.field,
  destination,
  injection: injectionOf(row),
  runId: row.run_id,
  taskId: row.task_id,
})

const leaseWay = (row: LeaseRow, place: Place, judged: Judged): WayOut => ({
  kind: 'lease',
  ...way(row, place),
  until: new Date(row.expires_at).toISOString(),
  usesLeft: row.uses_left,
  ...judged,
})

const grantWay = (row: GrantRow, place: Place, judged: Judged): WayOut => ({
  kind: 'grant',
  ...way(row, place),
  until: row.expires_at === null ? null : new Date(row.expires_at).toISOString(),
  usesLeft: null,
  ...judged,
})
