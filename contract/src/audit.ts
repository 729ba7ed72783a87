import { z } from 'zod'
import { eventNames } from './events.ts'
import { json, operation, page, paging, timestamp } from './operation.ts'

export const outcome = z.enum(['intent', 'done', 'denied', 'failed'])

/** One entry of the chain. `hash` = SHA-256(canonical JSON of every other field), which includes `previous`. */
export const auditEntry = z.object({
  /** From 1, without gaps. */
  seq: z.int(),
  id: z.string(),
  at: timestamp,
  type: z.enum(eventNames),
  outcome,
  /** Who: `person:…`, `agent:…`, `token:…`, `system:…`. */
  actor: z.string(),
  /** On what: `<kind>:<id>`. */
  target: z.string(),
  /** The run, request or scan that it belongs to. */
  correlation: z.string(),
  detail: json,
  previous: z.string(),
  hash: z.string(),
})
export type AuditEntry = z.output<typeof auditEntry>

/** A signed statement that the chain had this length and this last hash. Ed25519 over the canonical JSON of seq, hash and at. */
export const auditHead = z.object({
  seq: z.int(),
  hash: z.string(),
  at: timestamp,
  /** Base64 of the 64-byte signature. */
  signature: z.string(),
  /** SubjectPublicKeyInfo, PEM. */
  publicKey: z.string(),
})
export type AuditHead = z.output<typeof auditHead>

export const auditApi = {
  list: operation({
    name: 'audit.list',
    method: 'GET',
    path: '/audit',
    summary: 'Audit entries; newest first unless `order` says otherwise',
    query: {
      ...paging,
      order: z.enum(['asc', 'desc']).default('desc'),
      type: z.string().optional(),
      correlation: z.string().optional(),
    },
    result: page(auditEntry),
  }),
  head: operation({
    name: 'audit.head',
    method: 'GET',
    path: '/audit/head',
    summary: 'The signed head of the chain',
    result: auditHead,
    fails: ['audit.unavailable'],
  }),
}
