import type { ApprovalView } from '@keyward/contract'
import { printableJson } from '../printable.ts'
import { renderFacts } from '../table.ts'

function needsText({ quorum, groups, needsSecondFactor }: ApprovalView): string {
  const people = quorum === 1 ? 'one person' : `${quorum} people`
  const from = groups.length > 0 ? ` of ${groups.join(' or ')}` : ''
  return `${people}${from}${needsSecondFactor ? ', each with a second factor' : ''}`
}

export function approvalText(approval: ApprovalView): string {
  const facts = renderFacts([
    ['Approval', `${approval.id}, ${approval.state}`],
    ['What', approval.title],
    ['Action', approval.action],
    ['Target', approval.target],
    ['Asked by', approval.requestedBy],
    ['Risk', `${approval.risk}, ${approval.reversible ? 'reversible' : 'not reversible'}`],
    ...(approval.changedBy.length > 0
      ? [
          [
            'Changed by',
            `${approval.changedBy.join(', ')}; it takes the place of ${approval.replaces}`,
          ] as const,
        ]
      : []),
    ...(approval.carriedFrom ? [['Carried from', approval.carriedFrom] as const] : []),
    ...(approval.blastRadius ? [['If it goes wrong', approval.blastRadius] as const] : []),
    ...(approval.rollback ? [['Taken back by', approval.rollback] as const] : []),
    ['Needs', needsText(approval)],
    ...approval.approvals.map(
      ({ by, at, channel, decision }) => ['Answer', `${decision} by ${by}, ${at}, ${channel}`] as const,
    ),
    ['Run', `${approval.runId}, task ${approval.taskId}`],
    ['Asked at', `${approval.requestedAt}, expires ${approval.expiresAt}`],
    ...(approval.decidedAt
      ? [
          [
            'Decided',
            `${approval.decidedAt} by ${approval.decidedBy ?? '-'} (${approval.mode ?? '-'})`,
          ] as const,
        ]
      : []),
    ...(approval.reason ? [['Reason', approval.reason] as const] : []),
    ['Digest', approval.digest],
  ])
  return `${facts}What would run:\n${printableJson(approval.preview, 2)}\n`
}
