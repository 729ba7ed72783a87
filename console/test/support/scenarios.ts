import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import type { AuditHead } from '@keyward/contract'
import { canonicalJson } from '../../src/pages/audit/verify-entry.ts'
import * as lent from './agent-fixtures.ts'
import { channelHandlers, emptyChannelHandlers } from './channel-fixtures.ts'
import { connectionHandlers, emptyConnectionHandlers } from './connection-fixtures.ts'
import { type Handlers, type Input, Refusal } from './console-server.ts'
import { egressHandlers, emptyEgressHandlers } from './egress-fixtures.ts'
import { emptyFindingHandlers, findingHandlers } from './finding-fixtures.ts'
import * as data from './fixtures.ts'
import { goalHandlers } from './goal-fixtures.ts'
import { factorHandlers, people, peopleHandlers } from './people-fixtures.ts'
import * as runs from './run-fixtures.ts'
import { emptyScheduleHandlers, scheduleHandlers } from './schedule-fixtures.ts'
import { emptyVault, fullVault } from './vault-fixtures.ts'

const pageOf = <T>(items: T[]): { items: T[]; next: null } => ({ items, next: null })
const byState = <T extends { state: string }>(items: T[], { state }: Input): T[] =>
  state === undefined ? items : items.filter((item) => item.state === state)

const allRuns = [runs.run, runs.deployRun, runs.mixedRun]

/** An installation in the middle of its work. */
export function fullHandlers(): Handlers {
  const chain = data.auditChain(460)
  return {
    'session.read': () => data.session,
    'session.end': () => ({ ended: true }),
    'system.status': () => data.fullStatus,
    'policies.list': () => data.policies,
    ...peopleHandlers(),
    ...channelHandlers(),
    ...factorHandlers(),
    ...connectionHandlers(),
    ...goalHandlers(),
    ...scheduleHandlers(),
    'scans.list': () => pageOf([data.scan]),
    'scans.start': () => ({ ...data.scan, id: 'scn_2', state: 'running', finishedAt: null }),
    ...findingHandlers(data.findings),
    'findings.read': ({ findingId }) => found(data.findings, findingId, 'finding.not_found'),
    'findings.preview': () => data.importPreview,
    'runs.start': () => runs.run,
    'runs.list': (input) => pageOf(byState(allRuns, input)),
    'runs.read': ({ runId }) => found(allRuns, runId, 'run.not_found'),
    'runs.cancel': () => ({ ...runs.run, state: 'Cancelled' }),
    'approvals.list': (input) =>
      pageOf(byState([data.approval, data.graveApproval, data.deployApproval], input)),
    'delegations.list': () => pageOf([data.delegation]),
    'delegations.end': () => ({ ...data.delegation, endedAt: data.delegation.createdAt }),
    'delegations.create': () => data.delegation,
    'approval_grants.list': () => pageOf([data.approvalGrant]),
    'approval_grants.create': () => data.approvalGrant,
    'approvals.read': ({ approvalId }) =>
      found([data.approval, data.graveApproval, data.deployApproval], approvalId, 'approval.not_found'),
    'secrets.read': ({ path }) => ({
      path,
      version: 3,
      createdAt: runs.run.createdAt,
      fields: ['value', 'webhook_secret'],
      references: [`keyward://${String(path)}#value`],
    }),
    'secrets.reveal': () => ({ value: data.revealedValue }),
    ...fullVault(),
    'agents.list': () => pageOf(lent.agents),
    'rollout.read': () => lent.rollout,
    'rollout.set_phase': ({ phase }) => ({ ...lent.rollout, phase }),
    'rollout.observe': ({ observed }) => ({ ...lent.rollout, observed }),
    'agents.register': ({ name, description }) => ({
      agent: { ...lent.agents[1], id: 'agt_9', name, description },
      apiKey: data.agentKey,
    }),
    'agents.quarantine': ({ agentId }) => ({
      ...found(lent.agents, agentId, 'agent.not_found'),
      state: 'quarantined',
    }),
    'agents.activate': ({ agentId }) => ({
      ...found(lent.agents, agentId, 'agent.not_found'),
      state: 'active',
    }),
    'leases.list': ({ agentId, parentId, runId }) =>
      pageOf(
        [...lent.leases, ...lent.leaseParts].filter(
          (lease) => lease.agentId === agentId || lease.parentId === parentId || lease.runId === runId,
        ),
      ),
    'asks.list': (input) =>
      pageOf(
        byState(lent.asks, input).filter((ask) =>
          [undefined, ask.agentId].includes(input['agentId'] as string),
        ),
      ),
    'asks.answer': () => ({ ...lent.asks[0], state: 'answered' }),
    'asks.deny': () => ({ ...lent.asks[0], state: 'denied' }),
    'leases.grant': () => lent.grants[0],
    'leases.revoke': () => ({ ...lent.leases[0], state: 'revoked' }),
    'certificates.list': ({ agentId }) =>
      pageOf(lent.certificates.filter((certificate) => certificate.agentId === agentId)),
    'certificates.revoke': () => ({ ...lent.certificates[0], state: 'revoked' }),
    'grants.list': ({ agentId }) => pageOf(lent.grants.filter((grant) => grant.agentId === agentId)),
    'grants.end': () => ({ ...lent.grants[0], state: 'ended' }),
    'egress.explain': () => lent.egressExplanation,
    ...egressHandlers(),
    'audit.list': (input) => auditPage(chain, input),
    'audit.head': () => headOf(chain),
  }
}

