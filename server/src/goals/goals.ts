import type { GoalView, Json, PlanPreview, RunDetail } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { type Flow, type Match, matchGoal, sayUsing } from '../catalogue/index.ts'
import { AppError, actorOf, type Clock, newId, type Principal } from '../core/index.ts'
import type { Flows } from '../flows/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Plan, Workflow } from '../workflow/index.ts'
import {
  type GoalRecord,
  goalsBefore,
  insertGoal,
  markStarted,
  type Proposal,
  readGoal,
} from './goals-store.ts'
import { mayStart } from './model/choice.ts'
import type { ModelPlanner } from './model/model-planner.ts'

/** What people and agents want, in their words, with the plans for it. */
export type Goals = {
  /**
   * Throws `goal.unknown` with the wordings that are known. Words that fit several flows come back with choices. `along` works in the
   * transaction that stores the goal: when it throws, there is none.
   */
  propose(text: string, by: Principal, along?: (tx: Tx, goalId: string) => Promise<void>): Promise<GoalView>
  page(query: {
    cursor?: string | undefined
    limit: number
  }): Promise<{ items: GoalView[]; next: string | null }>
  /** Throws `goal.not_found`. */
  read(goalId: string): Promise<GoalView>
  /** The plan is made again, and started only if it is the one that was shown: else `goal.changed`. */
  start(
    goalId: string,
    wanted: { proposal: number; digest: string; traceparent?: string | undefined },
    by: Principal,
  ): Promise<RunDetail>
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  policy: Pick<Policy, 'decide'>
  flows: Pick<Flows, 'all' | 'plan' | 'completed' | 'startPlan'>
  workflow: Pick<Workflow, 'read'> & { planning: Pick<Workflow['planning'], 'preview'> }
  /** A language model, when one is configured. */
  model: ModelPlanner | undefined
}

