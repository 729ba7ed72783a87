import type { RunState, TaskState } from '@keyward/contract'

/**
 * How a run goes on, as a pure function: no input or output, no clock, no randomness. A host applies it to what happened,
 * stores the state and carries out the commands. An event that does not fit the state (told twice, too late, for another
 * attempt) changes nothing and commands nothing, so a host may repeat itself after a crash.
 */
export function next(before: RunStatus, event: RunEvent): [RunStatus, Command[]] {
  const applied = settle(apply(before, event))
  if (applied === before) return [before, []]
  return [applied, commandsBetween(before, applied)]
}

export type TaskRules = {
  readonly needs: readonly string[]
  readonly gated: boolean
  readonly maxAttempts: number
  readonly backoffSeconds: number
}

export type TaskStatus = {
  readonly rules: TaskRules
  readonly state: TaskState
  /** Attempts begun. */
  readonly attempt: number
  /** Attempts that ended in a failure of their own; the others were lost with their host. */
  readonly failures: number
  /** Milliseconds since 1970; set while a retry waits. */
  readonly retryAt: number | null
  readonly approvalId: string | null
  readonly approved: boolean
  readonly reason: string | null
}

export type RunStatus = {
  readonly state: RunState | 'New'
  /** Why it was asked to stop, once it was. */
  readonly cancelReason: string | null
  readonly reason: string | null
  readonly tasks: ReadonlyMap<string, TaskStatus>
}

type Attempted = { readonly taskId: string; readonly attempt: number }
type Failed = Attempted & {
  readonly reason: string
  /** The action may run again: it is idempotent and the failure may pass. */
  readonly retryable: boolean
  /** Nobody knows whether the effect happened, and it must not happen twice. */
  readonly uncertain: boolean
  /** When it failed, and a number in [0, 1) that spreads retries: the reducer has no clock and no dice. */
  readonly at: number
  readonly jitter: number
  /** When the other side wants to be asked again, if it said so. */
  readonly retryAfterSeconds?: number | undefined
}

export type RunEvent =
  | { readonly type: 'RunStarted'; readonly tasks: ReadonlyMap<string, TaskRules> }
  | ({ readonly type: 'TaskStarted' } & Attempted)
  | ({ readonly type: 'TaskSucceeded' } & Attempted)
  | ({ readonly type: 'TaskFailed' | 'TaskTimedOut' } & Failed)
  /** A task that could not even be asked for: its preview failed. */
  | { readonly type: 'TaskRefused'; readonly taskId: string; readonly reason: string }
  | ({ readonly type: 'RetryDue' } & Attempted)
  | { readonly type: 'ApprovalRequested'; readonly taskId: string; readonly approvalId: string }
  | ({ readonly type: 'ApprovalDecided' } & ApprovalDecision)
  | { readonly type: 'CancelRequested'; readonly reason: string }
  /** The process that ran the attempt is gone. */
  | ({ readonly type: 'HostLost'; readonly repeatable: boolean; readonly reason: string } & Attempted)

export type ApprovalDecision = {
  readonly taskId: string
  readonly approvalId: string
  readonly decision: 'approved' | 'denied' | 'expired' | 'voided'
  readonly reason: string | null
}

export type Command =
  | ({ readonly type: 'StartTask' } & Attempted)
  | { readonly type: 'RequestApproval'; readonly taskId: string }
  | ({ readonly type: 'SetTimer'; readonly at: number } & Attempted)
  | ({ readonly type: 'CancelTask' } & Attempted)
  | { readonly type: 'FinishRun'; readonly state: RunState }

export const newRun: RunStatus = { state: 'New', cancelReason: null, reason: null, tasks: new Map() }

/** A task whose host died this often is taken to be what kills it. */
const mostLostAttempts = 25
const longestBackoffSeconds = 3600

const ended: ReadonlySet<TaskState> = new Set(['Succeeded', 'Failed', 'Cancelled', 'Skipped', 'Ambiguous'])
export const isEnded = (state: TaskState): boolean => ended.has(state)
export const isRunEnded = (state: RunStatus['state']): boolean =>
  state === 'Succeeded' || state === 'Failed' || state === 'Cancelled'

/** Everything that a host has to do for a run, from its state alone: what it asks itself after a restart. */
export function due(run: RunStatus): Command[] {
  if (run.state === 'New' || isRunEnded(run.state)) return []
  const commands: Command[] = []
  for (const [taskId, task] of run.tasks) {
    const { attempt } = task
    if (task.state === 'Running' && run.cancelReason !== null) {
      commands.push({ type: 'CancelTask', taskId, attempt })
    }
    if (task.state !== 'Pending' || !needsMet(run, task)) continue
    if (task.retryAt !== null) commands.push({ type: 'SetTimer', taskId, attempt, at: task.retryAt })
    else if (task.rules.gated && !task.approved) commands.push({ type: 'RequestApproval', taskId })
    else commands.push({ type: 'StartTask', taskId, attempt: attempt + 1 })
  }
  return commands
}

