import type {
  AgentView,
  ApprovalView,
  AskView,
  CertificateView,
  FindingView,
  GoalView,
  GrantView,
  LeaseView,
  Receipt,
  Risk,
  RunOutcome,
  RunState,
  TaskState,
} from '@keyward/contract'
import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleDot,
  CircleHelp,
  CirclePause,
  CircleSlash,
  CircleX,
  Clock,
  EyeOff,
  Hand,
  LoaderCircle,
  type LucideIcon,
  OctagonAlert,
  RotateCcw,
  ShieldAlert,
  ShieldCheck,
  ShieldOff,
  TimerOff,
  TriangleAlert,
} from 'lucide-react'

export type Hue = 'ok' | 'busy' | 'wait' | 'bad' | 'odd' | 'calm'
/** How a state looks: never by colour alone, always an icon and words too. */
export type Look = { hue: Hue; icon: LucideIcon; text: string; moving?: boolean }

export const hueText: Record<Hue, string> = {
  ok: 'text-ok',
  busy: 'text-busy',
  wait: 'text-wait',
  bad: 'text-bad',
  odd: 'text-odd',
  calm: 'text-calm',
}
const hueWash: Record<Hue, string> = {
  ok: 'bg-ok-wash text-ok',
  busy: 'bg-busy-wash text-busy',
  wait: 'bg-wait-wash text-wait',
  bad: 'bg-bad-wash text-bad',
  odd: 'bg-odd-wash text-odd',
  calm: 'bg-calm-wash text-calm',
}

export const taskLook: Record<TaskState, Look> = {
  Pending: { hue: 'calm', icon: CircleDashed, text: 'Pending' },
  Running: { hue: 'busy', icon: LoaderCircle, text: 'Running', moving: true },
  AwaitingApproval: { hue: 'wait', icon: Hand, text: 'Waits for approval' },
  Succeeded: { hue: 'ok', icon: CircleCheck, text: 'Succeeded' },
  Failed: { hue: 'bad', icon: CircleX, text: 'Failed' },
  Cancelled: { hue: 'calm', icon: Ban, text: 'Cancelled' },
  Skipped: { hue: 'calm', icon: CircleSlash, text: 'Skipped' },
  Ambiguous: { hue: 'odd', icon: CircleHelp, text: 'Outcome unknown' },
}

const runLook: Record<RunState, Look> = {
  Running: taskLook.Running,
  AwaitingApproval: taskLook.AwaitingApproval,
  AwaitingPerson: { hue: 'odd', icon: CircleHelp, text: 'Waits for a person' },
  Paused: { hue: 'wait', icon: CirclePause, text: 'Paused' },
  Succeeded: taskLook.Succeeded,
  Failed: taskLook.Failed,
  Cancelled: taskLook.Cancelled,
}

const outcomeLook: Partial<Record<RunOutcome, Look>> = {
  Denied: { hue: 'calm', icon: Ban, text: 'Denied' },
  Expired: { hue: 'calm', icon: CircleSlash, text: 'Not answered' },
  MadeGood: { hue: 'wait', icon: RotateCcw, text: 'Made good' },
  RolledBack: { hue: 'wait', icon: RotateCcw, text: 'Rolled back' },
  Failed: taskLook.Failed,
}

/** What came of it, where that says more than its state. */
export const lookOfRun = (state: RunState, outcome: RunOutcome | null | undefined): Look =>
  (outcome && outcomeLook[outcome]) || runLook[state]

export const findingLook: Record<FindingView['state'], Look> = {
  open: { hue: 'bad', icon: OctagonAlert, text: 'Open' },
  importing: { hue: 'busy', icon: LoaderCircle, text: 'Importing', moving: true },
  imported: { hue: 'ok', icon: ShieldCheck, text: 'In the vault' },
  ignored: { hue: 'calm', icon: EyeOff, text: 'Ignored' },
  restored: { hue: 'wait', icon: RotateCcw, text: 'Put back' },
  fixed: { hue: 'ok', icon: CircleCheck, text: 'Fixed' },
}

