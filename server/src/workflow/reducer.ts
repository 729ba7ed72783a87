import { itemId } from './derived.ts'
import { due, isFree } from './due.ts'
import { retried } from './retried.ts'
import {
  type ApprovalDecision,
  type Attempted,
  type Command,
  type Evaluation,
  type Failed,
  isRunEnded,
  newTask,
  type RunEvent,
  type RunStatus,
  type TaskRules,
  type TaskStatus,
} from './run-status.ts'
import { settle } from './settle.ts'

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

/** A task whose host died this often is taken to be what kills it. */
const mostLostAttempts = 25
const longestBackoffSeconds = 3600

function apply(run: RunStatus, event: RunEvent): RunStatus {
  if (event.type === 'RunStarted') return run.state === 'New' ? started(run, event.tasks) : run
  if (event.type === 'RetryRequested') return retried(run, event.taskId)
  if (run.state === 'New' || isRunEnded(run.state)) return run
  switch (event.type) {
    case 'CancelRequested':
      return cancelled(run, event.reason)
    case 'RunObserved':
      return observed(run, event.reasons)
    case 'PauseRequested':
      return paused(run, event.reason)
    case 'ResumeRequested':
      return run.pauseReason === null ? run : { ...run, pauseReason: null }
    case 'TaskEvaluated':
      return evaluated(run, event)
    default:
      return applied(run, event)
  }
}

function applied(run: RunStatus, event: TaskEvent): RunStatus {
  const task = run.tasks.get(event.taskId)
  const changed = task && applyToTask(run, task, event)
  if (!changed) return run
  return { ...run, tasks: new Map(run.tasks).set(event.taskId, { ...task, ...changed }) }
}

type Change = Partial<Omit<TaskStatus, 'rules'>>
type RunWideEvent =
  | 'RunStarted'
  | 'CancelRequested'
  | 'RunObserved'
  | 'PauseRequested'
  | 'ResumeRequested'
  | 'RetryRequested'
  | 'TaskEvaluated'
type TaskEvent = Exclude<RunEvent, { type: RunWideEvent }>

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
      return when(isRefusable(task), () => ({ state: 'Failed', reason: event.reason, retryAt: null }))
    case 'StartTimedOut':
      return when(mayStart(run, task, event.attempt), () => ({ state: 'Failed', reason: event.reason }))
    case 'RetryDue':
      return when(isWaiting(task, event), () => ({ retryAt: null }))
    case 'ApprovalRequested':
      return when(mayAsk(run, task), () => ({ state: 'AwaitingApproval', approvalId: event.approvalId }))
    case 'ApprovalReplaced':
      return when(waitsFor(task, event.replaces), () => ({ approvalId: event.approvalId }))
    case 'ApprovalDecided':
      return when(task.approvalId === event.approvalId, () => afterDecision(task, event))
    case 'TaskResolved':
      return when(isUnknown(task, event), () => afterFinding(run, event))
    case 'HostLost':
      return when(isRunning(task, event), () => afterLoss(run, task, event))
  }
}

const when = (fits: boolean, change: () => Change | undefined): Change | undefined =>
  fits ? change() : undefined

const isRefusable = (task: TaskStatus): boolean => task.state === 'Pending' && task.items === null

const isWaiting = (task: TaskStatus, { attempt }: Attempted): boolean =>
  task.state === 'Pending' && task.retryAt !== null && task.attempt === attempt

const isRunning = (task: TaskStatus, { attempt }: Attempted): boolean =>
  task.state === 'Running' && task.attempt === attempt

const isUnknown = (task: TaskStatus, { attempt }: Attempted): boolean =>
  task.state === 'Ambiguous' && task.attempt === attempt

const isReady = (run: RunStatus, task: TaskStatus): boolean =>
  isFree(run, task) && (task.isEvaluated || !task.rules.evaluated)

const mayStart = (run: RunStatus, task: TaskStatus, attempt: number): boolean =>
  isReady(run, task) && attempt === task.attempt + 1 && (task.approved || !task.rules.gated)

const mayAsk = (run: RunStatus, task: TaskStatus): boolean =>
  isReady(run, task) && task.rules.gated && task.approvalId === null

const waitsFor = (task: TaskStatus, approvalId: string): boolean =>
  task.state === 'AwaitingApproval' && task.approvalId === approvalId

