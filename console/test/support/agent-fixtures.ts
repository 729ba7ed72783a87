// Agents, what they may borrow and what they have borrowed.
import type {
  AgentView,
  AskView,
  CertificateView,
  EgressExplanation,
  GrantView,
  LeaseView,
  RolloutView,
} from '@keyward/contract'
import { ago } from './made-up.ts'
import { run } from './run-fixtures.ts'

export const agents: AgentView[] = [
  {
    id: 'agt_1',
    name: 'shop-agent',
    description: 'Charges test cards against the payment API',
    owner: 'person:per_01',
    state: 'active',
    createdAt: ago(5000),
    lastUsedAt: ago(2),
    activeLeases: 2,
  },
  {
    id: 'agt_2',
    name: 'release-bot',
    description: '',
    owner: 'person:per_01',
    state: 'active',
    createdAt: ago(800),
    lastUsedAt: null,
    activeLeases: 0,
  },
  {
    id: 'agt_3',
    name: 'crawler',
    description: 'Reads the documentation of partners',
    owner: 'person:per_01',
    state: 'quarantined',
    createdAt: ago(90),
    lastUsedAt: ago(60),
    activeLeases: 0,
  },
]

const lease: LeaseView = {
  id: 'lse_1',
  agentId: 'agt_1',
  agentName: 'shop-agent',
  runId: run.id,
  taskId: 'call',
  secretPath: 'secret/leaky-shop/stripe',
  field: 'value',
  purpose: 'Create a test charge',
  state: 'active',
  destinations: [{ host: 'api.stripe.com', port: 443, methods: ['POST'], pathPrefix: '/v1/charges' }],
  injection: { kind: 'bearer' },
  usesPerMinute: 60,
  bytesLeft: 4_200_000,
  usesLeft: 4,
  uses: 1,
  issuedAt: ago(1),
  expiresAt: ago(-4),
  endedAt: null,
  endReason: null,
  receipt: null,
  parentId: null,
  depth: 0,
  delegable: true,
}

const grant: GrantView = {
  id: 'grt_1',
  agentId: 'agt_1',
  secretPath: 'secret/leaky-shop/stripe',
  field: 'value',
  destinations: [{ host: 'api.stripe.com', port: 443, methods: ['POST'], pathPattern: '/v1/*/refunds' }],
  injection: { kind: 'bearer', prefix: 'sk_test_' },
  budget: { uses: 20, usesPerMinute: 5, bytes: 1_000_000 },
  maxTtlSeconds: 300,
  leasesLeft: 3,
  runId: null,
  taskId: null,
  delegable: false,
  madeBy: 'person:per_1',
  reason: 'Refunds of the spring sale',
  state: 'live',
  createdAt: ago(3),
  expiresAt: ago(-57),
  endedAt: null,
  endReason: null,
}

export const certificates: CertificateView[] = [
  {
    id: 'crt_1',
    agentId: 'agt_1',
    fingerprint: '5d'.repeat(32),
    issuedBy: 'agent:agt_1',
    issuedAt: ago(60),
    expiresAt: ago(-120),
    state: 'valid',
    lastSeenAt: ago(1),
    revokedAt: null,
    revokeReason: null,
  },
  {
    id: 'crt_0',
    agentId: 'agt_1',
    fingerprint: '1a'.repeat(32),
    issuedBy: 'person:per_1',
    issuedAt: ago(120),
    expiresAt: ago(-60),
    state: 'revoked',
    lastSeenAt: null,
    revokedAt: ago(60),
    revokeReason: 'The laptop was lost',
  },
]

export const grants: GrantView[] = [
  grant,
  {
    ...grant,
    id: 'grt_2',
    reason: 'Create a test charge',
    field: null,
    destinations: [{ host: 'api.stripe.com', port: 443 }],
    injection: { kind: 'anywhere' },
    budget: {},
    leasesLeft: null,
    runId: run.id,
    taskId: 'call',
    state: 'ended',
    endedAt: ago(1),
    endReason: 'its task succeeded',
  },
]

export const egressExplanation: EgressExplanation = {
  allowed: false,
  host: 'api.stripe.com',
  port: 443,
  method: 'GET',
  path: '/v1/charges',
  checks: [
    {
      what: 'address',
      holds: true,
      text: 'api.stripe.com:443 can be asked for by HTTPS; the task must list it.',
    },
    { what: 'agent', holds: true, text: 'shop-agent is active.' },
    { what: 'policy', holds: true, text: 'Allowed by agent-listed-destination.' },
    { what: 'lease', holds: false, text: 'No live lease or grant of the agent allows it.' },
  ],
  candidates: [
    {
      kind: 'lease',
      id: 'lse_1',
      secretPath: 'secret/leaky-shop/stripe',
      admits: false,
      text: 'It allows only POST there.',
    },
  ],
}

export const leases: LeaseView[] = [
  lease,
  {
    ...lease,
    id: 'lse_2',
    state: 'revoked',
    purpose: 'Read the balance',
    usesLeft: null,
    uses: 12,
    endedAt: ago(30),
    endReason: 'the task ended',
    receipt: {
      state: 'proved',
      at: ago(29),
      attempts: 1,
      nextTryAt: null,
      proofs: [
        {
          by: 'egress proxy',
          how: 'a request with its placeholder',
          answer: '403 lease.ended',
          result: 'refused',
          livesUntil: null,
        },
      ],
      digest: 'c0ffee'.padEnd(64, '0'),
    },
  },
]

/** Passed on of the first lease, and of that again. */
export const leaseParts: LeaseView[] = [
  {
    ...lease,
    id: 'lse_3',
    agentId: 'agt_2',
    agentName: 'helper-bot',
    purpose: 'Look up refunds',
    destinations: [{ host: 'api.stripe.com', port: 443, methods: ['GET'], pathPattern: '/v1/*/refunds' }],
    parentId: 'lse_1',
    depth: 1,
    delegable: false,
  },
]

const ask: AskView = {
  id: 'ask_1',
  agentId: 'agt_1',
  agentName: 'shop-agent',
  name: 'mail',
  secretPath: 'secret/agents/shop-agent/mail',
  field: 'value',
  destinations: [
    { host: 'api.mail.example', port: 443, methods: ['POST'], pathPrefix: '/v3/send' },
    { host: 'files.mail.example', port: 8443 },
  ],
  injection: { kind: 'bearer' },
  reason: 'Send the receipt of order 17',
  state: 'open',
  createdAt: ago(2),
  expiresAt: ago(-1438),
  closedAt: null,
  closedBy: null,
  closeReason: null,
  reference: null,
  grantId: null,
}

export const asks: AskView[] = [
  ask,
  {
    ...ask,
    id: 'ask_0',
    name: 'maps',
    reason: 'Find the way to the shop',
    state: 'denied',
    closedAt: ago(50),
    closedBy: 'person:per_01',
    closeReason: 'Use the public tiles',
  },
]

export const rollout: RolloutView = {
  agentId: 'agt_1',
  agentName: 'shop-agent',
  phase: 'non-critical',
  observed: false,
  since: ago(4000),
  by: 'person:per_01',
  reason: 'Forty good runs in staging',
  evidence: {
    days: 14,
    since: ago(14 * 24 * 60),
    succeeded: 41,
    failed: 1,
    cancelled: 0,
    observed: 0,
    denials: 2,
    violations: 0,
  },
  next: 'production',
  hindrance: null,
}