const needsMet = (run: RunStatus, task: TaskStatus): boolean =>
  task.rules.needs.every((need) => run.tasks.get(need)?.state === 'Succeeded')

function apply(run: RunStatus, event: RunEvent): RunStatus {
  if (event.type === 'RunStarted') return run.state === 'New' ? started(event.tasks) : run
  if (run.state === 'New' || isRunEnded(run.state)) return run
  if (event.type === 'CancelRequested') return cancelled(run, event.reason)
  const task = run.tasks.get(event.taskId)
  const changed = task && applyToTask(run, task, event)
  if (!changed) return run
  return { ...run, tasks: new Map(run.tasks).set(event.taskId, { ...task, ...changed }) }
}

type Change = Partial<Omit<TaskStatus, 'rules'>>
type TaskEvent = Exclude<RunEvent, { type: 'RunStarted' | 'CancelRequested' }>

/** What the event changes in the task, or undefined when it does not fit. */
function applyToTask(run: RunStatus, task: TaskStatus, event: TaskEvent): Change | undefined {
  switch (event.type) {
    case 'TaskStarted':
      return when(mayStart(run, task, event.attempt), () => ({
        state: 'Running',
        attempt: event.attempt,
        reason: null,
      }))
    case 'TaskSucceeded':
      return when(isRunning(task, event), () => ({ state: 'Succeeded', reason: null }))
    case 'TaskFailed':
    case 'TaskTimedOut':
      return when(isRunning(task, event), () => afterFailure(run, task, event))
    case 'TaskRefused':
      return when(task.state === 'Pending', () => ({ state: 'Failed', reason: event.reason, retryAt: null }))
    case 'RetryDue':
      return when(isWaiting(task, event), () => ({ retryAt: null }))
    case 'ApprovalRequested':
      return when(mayAsk(run, task), () => ({ state: 'AwaitingApproval', approvalId: event.approvalId }))
    case 'ApprovalDecided':
      return when(task.approvalId === event.approvalId, () => afterDecision(task, event))
    case 'HostLost':
      return when(isRunning(task, event), () => afterLoss(run, task, event))
  }
}

const when = (fits: boolean, change: () => Change | undefined): Change | undefined =>
  fits ? change() : undefined

const isWaiting = (task: TaskStatus, { attempt }: Attempted): boolean =>
  task.state === 'Pending' && task.retryAt !== null && task.attempt === attempt

const isRunning = (task: TaskStatus, { attempt }: Attempted): boolean =>
  task.state === 'Running' && task.attempt === attempt

const isFree = (run: RunStatus, task: TaskStatus): boolean =>
  task.state === 'Pending' && task.retryAt === null && needsMet(run, task)

const mayStart = (run: RunStatus, task: TaskStatus, attempt: number): boolean =>
  isFree(run, task) && attempt === task.attempt + 1 && (task.approved || !task.rules.gated)

const mayAsk = (run: RunStatus, task: TaskStatus): boolean =>
  isFree(run, task) && task.rules.gated && task.approvalId === null

function afterFailure(run: RunStatus, task: TaskStatus, event: Failed): Change {
  const failures = task.failures + 1
  if (event.uncertain) return { state: 'Ambiguous', failures, reason: event.reason }
  if (run.cancelReason !== null) return { state: 'Cancelled', failures, reason: run.cancelReason }
  if (!event.retryable || failures >= task.rules.maxAttempts) {
    return { state: 'Failed', failures, reason: event.reason }
  }
  return { state: 'Pending', failures, reason: event.reason, retryAt: retryAt(task.rules, failures, event) }
}

/** Doubling, at most an hour, and of that between a half and the whole, so that runs which failed together do not return together. */
function retryAt(
  { backoffSeconds }: TaskRules,
  failures: number,
  { at, jitter, retryAfterSeconds = 0 }: Failed,
): number {
  const seconds = Math.min(backoffSeconds * 2 ** (failures - 1), longestBackoffSeconds)
  const least = Math.min(retryAfterSeconds, longestBackoffSeconds)
  return at + Math.ceil(1000 * (least + seconds * (0.5 + jitter / 2)))
}

