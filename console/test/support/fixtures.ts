import { randomBytes } from 'node:crypto'
import type {
  ApprovalGrantView,
  ApprovalView,
  AuditEntry,
  DelegationView,
  FindingView,
  ImportPreview,
  Json,
  ScanView,
  SessionView,
  SystemStatus,
} from '@keyward/contract'
import { canonicalJson } from '../../src/pages/audit/verify-entry.ts'
import { ago, sha256 } from './made-up.ts'
import { run } from './run-fixtures.ts'

/** What the console shows in tests. Values that look like secrets are made here, anew each time. */
export const revealedValue = `sk_test_${randomBytes(12).toString('hex')}`
export const agentKey = `kwa_${randomBytes(20).toString('hex')}`

export const session: SessionView = {
  principal: 'person:per_01',
  name: 'Owner',
  roles: ['owner'],
  signedInAt: ago(3),
  expiresAt: ago(-600),
}

export const fullStatus: SystemStatus = {
  version: '0.1.0',
  startedAt: ago(190),
  vault: { initialised: true, sealed: false, seal: 'keyfile' },
  store: { dialect: 'sqlite', health: 'ok' },
  audit: { health: 'ok', seq: 1284 },
  sandbox: {
    level: 'no-cgroup',
    reasons: ['cgroup v2 is not writable here: limits come from rlimits alone'],
    running: 0,
  },
  proxy: { health: 'ok' },
  counts: {
    openFindings: 6,
    importedFindings: 4,
    pendingApprovals: 1,
    activeRuns: 2,
    agents: 3,
    activeLeases: 2,
  },
}

export const emptyStatus: SystemStatus = {
  ...fullStatus,
  startedAt: ago(1),
  audit: { health: 'ok', seq: 4 },
  sandbox: { level: 'full', reasons: [], running: 0 },
  counts: {
    openFindings: 0,
    importedFindings: 0,
    pendingApprovals: 0,
    activeRuns: 0,
    agents: 0,
    activeLeases: 0,
  },
}

type Leak = {
  rule: string
  provider: string
  title: string
  masked: string
  places: [string, number, boolean?][]
}

const leaks: Leak[] = [
  {
    rule: 'stripe-secret-key',
    provider: 'Stripe',
    title: 'Stripe secret key',
    masked: 'sk_live_************x4Qe',
    places: [
      ['.env', 4],
      ['config/payments.yaml', 12],
      ['.github/workflows/deploy.yml', 31],
      ['docker-compose.yml', 18],
    ],
  },
  {
    rule: 'aws-access-key',
    provider: 'AWS',
    title: 'AWS secret access key',
    masked: 'wJal************************EKEY',
    places: [
      ['.env', 9],
      ['notebooks/forecast-of-the-autumn-season-with-all-shops.ipynb', 1204],
    ],
  },
  {
    rule: 'postgres-url',
    provider: 'PostgreSQL',
    title: 'Database password in a URL',
    masked: 'shop:********@db',
    places: [['.env', 2]],
  },
  {
    rule: 'github-token',
    provider: 'GitHub',
    title: 'GitHub token',
    masked: 'ghp_************************9fK2',
    places: [['scripts/release.sh', 7, true]],
  },
  {
    rule: 'slack-webhook',
    provider: 'Slack',
    title: 'Slack webhook address',
    masked: 'https://hooks.slack.com/****',
    places: [['config/alerts.json', 5]],
  },
  {
    rule: 'private-key',
    provider: 'PEM',
    title: 'Private key',
    masked: '-----BEGIN **** KEY-----',
    places: [['certs/old.pem', 1]],
  },
]

function finding(leak: Leak, at: number, state: FindingView['state'] = 'open'): FindingView {
  return {
    id: `fnd_${at}`,
    project: 'leaky-shop',
    fingerprint: sha256(leak.rule),
    rule: leak.rule,
    provider: leak.provider,
    title: leak.title,
    confidence: at % 3 === 2 ? 'medium' : 'high',
    masked: leak.masked,
    state,
    places: leak.places.map(([file, line, history]) => ({
      file,
      line,
      endLine: line,
      column: 19,
      commit: history ? sha256(file).slice(0, 40) : null,
      author: history ? 'Ada Example' : null,
      committedAt: history ? ago(90_000) : null,
      firstSeenAt: ago(240),
      lastSeenAt: ago(12),
      goneAt: null,
    })),
    placeCount: leak.places.length,
    reasons: ['the form belongs to one service', `the key beside it is named ${leak.rule}`],
    entropy: 4.2,
    stateSince: ago(12),
    ignoredUntil: state === 'ignored' ? ago(-43_200) : null,
    reference:
      state === 'imported' ? `keyward://secret/leaky-shop/${leak.provider.toLowerCase()}#value` : null,
    runId: state === 'imported' ? 'run_7f3a' : null,
    reason: state === 'ignored' ? 'A key of the test system' : null,
    firstSeenAt: ago(240),
    lastSeenAt: ago(12),
  }
}

