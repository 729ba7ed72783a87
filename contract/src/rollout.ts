import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

/** How far an agent is let: each phase allows what the one before does, and more. */
export const phase = z.enum(['read-only', 'non-critical', 'production'])
export type Phase = z.output<typeof phase>

/** What an agent did in the days before, counted. */
export const evidence = z.object({
  days: z.int(),
  since: timestamp,
  /** Runs that it asked for and that have ended. */
  succeeded: z.int(),
  failed: z.int(),
  cancelled: z.int(),
  /** Judged in observe mode and not executed. */
  observed: z.int(),
  /** Approvals of its runs that people denied. */
  denials: z.int(),
  /** Attempts beyond its phase, and misuse of what was lent to it. */
  violations: z.int(),
})
export type Evidence = z.output<typeof evidence>

export const rolloutView = z.object({
  agentId: z.string(),
  agentName: z.string(),
  phase,
  /** Its runs are judged and shown, and nothing of them is executed. */
  observed: z.boolean(),
  /** Since when, by whom and why it is in this phase. */
  since: timestamp,
  by: z.string(),
  reason: z.string(),
  evidence,
  /** The phase that comes next; null in the last one. */
  next: phase.nullable(),
  /** Why it cannot be promoted now, in words; null when a person may. */
  hindrance: z.string().nullable(),
})
export type RolloutView = z.output<typeof rolloutView>

const ofAgent = { agentId: z.string() }
const reason = z.string().trim().min(3).max(500)

export const rolloutApi = {
  read: operation({
    name: 'rollout.read',
    method: 'GET',
    path: '/agents/{agentId}/rollout',
    summary: 'How far an agent is let, and what it has done there',
    params: ofAgent,
    result: rolloutView,
    fails: ['agent.not_found'],
  }),
  setPhase: operation({
    name: 'rollout.set_phase',
    method: 'POST',
    path: '/agents/{agentId}/phase',
    summary: 'Promote an agent by one phase, or demote it; only a person does',
    params: ofAgent,
    body: { phase, reason },
    result: rolloutView,
    fails: ['agent.not_found', 'rollout.hindered'],
  }),
  observe: operation({
    name: 'rollout.observe',
    method: 'POST',
    path: '/agents/{agentId}/observe',
    summary: 'Judge and show what an agent asks for without executing it, or end that; only a person does',
    params: ofAgent,
    body: { observed: z.boolean(), reason },
    result: rolloutView,
    fails: ['agent.not_found'],
  }),
}
