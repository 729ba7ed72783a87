import { z } from 'zod'
import { json, operation, page, paging, timestamp } from './operation.ts'

const reason = z.string().trim().min(3).max(500)
const actor = z.string()

/** The right to answer approvals, lent to somebody for a time. */
export const delegationView = z.object({
  id: z.string(),
  from: actor,
  to: actor,
  reason: z.string(),
  createdAt: timestamp,
  until: timestamp,
  endedAt: timestamp.nullable(),
  endedBy: actor.nullable(),
})
export type DelegationView = z.output<typeof delegationView>

export const delegationsApi = {
  list: operation({
    name: 'delegations.list',
    method: 'GET',
    path: '/delegations',
    summary: 'Who may answer in whose right, newest first',
    query: paging,
    result: page(delegationView),
  }),
  create: operation({
    name: 'delegations.create',
    method: 'POST',
    path: '/delegations',
    summary: 'Let another person answer approvals in your right, for a time; never their own requests',
    body: {
      personId: z.string(),
      ttlSeconds: z
        .int()
        .min(60)
        .max(30 * 24 * 3600),
      reason,
    },
    result: delegationView,
    fails: ['person.not_found'],
  }),
  end: operation({
    name: 'delegations.end',
    method: 'POST',
    path: '/delegations/{delegationId}/end',
    summary: 'Take the right back, or give it back',
    params: { delegationId: z.string() },
    result: delegationView,
    fails: ['delegation.not_found'],
  }),
}

/** What a person has allowed ahead: this action on this target, with arguments like these, for a time. */
export const approvalGrantView = z.object({
  id: z.string(),
  action: z.string(),
  target: z.string(),
  /** Arguments that must be exactly so; the others may be anything. */
  args: z.record(z.string(), json),
  /** For this requester alone; for anybody but its giver when null. */
  requestedBy: actor.nullable(),
  maxRisk: z.enum(['low', 'medium']),
  reason: z.string(),
  createdBy: actor,
  createdAt: timestamp,
  until: timestamp,
  endedAt: timestamp.nullable(),
  endedBy: actor.nullable(),
})
export type ApprovalGrantView = z.output<typeof approvalGrantView>

export const approvalGrantsApi = {
  list: operation({
    name: 'approval_grants.list',
    method: 'GET',
    path: '/approval-grants',
    summary: 'What people have allowed ahead, newest first',
    query: paging,
    result: page(approvalGrantView),
  }),
  create: operation({
    name: 'approval_grants.create',
    method: 'POST',
    path: '/approval-grants',
    summary:
      'Allow an action on a target ahead, for a time: of low or medium risk, and never your own requests',
    body: {
      action: z.string().min(1).max(200),
      target: z.string().min(1).max(500),
      args: z.record(z.string(), json).default({}),
      requestedBy: actor.max(200).optional(),
      maxRisk: z.enum(['low', 'medium']).default('low'),
      ttlSeconds: z
        .int()
        .min(60)
        .max(24 * 3600),
      reason,
    },
    result: approvalGrantView,
  }),
  end: operation({
    name: 'approval_grants.end',
    method: 'POST',
    path: '/approval-grants/{grantId}/end',
    summary: 'Allow it ahead no more',
    params: { grantId: z.string() },
    result: approvalGrantView,
    fails: ['grant.not_found'],
  }),
}
