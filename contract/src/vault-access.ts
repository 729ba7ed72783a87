import { z } from 'zod'
import { operation, page, paging, timestamp } from './operation.ts'

export const tokenView = z.object({
  /** Names the token without being it. */
  accessor: z.string(),
  displayName: z.string(),
  policies: z.array(z.string()),
  /** Where it was made, for example `auth/approle/login`. */
  path: z.string(),
  createdAt: timestamp,
  /** Null: without end. */
  expiresAt: timestamp.nullable(),
  renewable: z.boolean(),
  lastRenewedAt: timestamp.nullable(),
  /** Null: as often as one likes. */
  usesLeft: z.int().nullable(),
  orphan: z.boolean(),
})
export type TokenView = z.output<typeof tokenView>

export const tokensApi = {
  list: operation({
    name: 'tokens.list',
    method: 'GET',
    path: '/vault/tokens',
    summary: "The vault's tokens by accessor; never the tokens themselves",
    query: paging,
    result: page(tokenView),
    fails: ['vault.sealed'],
  }),
  revoke: operation({
    name: 'tokens.revoke',
    method: 'POST',
    path: '/vault/tokens/revoke',
    summary: 'End a token, its children and what they were lent',
    body: { accessor: z.string().min(1).max(128) },
    result: z.object({ accessor: z.string() }),
    fails: ['vault.sealed', 'vault.not_found', 'request.invalid'],
  }),
}

const mount = z.string().min(1).max(256).default('auth/approle/')
const roleName = z.string().min(1).max(256)
const seconds = z.int().min(0).max(10_000_000_000)
const roleTerms = {
  policies: z.array(z.string().max(128)).max(100),
  tokenTtlSeconds: seconds,
  tokenMaxTtlSeconds: seconds,
  secretIdTtlSeconds: seconds,
  /** 0: as often as one likes. */
  secretIdUses: z.int().min(0),
  /** Addresses from which a secret id may be used; none: any. */
  boundCidrs: z.array(z.string().max(64)).max(100),
}
export const appRoleView = z.object({ mount: z.string(), name: z.string(), roleId: z.string(), ...roleTerms })
export type AppRoleView = z.output<typeof appRoleView>
export const secretIdView = z.object({
  accessor: z.string(),
  createdAt: timestamp,
  /** Null: without end. */
  expiresAt: timestamp.nullable(),
  /** Null: as often as one likes. */
  usesLeft: z.int().nullable(),
})
export type SecretIdView = z.output<typeof secretIdView>

export const appRolesApi = {
  list: operation({
    name: 'approles.list',
    method: 'GET',
    path: '/vault/approles',
    summary: 'AppRoles by their mounts',
    result: z.object({
      items: z.array(z.object({ mount: z.string(), name: z.string() })),
      mounts: z.array(z.string()),
    }),
    fails: ['vault.sealed'],
  }),
  read: operation({
    name: 'approles.read',
    method: 'GET',
    path: '/vault/approles/detail',
    summary: 'One AppRole and the accessors of its secret ids',
    query: { mount, roleName },
    result: z.object({ role: appRoleView, secretIds: z.array(secretIdView) }),
    fails: ['vault.sealed', 'vault.not_found'],
  }),
  write: operation({
    name: 'approles.write',
    method: 'PUT',
    path: '/vault/approles',
    summary: 'Make an AppRole, or change one',
    body: { mount, roleName, ...roleTerms },
    result: appRoleView,
    fails: ['vault.sealed', 'request.invalid'],
  }),
  delete: operation({
    name: 'approles.delete',
    method: 'POST',
    path: '/vault/approles/delete',
    summary: 'Remove an AppRole with its secret ids; nobody signs in with it any more',
    body: { mount, roleName },
    result: z.object({ roleName: z.string() }),
    fails: ['vault.sealed', 'request.invalid'],
  }),
  issue: operation({
    name: 'approles.issue',
    method: 'POST',
    path: '/vault/approles/issue',
    summary: 'Make a secret id and hand out a token that fetches it once',
    body: { mount, roleName, wrapTtlSeconds: z.int().min(60).max(86_400).default(600) },
    result: z.object({ wrappingToken: z.string(), expiresAt: timestamp, roleId: z.string() }),
    fails: ['vault.sealed', 'request.invalid'],
  }),
  revoke: operation({
    name: 'approles.revoke',
    method: 'POST',
    path: '/vault/approles/revoke',
    summary: 'Destroy one secret id',
    body: { mount, roleName, accessor: z.string().min(1).max(128) },
    result: z.object({ accessor: z.string() }),
    fails: ['vault.sealed', 'request.invalid'],
  }),
}

/** What an engine has given out for a time: a user of a database, a certificate. */
export const credentialView = z.object({
  /** `<path that it was asked at>/<random>`. */
  id: z.string(),
  mount: z.string(),
  role: z.string(),
  /** `ending`: it should be gone, and is being ended. */
  state: z.enum(['pending', 'live', 'ending']),
  issuedAt: timestamp,
  expiresAt: timestamp,
  lastRenewedAt: timestamp.nullable(),
  renewable: z.boolean(),
  /** How often ending it has failed, when it is tried next, and why it failed. */
  attempts: z.int(),
  nextTryAt: timestamp.nullable(),
  error: z.string().nullable(),
})
export type CredentialView = z.output<typeof credentialView>
const leaseId = z.string().min(1).max(1024)

export const credentialsApi = {
  list: operation({
    name: 'credentials.list',
    method: 'GET',
    path: '/vault/leases',
    summary: 'Leases of credentials that engines gave out, below a path; never the credentials',
    query: {
      ...paging,
      prefix: z.string().max(512).default(''),
      failing: z.enum(['true', 'false']).default('false'),
    },
    result: page(credentialView),
    fails: ['vault.sealed'],
  }),
  backlog: operation({
    name: 'credentials.status',
    method: 'GET',
    path: '/vault/leases/backlog',
    summary: 'How many leases there are, and which should have ended and have not',
    result: z.object({
      total: z.int(),
      count: z.int(),
      oldestAt: timestamp.nullable(),
      nextTryAt: timestamp.nullable(),
      error: z.string().nullable(),
    }),
  }),
  renew: operation({
    name: 'credentials.renew',
    method: 'POST',
    path: '/vault/leases/renew',
    summary: 'Let a lease live longer, as far as its role allows',
    body: { leaseId, seconds: seconds.optional() },
    result: z.object({ leaseId: z.string(), seconds: z.int() }),
    fails: ['vault.sealed', 'request.invalid'],
  }),
  revoke: operation({
    name: 'credentials.revoke',
    method: 'POST',
    path: '/vault/leases/revoke',
    summary: 'End a lease now, and what it stands for with it',
    body: { leaseId },
    result: z.object({ leaseId: z.string() }),
    fails: ['vault.sealed', 'request.invalid'],
  }),
}