export const findings: FindingView[] = [
  ...leaks.map((leak, at) => finding(leak, at)),
  ...leaks.slice(0, 2).map((leak, at) => ({ ...finding(leak, at + 20, 'imported'), project: 'billing' })),
  { ...finding(leaks[4] ?? leaks[0] ?? failNoLeak(), 30, 'ignored'), project: 'billing' },
]

function failNoLeak(): never {
  throw new Error('there are no leaks to show')
}

export const scan: ScanView = {
  id: 'scn_1',
  project: 'leaky-shop',
  path: '/srv/projects/leaky-shop',
  state: 'finished',
  filesScanned: 214,
  filesTotal: 214,
  bytesScanned: 1_204_112,
  commitsScanned: 37,
  findings: 6,
  opened: 2,
  fixed: 1,
  cause: 'person',
  scheduleId: null,
  history: 'all',
  problems: [
    { file: 'data/dump.bin', reason: 'larger than the limit of 20 MB; raise it with --max-file-size' },
  ],
  startedAt: ago(13),
  finishedAt: ago(12),
}

export const importPreview: ImportPreview = {
  project: 'leaky-shop',
  digest: sha256('preview'),
  secrets: leaks.slice(0, 4).map(({ title, masked, provider }, at) => ({
    findingId: `fnd_${at}`,
    title,
    masked,
    reference: `keyward://secret/leaky-shop/${provider.toLowerCase()}#value`,
  })),
  files: [
    {
      file: '.env',
      findingIds: [],
      sha256Before: sha256('before'),
      sha256After: sha256('after'),
      lines: [
        {
          line: 2,
          before: 'DATABASE_URL=postgres://shop:********@db/shop',
          after: 'DATABASE_URL=keyward://secret/leaky-shop/postgresql#value',
        },
        {
          line: 4,
          before: 'STRIPE_SECRET_KEY=sk_live_************x4Qe',
          after: 'STRIPE_SECRET_KEY=keyward://secret/leaky-shop/stripe#value',
        },
      ],
    },
    {
      file: 'config/payments.yaml',
      findingIds: [],
      sha256Before: sha256('before-yaml'),
      sha256After: sha256('after-yaml'),
      lines: [
        {
          line: 12,
          before: '  key: "sk_live_************x4Qe"',
          after: '  key: "keyward://secret/leaky-shop/stripe#value"',
        },
      ],
    },
  ],
  historyOnly: ['fnd_3'],
}

export const approval: ApprovalView = {
  id: 'apr_1',
  runId: run.id,
  taskId: 'approve',
  action: 'leaked-key.import',
  title: 'Move four secrets of leaky-shop into the vault',
  target: 'leaky-shop',
  requestedBy: 'person:per_01',
  risk: 'high',
  reversible: true,
  preview: {
    import: {
      project: importPreview.project,
      secrets: importPreview.secrets,
      files: importPreview.files,
      historyOnly: ['fnd_3'],
    },
    agentTask: {
      agentId: 'agt_1',
      title: 'Charge the open orders without seeing the key',
      secretPath: 'secret/leaky-shop/stripe',
      field: 'value',
      variable: 'PAYMENTS_API_KEY',
      command: ['node', '/workspace/charge.mjs', '--note', 'two words'],
      workspace: '/srv/shop/tasks',
      environment: { PAYMENTS_API_URL: 'https://api.example.com' },
      destinations: [{ host: 'api.example.com', port: 443, methods: ['POST'], pathPrefix: '/v1/' }],
      injection: { kind: 'header', name: 'X-Api-Key' },
      budget: { uses: 20, usesPerMinute: 5 },
      route: { address: '127.0.0.1:8443', caPem: '-----BEGIN CERTIFICATE-----' },
    },
  },
  subject: JSON.stringify({ args: { files: 2 } }),
  digest: sha256('approval'),
  planDigest: run.planDigest,
  previewDigest: sha256('preview'),
  policyVersion: sha256('policies'),
  nonce: 'nonce',
  blastRadius: null,
  rollback: null,
  quorum: 1,
  groups: [],
  needsSecondFactor: false,
  approvals: [],
  remindedAt: null,
  escalatedAt: null,
  supersededBy: null,
  replaces: null,
  changedBy: [],
  changeable: true,
  carriedFrom: null,
  grantId: null,
  channel: null,
  state: 'pending',
  mode: null,
  decidedBy: null,
  reason: null,
  requestedAt: ago(8),
  decidedAt: null,
  expiresAt: ago(-52),
}

