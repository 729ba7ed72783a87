import type { Phase, Risk } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import { AppError, actorOf, type Principal } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'

/** What policy looks at of a task. */
export type JudgedTask = {
  readonly id: string
  readonly action: string
  readonly risk: Risk
  /** `read`: it changes nothing. */
  readonly effect: 'read' | 'write'
  /** For example "production"; absent when nobody said so. */
  readonly environment?: string | undefined
}

export type Judgement = { readonly taskId: string; readonly allow: boolean; readonly reason: string }

export type Judging = {
  /**
   * Asks policy about every task of a plan for who wants to start it. Throws `policy.denied` with the first task that is not
   * allowed; of an agent that is recorded as a violation, and the agent is demoted in the same transaction. For an agent that is
   * observed the judgements come back, and nothing may be executed.
   */
  judge(by: Principal, title: string, tasks: readonly JudgedTask[]): Promise<Judged>
  /** Right before a task runs: an agent may have been demoted, observed or quarantined since. `requestedBy`: `<kind>:<id>`. */
  allowTask(requestedBy: string, runId: string, task: JudgedTask): Promise<void>
}

export type Judged = { readonly observed: boolean; readonly judgements: readonly Judgement[] }

type Standing = { readonly phase: Phase; readonly observed: boolean; readonly name: string }

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'record'>
  policy: Pick<Policy, 'decide'>
  standing(agentId: string, reader: Reader): Promise<Standing>
  demote(tx: Tx, agentId: string, reason: string): Promise<void>
}

export function createJudging({ store, audit, policy, standing, demote }: Needs): Judging {
  function judgementOf(principal: Principal, task: JudgedTask, phase: Phase | undefined): Judgement {
    const { id, action, risk, effect, environment } = task
    const { allow, reason } = policy.decide({
      principal: principal.kind === 'agent' ? { ...principal, scopes: ['runs'] } : principal,
      action: 'tasks.run',
      resource: { type: 'Task', id: action, attributes: { action, risk, effect, environment } },
      context: { phase },
    })
    return { taskId: id, allow, reason }
  }

  type Found = { title: string; runId?: string; observed: boolean; judgements: readonly Judgement[] }

  /** Of an agent: what was judged is on record, and a violation has its consequence before anybody hears of it. */
  async function keep(agent: Principal, { phase }: Standing, found: Found): Promise<void> {
    const refused = found.judgements.find(({ allow }) => !allow)
    await store.write(async (tx) => {
      await audit.record(tx, {
        type: 'task.judged',
        outcome: refused && !found.observed ? 'denied' : 'done',
        actor: actorOf(agent),
        target: actorOf(agent),
        correlation: found.runId ?? '',
        detail: {
          title: found.title,
          phase,
          observed: found.observed,
          tasks: found.judgements.map(({ taskId, allow, reason }) => ({ taskId, allow, reason })),
        },
      })
      if (refused && !found.observed)
        await demote(tx, agent.id, `it asked for what its phase ${phase} does not allow: ${refused.taskId}`)
    })
  }

  const assertAllowed = (judgements: readonly Judgement[]): void => {
    const refused = judgements.find(({ allow }) => !allow)
    if (refused) throw new AppError('policy.denied', `task ${refused.taskId}: ${refused.reason}`)
  }

  return {
    async judge(by, title, tasks) {
      const place = by.kind === 'agent' ? await standing(by.id, store) : undefined
      const judgements = tasks.map((task) => judgementOf(by, task, place?.phase))
      const observed = place?.observed ?? false
      const allAllowed = judgements.every(({ allow }) => allow)
      if (place && (observed || !allAllowed)) await keep(by, place, { title, observed, judgements })
      if (!observed) assertAllowed(judgements)
      return { observed, judgements }
    },
    async allowTask(requestedBy, runId, task) {
      const [kind, id = ''] = requestedBy.split(':')
      if (kind !== 'agent') return
      const place = await standing(id, store)
      const agent: Principal = { kind: 'agent', id, name: place.name, roles: [] }
      if (place.observed)
        throw new AppError(
          'policy.denied',
          `${place.name} is observed now: nothing that it asked for is executed`,
        )
      const judgement = judgementOf(agent, task, place.phase)
      if (judgement.allow) return
      await keep(agent, place, { title: task.action, runId, observed: false, judgements: [judgement] })
      assertAllowed([judgement])
    },
  }
}
