import type {
  Destination,
  Injection,
  PassageLogin,
  PassageSsh,
  PassageView,
  Reachable,
} from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  type Log,
  newId,
  type Principal,
  reasonOf,
  repeat,
  systemPrincipal,
} from '../core/index.ts'
import { agentPrincipal, type Identity } from '../identity/index.ts'
import type { Lend } from '../lend/index.ts'
import type { Proxy as EgressProxy } from '../proxy/index.ts'
import type { Store } from '../store/index.ts'
import { borrow, commandTask, leaseSeconds } from './borrow.ts'
import { createOwnAgents } from './own-agents.ts'
import {
  endPassageRow,
  insertPassage,
  openPassages,
  type PassageQuery,
  type PassageRow,
  passageById,
  passagesBefore,
} from './passage-store.ts'

/** What a command outside a sandbox wants. */
export type NewPassage = {
  readonly principal: Principal
  /** Absent for a person: an agent of their own. */
  readonly agentId?: string | undefined
  /** The program's name. */
  readonly command: string
  readonly references: readonly string[]
  readonly to?: readonly Destination[] | undefined
  readonly injection?: Injection | undefined
  readonly reach: readonly Reachable[]
}

export type OpenedPassage = {
  readonly passage: PassageView
  readonly socketPath: string
  readonly caPem: string
  readonly placeholders: Record<string, string>
  readonly logins: PassageLogin[]
  readonly ssh: PassageSsh | null
}

/**
 * The way out of commands that run outside a sandbox: each has placeholders, leases and a socket of the proxy of its own, for
 * as long as somebody says that it runs.
 */
export type Passages = {
  /** Throws `policy.denied`, `agent.not_found`, `agent.inactive`, `secret.not_found`, `reference.invalid`, `egress.unavailable`. */
  open(wanted: NewPassage): Promise<OpenedPassage>
  /** By who opened it. Throws `passage.not_found`, `passage.ended`, `policy.denied`. */
  keep(passageId: string, principal: Principal): Promise<{ endsAt: Date }>
  /** Ending what has ended changes nothing. Throws `passage.not_found`. */
  close(passageId: string, by: Principal): Promise<PassageView>
  read(passageId: string): Promise<PassageView | undefined>
  page(query: PassageQuery): Promise<{ items: PassageView[]; next: string | null }>
  /** Ends what an earlier server left open, and from then on what nobody keeps. Returns what ends all of them. */
  start(): Promise<() => Promise<void>>
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish' | 'subscribe'>
  clock: Clock
  log: Log
  identity: Pick<Identity, 'agent' | 'registerAgent'>
  lend: Pick<Lend, 'grant' | 'issue' | 'liveGrants' | 'renewForTask' | 'endForTask'>
  proxy: Pick<EgressProxy, 'open' | 'close'>
}

/** After so long without a word, the command counts as gone. */
const silenceMs = 20_000
const sweepMs = 5000
const keeper = systemPrincipal('passage')

