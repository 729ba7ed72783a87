import { z } from 'zod'
import { json, operation, page, paging, timestamp } from './operation.ts'
import { groupName } from './people.ts'
import { risk } from './plans.ts'

export const approvalState = z.enum([
  'pending',
  'approved',
  'denied',
  'expired',
  'cancelled',
  'voided',
  'superseded',
])
export type ApprovalState = z.output<typeof approvalState>

/** Where an answer came from. What is not Keyward's own page or command decides what is of low risk, and nothing else. */
export const approvalChannel = z.enum([
  'console',
  'cli',
  'api',
  'slack',
  'teams',
  'email',
  'webhook',
  'pagerduty',
  'none',
])
export type ApprovalChannel = z.output<typeof approvalChannel>

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

/** One answer that counted. */
export const approvalAnswer = z.object({
  by: z.string(),
  /** Whose right was used, when that was delegated. */
  onBehalfOf: z.string().nullable(),
  decision: z.enum(['approved', 'denied']),
  at: timestamp,
  channel: approvalChannel,
  reason: z.string().nullable(),
  digest: z.string(),
  /** When the second factor was shown that this answer relied on. */
  secondFactorAt: timestamp.nullable(),
})
export type ApprovalAnswer = z.output<typeof approvalAnswer>

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
  /** The canonical JSON whose SHA-256 is `digest`: the very bytes that are approved. */
  subject: z.string(),
  previewDigest: z.string(),
  /** SHA-256 over the policies that were in force when it was asked. */
  policyVersion: z.string(),
  nonce: z.string(),
  /** What is hit when it goes wrong, and how it is taken back, in words of the plan. */
  blastRadius: z.string().nullable(),
  rollback: z.string().nullable(),
  /** How many people have to allow it. */
  quorum: z.int(),
  /** Who may answer: people in one of these groups; anybody whom policy lets, when empty. */
  groups: z.array(z.string()),
  needsSecondFactor: z.boolean(),
  /** The answers that counted so far, in their order. */
  approvals: z.array(approvalAnswer),
  remindedAt: timestamp.nullable(),
  escalatedAt: timestamp.nullable(),
  supersededBy: z.string().nullable(),
  /** The question that this one took the place of, when somebody changed its arguments. */
  replaces: z.string().nullable(),
  /** Who has changed the arguments, in their order. They count as requesters where another person has to look. */
  changedBy: z.array(z.string()),
  /** Whether who answers may change the arguments before. */
  changeable: z.boolean(),
  /** The approval of the same, given before and not used, that answered it. */
  carriedFrom: z.string().nullable(),
  /** The time-limited grant that answered it. */
  grantId: z.string().nullable(),
  /** Of the answer that decided. */
  channel: approvalChannel.nullable(),
  /**
   * `self`: the only account approved its own run. `unattended`: no person was asked. `grant`: a person had allowed its like for
   * a time. `carried`: the same had been approved for a run that ended before it used that.
   */
  mode: z.enum(['person', 'self', 'unattended', 'grant', 'carried']).nullable(),
  decidedBy: z.string().nullable(),
  reason: z.string().nullable(),
  requestedAt: timestamp,
  decidedAt: timestamp.nullable(),
  expiresAt: timestamp,
})
export type ApprovalView = z.output<typeof approvalView>

/** What one risk asks for. A plan may ask for more, never for less. */
export const approvalRule = z.strictObject({
  risk,
  quorum: z.int().min(1).max(20),
  groups: z.array(groupName).max(20),
  secondFactor: z.boolean(),
  expiresInSeconds: z
    .int()
    .min(60)
    .max(30 * 24 * 3600),
  /** Of the time until it expires; null for never. */
  remindAtPercent: z.int().min(1).max(99).nullable(),
  escalateAtPercent: z.int().min(1).max(99).nullable(),
  /** Who may answer, too, from then on. */
  escalateTo: z.array(groupName).max(20),
})
export type ApprovalRule = z.output<typeof approvalRule>

const answer = {
  params: { approvalId: z.string() },
  body: {
    /** The digest that the approver saw; an answer to anything else is refused. */
    digest: sha256,
    reason: z.string().max(1000).optional(),
  },
  result: approvalView,
  fails: [
    'approval.not_found',
    'approval.answered',
    'approval.expired',
    'approval.void',
    'approval.self',
    'approval.not_asked',
    'approval.channel',
    'approval.second_factor',
  ],
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
  answerMany: operation({
    name: 'approvals.answer_many',
    method: 'POST',
    path: '/approvals/answers',
    summary: 'The same answer to several of low risk that ask for the same action',
    body: {
      decision: z.enum(['approved', 'denied']),
      answers: z
        .array(z.strictObject({ approvalId: z.string(), digest: sha256 }))
        .min(1)
        .max(100),
      reason: z.string().max(1000).optional(),
    },
    /** For each its new state, or the code and the words of why it did not count. */
    result: z.object({
      items: z.array(
        z.object({
          approvalId: z.string(),
          state: approvalState.nullable(),
          code: z.string().nullable(),
          detail: z.string().nullable(),
        }),
      ),
    }),
  }),
  rules: operation({
    name: 'approvals.rules',
    method: 'GET',
    path: '/approval-rules',
    summary: 'What each risk asks for: how many people, of which groups, with a second factor, for how long',
    result: z.object({ items: z.array(approvalRule) }),
  }),
  setRule: operation({
    name: 'approvals.set_rule',
    method: 'PUT',
    path: '/approval-rules/{risk}',
    summary: 'Change what a risk asks for, from the next question on',
    params: { risk },
    body: approvalRule.omit({ risk: true }).shape,
    result: approvalRule,
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
  change: operation({
    name: 'approvals.change',
    method: 'POST',
    path: '/approvals/{approvalId}/change',
    summary: 'Change the arguments before an answer: a new question takes the place of this one',
    params: { approvalId: z.string() },
    body: {
      digest: sha256,
      /** All of them, as the action takes them. */
      args: json,
      reason: z.string().trim().min(3).max(1000),
    },
    result: approvalView,
    fails: [...answer.fails, 'approval.arguments', 'approval.fixed', 'run.state'],
  }),
  deny: operation({
    name: 'approvals.deny',
    method: 'POST',
    path: '/approvals/{approvalId}/deny',
    summary: 'Refuse it',
    ...answer,
  }),
}
