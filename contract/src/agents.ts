import { z } from 'zod'
import { injection } from './injection.ts'
import { operation, page, paging, timestamp } from './operation.ts'
import { pathPatternShape } from './path-pattern.ts'
import { receipt } from './receipts.ts'

export const agentView = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  owner: z.string(),
  state: z.enum(['active', 'quarantined']),
  createdAt: timestamp,
  lastUsedAt: timestamp.nullable(),
  activeLeases: z.int(),
})
export type AgentView = z.output<typeof agentView>

/** Where a lent secret may go. `methods`, `pathPrefix` and `pathPattern` narrow it further; all of them must hold. */
export const destination = z.object({
  host: z.string().min(1).max(253),
  port: z.int().min(1).max(65535).default(443),
  methods: z.array(z.string().regex(/^[A-Z]+$/)).optional(),
  pathPrefix: z.string().startsWith('/').optional(),
  /** `/repos/acme/*` and the like: a star is one segment, two stars at the end are one or more. */
  pathPattern: z.string().startsWith('/').max(500).regex(pathPatternShape).optional(),
  /** TLS is passed on unopened, for hosts that pin certificates: nothing is seen, exchanged or redacted. Never of a lease. */
  tls: z.literal('pass-through').optional(),
})
export type Destination = z.output<typeof destination>

/** How much of a lent secret may be used. What is absent is not limited. */
export const budget = z.strictObject({
  uses: z.int().min(1).max(1_000_000).optional(),
  usesPerMinute: z.int().min(1).max(100_000).optional(),
  /** Of requests and answers together, bodies only. */
  bytes: z.int().min(1).optional(),
})
export type Budget = z.output<typeof budget>

export const leaseView = z.object({
  id: z.string(),
  agentId: z.string(),
  agentName: z.string(),
  runId: z.string().nullable(),
  taskId: z.string().nullable(),
  /** The secret's path in the vault; never its value. */
  secretPath: z.string(),
  field: z.string(),
  purpose: z.string(),
  state: z.enum(['active', 'revoked', 'expired', 'used_up']),
  destinations: z.array(destination),
  injection,
  usesLeft: z.int().nullable(),
  usesPerMinute: z.int().nullable(),
  bytesLeft: z.int().nullable(),
  uses: z.int(),
  issuedAt: timestamp,
  expiresAt: timestamp,
  endedAt: timestamp.nullable(),
  endReason: z.string().nullable(),
  /** Null while it is in force, and for leases that ended before receipts were kept. */
  receipt: receipt.nullable(),
  /** The lease that this one is a part of, and how many there are above it. */
  parentId: z.string().nullable(),
  depth: z.int(),
  /** Whether its agent may pass parts of it on. */
  delegable: z.boolean(),
})
export type LeaseView = z.output<typeof leaseView>

export const agentsApi = {
  register: operation({
    name: 'agents.register',
    method: 'POST',
    path: '/agents',
    summary: 'Register an agent; its API key is shown once',
    body: {
      name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
      description: z.string().max(500).default(''),
      /** `leases`: it may borrow what was granted to it. `runs`: it may ask for runs, as far as its phase lets it. */
      scopes: z.array(z.enum(['leases', 'runs'])).default(['leases']),
    },
    result: z.object({ agent: agentView, apiKey: z.string() }),
    fails: ['agent.exists'],
  }),
  list: operation({
    name: 'agents.list',
    method: 'GET',
    path: '/agents',
    summary: 'Registered agents',
    query: paging,
    result: page(agentView),
  }),
  quarantine: operation({
    name: 'agents.quarantine',
    method: 'POST',
    path: '/agents/{agentId}/quarantine',
    summary: 'Stop an agent: its key is refused and its leases are revoked',
    params: { agentId: z.string() },
    body: { reason: z.string().trim().min(3).max(500) },
    result: agentView,
    fails: ['agent.not_found'],
  }),
  activate: operation({
    name: 'agents.activate',
    method: 'POST',
    path: '/agents/{agentId}/activate',
    summary: 'Let a quarantined agent work again',
    params: { agentId: z.string() },
    result: agentView,
    fails: ['agent.not_found'],
  }),
}

export const leasesApi = {
  list: operation({
    name: 'leases.list',
    method: 'GET',
    path: '/leases',
    summary: 'Leases, newest first',
    query: {
      ...paging,
      agentId: z.string().optional(),
      runId: z.string().optional(),
      /** Parts of this lease. */
      parentId: z.string().optional(),
      state: leaseView.shape.state.optional(),
    },
    result: page(leaseView),
  }),
  request: operation({
    name: 'leases.request',
    method: 'POST',
    path: '/leases',
    summary: 'An agent asks for a secret; it gets a placeholder, never the value',
    body: {
      secretPath: z.string().min(1).max(512),
      field: z.string().min(1).max(128).default('value'),
      purpose: z.string().trim().min(3).max(500),
      destinations: z.array(destination).min(1).max(20),
      ttlSeconds: z.int().min(1).max(3600).default(300),
      uses: z.int().min(1).max(10_000).optional(),
    },
    result: z.object({ lease: leaseView, placeholder: z.string() }),
    fails: ['secret.not_found', 'agent.inactive'],
  }),
  delegate: operation({
    name: 'leases.delegate',
    method: 'POST',
    path: '/leases/{leaseId}/delegate',
    summary: 'As the agent that holds a lease, pass a part of it on to another agent; it ends with the whole',
    params: { leaseId: z.string() },
    body: {
      /** Name or id. */
      agent: z.string().min(1).max(100),
      purpose: z.string().trim().min(3).max(500),
      /** Those of the lease when absent; never more. */
      destinations: z.array(destination).min(1).max(20).optional(),
      injection: injection.optional(),
      budget: budget.optional(),
      ttlSeconds: z.int().min(1).max(3600).default(300),
      delegable: z.boolean().default(false),
    },
    result: z.object({ lease: leaseView, placeholder: z.string() }),
    fails: ['lease.not_found', 'lease.ended', 'lease.too_wide', 'agent.not_found', 'agent.inactive'],
  }),
  revoke: operation({
    name: 'leases.revoke',
    method: 'POST',
    path: '/leases/{leaseId}/revoke',
    summary: 'End a lease now',
    params: { leaseId: z.string() },
    body: { reason: z.string().trim().min(3).max(500) },
    result: leaseView,
    fails: ['lease.not_found'],
  }),
}
