import { z } from 'zod'
import { json, operation, page, paging, timestamp } from './operation.ts'
import { planPreview } from './plans.ts'
import { runDetail, runOutcome, runState } from './runs.ts'

/** One way to reach a goal: a flow with its input, or a plan that a model proposed. */
export const proposalView = z.object({
  /** Its place among the goal's proposals, from 1. */
  number: z.int(),
  /** `rules`: the words fit a flow. `model`: a language model proposed it; it is checked like any other plan. */
  source: z.enum(['rules', 'model']),
  /** Which language model; null when rules did it. */
  model: z.string().nullable(),
  flow: z.string(),
  title: z.string(),
  input: json,
  /** What would run; null when it cannot be planned now. */
  plan: planPreview.nullable(),
  /** Why it cannot be planned now. */
  problem: z.string().nullable(),
})
export type ProposalView = z.output<typeof proposalView>

export const goalView = z.object({
  id: z.string(),
  text: z.string(),
  /** `unclear`: the words fit several things, and `choices` has wordings that fit one each. */
  state: z.enum(['unclear', 'proposed', 'started']),
  choices: z.array(z.object({ title: z.string(), text: z.string() })),
  proposals: z.array(proposalView),
  /** The number of the proposal that was started. */
  chosen: z.int().nullable(),
  runId: z.string().nullable(),
  /** How its run is now. */
  outcome: runState.nullable(),
  runOutcome: runOutcome.nullable().optional(),
  createdBy: z.string(),
  createdAt: timestamp,
  startedAt: timestamp.nullable(),
})
export type GoalView = z.output<typeof goalView>

export const goalsApi = {
  propose: operation({
    name: 'goals.propose',
    method: 'POST',
    path: '/goals',
    summary: 'Say what is wanted in words; the answer has the plans for it, and nothing runs yet',
    body: { text: z.string().trim().min(3).max(500) },
    result: goalView,
    fails: ['goal.unknown', 'goal.model_failed'],
  }),
  list: operation({
    name: 'goals.list',
    method: 'GET',
    path: '/goals',
    summary: 'Goals, newest first',
    query: paging,
    result: page(goalView),
  }),
  read: operation({
    name: 'goals.read',
    method: 'GET',
    path: '/goals/{goalId}',
    summary: 'One goal with its proposals',
    params: { goalId: z.string() },
    result: goalView,
    fails: ['goal.not_found'],
  }),
  start: operation({
    name: 'goals.start',
    method: 'POST',
    path: '/goals/{goalId}/start',
    summary: 'Start one of the proposed plans, exactly as it was shown; a goal is started once',
    params: { goalId: z.string() },
    body: {
      proposal: z.int().min(1).default(1),
      /** The digest of the plan that was shown; the plan is made again, and another one is refused. */
      digest: z.string().regex(/^[0-9a-f]{64}$/),
    },
    result: runDetail,
    fails: ['goal.not_found', 'goal.state', 'goal.changed', 'run.plan_invalid'],
  }),
}
