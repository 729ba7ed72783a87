import type { AskView, Budget, Destination, EventName, Injection, Json } from '@keyward/contract'
import {
  AppError,
  actorOf,
  formatReference,
  newId,
  type Principal,
  type Secret,
  systemPrincipal,
} from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import {
  type AskQuery,
  type AskRow,
  askById,
  asksBefore,
  closeAsk,
  countOpenAsks,
  dueAsks,
  insertAsk,
} from './ask-store.ts'
import { covers, describeDestination, normalDestination, placesToLend } from './destinations.ts'
import type { Needs as LendNeeds, NewGrant } from './lend.ts'
import { destinationsOf, injectionOf } from './lend-store.ts'

export type NewAsk = {
  /** The agent that asks. */
  readonly principal: Principal
  readonly name: string
  readonly field: string
  readonly destinations: readonly Destination[]
  readonly injection?: Injection | undefined
  readonly reason: string
  readonly expiresInSeconds: number
}

export type AskAnswer = {
  readonly value: Secret
  /** Those that were asked for when absent. */
  readonly destinations?: readonly Destination[] | undefined
  readonly budget?: Budget | undefined
  readonly maxTtlSeconds: number
  readonly expiresInSeconds: number
}

/** An agent's question for a secret that is not in the vault, and a person's answer. */
export type Asks = {
  /** Throws `agent.inactive`, `ask.too_many`. */
  create(tx: Tx, ask: NewAsk): Promise<AskView>
  /**
   * Stores the value in the vault and grants it to the agent, in the transaction that closes the question. Throws `ask.not_found`,
   * `ask.closed`, `request.invalid` for a place that was not asked for, `policy.denied` for who may not grant, `vault.sealed`.
   */
  answer(tx: Tx, askId: string, answer: AskAnswer, by: Principal): Promise<AskView>
  /** Throws `ask.not_found`, `ask.closed`. */
  close(tx: Tx, askId: string, state: 'denied' | 'withdrawn', reason: string, by: Principal): Promise<AskView>
  read(askId: string, reader?: Reader): Promise<AskView | undefined>
  page(query: AskQuery): Promise<{ items: AskView[]; next: string | null }>
  countOpen(): Promise<number>
  expireDue(): Promise<void>
}

type Needs = Pick<LendNeeds, 'store' | 'audit' | 'bus' | 'clock' | 'identity' | 'vault'> & {
  grant(tx: Tx, grant: NewGrant): Promise<{ grantId: string }>
}

/** Of one agent at the same time: a person has to read each of them. */
const mostOpen = 5
const batch = 200
const system = systemPrincipal('lend')

