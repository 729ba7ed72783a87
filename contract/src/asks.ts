import { z } from 'zod'
import { budget, destination } from './agents.ts'
import { injection } from './injection.ts'
import { operation, page, paging, timestamp } from './operation.ts'

/** An agent asks a person for a secret that is not in the vault. It is answered with a reference, never with the value. */
export const askView = z.object({
  id: z.string(),
  agentId: z.string(),
  agentName: z.string(),
  name: z.string(),
  /** Where the value is kept once somebody has entered it. */
  secretPath: z.string(),
  field: z.string(),
  destinations: z.array(destination),
  injection,
  reason: z.string(),
  state: z.enum(['open', 'answered', 'denied', 'expired', 'withdrawn']),
  createdAt: timestamp,
  expiresAt: timestamp,
  closedAt: timestamp.nullable(),
  closedBy: z.string().nullable(),
  /** Why it was denied or withdrawn. */
  closeReason: z.string().nullable(),
  /** `keyward://…`, once it is answered. */
  reference: z.string().nullable(),
  grantId: z.string().nullable(),
})
export type AskView = z.output<typeof askView>

const reason = z.string().trim().min(3).max(500)
const params = { askId: z.string() }

export const asksApi = {
  create: operation({
    name: 'asks.create',
    method: 'POST',
    path: '/asks',
    summary: 'As an agent, ask a person for a secret that you lack; they enter it, you get a reference',
    body: {
      name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}(?:\/[a-z0-9][a-z0-9_-]{0,62}){0,3}$/),
      field: z
        .string()
        .regex(/^[A-Za-z0-9_.-]{1,128}$/)
        .default('value'),
      destinations: z.array(destination).min(1).max(20),
      injection: injection.optional(),
      reason,
      expiresInSeconds: z.int().min(60).max(604_800).default(86_400),
    },
    result: askView,
    fails: ['agent.inactive', 'ask.too_many'],
  }),
  list: operation({
    name: 'asks.list',
    method: 'GET',
    path: '/asks',
    summary: 'Secrets that agents have asked for, newest first; an agent sees its own',
    query: { ...paging, agentId: z.string().optional(), state: askView.shape.state.optional() },
    result: page(askView),
  }),
  read: operation({
    name: 'asks.read',
    method: 'GET',
    path: '/asks/{askId}',
    summary: 'What became of one of them',
    params,
    result: askView,
    fails: ['ask.not_found'],
  }),
  answer: operation({
    name: 'asks.answer',
    method: 'POST',
    path: '/asks/{askId}/answer',
    summary: 'Enter the secret: it is stored in the vault and granted to the agent, for these hosts or fewer',
    params,
    body: {
      value: z.string().min(1).max(100_000),
      /** Those that were asked for when absent; never more. */
      destinations: z.array(destination).min(1).max(20).optional(),
      budget: budget.optional(),
      maxTtlSeconds: z.int().min(1).max(3600).default(300),
      expiresInSeconds: z.int().min(60).max(31_622_400).default(86_400),
    },
    result: askView,
    fails: ['ask.not_found', 'ask.closed', 'request.invalid', 'vault.sealed', 'agent.inactive'],
  }),
  deny: operation({
    name: 'asks.deny',
    method: 'POST',
    path: '/asks/{askId}/deny',
    summary: 'Do not give it the secret; it reads why',
    params,
    body: { reason },
    result: askView,
    fails: ['ask.not_found', 'ask.closed'],
  }),
  withdraw: operation({
    name: 'asks.withdraw',
    method: 'POST',
    path: '/asks/{askId}/withdraw',
    summary: 'As the agent that asked, take it back',
    params,
    body: { reason },
    result: askView,
    fails: ['ask.not_found', 'ask.closed'],
  }),
}
