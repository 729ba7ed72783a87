import { z } from 'zod'
import { json, operation, page, paging, timestamp } from './operation.ts'
import { risk } from './runs.ts'

export const approvalState = z.enum(['pending', 'approved', 'denied', 'expired', 'cancelled', 'voided'])
export type ApprovalState = z.output<typeof approvalState>

/** What a person is asked to allow. `preview` is exactly what is hashed into `digest`, with secrets masked. */
export const approvalView = z.object({
  id: z.string(),
  runId: z.string(),
  taskId: z.string(),
  action: z.string(),
  title: z.string(),
  target: z.string(),
  requestedBy: z.string(),
  risk,
  reversible: z.boolean(),
  preview: json,
  /** SHA-256, hex, over the canonical JSON of action, arguments, plan digest and preview. */
  digest: z.string(),
  planDigest: z.string(),
  state: approvalState,
  /** `self`: the only account approved its own run. `unattended`: no person was asked. */
  mode: z.enum(['person', 'self', 'unattended']).nullable(),
  decidedBy: z.string().nullable(),
  reason: z.string().nullable(),
  requestedAt: timestamp,
  decidedAt: timestamp.nullable(),
  expiresAt: timestamp,
})
export type ApprovalView = z.output<typeof approvalView>

const answer = {
  params: { approvalId: z.string() },
  body: {
    /** The digest that the approver saw; an answer to anything else is refused. */
    digest: z.string().regex(/^[0-9a-f]{64}$/),
    reason: z.string().max(1000).optional(),
  },
  result: approvalView,
  fails: ['approval.not_found', 'approval.answered', 'approval.expired', 'approval.void', 'approval.self'],
} as const

export const approvalsApi = {
  list: operation({
    name: 'approvals.list',
    method: 'GET',
    path: '/approvals',
    summary: 'Approvals, newest first',
    query: { ...paging, state: approvalState.optional() },
    result: page(approvalView),
  }),
  read: operation({
    name: 'approvals.read',
    method: 'GET',
    path: '/approvals/{approvalId}',
    summary: 'One approval with what it would allow',
    params: { approvalId: z.string() },
    result: approvalView,
    fails: ['approval.not_found'],
  }),
  approve: operation({
    name: 'approvals.approve',
    method: 'POST',
    path: '/approvals/{approvalId}/approve',
    summary: 'Allow exactly what the digest names, once',
    ...answer,
  }),
  deny: operation({
    name: 'approvals.deny',
    method: 'POST',
    path: '/approvals/{approvalId}/deny',
    summary: 'Refuse it',
    ...answer,
  }),
}
