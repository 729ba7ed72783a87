// What left sandboxes, which sandboxes run, what an agent can reach and what a task prints.
import type { EgressRequest, ImageView, OutputChunk, Reach, SandboxView, WayOut } from '@keyward/contract'
import type { Handlers, Input } from './console-server.ts'
import { ago, sha256 } from './made-up.ts'
import { run } from './run-fixtures.ts'

const request: EgressRequest = {
  seq: 900,
  at: ago(1),
  agentId: 'agt_1',
  sandboxId: 'run_7f3a-lend-1',
  runId: run.id,
  taskId: 'lend',
  host: 'api.stripe.com',
  port: 443,
  method: 'POST',
  path: '/v1/ch_1/refunds',
  outcome: 'allowed',
  status: 200,
  reason: null,
  policies: ['agent-listed-destination'],
  leaseIds: ['lse_1'],
  bytesOut: 412,
  bytesIn: 18_204,
  redactions: 1,
  isProbe: false,
}

export const requests: EgressRequest[] = [
  request,
  {
    ...request,
    seq: 899,
    at: ago(2),
    method: 'GET',
    host: 'evil.example',
    path: '/collect',
    outcome: 'misused',
    status: 403,
    reason: 'The lease lse_1 is not for GET evil.example:443/collect: only api.stripe.com.',
    policies: [],
    leaseIds: [],
    bytesIn: 0,
    redactions: 0,
  },
  {
    ...request,
    seq: 897,
    at: ago(3),
    agentId: 'agt_2',
    host: 'packages.internal.example',
    port: 8443,
    method: 'GET',
    path: '/a/very/long/path/of/a/package/registry/that/does/not/fit/into/one/line/of/a/table',
    outcome: 'denied',
    status: 403,
    reason:
      'packages.internal.example is at 10.1.2.3 (private). If that is meant, the allow list must say so.',
    policies: [],
    leaseIds: [],
    bytesIn: 0,
    redactions: 0,
  },
  {
    ...request,
    seq: 880,
    at: ago(12),
    outcome: 'failed',
    status: 502,
    reason: 'The destination does not answer.',
    redactions: 0,
    bytesIn: 0,
  },
  {
    ...request,
    seq: 871,
    at: ago(40),
    outcome: 'denied',
    status: 403,
    reason: 'The lease has ended.',
    policies: [],
    runId: null,
    taskId: null,
    sandboxId: 'probe-lse_2',
    isProbe: true,
  },
]

const limits: SandboxView['limits'] = {
  wallSeconds: 300,
  cpuSeconds: 120,
  memoryBytes: 512 * 1024 ** 2,
  processes: 128,
  openFiles: 1024,
  fileBytes: 64 * 1024 ** 2,
  diskBytes: 256 * 1024 ** 2,
  outputBytes: 256 * 1024,
}

export const sandboxes: SandboxView[] = [
  {
    id: 'run_7f3a-lend-1',
    driver: 'bubblewrap',
    level: 'no-cgroup',
    agentId: 'agt_1',
    runId: run.id,
    taskId: 'lend',
    command: ['node', 'refund.mjs', '--charge', 'ch_1', '--currency', 'eur'],
    startedAt: ago(1),
    limits,
    usage: { cpuSeconds: 4.2, memoryBytes: 471 * 1024 ** 2, processes: 31, diskBytes: 1_300_000 },
  },
  {
    id: 'run_9-agent-1',
    driver: 'bubblewrap',
    level: 'no-cgroup',
    agentId: 'agt_2',
    runId: null,
    taskId: null,
    command: ['bash', '-c', 'npm ci && npm test'],
    startedAt: ago(0),
    limits,
    usage: null,
  },
]

const way: WayOut = {
  kind: 'lease',
  id: 'lse_1',
  secretPath: 'secret/leaky-shop/stripe',
  field: 'value',
  destination: { host: 'api.stripe.com', port: 443, methods: ['POST'], pathPattern: '/v1/*/refunds' },
  injection: { kind: 'bearer' },
  runId: run.id,
  taskId: 'lend',
  until: ago(-4),
  usesLeft: 2,
  open: true,
  reason: 'It holds a lease.',
}

export const reach: Reach = {
  agentId: 'agt_1',
  agentName: 'shop-agent',
  state: 'active',
  open: { https: 2, websocket: 0, unopened: 0, postgres: 1, redis: 0, ssh: 0 },
  ways: [
    way,
    {
      ...way,
      kind: 'grant',
      id: 'grt_1',
      usesLeft: null,
      until: ago(-600),
      reason: 'It may ask for a lease.',
    },
    {
      ...way,
      kind: 'grant',
      id: 'grt_2',
      secretPath: 'secret/leaky-shop/github',
      field: null,
      destination: { host: 'api.github.com', port: 443 },
      injection: { kind: 'anywhere' },
      usesLeft: null,
      until: ago(-900),
      reason: 'It may ask for a lease.',
    },
    {
      ...way,
      id: 'lse_7',
      secretPath: 'secret/leaky-shop/github',
      destination: { host: '10.1.2.3', port: 8443, methods: ['GET'] },
      open: false,
      reason: 'Forbidden by no-private-places.',
    },
  ],
}

const chunk: OutputChunk = { seq: 1, at: ago(1), attempt: 1, stream: 'stdout', text: 'charging ch_1 …\n' }

export const output: OutputChunk[] = [
  chunk,
  { ...chunk, seq: 2, text: 'Authorization: Bearer [redacted by Keyward]\n' },
  { ...chunk, seq: 3, stream: 'stderr', text: 'warning: the answer took 2.1 s\n' },
]

const matching = (one: EgressRequest, { agentId, outcome, host, runId }: Input): boolean =>
  (agentId === undefined || one.agentId === agentId) &&
  (outcome === undefined || one.outcome === outcome) &&
  (host === undefined || one.host === host) &&
  (runId === undefined || one.runId === runId)

const image: ImageView = {
  name: 'node',
  digest: `sha256:${sha256('tree')}`,
  archiveDigest: `sha256:${sha256('archive')}`,
  source: 'node-22-bookworm-slim.tar',
  sizeBytes: 231_000_000,
  files: 18_204,
  leftOut: 3,
  addedBy: 'person:per_01',
  addedAt: ago(900),
  inUse: 1,
  agents: ['agt_1'],
}
const images: ImageView[] = [image, { ...image, name: 'tools', source: 'tools.tar', inUse: 0, agents: [] }]

export const egressHandlers = (): Handlers => ({
  'egress.requests': (input) => ({ items: requests.filter((one) => matching(one, input)), next: null }),
  'egress.reach': ({ agentId }) =>
    agentId === 'agt_1'
      ? reach
      : { ...reach, agentId, ways: [], open: { ...reach.open, https: 0, postgres: 0 } },
  'sandboxes.list': () => ({ items: sandboxes }),
  'images.list': () => ({ items: images }),
  'images.remove': () => ({}),
  'images.assign': ({ agentId, image: name }) => ({ agentId, image: name }),
  'sandboxes.end': () => sandboxes[0],
  'runs.output': ({ taskId }) => ({
    chunks: taskId === 'lend' || taskId === 'store' ? output : [],
    missed: taskId === 'store',
    ended: true,
    last: 3,
  }),
})

export const emptyEgressHandlers = (): Handlers => ({
  'egress.requests': () => ({ items: [], next: null }),
  'sandboxes.list': () => ({ items: [] }),
  'images.list': () => ({ items: [] }),
})
