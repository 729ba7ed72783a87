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
  version: z.int(),
  createdAt: timestamp,
  /** Field names; never values. */
  fields: z.array(z.string()),
  references: z.array(z.string()),
})
export type SecretEntry = z.output<typeof secretEntry>
export type SecretDetail = z.output<typeof secretDetail>

export const secretsApi = {
  list: operation({
    name: 'secrets.list',
    method: 'GET',
    path: '/secrets',
    summary: 'Names below a path of the vault; never values',
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
    body: { path: z.string().min(1).max(512), field: z.string().min(1).max(128) },
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
}
