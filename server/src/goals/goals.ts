import type { GoalView, Json, PlanPreview, ProposalView, RunDetail } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { type Flow, type Match, matchGoal, sayUsing } from '../catalogue/index.ts'
import { AppError, actorOf, type Clock, newId, type Principal } from '../core/index.ts'
import type { Flows } from '../flows/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Plan, Workflow } from '../workflow/index.ts'
import { type GoalRecord, goalsBefore, insertGoal, markStarted, readGoal } from './goals-store.ts'

/** What people and agents want, in their words, with the plans for it. */
export type Goals = {
  /** Throws `goal.unknown` with the wordings that are known. Words that fit several flows come back with choices. */
  propose(text: string, by: Principal): Promise<GoalView>
  page(query: {
    cursor?: string | undefined
    limit: number
  }): Promise<{ items: GoalView[]; next: string | null }>
  /** Throws `goal.not_found`. */
  read(goalId: string): Promise<GoalView>
  /** The plan is made again, and started only if it is the one that was shown: else `goal.changed`. */
  start(goalId: string, wanted: { proposal: number; digest: string }, by: Principal): Promise<RunDetail>
}

/** Chooses a flow for words that no rule knows. Throws `goal.model_failed`. */
export type Planner = (text: string, flows: readonly Flow[]) => Promise<Match>

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  flows: Pick<Flows, 'all' | 'plan' | 'startPlan'>
  workflow: Pick<Workflow, 'read'> & { planning: Pick<Workflow['planning'], 'preview'> }
  /** A language model, when one is configured. */
  model: () => Promise<Planner | undefined>
}

export function createGoals(needs: Needs): Goals {
  const { store, audit, bus, clock, flows, workflow } = needs

  async function proposalOf(
    { flow, input }: Match,
    { text, source, by }: { text: string; source: ProposalView['source']; by: Principal },
  ): Promise<ProposalView> {
    const base = { number: 1, source, flow: flow.name, title: flow.title, input }
    try {
      const plan = await previewOf(text, await flows.plan({ flow: flow.name, input, by }), by)
      return { ...base, title: plan.plan.title, plan, problem: null }
    } catch (error) {
      // What a person can do something about belongs into the answer: a missing connection, a changed file.
      if (!(error instanceof AppError)) throw error
      return { ...base, plan: null, problem: `${error.code}: ${error.detail ?? error.message}` }
    }
  }

  const previewOf = (goal: string, plan: Plan, by: Principal): Promise<PlanPreview> =>
    workflow.planning.preview({ ...plan, goal }, by)

  /** A model only ever chooses among the flows that there are, and its input is checked like anybody's. */
  async function proposedByModel(
    text: string,
    all: readonly Flow[],
    by: Principal,
  ): Promise<ProposalView | undefined> {
    const model = await needs.model()
    const match = model && (await model(text, all))
    return match && proposalOf(match, { text, source: 'model', by })
  }

  async function answerTo(text: string, by: Principal): Promise<Pick<GoalRecord, 'choices' | 'proposals'>> {
    const all = await flows.all()
    const matched = matchGoal(text, all)
    if (matched.kind === 'one')
      return { choices: [], proposals: [await proposalOf(matched.match, { text, source: 'rules', by })] }
    if (matched.kind === 'several') {
      const choices = matched.matches.map(({ flow }) => ({
        title: flow.title,
        text: sayUsing(text, flow.name),
      }))
      return { choices, proposals: [] }
    }
    const proposal = await proposedByModel(text, all, by)
    if (proposal) return { choices: [], proposals: [proposal] }
    throw unknown(all, matched.nearest)
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
    { by, detail }: { by: Principal; detail: { [key: string]: Json } },
  ): Promise<void> {
    const target = `goal:${id}`
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target })
  }

  async function viewOf(goal: GoalRecord): Promise<GoalView> {
    const { createdAt, startedAt, proposals, ...rest } = goal
    const run = goal.runId === null ? undefined : await workflow.read(goal.runId)
    return {
      ...rest,
      proposals: [...proposals],
      state: run ? 'started' : proposals.length > 0 ? 'proposed' : 'unclear',
      outcome: run?.state ?? null,
      runOutcome: run?.outcome ?? null,
      createdAt: new Date(createdAt).toISOString(),
      startedAt: startedAt === null ? null : new Date(startedAt).toISOString(),
    }
  }

  return {
    async propose(text, by) {
      const answer = await answerTo(text, by)
      const now = clock.now()
      const goal: GoalRecord = {
        id: newId('goal', now),
        text,
        ...answer,
        chosen: null,
        runId: null,
        createdBy: actorOf(by),
        createdAt: now.getTime(),
        startedAt: null,
      }
      const proposed = goal.proposals.map(({ source, flow, plan }) => ({
        source,
        flow,
        digest: plan?.planDigest ?? null,
      }))
      await store.write(async (tx) => {
        await insertGoal(tx, goal)
        await tell(tx, 'goal.proposed', goal.id, { by, detail: { text, proposed } })
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
    async start(goalId, { proposal: number, digest }, by) {
      const goal = await found(goalId)
      if (goal.runId !== null) throw new AppError('goal.state', `it was started before, as run ${goal.runId}`)
      const proposal = goal.proposals.find((one) => one.number === number)
      if (!proposal) throw new AppError('goal.state', `it has no proposal ${number}`)
      if (!proposal.plan) throw new AppError('goal.state', `it cannot be planned: ${proposal.problem}`)
      // A model may be talked into things by what it reads: somebody has to have looked at what it chose.
      if (proposal.source === 'model' && by.kind !== 'person')
        throw new AppError('policy.denied', 'what a language model proposed is started by a person')
      const plan = { ...(await flows.plan({ ...proposal, by })), goal: goal.text }
      const { planDigest: now } = await workflow.planning.preview(plan, by)
      if (now !== digest || digest !== proposal.plan.planDigest)
        throw new AppError('goal.changed', `the plan would be ${now}; say the goal again to see it`)
      return flows.startPlan({
        plan,
        by,
        unattended: false,
        async along(tx, { id: runId }) {
          const at = clock.now().getTime()
          if (!(await markStarted(tx, goalId, { chosen: number, runId, at })))
            throw new AppError('goal.state', 'somebody else started it at the same moment')
          await tell(tx, 'goal.started', goalId, { by, detail: { runId, digest } })
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
