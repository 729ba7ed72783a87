import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

/** A mount's path as the vault writes it: with a `/` at its end, and `auth/` in front of an auth method's. */
const mountPath = z.string().min(1).max(256)
const seconds = z.int().min(0).max(10_000_000_000)

export const mountView = z.object({
  path: z.string(),
  kind: z.enum(['secret', 'auth']),
  type: z.string(),
  /** KV only. */
  version: z.int().nullable(),
  description: z.string(),
  accessor: z.string(),
  /** 0: the system's. */
  defaultTtlSeconds: z.int(),
  maxTtlSeconds: z.int(),
  /** Every vault has it, and it cannot be disabled. */
  fixed: z.boolean(),
})
export type MountView = z.output<typeof mountView>

export const mountsApi = {
  list: operation({
    name: 'mounts.list',
    method: 'GET',
    path: '/vault/mounts',
    summary: "The vault's secrets engines and auth methods, and which types can be added",
    result: z.object({
      items: z.array(mountView),
      types: z.object({ secret: z.array(z.string()), auth: z.array(z.string()) }),
    }),
    fails: ['vault.sealed'],
  }),
  enable: operation({
    name: 'mounts.enable',
    method: 'POST',
    path: '/vault/mounts',
    summary: 'Add a secrets engine, or an auth method below `auth/`',
    body: {
      path: mountPath,
      type: z.string().min(1).max(64),
      version: z.enum(['1', '2']).optional(),
      description: z.string().max(500).default(''),
    },
    result: mountView,
    fails: ['vault.sealed', 'request.invalid'],
  }),
  tune: operation({
    name: 'mounts.tune',
    method: 'PUT',
    path: '/vault/mounts',
    summary: 'Change what a mount is described as, and how long what it gives out lives',
    body: {
      path: mountPath,
      description: z.string().max(500).optional(),
      defaultTtlSeconds: seconds.optional(),
      maxTtlSeconds: seconds.optional(),
    },
    result: mountView,
    fails: ['vault.sealed', 'request.invalid', 'vault.not_found'],
  }),
  disable: operation({
    name: 'mounts.disable',
    method: 'POST',
    path: '/vault/mounts/disable',
    summary: 'Remove a mount with all that it holds; `confirm` repeats the path',
    body: { path: mountPath, confirm: z.string().max(256) },
    result: z.object({ path: z.string() }),
    fails: ['vault.sealed', 'request.invalid', 'vault.not_found'],
  }),
}

export const sealView = z.object({
  initialised: z.boolean(),
  sealed: z.boolean(),
  /** What opens it: shares of people, a key file, or another service. */
  kind: z.string(),
  shares: z.int(),
  threshold: z.int(),
  /** Shares given so far. */
  progress: z.int(),
  /** Of the key that encrypts what is written now; null while sealed. */
  key: z.object({ term: z.int(), installedAt: timestamp, encryptions: z.int() }).nullable(),
})
export type SealView = z.output<typeof sealView>

export const sealApi = {
  status: operation({
    name: 'seal.status',
    method: 'GET',
    path: '/vault/seal',
    summary: 'Whether the vault is open, what opens it, and which key is in use',
    result: sealView,
  }),
  close: operation({
    name: 'seal.close',
    method: 'POST',
    path: '/vault/seal',
    summary:
      'Seal the vault: its keys are wiped from memory, and nothing can be read until it is opened again',
    body: { confirm: z.literal('seal') },
    result: sealView,
    fails: ['vault.sealed'],
  }),
  unseal: operation({
    name: 'seal.unseal',
    method: 'POST',
    path: '/vault/seal/unseal',
    summary: 'Give one share of the key; the last one that is needed opens the vault',
    body: { share: z.string().min(1).max(1024) },
    result: sealView,
    fails: ['vault.share_invalid', 'vault.uninitialised'],
  }),
  rotate: operation({
    name: 'seal.rotate',
    method: 'POST',
    path: '/vault/seal/rotate',
    summary: 'Encrypt what is written from now on with a new key; what is there stays readable',
    result: sealView,
    fails: ['vault.sealed'],
  }),
}

