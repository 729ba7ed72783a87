import type { ApprovalView, EventName, Json, Risk, RunDetail } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import type { Notice } from './channel.ts'
import { isGrave, type Weight } from './routing.ts'

export type TellNeeds = {
  approvals: { read(id: string): Promise<ApprovalView> }
  workflow: { read(runId: string): Promise<RunDetail> }
  /** The server's address as people reach it, without a slash at its end. */
  publicAddress: () => string
}

export type Happening = {
  readonly event: EventName | 'test'
  readonly subject: string
  readonly at: Date
  readonly data: Json
}

const longestPreview = 2400
const order: readonly Risk[] = ['low', 'medium', 'high', 'critical']

/**
 * Makes of an event what people are told. The record is read when it is told, not when it happened: a message never says what is not
 * true any more.
 */
export function createNotices({ approvals, workflow, publicAddress }: TellNeeds) {
  async function ofApproval({ event, subject, at }: Happening, approvalId: string): Promise<Notice> {
    const approval = await approvals.read(approvalId)
    const { state, risk, title, digest } = approval
    const same = {
      event,
      subject,
      at,
      risk,
      data: dataOf(approval),
      link: `${publicAddress()}/approvals/${approvalId}`,
    }
    if (state !== 'pending')
      return {
        ...same,
        title: `${title}: ${state}`,
        facts: [...endOf(approval), ...factsOf(approval)],
        stage: 'closed',
        preview: null,
        question: null,
      }
    return {
      ...same,
      title: `Approve? ${title}`,
      facts: [...factsOf(approval), ['Expires', approval.expiresAt]],
      stage: approval.approvals.length > 0 ? 'taken' : 'open',
      preview: bounded(JSON.stringify(approval.preview, null, 1)),
      question: risk === 'low' && !approval.needsSecondFactor ? { approvalId, digest } : null,
    }
  }

  async function ofRun({ event, subject, at }: Happening, runId: string): Promise<Notice> {
    const run = await workflow.read(runId)
    const failed = run.state === 'Failed'
    return {
      event,
      subject,
      at,
      title: `${run.title}: ${run.outcome ?? run.state}`,
      facts: [
        ['Flow', run.flow],
        ['Started by', run.requestedBy],
        ['Tasks', `${run.doneCount} of ${run.taskCount} done`],
        ...(run.reason ? [['Reason', run.reason] as const] : []),
      ],
      risk: failed ? riskOf(run) : 'low',
      stage: failed ? 'open' : 'closed',
      link: `${publicAddress()}/runs/${runId}`,
      preview: null,
      question: null,
      data: {
        runId,
        flow: run.flow,
        state: run.state,
        outcome: run.outcome ?? null,
        reason: run.reason ?? null,
      },
    }
  }

  const ofAnything = ({ event, subject, at }: Happening): Notice => ({
    event,
    subject,
    at,
    title: event === 'test' ? 'This is a test of Keyward' : `${event}: ${subject}`,
    facts: event === 'test' ? [['What to do', 'Nothing: the channel works']] : [['About', subject]],
    risk: isGrave(event) ? 'high' : 'low',
    stage: 'note',
    link: event === 'test' ? `${publicAddress()}/integrations/channels` : `${publicAddress()}/audit`,
    preview: null,
    question: null,
    data: { subject },
  })

  return {
    /** Throws when the record is gone. */
    async noticeOf(happening: Happening): Promise<Notice> {
      const [kind = '', id = ''] = happening.subject.split(':')
      if (kind === 'approval') return ofApproval(happening, id)
      if (kind === 'run' && happening.event === 'run.finished') return ofRun(happening, id)
      return ofAnything(happening)
    },
    async weightOf(happening: Happening): Promise<Weight & { worthTelling: boolean }> {
      const [kind = '', id = ''] = happening.subject.split(':')
      try {
        if (kind === 'approval') {
          const { risk, runId } = await approvals.read(id)
          return { risk, flow: (await workflow.read(runId)).flow, worthTelling: true }
        }
        if (kind === 'run') {
          const run = await workflow.read(id)
          const risk = run.state === 'Failed' ? riskOf(run) : 'low'
          return { risk, flow: run.flow, worthTelling: true }
        }
      } catch (error) {
        // What a record of the outbox is about may have been removed since; nothing can be told of it.
        if (error instanceof AppError && error.status === 404)
          return { risk: 'low', flow: null, worthTelling: false }
        throw error
      }
      return { risk: isGrave(happening.event) ? 'high' : 'low', flow: null, worthTelling: true }
    },
  }
}

type Facts = Notice['facts']

const factsOf = (approval: ApprovalView): Facts => [...whatOf(approval), ...whoOf(approval)]

/** How many have to allow it, who may, and who has. */
function whoOf({ quorum, groups, approvals }: ApprovalView): Facts {
  const names = approvals.map(({ by, decision }) => `${by} (${decision})`).join(', ')
  return [
    ...(quorum > 1
      ? [['Answers', `${approvals.length} of ${quorum}${names ? `: ${names}` : ''}`] as const]
      : []),
    ...(groups.length > 0 ? [['Who may', groups.join(', ')] as const] : []),
  ]
}

const whatOf = ({
  target,
  action,
  requestedBy,
  risk,
  reversible,
  digest,
  blastRadius,
  rollback,
}: ApprovalView): Facts => [
  ['Target', target],
  ['Action', action],
  ['Asked by', requestedBy],
  ['Risk', `${risk}, ${reversible ? 'reversible' : 'not reversible'}`],
  ...(blastRadius ? [['If it goes wrong', blastRadius] as const] : []),
  ...(rollback ? [['Taken back by', rollback] as const] : []),
  ['Digest', digest.slice(0, 16)],
]

const endOf = ({ state, decidedBy, decidedAt, reason }: ApprovalView): Facts => [
  ['Decision', `${state}${decidedBy ? ` by ${decidedBy}` : ''}`],
  ...(decidedAt ? [['Decided at', decidedAt] as const] : []),
  ...(reason ? [['Reason', reason] as const] : []),
]

export type Notices = ReturnType<typeof createNotices>

const riskOf = ({ tasks }: RunDetail): Risk =>
  tasks.reduce<Risk>((most, { risk }) => (order.indexOf(risk) > order.indexOf(most) ? risk : most), 'low')

/** Characters, not halves of them. */
export const bounded = (text: string, most = longestPreview): string =>
  text.length <= most
    ? text
    : `${text
        .slice(0, most - 1)
        .toWellFormed()
        .replace(/\ufffd$/, '')}…`

/** For programs: everything but what would run, whose digests it has. */
function dataOf(approval: ApprovalView): Json {
  const { preview: _, subject: __, ...rest } = approval
  return JSON.parse(JSON.stringify(rest)) as Json
}
