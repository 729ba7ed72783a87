import { type EgressExplanation, injectionText } from '@keyward/contract'
import { AppError, type Principal } from '../core/index.ts'
import { shortfall } from './destinations.ts'
import { type Explained, explainedRequest, otherwiseLent } from './explain-request.ts'
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

type Check = EgressExplanation['checks'][number]
type Candidate = EgressExplanation['candidates'][number]
export type EgressQuestion = { readonly agentId: string; readonly url: string; readonly method: string }

const mayPassUnopened =
  ' It may also be passed through unopened, where the task lists it so: no lease is used or needed there then.'

/** The same rules that a request meets, in the same order, without a request: nothing is looked up, sent or counted. */
export function createExplain({ store, policy, identity, clock }: Needs) {
  return async ({ agentId, url, method }: EgressQuestion): Promise<EgressExplanation> => {
    const agent = await identity.agent(agentId)
    if (!agent) throw new AppError('agent.not_found', `No agent has the id ${agentId}.`)
    const asked = explainedRequest(url, method)
    const { request, address, spoken } = asked
    const now = clock.now().getTime()
    const leases = await liveLeases(store, byAgent(agentId), now)
    const grants = await liveGrantsOf(store, agentId, now)
    const principal: Principal = { kind: 'agent', id: agent.id, name: agent.name, roles: [] }
    const connect = connectDecision(policy, principal, request)
    const pass = connectDecision(policy, principal, request, 'egress.pass_through')
    const unopened = spoken === 'https' && connect.allow && pass.allow ? mayPassUnopened : ''
    const mayUse = (row: LeaseRow) => useDecision(policy, principal, row, request)
    const lent = leases.map((row) => leaseCandidate(row, asked, now, mayUse(row)))
    const granted = grants.map((row) => grantCandidate(row, asked))
    const checks: Check[] = [
      address,
      agent.state === 'active'
        ? { what: 'agent', holds: true, text: `${agent.name} is active.` }
        : { what: 'agent', holds: false, text: `${agent.name} is ${agent.state}.` },
      { what: 'policy', holds: connect.allow, text: connect.reason + unopened },
      leaseCheck(lent, granted),
    ]
    const allowed = checks.every(({ holds }) => holds)
    return { allowed, ...request, checks, candidates: [...lent, ...granted] }
  }
}

function leaseCandidate(
  row: LeaseRow,
  asked: Explained,
  now: number,
  decision: { allow: boolean; reason: string },
): Candidate {
  const refused = lackOf(row, asked) ?? spentOf(row, now) ?? (decision.allow ? undefined : decision.reason)
  return candidate('lease', row, refused ?? `It allows this, ${injectionText(injectionOf(row))}.`, !refused)
}

/** Of what is compared with the lease and the grant alike. */
function lackOf(row: LeaseRow | GrantRow, asked: Explained): string | undefined {
  const instead = shortfall(destinationsOf(row), asked.request)
  return (instead && `It allows ${instead}.`) ?? otherwiseLent(injectionOf(row), asked)
}

function grantCandidate(row: GrantRow, asked: Explained): Candidate {
  const lack = lackOf(row, asked)
  const bound = row.task_id === null ? '' : ` For the task ${row.task_id} of ${row.run_id} alone.`
  const text = lack ?? `A lease for this could be asked for.${bound}`
  return candidate('grant', row, text, lack === undefined)
}

const candidate = (
  kind: Candidate['kind'],
  { id, secret_path }: { id: string; secret_path: string },
  text: string,
  admits: boolean,
): Candidate => ({ kind, id, secretPath: secret_path, admits, text })

function leaseCheck(leases: readonly Candidate[], grants: readonly Candidate[]): Check {
  const lease = leases.find(({ admits }) => admits)
  if (lease) return { what: 'lease', holds: true, text: `The lease ${lease.id} pays for it.` }
  const grant = grants.find(({ admits }) => admits)
  const text = grant
    ? `No live lease allows it; the grant ${grant.id} does: ask for a lease.`
    : 'No live lease or grant of the agent allows it.'
  return { what: 'lease', holds: false, text }
}
