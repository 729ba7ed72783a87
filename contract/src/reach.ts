import { z } from 'zod'
import { destination } from './agents.ts'
import { injection } from './injection.ts'
import { operation, page, paging, timestamp } from './operation.ts'

/** One request that left, or was to leave, a sandbox. Read from its entry of the audit log. */
export const egressRequest = z.object({
  /** Of its audit entry. */
  seq: z.int(),
  at: timestamp,
  agentId: z.string(),
  sandboxId: z.string(),
  runId: z.string().nullable(),
  taskId: z.string().nullable(),
  host: z.string(),
  port: z.int(),
  /** Empty for a connection that ended before a request. */
  method: z.string(),
  /** Without its query; with placeholders, never values. */
  path: z.string(),
  /** `denied`: by the list, policy or the lease. `misused`: a placeholder where it was not lent for. `failed`: on its way. */
  outcome: z.enum(['allowed', 'denied', 'misused', 'failed']),
  /** What the client was answered; null when no answer began. */
  status: z.int().nullable(),
  /** Why it was refused or failed. */
  reason: z.string().nullable(),
  /** The policies by which the agent may connect there; empty when it never came to that. */
  policies: z.array(z.string()),
  leaseIds: z.array(z.string()),
  bytesOut: z.int(),
  bytesIn: z.int(),
  /** How often a lent value was taken out of the answer. */
  redactions: z.int(),
  /** Sent by Keyward itself, to show that an ended lease is refused. */
  isProbe: z.boolean(),
})
export type EgressRequest = z.output<typeof egressRequest>

/** One way out of an agent: a secret that it holds or may ask for, and one place where that may go. */
export const wayOut = z.object({
  kind: z.enum(['lease', 'grant']),
  id: z.string(),
  secretPath: z.string(),
  /** Null: any field. */
  field: z.string().nullable(),
  destination,
  injection,
  runId: z.string().nullable(),
  taskId: z.string().nullable(),
  until: timestamp.nullable(),
  usesLeft: z.int().nullable(),
  /** Whether a request could take it now, as far as agent and policy go. */
  open: z.boolean(),
  /** Why, in words. */
  reason: z.string(),
})
export type WayOut = z.output<typeof wayOut>

/** Connections through the egress proxy that are open now, by what they carry. A WebSocket is counted beside its tunnel of HTTPS. */
export const openConnections = z.object({
  https: z.int(),
  websocket: z.int(),
  /** Passed through as it is: the destination pins its certificate. */
  unopened: z.int(),
  postgres: z.int(),
  redis: z.int(),
  ssh: z.int(),
})
export type OpenConnections = z.output<typeof openConnections>

const reach = z.object({
  agentId: z.string(),
  agentName: z.string(),
  state: z.enum(['active', 'quarantined']),
  ways: z.array(wayOut),
  /** Of this agent's sandboxes, commands and machines. */
  open: openConnections,
})
export type Reach = z.output<typeof reach>

export const egressLogApi = operation({
  name: 'egress.requests',
  method: 'GET',
  path: '/egress/requests',
  summary: 'Requests of sandboxes and refused attempts, newest first, each with the decision',
  query: {
    ...paging,
    agentId: z.string().max(100).optional(),
    /** The whole name. */
    host: z.string().min(1).max(253).optional(),
    outcome: egressRequest.shape.outcome.optional(),
    runId: z.string().max(100).optional(),
  },
  result: page(egressRequest),
})

export const reachApi = operation({
  name: 'egress.reach',
  method: 'GET',
  path: '/egress/reach',
  summary: 'Where an agent could send which secrets: each live lease and grant, judged as a request would be',
  query: { agentId: z.string().min(1).max(100) },
  result: reach,
  fails: ['agent.not_found'],
})
