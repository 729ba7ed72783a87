import type { Phase, RolloutView } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  type Log,
  type Principal,
  reasonOf,
  systemPrincipal,
} from '../core/index.ts'
import type { Agent, Identity } from '../identity/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import type { Workflow } from '../workflow/index.ts'
import { gatherEvidence } from './evidence.ts'
import { createJudging, type Judging } from './judging.ts'
import { putRollout, type RolloutRow, readRollout } from './rollout-store.ts'

/** How far agents are let: their phase, whether they are only observed, and what of a plan that allows. */
export type Rollout = Judging & {
  /** Throws `agent.not_found`. */
  read(agentId: string): Promise<RolloutView>
  /** One phase up on evidence, or any number down. Throws `rollout.hindered` and says what is missing. */
  setPhase(agentId: string, change: { phase: Phase; reason: string }, by: Principal): Promise<RolloutView>
  observe(agentId: string, change: { observed: boolean; reason: string }, by: Principal): Promise<RolloutView>
  /** Demotes at once whoever misuses what was lent to it, from now on. */
  watch(): () => void
}

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'record' | 'page'>
  bus: Pick<Bus, 'publish' | 'subscribe'>
  clock: Pick<Clock, 'now'>
  log: Log
  identity: Pick<Identity, 'agent'>
  policy: Pick<Policy, 'decide'>
  workflow: Pick<Workflow, 'endedOf'>
}

const phases: readonly Phase[] = ['read-only', 'non-critical', 'production']
/** Runs that succeeded or were observed in a phase before the next one. */
const leastRuns = 3
const keyward = systemPrincipal('rollout')

export function createRollout(needs: Needs): Rollout {
  const { store, audit, bus, clock, log, identity } = needs

  async function agentOf(agentId: string, reader?: Reader): Promise<Agent> {
    const agent = await identity.agent(agentId, reader)
    if (!agent) throw new AppError('agent.not_found', `No agent has the id ${agentId}.`)
    return agent
  }

  /** An agent that nobody has moved reads only, since it was registered. */
  async function rowOf(reader: Reader, agent: Agent): Promise<RolloutRow> {
    const began: RolloutRow = {
      agent_id: agent.id,
      phase: 'read-only',
      observed: 0,
      since: agent.createdAt.getTime(),
      changed_by: agent.owner,
      reason: 'every agent begins so',
    }
    return (await readRollout(reader, agent.id)) ?? began
  }

  async function viewOf(agent: Agent): Promise<RolloutView> {
    const row = await rowOf(store, agent)
    const since = new Date(Number(row.since))
    const evidence = await gatherEvidence(needs, agent.id, { now: clock.now(), phaseSince: since })
    const next = phases[phases.indexOf(row.phase) + 1] ?? null
    return {
      agentId: agent.id,
      agentName: agent.name,
      phase: row.phase,
      observed: row.observed === 1,
      since: since.toISOString(),
      by: row.changed_by,
      reason: row.reason,
      evidence,
      next,
      hindrance: next === null ? null : hindranceOf(evidence),
    }
  }

  /** The change, its entry with the evidence that was shown, and its event. */
  async function change(tx: Tx, row: RolloutRow, told: Told): Promise<void> {
    await putRollout(tx, row)
    const target = `agent:${row.agent_id}`
    const { type, by, detail } = told
    await audit.record(tx, {
      type,
      outcome: 'done',
      actor: actorOf(by),
      target,
      detail: { phase: row.phase, observed: row.observed === 1, reason: row.reason, ...detail },
    })
    await bus.publish(tx, { type, subject: target, data: { phase: row.phase, observed: row.observed === 1 } })
  }

  async function demote(tx: Tx, agentId: string, reason: string): Promise<void> {
    const row = await rowOf(tx, await agentOf(agentId, tx))
    if (row.phase === 'read-only') return
    const since = clock.now().getTime()
    const next = { ...row, phase: 'read-only' as const, since, changed_by: actorOf(keyward), reason }
    await change(tx, next, { type: 'agent.demoted', by: keyward, detail: { before: row.phase } })
  }

  const judging = createJudging({
    ...needs,
    demote,
    standing: async (agentId, reader) => {
      const agent = await agentOf(agentId, reader)
      if (agent.state !== 'active')
        throw new AppError('agent.inactive', `${agent.name} is quarantined; its owner can activate it again.`)
      const { phase, observed } = await rowOf(reader, agent)
      return { phase, observed: observed === 1, name: agent.name }
    },
  })

  return {
    ...judging,
    read: async (agentId) => viewOf(await agentOf(agentId)),
    async setPhase(agentId, { phase, reason }, by) {
      assertPerson(by)
      const before = await viewOf(await agentOf(agentId))
      const step = phases.indexOf(phase) - phases.indexOf(before.phase)
      if (step === 0) throw hindered(`${before.agentName} is in the phase ${phase} already`)
      if (step > 1) throw hindered(`${before.agentName} goes from ${before.phase} to ${before.next} first`)
      if (step > 0 && before.hindrance !== null) throw hindered(before.hindrance)
      await store.write(async (tx) => {
        const row = await rowOf(tx, await agentOf(agentId, tx))
        if (row.phase !== before.phase) throw hindered(`somebody moved ${before.agentName} meanwhile`)
        const next = { ...row, phase, since: clock.now().getTime(), changed_by: actorOf(by), reason }
        const type = step > 0 ? 'agent.promoted' : 'agent.demoted'
        await change(tx, next, { type, by, detail: { before: row.phase, evidence: before.evidence } })
      })
      return viewOf(await agentOf(agentId))
    },
    async observe(agentId, { observed, reason }, by) {
      assertPerson(by)
      await store.write(async (tx) => {
        const row = await rowOf(tx, await agentOf(agentId, tx))
        const type = observed ? 'agent.observed' : 'agent.released'
        await change(tx, { ...row, observed: observed ? 1 : 0, reason }, { type, by, detail: {} })
      })
      return viewOf(await agentOf(agentId))
    },
    watch: () =>
      bus.subscribe(({ type, data }) => {
        const agentId = type === 'lease.misused' ? agentIn(data) : undefined
        if (agentId === undefined) return
        store
          .write((tx) => demote(tx, agentId, 'it misused what was lent to it (lease.misused)'))
          .catch((error: unknown) =>
            log.error(
              { agent: agentId, reason: reasonOf(error) },
              'an agent that misused a lease keeps its phase',
            ),
          )
      }),
  }
}

type Told = {
  readonly type: 'agent.promoted' | 'agent.demoted' | 'agent.observed' | 'agent.released'
  readonly by: Principal
  readonly detail: { before?: Phase; evidence?: RolloutView['evidence'] }
}

function hindranceOf({ succeeded, observed, violations, days }: RolloutView['evidence']): string | null {
  if (violations > 0) return `${violations} violations in the last ${days} days; none may be left`
  const shown = succeeded + observed
  return shown >= leastRuns
    ? null
    : `${shown} runs that succeeded or were observed since it came into its phase; ${leastRuns} are needed`
}

const hindered = (detail: string): AppError => new AppError('rollout.hindered', detail)

function assertPerson({ kind }: Principal): void {
  if (kind !== 'person') throw new AppError('policy.denied', 'only a person who is signed in moves an agent')
}

function agentIn(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null || !('agent' in data)) return undefined
  return typeof data.agent === 'string' ? data.agent.replace(/^agent:/, '') : undefined
}
