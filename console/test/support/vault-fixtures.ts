import { randomBytes } from 'node:crypto'
import type {
  AppRoleView,
  CredentialView,
  ExplanationView,
  MountView,
  SealView,
  SecretEntry,
  TokenView,
} from '@keyward/contract'
import { type Handlers, Refusal } from './console-server.ts'

/** The vault as the console shows it in tests. */
const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString()
const madeUp = (bytes: number): string => randomBytes(bytes).toString('hex')

export const wrappingToken = `kwt.${madeUp(16)}`
export const manySecrets = 1000

const folder = (path: string): SecretEntry => ({
  name: path.split('/').slice(1).join('/'),
  path,
  folder: true,
})
const leaf = (path: string): SecretEntry => ({
  name: path.split('/').slice(1).join('/'),
  path,
  folder: false,
})

export const vaultTree: Record<string, SecretEntry[]> = {
  '': [
    { name: 'secret/', path: 'secret/', folder: true },
    { name: 'team/', path: 'team/', folder: true },
  ],
  'secret/': [
    folder('secret/billing/'),
    folder('secret/fleet/'),
    folder('secret/leaky-shop/'),
    leaf('secret/smtp'),
  ],
  'secret/leaky-shop/': ['aws', 'postgresql', 'stripe'].map((name) => leaf(`secret/leaky-shop/${name}`)),
  'secret/fleet/': Array.from({ length: manySecrets }, (_, i) =>
    leaf(`secret/fleet/device-${String(i + 1).padStart(4, '0')}`),
  ),
  'secret/billing/': [],
  'team/': [leaf('team/pager')],
}

const fixed = (path: string, type: string, description: string): MountView => ({
  path,
  kind: path.startsWith('auth/') ? 'auth' : 'secret',
  type,
  version: null,
  description,
  accessor: `${type}_keyward`,
  defaultTtlSeconds: 0,
  maxTtlSeconds: 0,
  fixed: true,
})
const mounts: MountView[] = [
  {
    ...fixed('auth/approle/', 'approle', 'Programs'),
    fixed: false,
    defaultTtlSeconds: 1200,
    maxTtlSeconds: 7200,
  },
  fixed('auth/token/', 'token', 'token based credentials'),
  { ...fixed('auth/people/', 'userpass', ''), fixed: false },
  fixed('cubbyhole/', 'cubbyhole', 'per-token private secret storage'),
  {
    ...fixed('database/', 'database', 'Users of the shop and its reports'),
    fixed: false,
    maxTtlSeconds: 1800,
  },
  { ...fixed('secret/', 'kv', 'versioned secrets'), version: 2, fixed: false },
  fixed('sys/', 'system', 'the vault itself'),
  { ...fixed('team/', 'kv', ''), version: 2, fixed: false },
]
const policyText = `# What the shop's server may read.
path "secret/data/shop/*" {
  capabilities = ["read"]
}

path "database/creds/shop" {
  capabilities = ["read"]
}
`

export const refusedExplanation: ExplanationView = {
  allowed: false,
  operation: 'read',
  path: 'secret/shop/stripe',
  needs: ['read'],
  needsMode: 'every',
  token: { accessor: 'Zr8qVv1nB0kQ2mXs5tYw7uAc', displayName: 'approle', expiresAt: ago(-40) },
  mount: { path: 'secret/', type: 'kv' },
  policies: [
    { name: 'default', exists: true, rules: 14 },
    { name: 'shop', exists: true, rules: 2 },
    { name: 'old-shop', exists: false, rules: 0 },
  ],
  deciding: [],
  reasons: [
    {
      code: 'no-rule',
      text: 'None of its policies (default, shop, old-shop) has a rule for secret/shop/stripe. It needs read.',
    },
    {
      code: 'kv2-request',
      text: 'secret/ is KV version 2, and the request lacks data/: values are at secret/data/…, names and versions at secret/metadata/…. Ask GET secret/data/shop/stripe',
    },
    { code: 'policy-missing', text: 'The policy "old-shop" does not exist, so it allows nothing.' },
  ],
  remedy: 'path "secret/data/shop/stripe" {\n  capabilities = ["read"]\n}\n',
}