const placedRule = z.object({
  policy: z.string(),
  line: z.int(),
  path: z.string(),
  capabilities: z.array(z.string()),
})
export const explanationView = z.object({
  allowed: z.boolean(),
  operation: z.enum(['read', 'list', 'update', 'delete', 'patch']),
  /** As the vault sees it: without `/v1/`, a list's with a `/` at its end. */
  path: z.string(),
  /** Capabilities; `needsMode` says whether all of them or one. */
  needs: z.array(z.string()),
  needsMode: z.enum(['every', 'some']),
  token: z
    .object({ accessor: z.string(), displayName: z.string(), expiresAt: timestamp.nullable() })
    .nullable(),
  /** Null when there is none that the asker may see. */
  mount: z.object({ path: z.string(), type: z.string() }).nullable(),
  policies: z.array(z.object({ name: z.string(), exists: z.boolean(), rules: z.int() })),
  /** The rule that decided, once for each policy that has it. */
  deciding: z.array(placedRule),
  /** The first says it all in short. */
  reasons: z.array(z.object({ code: z.string(), text: z.string() })),
  /** HCL that would allow the request and no more; null when adding to a policy cannot. */
  remedy: z.string().nullable(),
})
export type ExplanationView = z.output<typeof explanationView>

const asked = {
  method: z.enum(['GET', 'LIST', 'POST', 'PUT', 'PATCH', 'DELETE']),
  path: z.string().min(1).max(2048),
  /** What would be sent: names, with values only where a policy asks for them. No secrets. */
  parameters: z.record(z.string().max(128), z.string().max(1024)).optional(),
  wrapTtl: z.string().max(32).optional(),
}

export const vaultApi = {
  explain: operation({
    name: 'vault.explain',
    method: 'POST',
    path: '/vault/explain',
    summary: "Why a request to Vault's API passes or is refused, and what a policy would have to say",
    body: {
      ...asked,
      /** Another token's; without it, the token that asks. */
      accessor: z.string().min(1).max(128).optional(),
      remoteAddress: z.string().max(64).optional(),
    },
    result: explanationView,
    fails: ['vault.sealed', 'request.invalid', 'policy.denied'],
  }),
}

const policyName = z.string().min(1).max(128)
const policyText = z.string().max(500_000)
export const aclPolicyView = z.object({
  name: z.string(),
  text: z.string(),
  /** Text and existence are the vault's: `root` cannot be changed, `default` not removed. */
  fixed: z.boolean(),
})
export type AclPolicyView = z.output<typeof aclPolicyView>

export const aclApi = {
  list: operation({
    name: 'acl.list',
    method: 'GET',
    path: '/vault/policies',
    summary: "Names of the policies that decide on Vault's API",
    result: z.object({ items: z.array(z.string()) }),
    fails: ['vault.sealed'],
  }),
  read: operation({
    name: 'acl.read',
    method: 'GET',
    path: '/vault/policies/{policyName}',
    summary: 'The text of one policy',
    params: { policyName },
    result: aclPolicyView,
    fails: ['vault.sealed', 'vault.not_found'],
  }),
  write: operation({
    name: 'acl.write',
    method: 'PUT',
    path: '/vault/policies/{policyName}',
    summary: 'Write a policy in HCL or JSON; what is wrong is refused with line and column',
    params: { policyName },
    body: { text: policyText },
    result: aclPolicyView,
    fails: ['vault.sealed', 'policy.invalid', 'request.invalid'],
  }),
  delete: operation({
    name: 'acl.delete',
    method: 'DELETE',
    path: '/vault/policies/{policyName}',
    summary: 'Remove a policy; tokens that have it lose what it allowed',
    params: { policyName },
    result: z.object({ name: z.string() }),
    fails: ['vault.sealed', 'request.invalid'],
  }),
  test: operation({
    name: 'acl.test',
    method: 'POST',
    path: '/vault/policies/test',
    summary: 'Try a policy on a request before it is stored',
    body: { text: policyText, name: policyName.default('draft'), ...asked },
    result: explanationView,
    fails: ['vault.sealed', 'policy.invalid', 'request.invalid'],
  }),
}