export function createAsks({ store, audit, bus, clock, identity, vault, grant }: Needs): Asks {
  const view = (row: AskRow): AskView => askView(row, clock.now().getTime())

  async function tell(
    tx: Tx,
    row: AskRow,
    by: Principal,
    detail: { [key: string]: Json } = {},
  ): Promise<void> {
    const type = toldAs[row.state]
    const target = `ask:${row.id}`
    const denied = row.state === 'denied' || row.state === 'expired'
    const outcome = denied ? 'denied' : 'done'
    await audit.record(tx, {
      type,
      outcome,
      actor: actorOf(by),
      target,
      detail: { agent: `agent:${row.agent_id}`, secretPath: row.secret_path, field: row.field, ...detail },
    })
    await bus.publish(tx, { type, subject: target, data: { agent: `agent:${row.agent_id}` } })
  }

  async function openAsk(tx: Tx, askId: string): Promise<AskRow> {
    const row = await askById(tx, askId)
    if (!row) throw new AppError('ask.not_found', `No question for a secret has the id ${askId}.`)
    if (view(row).state !== 'open') throw closed(view(row))
    return row
  }

  return {
    async create(tx, { principal, destinations, injection, expiresInSeconds, ...asked }) {
      const agent = await identity.agent(principal.id, tx)
      if (agent?.state !== 'active') throw new AppError('agent.inactive', 'The agent may not ask.')
      const now = clock.now()
      if ((await countOpenAsks(tx, now.getTime(), agent.id)) >= mostOpen)
        throw new AppError(
          'ask.too_many',
          `${mostOpen} questions of ${agent.name} are open; wait for an answer, or withdraw one.`,
        )
      const places = placesToLend(destinations, injection)
      const row: AskRow = {
        id: newId('ask', now),
        agent_id: agent.id,
        agent_name: agent.name,
        name: asked.name,
        secret_path: `secret/agents/${agent.name}/${asked.name}`,
        field: asked.field,
        destinations: JSON.stringify(places),
        injection: injection ? JSON.stringify(injection) : null,
        reason: asked.reason,
        state: 'open',
        created_at: now.getTime(),
        expires_at: now.getTime() + expiresInSeconds * 1000,
        closed_at: null,
        closed_by: null,
        close_reason: null,
        grant_id: null,
      }
      await insertAsk(tx, row)
      await tell(tx, row, principal, { reason: asked.reason, destinations: places.map(describeDestination) })
      return view(row)
    },

    async answer(tx, askId, { value, destinations, expiresInSeconds, ...limits }, by) {
      const row = await openAsk(tx, askId)
      if ((await identity.agent(row.agent_id, tx))?.state !== 'active')
        throw new AppError('agent.inactive', `${row.agent_name} is quarantined; let it work again first.`)
      const asked = destinationsOf(row)
      const given = destinations?.map(normalDestination) ?? asked
      if (!covers(asked, given))
        throw new AppError(
          'request.invalid',
          'The secret can go to the places that were asked for, or to fewer.',
        )
      const before = await vault.kv.read(row.secret_path, tx)
      await vault.kv.write(tx, row.secret_path, { ...before?.data, [row.field]: value })
      const { grantId } = await grant(tx, {
        ...limits,
        agentId: row.agent_id,
        secretPath: row.secret_path,
        field: row.field,
        destinations: given,
        injection: row.injection === null ? undefined : injectionOf(row),
        expiresAt: new Date(clock.now().getTime() + expiresInSeconds * 1000),
        reason: row.reason,
        by,
      })
      await audit.record(tx, {
        type: 'secret.written',
        outcome: 'done',
        actor: actorOf(by),
        target: `secret:${row.secret_path}`,
        detail: { ask: row.id, field: row.field, reason: 'an agent asked for it' },
      })
      const end = { state: 'answered', at: clock.now().getTime(), by: actorOf(by), grantId } as const
      const answered = await closeAsk(tx, row.id, end)
      if (!answered) throw closed(view(row))
      await tell(tx, answered, by, {
        grant: `grant:${grantId}`,
        destinations: given.map(describeDestination),
      })
      return view(answered)
    },

    async close(tx, askId, state, reason, by) {
      const row = await openAsk(tx, askId)
      const ended = await closeAsk(tx, row.id, { state, at: clock.now().getTime(), by: actorOf(by), reason })
      if (!ended) throw closed(view(row))
      await tell(tx, ended, by, { reason })
      return view(ended)
    },

    async read(askId, reader = store) {
      const row = await askById(reader, askId)
      return row && view(row)
    },

    async page(query) {
      const rows = await asksBefore(store, { ...query, limit: query.limit + 1 }, clock.now().getTime())
      const items = rows.slice(0, query.limit).map(view)
      return { items, next: rows.length > query.limit ? (items.at(-1)?.id ?? null) : null }
    },

    countOpen: () => countOpenAsks(store, clock.now().getTime()),

    async expireDue() {
      const due = await dueAsks(store, clock.now().getTime(), batch)
      if (due.length === 0) return
      await store.write(async (tx) => {
        for (const { id } of due) {
          const end = { state: 'expired', at: clock.now().getTime(), by: actorOf(system) } as const
          const row = await closeAsk(tx, id, end)
          if (row) await tell(tx, row, system)
        }
      })
    },
  }
}

const toldAs: Record<AskView['state'], EventName> = {
  open: 'ask.opened',
  answered: 'ask.answered',
  denied: 'ask.denied',
  expired: 'ask.expired',
  withdrawn: 'ask.withdrawn',
}

const closed = ({ id, state }: AskView): AppError =>
  new AppError('ask.closed', state === 'open' ? `${id} was just closed.` : `${id} is ${state}.`)

function askView(row: AskRow, now: number): AskView {
  const expired = row.state === 'open' && row.expires_at <= now
  const closedAt = expired ? row.expires_at : row.closed_at
  const state = expired ? 'expired' : row.state
  const [mount = '', ...path] = row.secret_path.split('/')
  return {
    id: row.id,
    agentId: row.agent_id,
    agentName: row.agent_name,
    name: row.name,
    secretPath: row.secret_path,
    field: row.field,
    destinations: destinationsOf(row),
    injection: injectionOf(row),
    reason: row.reason,
    state,
    createdAt: new Date(row.created_at).toISOString(),
    expiresAt: new Date(row.expires_at).toISOString(),
    closedAt: closedAt === null ? null : new Date(closedAt).toISOString(),
    closedBy: row.closed_by,
    closeReason: row.close_reason,
    reference:
      state === 'answered' ? formatReference({ mount, path: path.join('/'), field: row.field }) : null,
    grantId: row.grant_id,
  }
}