export function createPassages(needs: Needs): Passages {
  const { store, audit, bus, clock, log, identity, lend, proxy } = needs
  const ownAgents = createOwnAgents(needs)
  /** Those of this process, with when they were last kept. */
  const keptAt = new Map<string, { readonly agentId: string; at: number }>()

  async function activeAgent(agentId: string) {
    const agent = await identity.agent(agentId)
    if (!agent) throw new AppError('agent.not_found', `No agent has the id ${agentId}.`)
    if (agent.state !== 'active') throw new AppError('agent.inactive', `${agent.name} is quarantined.`)
    return agent
  }

  async function agentFor(principal: Principal, agentId: string | undefined): Promise<string> {
    if (principal.kind !== 'agent') return agentId ?? ownAgents.of(principal)
    if (agentId !== undefined && agentId !== principal.id)
      throw new AppError('policy.denied', 'An agent opens a passage for itself only.')
    return principal.id
  }

  async function begin(wanted: NewPassage) {
    const { principal, command, reach } = wanted
    if (principal.kind === 'agent' && reach.length > 0)
      throw new AppError('policy.denied', 'An agent reaches what it was granted; only a person lists more.')
    const agent = await activeAgent(await agentFor(principal, wanted.agentId))
    return store.write(async (tx) => {
      const row: PassageRow = {
        id: newId('pas', clock.now()),
        agent_id: agent.id,
        opened_by: actorOf(principal),
        command,
        opened_at: clock.now().getTime(),
        ended_at: null,
        end_reason: null,
      }
      const { references, to, injection } = wanted
      const asked = { passageId: row.id, agent, by: principal, command, references, to, injection }
      const borrowed = await borrow(tx, asked, { lend, now: () => clock.now() })
      await insertPassage(tx, row)
      const target = `passage:${row.id}`
      const allow = [...borrowed.rules, ...reach]
      await audit.record(tx, {
        type: 'passage.opened',
        outcome: 'done',
        actor: actorOf(principal),
        target,
        correlation: row.id,
        detail: {
          agent: `agent:${agent.id}`,
          command,
          allow: allow.map(({ host, port }) => `${host}:${port}`),
        },
      })
      await bus.publish(tx, { type: 'passage.opened', subject: target, data: { agent: `agent:${agent.id}` } })
      const { rules: _, ...given } = borrowed
      return { row, allow, given }
    })
  }

  /** The leases first: nothing that is still under way is answered with a value any more. */
  async function end(passageId: string, reason: string, by: Principal): Promise<void> {
    const kept = keptAt.get(passageId)
    keptAt.delete(passageId)
    try {
      await writeEnd(passageId, reason, by)
    } catch (error) {
      // Found by the next sweep, which tries again.
      if (kept) keptAt.set(passageId, kept)
      throw error
    } finally {
      await proxy.close(passageId)
    }
  }

  function writeEnd(passageId: string, reason: string, by: Principal): Promise<void> {
    return store.write(async (tx) => {
      const row = await endPassageRow(tx, passageId, clock.now().getTime(), reason)
      if (!row) return
      await lend.endForTask(tx, passageId, commandTask, reason)
      const target = `passage:${passageId}`
      const entry = { type: 'passage.ended', outcome: 'done', actor: actorOf(by), target } as const
      await audit.record(tx, { ...entry, correlation: passageId, detail: { reason } })
      await bus.publish(tx, { type: 'passage.ended', subject: target })
    })
  }

  async function endWhere(
    which: (kept: { agentId: string; at: number }) => boolean,
    reason: string,
  ): Promise<void> {
    const due = [...keptAt].filter(([, kept]) => which(kept))
    const ended = await Promise.allSettled(due.map(([id]) => end(id, reason, keeper)))
    const failed = ended.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
  }

  async function rowOf(passageId: string): Promise<PassageRow> {
    const row = await passageById(store, passageId)
    if (!row) throw new AppError('passage.not_found', `No passage has the id ${passageId}.`)
    return row
  }

  return {
    async open(wanted) {
      const { row, allow, given } = await begin(wanted)
      keptAt.set(row.id, { agentId: row.agent_id, at: clock.now().getTime() })
      const owner = { sandboxId: row.id, agentId: row.agent_id, runId: row.id, taskId: commandTask }
      try {
        const opened = await proxy.open({ ...owner, allow })
        return { passage: viewOf(row), ...given, ...opened }
      } catch (error) {
        await end(row.id, `its socket could not be made: ${reasonOf(error)}`, keeper)
        throw error
      }
    },
    async keep(passageId, principal) {
      const row = await rowOf(passageId)
      if (row.opened_by !== actorOf(principal))
        throw new AppError('policy.denied', 'A passage is kept by whoever opened it.')
      const kept = keptAt.get(passageId)
      if (!kept) throw new AppError('passage.ended', row.end_reason ?? 'the server does not know it any more')
      const agent = agentPrincipal(await activeAgent(row.agent_id))
      const now = clock.now().getTime()
      kept.at = now
      const renewal = { principal: agent, runId: passageId, taskId: commandTask, ttlSeconds: leaseSeconds }
      await lend.renewForTask(renewal)
      return { endsAt: new Date(now + silenceMs) }
    },
    async close(passageId, by) {
      await rowOf(passageId)
      await end(passageId, 'its command ended', by)
      return viewOf(await rowOf(passageId))
    },
    async read(passageId) {
      const row = await passageById(store, passageId)
      return row && viewOf(row)
    },
    async page(query) {
      const rows = await passagesBefore(store, { ...query, limit: query.limit + 1 })
      const items = rows.slice(0, query.limit).map(viewOf)
      return { items, next: rows.length > query.limit ? (items.at(-1)?.id ?? null) : null }
    },
    async start() {
      for (const { id } of await openPassages(store)) await end(id, 'the server was started again', keeper)
      const unsubscribe = bus.subscribe(({ type, subject }) => {
        if (type !== 'agent.quarantined') return
        endWhere(({ agentId }) => subject === `agent:${agentId}`, 'its agent was quarantined').catch(
          (error: unknown) => log.error({ reason: reasonOf(error) }, 'a passage could not be ended'),
        )
      })
      const stopSweeping = repeat(
        { clock, log },
        {
          name: 'passages',
          milliseconds: sweepMs,
          work: () =>
            endWhere(
              ({ at }) => clock.now().getTime() - at > silenceMs,
              'nobody said that its command still runs',
            ),
        },
      )
      return async () => {
        unsubscribe()
        stopSweeping()
        await endWhere(() => true, 'the server stopped')
      }
    },
  }
}

const viewOf = (row: PassageRow): PassageView => ({
  id: row.id,
  agentId: row.agent_id,
  openedBy: row.opened_by,
  command: row.command,
  state: row.ended_at === null ? 'open' : 'ended',
  openedAt: new Date(row.opened_at).toISOString(),
  endedAt: row.ended_at === null ? null : new Date(row.ended_at).toISOString(),
  endReason: row.end_reason,
})