const token = (fields: Partial<TokenView>): TokenView => ({
  accessor: madeUp(12),
  displayName: 'approle',
  policies: ['default', 'shop'],
  path: 'auth/approle/login',
  createdAt: ago(20),
  expiresAt: ago(-40),
  renewable: true,
  lastRenewedAt: ago(4),
  usesLeft: null,
  orphan: true,
  ...fields,
})
const tokens: TokenView[] = [
  token({ accessor: 'Zr8qVv1nB0kQ2mXs5tYw7uAc' }),
  token({
    displayName: 'root',
    policies: ['root'],
    path: 'auth/token/root',
    expiresAt: null,
    renewable: false,
    lastRenewedAt: null,
    createdAt: ago(9000),
  }),
  token({
    displayName: 'people-grace-hopper',
    policies: ['default', 'reports', 'on-call', 'shop'],
    path: 'auth/people/login/grace-hopper',
    orphan: true,
    lastRenewedAt: null,
  }),
  token({
    displayName: 'token-ci',
    policies: ['default', 'deploy'],
    path: 'auth/token/create',
    orphan: false,
    usesLeft: 3,
    renewable: false,
    lastRenewedAt: null,
  }),
]

const lease = (name: string, fields: Partial<CredentialView> = {}): CredentialView => ({
  id: `database/creds/${name}/${madeUp(12)}`,
  mount: 'database/',
  role: name,
  state: 'live',
  issuedAt: ago(12),
  expiresAt: ago(-18),
  lastRenewedAt: null,
  renewable: true,
  attempts: 0,
  nextTryAt: null,
  error: null,
  ...fields,
})
const leases: CredentialView[] = [
  lease('shop', { lastRenewedAt: ago(2) }),
  lease('shop'),
  lease('reports', {
    state: 'ending',
    expiresAt: ago(31),
    attempts: 5,
    nextTryAt: ago(-3),
    error: 'The database cannot be reached: connect ECONNREFUSED 10.3.0.12:5432',
  }),
  lease('shop', { state: 'pending', issuedAt: ago(0) }),
]

const role: AppRoleView = {
  mount: 'auth/approle/',
  name: 'deploy',
  roleId: 'e37f1c6a-7a55-4c9e-9b1e-2f1d0b6c5a90',
  policies: ['deploy', 'shop'],
  tokenTtlSeconds: 1200,
  tokenMaxTtlSeconds: 7200,
  secretIdTtlSeconds: 3600,
  secretIdUses: 1,
  boundCidrs: ['10.3.0.0/16'],
}

export const openSeal: SealView = {
  initialised: true,
  sealed: false,
  kind: 'shamir',
  shares: 5,
  threshold: 3,
  progress: 0,
  key: { term: 4, installedAt: ago(60 * 24 * 12), encryptions: 18_204 },
}
export const closedSeal: SealView = { ...openSeal, sealed: true, progress: 1, key: null }

const backup = (days: number, fields = {}) => ({
  name: `keyward-${ago(days * 1440).slice(0, 10)}.age`,
  folder: '/var/lib/keyward/backups',
  startedAt: ago(days * 1440),
  finishedAt: ago(days * 1440),
  state: 'done',
  bytes: 4_812_003,
  sha256: madeUp(32),
  auditSeq: 1000,
  reason: null,
  ...fields,
})

