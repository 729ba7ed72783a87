import type { AgentView, EventName } from '@keyward/contract'
import { AppError, actorOf, newId, type Principal, type Secret } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { AgentPrincipal, Identity, Needs } from './identity.ts'
import {
  type AgentRow,
  agentById,
  agentByName,
  agentsBefore,
  countAgentRows,
  expireKeys,
  insertAgent,
  insertKey,
  keyByHash,
  newestKey,
  setAgentStateRow,
} from './identity-store.ts'
import type { Authenticated } from './principal-cache.ts'
import type { RefusalRecorder } from './refusals.ts'
import { hashToken, randomToken, sameHash } from './token.ts'

export type Agent = {
  readonly id: string
  readonly name: string
  readonly description: string
  /** The owner's actor. */
  readonly owner: string
  readonly state: 'active' | 'quarantined'
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

export const agentView = (agent: Agent, activeLeases: number): AgentView => ({
  ...agent,
  createdAt: agent.createdAt.toISOString(),
  lastUsedAt: agent.lastUsedAt?.toISOString() ?? null,
  activeLeases,
})

const agentOf = (row: AgentRow): Agent => ({
  id: row.id,
  name: row.name,
  description: row.description,
  owner: row.owner,
  state: row.state,
  createdAt: new Date(row.created_at),
  lastUsedAt: row.last_used_at === null ? null : new Date(row.last_used_at),
})

/** What a key allows when nothing else is said: to borrow, and to see its own leases. */
const defaultScopes: readonly string[] = ['leases']

/** The agent as it acts in a run that Keyward itself drives, without its key. */
export const agentPrincipal = ({ id, name }: Agent): AgentPrincipal => ({
  kind: 'agent',
  id,
  name,
  roles: [],
  scopes: defaultScopes,
})

const notFound = (id: string): AppError =>
  new AppError('agent.not_found', `No agent has the id ${id}; \`keyward agents list\` shows them.`)

export function createAgents({ store, audit, bus, clock, refuse }: Needs & { refuse: RefusalRecorder }) {
  async function tell(
    tx: Tx,
    type: EventName,
    id: string,
    by: Principal,
    detail: Record<string, string | string[]>,
  ) {
    const target = `agent:${id}`
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target })
  }

  async function addKey(
    tx: Tx,
    agentId: string,
    scopes: readonly string[],
    expiresAt?: Date,
  ): Promise<Secret> {
    const apiKey = randomToken('kwa_', 43)
    const now = clock.now()
    await insertKey(tx, {
      id: newId('key', now),
      hash: hashToken(apiKey.reveal()),
      agent_id: agentId,
      scopes: JSON.stringify(scopes),
      created_at: now.getTime(),
      expires_at: expiresAt?.getTime() ?? null,
    })
    return apiKey
  }

  return {
    async register(tx: Tx, input: Parameters<Identity['registerAgent']>[1]) {
      const { name, description, owner, scopes = defaultScopes, keyExpiresAt } = input
      const now = clock.now()
      const row: AgentRow = {
        id: newId('agt', now),
        name,
        description,
        owner: actorOf(owner),
        state: 'active',
        created_at: now.getTime(),
        last_used_at: null,
      }
      if (!(await insertAgent(tx, row))) {
        throw new AppError('agent.exists', `The name ${name} is taken; choose another one.`)
      }
      const apiKey = await addKey(tx, row.id, scopes, keyExpiresAt)
      await tell(tx, 'agent.registered', row.id, owner, { name, scopes: [...scopes] })
      return { agent: agentOf(row), apiKey }
    },

    async rotateKey(tx: Tx, agentId: string, by: Principal, overlapSeconds: number): Promise<Secret> {
      const agent = await agentById(tx, agentId)
      if (!agent) throw notFound(agentId)
      const newest = await newestKey(tx, agentId)
      const scopes = newest ? (JSON.parse(newest.scopes) as string[]) : defaultScopes
      const endsAt = clock.now().getTime() + overlapSeconds * 1000
      await expireKeys(tx, agentId, endsAt)
      const apiKey = await addKey(tx, agentId, scopes)
      await tell(tx, 'agent.key_rotated', agentId, by, { othersEndAt: new Date(endsAt).toISOString() })
      return apiKey
    },

    async named(name: string, reader: Reader = store): Promise<Agent | undefined> {
      const row = await agentByName(reader, name)
      return row && agentOf(row)
    },

    async read(agentId: string, reader: Reader = store): Promise<Agent | undefined> {
      const row = await agentById(reader, agentId)
      return row && agentOf(row)
    },

    async page({ cursor, limit }: { cursor?: string | undefined; limit: number }) {
      const rows = await agentsBefore(store, cursor, limit + 1)
      const items = rows.slice(0, limit).map(agentOf)
      return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
    },

    count: (): Promise<number> => countAgentRows(store),

    async setState(
      tx: Tx,
      agentId: string,
      state: Agent['state'],
      by: Principal,
      reason: string,
    ): Promise<Agent> {
      const row = await setAgentStateRow(tx, agentId, state)
      if (!row) throw notFound(agentId)
      await tell(tx, state === 'quarantined' ? 'agent.quarantined' : 'agent.activated', agentId, by, {
        reason,
      })
      return agentOf(row)
    },

    async authenticate(hash: string): Promise<Authenticated | undefined> {
      const key = await keyByHash(store, hash)
      if (!key || !sameHash(key.hash, hash)) return undefined
      if (key.expires_at !== null && clock.now().getTime() >= key.expires_at) return undefined
      const row = await agentById(store, key.agent_id)
      if (!row) return undefined
      if (row.state !== 'active') {
        const actor = `agent:${row.id}`
        await refuse({ type: 'agent.refused', actor, target: actor, reason: 'quarantined' })
        throw new AppError('agent.inactive', `${row.name} is quarantined; its owner can activate it again.`)
      }
      const scopes = JSON.parse(key.scopes) as string[]
      const principal: AgentPrincipal = { kind: 'agent', id: row.id, name: row.name, roles: [], scopes }
      return { principal, noted: { in: 'agent', id: row.id }, expiresAt: key.expires_at }
    },
  }
}