function afterDecision(task: TaskStatus, event: ApprovalDecision): Change | undefined {
  if (event.decision === 'voided') {
    const unused = task.state === 'AwaitingApproval' || (task.state === 'Pending' && task.approved)
    return unused
      ? { state: 'Failed', approved: false, reason: said('approval.void', event.reason) }
      : undefined
  }
  if (task.state !== 'AwaitingApproval') return undefined
  if (event.decision === 'approved') return { state: 'Pending', approved: true, reason: null }
  const code = event.decision === 'denied' ? 'approval.denied' : 'approval.expired'
  return { state: 'Cancelled', reason: said(code, event.reason) }
}

const said = (code: string, reason: string | null): string => (reason ? `${code}: ${reason}` : code)

function afterLoss(
  run: RunStatus,
  task: TaskStatus,
  { repeatable, reason }: { repeatable: boolean; reason: string },
): Change {
  if (!repeatable) return { state: 'Ambiguous', reason }
  if (run.cancelReason !== null) return { state: 'Cancelled', reason: run.cancelReason }
  const lost = task.attempt - task.failures
  if (lost < mostLostAttempts) return { state: 'Pending', reason }
  return { state: 'Failed', reason: `the server went down ${lost} times while this ran; ${reason}` }
}

function started(rules: ReadonlyMap<string, TaskRules>): RunStatus {
  const tasks = new Map<string, TaskStatus>()
  for (const [id, own] of rules) {
    tasks.set(id, {
      rules: own,
      state: 'Pending',
      attempt: 0,
      failures: 0,
      retryAt: null,
      approvalId: null,
      approved: false,
      reason: null,
    })
  }
  return { state: 'Running', cancelReason: null, reason: null, tasks }
}

/** Running tasks are told to stop and end by themselves; nothing else ever starts. */
function cancelled(run: RunStatus, reason: string): RunStatus {
  if (run.cancelReason !== null) return run
  const tasks = new Map(run.tasks)
  for (const [id, task] of tasks) {
    if (task.state === 'Pending' || task.state === 'AwaitingApproval') {
      tasks.set(id, { ...task, state: 'Cancelled', retryAt: null, reason })
    }
  }
  return { ...run, cancelReason: reason, tasks }
}

/** Skips what can no longer run, then says where the run as a whole stands. */
function settle(run: RunStatus): RunStatus {
  if (run.state === 'New' || isRunEnded(run.state)) return run
  const settled = { ...run, tasks: skipped(run.tasks) }
  const [state, reason] = standing(settled)
  const same = state === run.state && reason === run.reason && settled.tasks === run.tasks
  return same ? run : { ...settled, state, reason }
}

function skipped(before: ReadonlyMap<string, TaskStatus>): ReadonlyMap<string, TaskStatus> {
  let tasks = before
  let changed = true
  while (changed) {
    changed = false
    for (const [id, task] of tasks) {
      if (task.state !== 'Pending') continue
      const missing = task.rules.needs.find((need) => isLost(tasks.get(need)))
      if (missing === undefined) continue
      const reason = `needs '${missing}', which is ${tasks.get(missing)?.state.toLowerCase()}`
      tasks = new Map(tasks).set(id, { ...task, state: 'Skipped', retryAt: null, reason })
      changed = true
    }
  }
  return tasks
}

const isLost = (task: TaskStatus | undefined): boolean =>
  task !== undefined && isEnded(task.state) && task.state !== 'Succeeded'

/** Failed wins over cancelled, and names the first task to blame; a person's own cancel is said as that. */
function standing(run: RunStatus): [RunState, string | null] {
  const tasks = [...run.tasks]
  if (tasks.every(([, task]) => isEnded(task.state))) {
    const failed = tasks.find(([, { state }]) => state === 'Failed' || state === 'Ambiguous')
    if (failed) return ['Failed', blame(failed)]
    const stopped = tasks.find(([, { state }]) => state === 'Cancelled')
    if (run.cancelReason !== null) return ['Cancelled', run.cancelReason]
    return stopped ? ['Cancelled', blame(stopped)] : ['Succeeded', null]
  }
  const busy =
    tasks.some(([, { state }]) => state === 'Running') || due({ ...run, state: 'Running' }).length > 0
  return [busy ? 'Running' : 'AwaitingApproval', run.cancelReason]
}

const blame = ([id, task]: readonly [string, TaskStatus]): string => `${id}: ${task.reason ?? task.state}`

function commandsBetween(before: RunStatus, after: RunStatus): Command[] {
  const known = new Set(due(before).map(keyOf))
  const commands = due(after).filter((command) => !known.has(keyOf(command)))
  if (isRunEnded(after.state) && after.state !== 'New')
    commands.push({ type: 'FinishRun', state: after.state })
  return commands
}

const keyOf = (command: Command): string =>
  'taskId' in command
    ? `${command.type}:${command.taskId}:${'attempt' in command ? command.attempt : ''}`
    : command.type