export const deployApproval: ApprovalView = {
  ...approval,
  id: 'apr_deploy',
  runId: 'run_deploy',
  taskId: 'merge',
  action: 'github.merge-pull-request',
  title: 'Merge pull request 123',
  target: 'example/shop#123',
  state: 'approved',
  mode: 'person',
  decidedBy: 'person:per_02',
  requestedAt: ago(3 * 24 * 60 - 2.5),
  decidedAt: ago(12.1),
}

export const graveApproval: ApprovalView = {
  ...approval,
  id: 'apr_2',
  title: 'Apply 3 changes to the production stack',
  target: 'pulumi:shop/production',
  action: 'pulumi.up',
  risk: 'critical',
  reversible: false,
  digest: sha256('grave'),
  blastRadius: 'The checkout of all shops',
  rollback: 'Update shop/production back to its last revision',
  quorum: 2,
  groups: ['release', 'on-call'],
  needsSecondFactor: true,
  approvals: [
    {
      by: 'person:per_02',
      onBehalfOf: null,
      decision: 'approved',
      at: ago(4),
      channel: 'cli',
      reason: 'Read every change',
      digest: sha256('grave'),
      secondFactorAt: ago(5),
    },
  ],
  preview: {
    stack: 'shop/production',
    creates: 1,
    updates: 2,
    deletes: 0,
    resources: [{ urn: 'aws:s3/bucket', op: 'update' }],
  },
}

const events = [
  ['approval.requested', 'done', 'system:workflow', 'approval:apr_1'],
  ['task.started', 'done', 'system:workflow', 'run:run_7f3a'],
  ['egress.denied', 'denied', 'agent:agt_1', 'host:metadata.internal'],
  ['lease.used', 'done', 'agent:agt_1', 'lease:lse_1'],
  ['secret.revealed', 'intent', 'person:per_01', 'secret:leaky-shop/stripe'],
  ['scan.finished', 'done', 'person:per_01', 'scan:scn_1'],
  ['sandbox.refused', 'failed', 'system:sandbox', 'task:call'],
] as const

/** A real chain, oldest first: every hash is the one that a verifier computes. */
export function auditChain(length: number): AuditEntry[] {
  const entries: AuditEntry[] = []
  for (let seq = 1; seq <= length; seq += 1) {
    const [type, outcome, actor, target] = events[seq % events.length] ?? events[0]
    const detail: Json = { reason: 'recorded by the test', attempt: seq }
    const rest = {
      seq,
      id: `aud_${seq}`,
      at: ago(length - seq),
      type,
      outcome,
      actor,
      target,
      correlation: run.id,
      detail,
      previous: entries.at(-1)?.hash ?? '0'.repeat(64),
    }
    entries.push({ ...rest, hash: sha256(canonicalJson(rest)) })
  }
  return entries
}

export const policies = {
  schema:
    'entity Agent = { state: String };\nentity Secret;\naction "leases.request" appliesTo { principal: [Agent], resource: [Secret] };\n',
  policies: [
    {
      name: 'agents-borrow',
      origin: 'default' as const,
      text: '// An active agent may borrow a secret of its own project.\n// The value itself never leaves the server.\n@id("agents-borrow")\n@description("An active agent may borrow a secret of its own project.")\npermit (\n  principal is Agent,\n  action == Action::"leases.request",\n  resource is Secret\n)\nwhen { principal.state == "active" };\n',
    },
    {
      name: 'solo',
      origin: 'default' as const,
      text: '// While only one account exists, it may approve its own run after a fresh sign-in.\npermit (principal, action == Action::"approvals.approve", resource)\nwhen { context.accounts == 1 && context.minutesSinceSignIn < 15 };\n',
    },
    {
      name: 'no-weekend-deploys',
      origin: 'custom' as const,
      text: 'forbid (principal, action, resource)\nunless { context.weekday };\n',
    },
  ],
}

const lentUntil = { createdAt: ago(60), until: ago(-600), endedAt: null, endedBy: null }
export const delegation: DelegationView = {
  id: 'dlg_1',
  from: 'person:per_01',
  to: 'person:per_02',
  reason: 'On holiday',
  ...lentUntil,
}
export const approvalGrant: ApprovalGrantView = {
  id: 'agr_1',
  action: 'github.create-branch',
  target: 'example/shop',
  args: { base: 'main' },
  requestedBy: null,
  maxRisk: 'low',
  reason: 'Release',
  createdBy: 'person:per_01',
  ...lentUntil,
}