export function fullVault(): Handlers {
  return {
    'secrets.list': ({ path }) => ({ path, items: vaultTree[String(path)] ?? [] }),
    'secrets.search': ({ words }) => {
      const all = Object.values(vaultTree).flat()
      const items = all.filter((entry) => !entry.folder && entry.path.includes(String(words)))
      return { items: items.slice(0, 200), complete: items.length <= 200, looked: all.length }
    },
    'secrets.history': ({ path }) => ({
      path,
      current: 3,
      maxVersions: 10,
      casRequired: false,
      versions: [
        { version: 1, createdAt: ago(90_000), deletedAt: null, destroyed: true },
        { version: 2, createdAt: ago(3000), deletedAt: null, destroyed: false },
        { version: 3, createdAt: ago(180), deletedAt: null, destroyed: false },
      ],
    }),
    'secrets.compare': () => ({
      fields: [
        { field: 'endpoint', change: 'same' },
        { field: 'value', change: 'changed' },
        { field: 'webhook_secret', change: 'added' },
      ],
    }),
    'secrets.write': ({ path, cas }) => ({ path, version: Number(cas) + 1 }),
    'secrets.delete': ({ path, versions }) => ({ path, versions }),
    'secrets.undelete': ({ path, versions }) => ({ path, versions }),
    'secrets.destroy': ({ path, versions }) => ({ path, versions }),
    'secrets.purge': ({ path }) => ({ path }),
    'mounts.list': () => ({
      items: mounts,
      types: { secret: ['kv', 'transit', 'database'], auth: ['approle', 'userpass'] },
    }),
    'mounts.enable': ({ path, type }) => ({ ...mounts[0], path: `${String(path)}/`, type }),
    'mounts.tune': ({ path }) => ({ ...mounts[0], path }),
    'mounts.disable': ({ path }) => ({ path }),
    'acl.list': () => ({ items: ['default', 'deploy', 'on-call', 'reports', 'root', 'shop'] }),
    'acl.read': ({ policyName }) => ({ name: policyName, text: policyText, fixed: policyName === 'root' }),
    'acl.write': ({ policyName, text }) => {
      if (String(text).includes('fly'))
        throw new Refusal(
          'policy.invalid',
          'line 2, column 19: path "secret/data/shop/*": invalid capability "fly"',
        )
      return { name: policyName, text, fixed: false }
    },
    'acl.delete': ({ policyName }) => ({ name: policyName }),
    'acl.test': ({ path }) => ({ ...refusedExplanation, token: null, path }),
    'vault.explain': () => refusedExplanation,
    'tokens.list': () => ({ items: tokens, next: null }),
    'tokens.revoke': ({ accessor }) => ({ accessor }),
    'credentials.list': ({ failing }) => ({
      items: failing === 'true' ? leases.filter(({ attempts }) => attempts > 0) : leases,
      next: null,
    }),
    'credentials.status': () => ({
      total: 412,
      count: 1,
      oldestAt: ago(31),
      nextTryAt: ago(-3),
      error: 'The database cannot be reached: connect ECONNREFUSED 10.3.0.12:5432',
    }),
    'credentials.renew': ({ leaseId }) => ({ leaseId, seconds: 1800 }),
    'credentials.revoke': ({ leaseId }) => ({ leaseId }),
    'approles.list': () => ({
      items: ['deploy', 'nightly-report', 'shop'].map((name) => ({ mount: 'auth/approle/', name })),
      mounts: ['auth/approle/'],
    }),
    'approles.read': ({ roleName }) => ({
      role: { ...role, name: roleName },
      secretIds: [
        { accessor: madeUp(16), createdAt: ago(12), expiresAt: ago(-48), usesLeft: 1 },
        { accessor: madeUp(16), createdAt: ago(3000), expiresAt: null, usesLeft: null },
      ],
    }),
    'approles.write': ({ roleName }) => ({ ...role, name: roleName }),
    'approles.delete': ({ roleName }) => ({ roleName }),
    'approles.issue': () => ({ wrappingToken, expiresAt: ago(-10), roleId: role.roleId }),
    'approles.revoke': ({ accessor }) => ({ accessor }),
    'seal.status': () => openSeal,
    'seal.rotate': () => openSeal,
    'seal.close': () => closedSeal,
    'seal.unseal': () => openSeal,
    'backups.list': () => ({
      settings: {
        recipients: ['age1examplekey'],
        folder: '/var/lib/keyward/backups',
        everySeconds: 86_400,
        keep: 14,
        unsealKey: true,
      },
      lastDoneAt: ago(300),
      state: 'ok',
      items: [
        backup(0.2),
        backup(1.2, { state: 'failed', bytes: 0, reason: 'no space is left in the folder' }),
        backup(2.2),
      ],
    }),
    'backups.create': () => backup(0),
  }
}

/** Open, and with nothing in it but what every vault has. */
export function emptyVault(): Handlers {
  const builtIn = mounts.filter((mount) => mount.fixed)
  return {
    ...fullVault(),
    'secrets.list': ({ path }) => ({
      path,
      items: path === '' ? [{ name: 'secret/', path: 'secret/', folder: true }] : [],
    }),
    'secrets.search': () => ({ items: [], complete: true, looked: 0 }),
    'mounts.list': () => ({ items: builtIn, types: { secret: ['kv'], auth: ['approle'] } }),
    'acl.list': () => ({ items: ['default', 'root'] }),
    'tokens.list': () => ({ items: [], next: null }),
    'credentials.list': () => ({ items: [], next: null }),
    'credentials.status': () => ({ total: 0, count: 0, oldestAt: null, nextTryAt: null, error: null }),
    'approles.list': () => ({ items: [], mounts: [] }),
    'seal.status': () => ({ ...openSeal, kind: 'keyfile', shares: 1, threshold: 1 }),
    'backups.list': () => ({
      settings: {
        recipients: [],
        folder: '/var/lib/keyward/backups',
        everySeconds: null,
        keep: 14,
        unsealKey: true,
      },
      lastDoneAt: null,
      state: 'unconfigured',
      items: [],
    }),
  }
}