export function createGoals(needs: Needs): Goals {
  const { store, audit, bus, clock, flows, workflow } = needs

  async function proposalOf({ flow, input }: Match, text: string, by: Principal): Promise<Proposal> {
    const base = { number: 1, source: 'rules', model: null, flow: flow.name, input, draft: null } as const
    try {
      const plan = await previewOf(text, await flows.plan({ flow: flow.name, input, by }), by)
      return { ...base, title: plan.plan.title, plan, problem: null }
    } catch (error) {
      // What a person can do something about belongs into the answer: a missing connection, a changed file.
      if (!(error instanceof AppError)) throw error
      return {
        ...base,
        title: flow.title,
        plan: null,
        problem: `${error.code}: ${error.detail ?? error.message}`,
      }
    }
  }

  const previewOf = (goal: string, plan: Plan, by: Principal): Promise<PlanPreview> =>
    workflow.planning.preview({ ...plan, goal }, by)

  /** Only for words that no rule knows, and only ever a proposal: a person starts it or nobody does. */
  async function proposedByModel(
    text: string,
    { by, goalId }: { by: Principal; goalId: string },
    refusal: (more: readonly string[]) => AppError,
  ): Promise<Proposal> {
    if (!needs.model) throw refusal([])
    const said = await needs.model(text, by, goalId)
    if ('declined' in said) throw refusal([`${said.model} says: ${said.declined}`])
    const plan = await previewOf(text, said.plan, by)
    return { ...said, number: 1, source: 'model', plan, problem: null }
  }

  async function answerTo(
    text: string,
    { by, goalId }: { by: Principal; goalId: string },
  ): Promise<Pick<GoalRecord, 'choices' | 'proposals'>> {
    const all = await flows.all()
    const matched = matchGoal(text, all)
    if (matched.kind === 'one') return { choices: [], proposals: [await proposalOf(matched.match, text, by)] }
    if (matched.kind === 'several') {
      const choices = matched.matches.map(({ flow }) => ({
        title: flow.title,
        text: sayUsing(text, flow.name),
      }))
      return { choices, proposals: [] }
    }
    const refusal = (more: readonly string[]) => unknown(all, [...matched.nearest, ...more])
    return { choices: [], proposals: [await proposedByModel(text, { by, goalId }, refusal)] }
  }

  async function plannedAgain({ flow, input, draft, source }: Proposal, by: Principal): Promise<Plan> {
    // A model may be talked into things by what it reads: somebody has to have looked at what it chose.
    if (source === 'model' && by.kind !== 'person')
      throw new AppError('policy.denied', 'what a language model proposed is started by a person')
    if (!mayStart(needs.policy, flow, by))
      throw new AppError('policy.denied', `you may not start runs of the flow ${flow}`)
    return draft ? flows.completed(draft, by) : flows.plan({ flow, input, by })
  }

  async function found(goalId: string): Promise<GoalRecord> {
    const goal = await readGoal(store, goalId)
    if (!goal) throw new AppError('goal.not_found', `there is no goal '${goalId}'`)
    return goal
  }

  async function tell(
    tx: Tx,
    type: 'goal.proposed' | 'goal.started',
    id: string,
    { by, detail, correlation }: { by: Principal; detail: { [key: string]: Json }; correlation: string },
  ): Promise<void> {
    const target = `goal:${id}`
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, correlation, detail })
    await bus.publish(tx, { type, subject: target })
  }

  async function viewOf(goal: GoalRecord): Promise<GoalView> {
    const { createdAt, startedAt, proposals, ...rest } = goal
    const run = goal.runId === null ? undefined : await workflow.read(goal.runId)
    return {
      ...rest,
      proposals: proposals.map(({ draft: _, ...proposal }) => proposal),
      state: run ? 'started' : proposals.length > 0 ? 'proposed' : 'unclear',
      outcome: run?.state ?? null,
      runOutcome: run?.outcome ?? null,
      createdAt: new Date(createdAt).toISOString(),
      startedAt: startedAt === null ? null : new Date(startedAt).toISOString(),
    }
  }

  return {
    async propose(text, by, along) {
      const id = newId('goal', clock.now())
      const answer = await answerTo(text, { by, goalId: id })
      const now = clock.now()
      const goal: GoalRecord = {
        id,
        text,
        ...answer,
        chosen: null,
        runId: null,
        createdBy: actorOf(by),
        createdAt: now.getTime(),
        startedAt: null,
      }
      const proposed = goal.proposals.map(({ source, model, flow, plan }) => ({
        source,
        model,
        flow,
        digest: plan?.planDigest ?? null,
      }))
      await store.write(async (tx) => {
        await insertGoal(tx, goal)
        await tell(tx, 'goal.proposed', id, { by, detail: { text, proposed }, correlation: id })
        await along?.(tx, goal.id)
      })
      return viewOf(goal)
    },
    async page({ cursor, limit }) {
      const goals = await goalsBefore(store, cursor, limit + 1)
      const shown = goals.slice(0, limit)
      const items = await Promise.all(shown.map(viewOf))
      return { items, next: goals.length > limit ? (shown.at(-1)?.id ?? null) : null }
    },
    read: async (goalId) => viewOf(await found(goalId)),
    async start(goalId, { proposal: number, digest, traceparent }, by) {
      const goal = await found(goalId)
      if (goal.runId !== null) throw new AppError('goal.state', `it was started before, as run ${goal.runId}`)
      const proposal = goal.proposals.find((one) => one.number === number)
      if (!proposal) throw new AppError('goal.state', `it has no proposal ${number}`)
      if (!proposal.plan) throw new AppError('goal.state', `it cannot be planned: ${proposal.problem}`)
      const plan = { ...(await plannedAgain(proposal, by)), goal: goal.text }
      const { planDigest: now } = await workflow.planning.preview(plan, by)
      if (now !== digest || digest !== proposal.plan.planDigest)
        throw new AppError('goal.changed', `the plan would be ${now}; say the goal again to see it`)
      const told = { source: proposal.source, model: proposal.model }
      return flows.startPlan({
        plan,
        by,
        traceparent,
        unattended: false,
        async along(tx, { id: runId }) {
          const at = clock.now().getTime()
          if (!(await markStarted(tx, goalId, { chosen: number, runId, at })))
            throw new AppError('goal.state', 'somebody else started it at the same moment')
          // Found with what its run did.
          const detail = { runId, digest, ...told }
          await tell(tx, 'goal.started', goalId, { by, detail, correlation: runId })
        },
      })
    },
  }
}

function unknown(flows: readonly Flow[], nearest: readonly string[]): AppError {
  const wordings = flows.flatMap(({ goals }) => goals).map((goal) => `"${goal}"`)
  const near = nearest.length > 0 ? `Nearest: ${nearest.join('; ')}. ` : ''
  return new AppError('goal.unknown', `${near}Known are: ${wordings.join(', ') || 'none'}`)
}
