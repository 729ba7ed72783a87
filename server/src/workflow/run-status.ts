import type { RunState, TaskState } from '@keyward/contract'

/** What the reducer has to know of a task. */
export type TaskRules = Asking & {
  readonly needs: readonly string[]
  /** Its needs only have to have ended, however they did. */
  readonly afterEnd?: boolean
  /** It has a condition or a list: what it is to do hangs on outputs, which the host looks into. */
  readonly evaluated?: boolean
  readonly fallbackFor?: string
  readonly rollsBack?: boolean
  /** How it is undone, where it can be. */
  readonly undo?: Asking
  readonly kind?: 'item' | 'undo'
  /** The task that this one is an item of, or undoes. */
  readonly of?: string
}
type Asking = { readonly gated: boolean; readonly maxAttempts: number; readonly backoffSeconds: number }

export type TaskStatus = {
  readonly rules: TaskRules
  readonly state: TaskState
  /** Attempts begun. */
  readonly attempt: number
  /** Attempts begun before the run was last taken up again by a person. */
  readonly priorAttempts: number
  /** Attempts since then that ended in a failure of their own; the others were lost with their host. */
  readonly failures: number
  /** Raised when what had succeeded is done once more: then it is another effect. */
  readonly round: number
  /** Milliseconds since 1970; set while a retry waits. */
  readonly retryAt: number | null
  readonly approvalId: string | null
  readonly approved: boolean
  /** Its condition was found to hold. */
  readonly isEvaluated: boolean
  /** Into how many it was fanned out; it ends when they have. */
  readonly items: number | null
  readonly reason: string | null
}

export type RunStatus = {
  readonly state: RunState | 'New'
  /** Why it was asked to stop, once it was. */
  readonly cancelReason: string | null
  /** Why nothing more of it begins, while it is paused. */
  readonly pauseReason: string | null
  readonly reason: string | null
  readonly tasks: ReadonlyMap<string, TaskStatus>
}

export type Attempted = { readonly taskId: string; readonly attempt: number }
export type Failed = Attempted & {
  readonly reason: string
  /** The action may run again: nothing happened, or it is idempotent, and the failure may pass. */
  readonly retryable: boolean
  /** Nobody knows whether the effect happened, and it must not happen twice. */
  readonly uncertain: boolean
  /** When it failed, and a number in [0, 1) that spreads retries: the reducer has no clock and no dice. */
  readonly at: number
  readonly jitter: number
  /** The service asked not to be called earlier. */
  readonly retryAfterSeconds?: number | undefined
}

export type Evaluation =
  | { readonly kind: 'go' }
  | { readonly kind: 'skip'; readonly reason: string }
  | { readonly kind: 'fan'; readonly items: number }
  | { readonly kind: 'refuse'; readonly reason: string }

export type RunEvent =
  | { readonly type: 'RunStarted'; readonly tasks: ReadonlyMap<string, TaskRules> }
  /** The outputs before it were looked into. */
  | { readonly type: 'TaskEvaluated'; readonly taskId: string; readonly found: Evaluation }
  | ({ readonly type: 'TaskStarted' } & Attempted)
  | ({ readonly type: 'TaskSucceeded' } & Attempted)
  | ({ readonly type: 'TaskFailed' | 'TaskTimedOut' } & Failed)
  /** A task that could not even be asked for: its preview failed. */
  | { readonly type: 'TaskRefused'; readonly taskId: string; readonly reason: string }
  /** This attempt might have begun and did not in time. */
  | ({ readonly type: 'StartTimedOut'; readonly reason: string } & Attempted)
  | ({ readonly type: 'RetryDue' } & Attempted)
  | { readonly type: 'ApprovalRequested'; readonly taskId: string; readonly approvalId: string }
  /** Who was asked has changed the arguments: the question that is waited for is another one now. */
  | {
      readonly type: 'ApprovalReplaced'
      readonly taskId: string
      readonly replaces: string
      readonly approvalId: string
    }
  | ({ readonly type: 'ApprovalDecided' } & ApprovalDecision)
  /** The action or a person says whether an attempt whose outcome was unknown had its effect. */
  | ({ readonly type: 'TaskResolved'; readonly effect: 'done' | 'none'; readonly reason: string } & Attempted)
  | { readonly type: 'CancelRequested'; readonly reason: string }
  /** Nothing of it is executed: each task is skipped with what was found about it. */
  | { readonly type: 'RunObserved'; readonly reasons: ReadonlyMap<string, string> }
  | { readonly type: 'PauseRequested'; readonly reason: string }
  | { readonly type: 'ResumeRequested' }
  /** An ended run goes on: from this task, or from all that failed or were cancelled. */
  | { readonly type: 'RetryRequested'; readonly taskId: string | null }
  /** The process that ran the attempt is gone. */
  | ({ readonly type: 'HostLost'; readonly repeatable: boolean; readonly reason: string } & Attempted)

export type ApprovalDecision = {
  readonly taskId: string
  readonly approvalId: string
  readonly decision: 'approved' | 'denied' | 'expired' | 'voided'
  readonly reason: string | null
}

export type Command =
  /** Look into the outputs and say `TaskEvaluated`. */
  | { readonly type: 'Evaluate'; readonly taskId: string }
  | ({ readonly type: 'StartTask' } & Attempted)
  | { readonly type: 'RequestApproval'; readonly taskId: string }
  | ({ readonly type: 'SetTimer'; readonly at: number } & Attempted)
  | ({ readonly type: 'CancelTask' } & Attempted)
  /** Ask the action whether the attempt had its effect, if it can tell. */
  | ({ readonly type: 'Reconcile' } & Attempted)
  | { readonly type: 'FinishRun'; readonly state: RunState }

export const newRun: RunStatus = {
  state: 'New',
  cancelReason: null,
  pauseReason: null,
  reason: null,
  tasks: new Map(),
}

export const newTask = (rules: TaskRules, round = 0): TaskStatus => ({
  rules,
  state: 'Pending',
  attempt: 0,
  priorAttempts: 0,
  failures: 0,
  round,
  retryAt: null,
  approvalId: null,
  approved: false,
  isEvaluated: false,
  items: null,
  reason: null,
})

const ended: ReadonlySet<TaskState> = new Set(['Succeeded', 'Failed', 'Cancelled', 'Skipped'])
/** A task whose outcome is unknown has not ended: somebody finds out. */
export const isEnded = (state: TaskState): boolean => ended.has(state)
export const isRunEnded = (state: RunStatus['state']): boolean =>
  state === 'Succeeded' || state === 'Failed' || state === 'Cancelled'