export const approvalLook: Record<ApprovalView['state'], Look> = {
  pending: { hue: 'wait', icon: Hand, text: 'Waits for you' },
  approved: { hue: 'ok', icon: CircleCheck, text: 'Approved' },
  denied: { hue: 'bad', icon: Ban, text: 'Denied' },
  expired: { hue: 'calm', icon: TimerOff, text: 'Expired' },
  cancelled: { hue: 'calm', icon: CircleSlash, text: 'Cancelled' },
  voided: { hue: 'odd', icon: ShieldAlert, text: 'Void: the plan changed' },
  superseded: { hue: 'calm', icon: RotateCcw, text: 'Replaced by another question' },
}

export const goalLook: Record<GoalView['state'], Look> = {
  unclear: { hue: 'odd', icon: CircleHelp, text: 'Which one?' },
  proposed: { hue: 'wait', icon: Hand, text: 'Planned, not started' },
  started: { hue: 'busy', icon: CircleDot, text: 'Started' },
}

export const leaseLook: Record<LeaseView['state'], Look> = {
  active: { hue: 'ok', icon: CircleDot, text: 'Active' },
  revoked: { hue: 'calm', icon: Ban, text: 'Revoked' },
  expired: { hue: 'calm', icon: Clock, text: 'Expired' },
  used_up: { hue: 'calm', icon: CircleCheck, text: 'Used up' },
}

export const receiptLook: Record<Receipt['state'], Look> = {
  waiting: { hue: 'calm', icon: Clock, text: 'End not shown yet' },
  proved: { hue: 'ok', icon: ShieldCheck, text: 'End proved' },
  lives_on: { hue: 'wait', icon: TriangleAlert, text: 'Lives on at its server' },
  unproved: { hue: 'bad', icon: ShieldAlert, text: 'End not proved' },
}

export const askLook: Record<AskView['state'], Look> = {
  open: { hue: 'wait', icon: Hand, text: 'Waits for you' },
  answered: { hue: 'ok', icon: CircleCheck, text: 'Answered' },
  denied: { hue: 'bad', icon: Ban, text: 'Denied' },
  expired: { hue: 'calm', icon: TimerOff, text: 'Expired' },
  withdrawn: { hue: 'calm', icon: CircleSlash, text: 'Withdrawn' },
}

export const grantLook: Record<GrantView['state'], Look> = {
  live: { hue: 'ok', icon: CircleDot, text: 'Live' },
  ended: { hue: 'calm', icon: Ban, text: 'Ended' },
  expired: { hue: 'calm', icon: Clock, text: 'Expired' },
  used_up: { hue: 'calm', icon: CircleCheck, text: 'Used up' },
}

export const certificateLook: Record<CertificateView['state'], Look> = {
  valid: { hue: 'ok', icon: CircleCheck, text: 'Valid' },
  expired: { hue: 'calm', icon: Clock, text: 'Expired' },
  revoked: { hue: 'calm', icon: Ban, text: 'Revoked' },
}

export const personLook: Record<'active' | 'closed', Look> = {
  active: { hue: 'ok', icon: CircleCheck, text: 'Active' },
  closed: { hue: 'calm', icon: Ban, text: 'Closed' },
}

export const agentLook: Record<AgentView['state'], Look> = {
  active: { hue: 'ok', icon: CircleCheck, text: 'Active' },
  quarantined: { hue: 'bad', icon: ShieldOff, text: 'Quarantined' },
}

export const riskLook: Record<Risk, Look> = {
  low: { hue: 'calm', icon: ShieldCheck, text: 'Low risk' },
  medium: { hue: 'wait', icon: TriangleAlert, text: 'Medium risk' },
  high: { hue: 'bad', icon: TriangleAlert, text: 'High risk' },
  critical: { hue: 'bad', icon: OctagonAlert, text: 'Critical risk' },
}

export function Badge({ look, bare = false }: { look: Look; bare?: boolean }) {
  const Icon = look.icon
  const style = bare ? hueText[look.hue] : `${hueWash[look.hue]} px-2 py-0.5`
  return (
    <span
      className={`inline-flex items-center gap-1.5 rounded-full text-xs font-medium whitespace-nowrap ${style}`}
    >
      <Icon size={13} strokeWidth={2.4} className={look.moving ? 'spin' : ''} aria-hidden="true" />
      {look.text}
    </span>
  )
}