/** The first minute: everything works and nothing is there. */
export function emptyHandlers(): Handlers {
  return {
    ...fullHandlers(),
    'system.status': () => data.emptyStatus,
    'policies.list': () => ({ schema: '', policies: [] }),
    'scans.list': () => pageOf([]),
    ...emptyFindingHandlers(),
    ...emptyChannelHandlers(),
    ...emptyScheduleHandlers(),
    'people.list': () => pageOf(people.slice(0, 1)),
    'second_factors.list': () => ({ items: [], recoveryCodesLeft: 0 }),
    'goals.list': () => pageOf([]),
    'runs.list': () => pageOf([]),
    'approvals.list': () => pageOf([]),
    'delegations.list': () => pageOf([]),
    'approval_grants.list': () => pageOf([]),
    ...emptyVault(),
    'agents.list': () => pageOf([]),
    ...emptyEgressHandlers(),
    ...emptyConnectionHandlers(),
    'asks.list': () => pageOf([]),
    'audit.list': () => pageOf([]),
  }
}

/** Nothing but the session can be read. */
export function failingHandlers(): Handlers {
  const fail = (): never => {
    throw new Refusal(
      'store.unavailable',
      'The database at the configured address does not answer; Keyward asks again by itself.',
    )
  }
  const names = Object.keys(fullHandlers()).filter((name) => !name.startsWith('session.'))
  return { ...fullHandlers(), ...Object.fromEntries(names.map((name) => [name, fail])) }
}

function found<T extends { id: string }>(
  items: T[],
  id: unknown,
  code: 'finding.not_found' | 'run.not_found' | 'approval.not_found' | 'agent.not_found',
): T {
  const item = items.find((candidate) => candidate.id === id)
  if (!item) throw new Refusal(code, `nothing has the id ${String(id)}`)
  return item
}

function auditPage(chain: ReturnType<typeof data.auditChain>, { cursor, limit, type, correlation }: Input) {
  const start = cursor === undefined ? 0 : Number(cursor)
  const size = Number(limit)
  const matching = chain
    .toReversed()
    .filter(
      (entry) =>
        (type === undefined || entry.type === type) &&
        (correlation === undefined || entry.correlation === correlation),
    )
  const next = start + size < matching.length ? String(start + size) : null
  return { items: matching.slice(start, start + size), next }
}

function headOf(chain: ReturnType<typeof data.auditChain>): AuditHead {
  const { seq, hash, at } = chain.at(-1) ?? {
    seq: 0,
    hash: createHash('sha256').digest('hex'),
    at: new Date().toISOString(),
  }
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const signature = sign(null, Buffer.from(canonicalJson({ seq, hash, at })), privateKey).toString('base64')
  return { seq, hash, at, signature, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }
}
