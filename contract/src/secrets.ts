import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

export const secretEntry = z.object({
  /** Below the mount, for example `leaky-shop/stripe`. A folder ends in `/`. */
  name: z.string(),
  path: z.string(),
  folder: z.boolean(),
})
export const secretDetail = z.object({
  path: z.string(),
  /** Null in a mount that keeps no versions; nor does it know when it was written. */
  version: z.int().nullable(),
  createdAt: timestamp.nullable(),
  /** Field names; never values. */
  fields: z.array(z.string()),
  references: z.array(z.string()),
})
export type SecretEntry = z.output<typeof secretEntry>
export type SecretDetail = z.output<typeof secretDetail>

const secretPath = z.string().min(1).max(512)
const version = z.int().min(1)
const versions = z.array(version).min(1).max(100)

export const secretVersion = z.object({
  version: z.int(),
  createdAt: timestamp,
  /** Deleted versions can be brought back, destroyed ones not. May lie ahead. */
  deletedAt: timestamp.nullable(),
  destroyed: z.boolean(),
})
export const secretHistory = z.object({
  path: z.string(),
  /** The newest version, whatever became of it. */
  current: z.int(),
  maxVersions: z.int(),
  casRequired: z.boolean(),
  versions: z.array(secretVersion),
})
export type SecretVersion = z.output<typeof secretVersion>
export type SecretHistory = z.output<typeof secretHistory>
const changed = z.object({ path: z.string(), versions: z.array(z.int()) })

export const secretsApi = {
  list: operation({
    name: 'secrets.list',
    method: 'GET',
    path: '/secrets',
    summary: 'Names below a path of the vault, or its mounts; never values',
    query: { path: z.string().max(512).default('') },
    result: z.object({ path: z.string(), items: z.array(secretEntry) }),
    fails: ['vault.sealed'],
  }),
  read: operation({
    name: 'secrets.read',
    method: 'GET',
    path: '/secrets/detail',
    summary: 'One secret: fields and version; never values',
    query: { path: z.string().min(1).max(512) },
    result: secretDetail,
    fails: ['vault.sealed', 'secret.not_found'],
  }),
  reveal: operation({
    name: 'secrets.reveal',
    method: 'POST',
    path: '/secrets/reveal',
    summary: 'Show one value to a person; audited before it is shown',
    body: {
      path: z.string().min(1).max(512),
      field: z.string().min(1).max(128),
      /** The newest when absent. */
      version: version.optional(),
    },
    result: z.object({ value: z.string() }),
    fails: ['vault.sealed', 'secret.not_found'],
  }),
  resolve: operation({
    name: 'secrets.resolve',
    method: 'POST',
    path: '/secrets/resolve',
    summary: 'Values behind references, for `keyward run`; each is audited before it leaves',
    body: {
      references: z.array(z.string().startsWith('keyward://')).min(1).max(200),
      purpose: z.string().min(3).max(500),
    },
    result: z.object({ values: z.record(z.string(), z.string()) }),
    fails: ['vault.sealed', 'secret.not_found', 'reference.invalid'],
  }),
  search: operation({
    name: 'secrets.search',
    method: 'GET',
    path: '/secrets/search',
    summary: 'Secrets whose path holds all the words, across mounts; never values',
    query: { words: z.string().min(1).max(128), limit: z.coerce.number().int().min(1).max(200).default(50) },
    result: z.object({
      items: z.array(secretEntry),
      /** False when the search ended at its limits before it had looked everywhere. */
      complete: z.boolean(),
      /** How many names were looked at. */
      looked: z.int(),
    }),
    fails: ['vault.sealed'],
  }),
  history: operation({
    name: 'secrets.history',
    method: 'GET',
    path: '/secrets/history',
    summary: 'The versions of a secret; never values',
    query: { path: secretPath },
    result: secretHistory,
    fails: ['vault.sealed', 'secret.not_found'],
  }),
  compare: operation({
    name: 'secrets.compare',
    method: 'GET',
    path: '/secrets/compare',
    summary: 'Which fields differ between two versions; never values',
    query: { path: secretPath, from: z.coerce.number().int().min(1), to: z.coerce.number().int().min(1) },
    result: z.object({
      fields: z.array(
        z.object({ field: z.string(), change: z.enum(['added', 'removed', 'changed', 'same']) }),
      ),
    }),
    fails: ['vault.sealed', 'secret.not_found'],
  }),
  write: operation({
    name: 'secrets.write',
    method: 'PUT',
    path: '/secrets',
    summary: 'Write a new version of a secret, if `cas` is the version that is there (0: none)',
    body: {
      path: secretPath,
      set: z.record(z.string().min(1).max(128), z.string().max(100_000)),
      /** Fields of the version before that are to go; all others stay as they are. */
      remove: z.array(z.string().min(1).max(128)).default([]),
      /** Nothing of the version before is kept. */
      replace: z.boolean().default(false),
      cas: z.int().min(0),
    },
    result: z.object({ path: z.string(), version: z.int() }),
    fails: ['vault.sealed', 'secret.not_found', 'secret.cas_mismatch', 'request.invalid'],
  }),
  delete: operation({
    name: 'secrets.delete',
    method: 'POST',
    path: '/secrets/delete',
    summary: 'Delete versions; they can be brought back',
    body: { path: secretPath, versions },
    result: changed,
    fails: ['vault.sealed', 'secret.not_found'],
  }),
  undelete: operation({
    name: 'secrets.undelete',
    method: 'POST',
    path: '/secrets/undelete',
    summary: 'Bring deleted versions back',
    body: { path: secretPath, versions },
    result: changed,
    fails: ['vault.sealed', 'secret.not_found'],
  }),
  destroy: operation({
    name: 'secrets.destroy',
    method: 'POST',
    path: '/secrets/destroy',
    summary: 'Destroy versions for ever',
    body: { path: secretPath, versions },
    result: changed,
    fails: ['vault.sealed', 'secret.not_found'],
  }),
  purge: operation({
    name: 'secrets.purge',
    method: 'POST',
    path: '/secrets/purge',
    summary: 'Remove a secret with all its versions, for ever; `confirm` repeats the path',
    body: { path: secretPath, confirm: z.string().max(512) },
    result: z.object({ path: z.string() }),
    fails: ['vault.sealed', 'secret.not_found', 'request.invalid'],
  }),
}