/** Goes on, is skipped, or makes room for its items. */
function evaluated(run: RunStatus, { taskId, found }: { taskId: string; found: Evaluation }): RunStatus {
  const task = run.tasks.get(taskId)
  if (!task?.rules.evaluated || task.isEvaluated || !isFree(run, task)) return run
  const tasks = new Map(run.tasks)
  switch (found.kind) {
    case 'go':
      tasks.set(taskId, { ...task, isEvaluated: true })
      break
    case 'skip':
      tasks.set(taskId, { ...task, state: 'Skipped', reason: found.reason })
      break
    case 'refuse':
      tasks.set(taskId, { ...task, state: 'Failed', reason: found.reason })
      break
    case 'fan':
      tasks.set(taskId, { ...task, isEvaluated: true, items: found.items })
      for (let i = 0; i < found.items; i++) {
        tasks.set(itemId(taskId, i), newTask(itemRules(taskId, task.rules), task.round))
      }
  }
  return { ...run, tasks }
}

/** An item waits for what the task waited for, and for nothing more: the list was there, and the condition held. */
export function itemRules(
  of: string,
  { evaluated: _asked, fallbackFor: _other, ...rules }: TaskRules,
): TaskRules {
  return { ...rules, kind: 'item', of }
}

function afterFailure(run: RunStatus, task: TaskStatus, event: Failed): Change {
  const failures = task.failures + 1
  if (event.uncertain) return { state: 'Ambiguous', failures, reason: event.reason }
  if (run.cancelReason !== null) return { state: 'Cancelled', failures, reason: run.cancelReason }
  if (!event.retryable || failures >= task.rules.maxAttempts) {
    return { state: 'Failed', failures, reason: event.reason }
  }
  return { state: 'Pending', failures, reason: event.reason, retryAt: retryAt(task.rules, failures, event) }
}

/**
 * Doubling, at most an hour, and of that between a half and the whole, so that runs which failed together do not return together;
 * counted from when the service wants to be asked again.
 */
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
  const lost = task.attempt - task.priorAttempts - task.failures
  if (lost < mostLostAttempts) return { state: 'Pending', reason }
  return { state: 'Failed', reason: `the server went down ${lost} times while this ran; ${reason}` }
}

function afterFinding(
  run: RunStatus,
  { effect, reason }: { effect: 'done' | 'none'; reason: string },
): Change {
  if (effect === 'done') return { state: 'Succeeded', reason: null }
  return run.cancelReason === null
    ? { state: 'Pending', reason }
    : { state: 'Cancelled', reason: run.cancelReason }
}

const started = (run: RunStatus, rules: ReadonlyMap<string, TaskRules>): RunStatus => ({
  ...run,
  state: 'Running',
  tasks: new Map([...rules].map(([id, own]) => [id, newTask(own)])),
})

/** Running tasks are told to stop and end by themselves; nothing else ever starts. */
function cancelled(run: RunStatus, reason: string): RunStatus {
  if (run.cancelReason !== null) return run
  const tasks = new Map(run.tasks)
  for (const [id, task] of tasks) {
    if (task.state === 'Pending' || task.state === 'AwaitingApproval') {
      tasks.set(id, { ...task, state: 'Cancelled', retryAt: null, reason })
    }
  }
  return { ...run, cancelReason: reason, pauseReason: null, tasks }
}

/** A run that only shows what it would have done is no success: nothing was done. */
function observed(run: RunStatus, reasons: ReadonlyMap<string, string>): RunStatus {
  if ([...run.tasks.values()].some(({ state }) => state !== 'Pending')) return run
  const tasks = new Map(run.tasks)
  for (const [id, task] of tasks)
    tasks.set(id, { ...task, state: 'Skipped', reason: reasons.get(id) ?? 'observed' })
  return { ...run, cancelReason: 'observed: nothing of it was executed', tasks }
}

const paused = (run: RunStatus, reason: string): RunStatus =>
  run.pauseReason !== null || run.cancelReason !== null ? run : { ...run, pauseReason: reason }

function commandsBetween(before: RunStatus, after: RunStatus): Command[] {
  const commands = commandsAfter(before, due(after))
  if (isRunEnded(after.state) && after.state !== 'New' && !isRunEnded(before.state))
    commands.push({ type: 'FinishRun', state: after.state })
  return commands
}

function commandsAfter(before: RunStatus, commands: Command[]): Command[] {
  if (commands.length === 0) return commands
  const known = new Set(due(before).map(keyOf))
  return commands.filter((command) => !known.has(keyOf(command)))
}

const keyOf = (command: Command): string =>
  'taskId' in command
    ? `${command.type}:${command.taskId}:${'attempt' in command ? command.attempt : ''}`
    : command.type
