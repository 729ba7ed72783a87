import { z } from 'zod'
import { budget, destination } from './agents.ts'
import { injection } from './injection.ts'
import { operation, page, paging, timestamp } from './operation.ts'
import { egressLogApi, reachApi } from './reach.ts'

/** What an agent may borrow. Nothing is lent yet. */
export const grantView = z.object({
  id: z.string(),
  agentId: z.string(),
  secretPath: z.string(),
  /** Null: any field. */
  field: z.string().nullable(),
  destinations: z.array(destination),
  injection,
  /** For each lease. */
  budget,
  maxTtlSeconds: z.int(),
  /** How many more leases it is good for; null: any number. */
  leasesLeft: z.int().nullable(),
  runId: z.string().nullable(),
  taskId: z.string().nullable(),
  /** Whether the agent may pass parts of its leases on. */
  delegable: z.boolean(),
  madeBy: z.string(),
  reason: z.string(),
  state: z.enum(['live', 'used_up', 'expired', 'ended']),
  createdAt: timestamp,
  expiresAt: timestamp.nullable(),
  endedAt: timestamp.nullable(),
  endReason: z.string().nullable(),
})
export type GrantView = z.output<typeof grantView>

const reason = z.string().trim().min(3).max(500)

export const grantsApi = {
  create: operation({
    name: 'leases.grant',
    method: 'POST',
    path: '/grants',
    summary: 'Let an agent borrow a secret: where it may go, how it is sent, how much of it, until when',
    body: {
      agentId: z.string().min(1).max(100),
      secretPath: z.string().min(1).max(512),
      field: z.string().min(1).max(128).default('value'),
      destinations: z.array(destination).min(1).max(20),
      injection: injection.optional(),
      budget: budget.optional(),
      maxTtlSeconds: z.int().min(1).max(3600).default(300),
      maxLeases: z.int().min(1).max(1_000_000).optional(),
      delegable: z.boolean().default(false),
      expiresInSeconds: z.int().min(60).max(31_622_400).default(86_400),
      reason,
    },
    result: grantView,
    fails: ['agent.not_found'],
  }),
  list: operation({
    name: 'grants.list',
    method: 'GET',
    path: '/grants',
    summary: 'Grants, newest first',
    query: { ...paging, agentId: z.string().optional() },
    result: page(grantView),
  }),
  end: operation({
    name: 'grants.end',
    method: 'POST',
    path: '/grants/{grantId}/end',
    summary: 'End a grant now; leases that were made under it go on',
    params: { grantId: z.string() },
    body: { reason },
    result: grantView,
    fails: ['grant.not_found'],
  }),
}

/** What would become of one request of an agent, and why. */
export const egressExplanation = z.object({
  allowed: z.boolean(),
  host: z.string(),
  port: z.int(),
  method: z.string(),
  /** Without the query. */
  path: z.string(),
  /** In the order in which they are asked. */
  checks: z.array(
    z.object({ what: z.enum(['address', 'agent', 'policy', 'lease']), holds: z.boolean(), text: z.string() }),
  ),
  /** The agent's live leases and grants, each with what it allows or lacks. */
  candidates: z.array(
    z.object({
      kind: z.enum(['lease', 'grant']),
      id: z.string(),
      secretPath: z.string(),
      admits: z.boolean(),
      text: z.string(),
    }),
  ),
})
export type EgressExplanation = z.output<typeof egressExplanation>

export const egressApi = {
  requests: egressLogApi,
  reach: reachApi,
  explain: operation({
    name: 'egress.explain',
    method: 'POST',
    path: '/egress/explain',
    summary: 'Which rule lets a request of an agent out, or what is missing; nothing is sent',
    body: {
      agentId: z.string().min(1).max(100),
      url: z.string().min(1).max(2000),
      method: z
        .string()
        .regex(/^[A-Z]{1,20}$/)
        .default('GET'),
    },
    result: egressExplanation,
    fails: ['agent.not_found'],
  }),
}
