import type { Json } from '@keyward/contract'
import { AppError, canonicalJson, digestOf } from '../core/index.ts'
import type { Action, TaskContext } from './action.ts'
import { found, holds, resolved, type Scope } from './data.ts'
import { derivedFrom, itemId } from './derived.ts'
import { type ApprovalQuestion, approvalSubject } from './gate.ts'
import { type PlannedTask, plainJson } from './plan.ts'
import { factsOf, plannedOf, type RunRecord } from './run-record.ts'
import type { Evaluation } from './run-status.ts'

/** How many tasks a fanned-out one may become. */
const mostItems = 200

export const keyOf = (runId: string, taskId: string): string => `${runId}:${taskId}`

/** `<run>:<task>`, the same for each attempt; what is done once more after it went through is another effect. */
function idempotencyKeyOf(run: RunRecord, taskId: string): string {
  const round = run.status.tasks.get(taskId)?.round ?? 0
  return round === 0 ? keyOf(run.id, taskId) : `${keyOf(run.id, taskId)}:${round}`
}

/** What a task gave; of a fanned-out one the list of what its items gave. */
export function outputOf(run: RunRecord, taskId: string): Json | undefined {
  const status = run.status.tasks.get(taskId)
  if (status?.state !== 'Succeeded') return undefined
  if (status.items === null) return JSON.parse(factsOf(run, taskId).output ?? 'null')
  return Array.from({ length: status.items }, (_, i) => outputOf(run, itemId(taskId, i)) ?? null)
}

function scopeOf(run: RunRecord, taskId: string): Scope {
  const output = (id: string): Json | undefined => outputOf(run, id)
  const known = new Map(run.plan.tasks.map((task) => [task.id, task]))
  const derived = derivedFrom(known, taskId)
  const base = derived ? known.get(derived.of) : undefined
  if (!derived || !base?.forEach || derived.item === null) return { output }
  const own = itemId(base.id, derived.item)
  const list = found({ from: base.forEach.$from, data: base.forEach.path ?? '' }, { output }, 'forEach')
  return {
    // Within an undo the task that is undone is the item itself.
    output: (id) => outputOf(run, id === base.id ? own : id),
    item: Array.isArray(list) ? list[derived.item] : undefined,
  }
}

/** The task with everything in its arguments in place. Throws `task.data_missing`, or `task.data_missing` when they do not fit. */
export function filledIn(run: RunRecord, planned: PlannedTask, action: Action | undefined): PlannedTask {
  const args = resolved(planned.args, scopeOf(run, planned.id))
  const issue = action?.input?.safeParse(args).error?.issues[0]
  if (issue)
    throw new AppError(
      'task.data_missing',
      `${['args', ...issue.path.map(String)].join('.')}: ${issue.message}`,
    )
  return { ...planned, args }
}

/** The input of a run that is a task of this one. */
export const subrunInputOf = (run: RunRecord, taskId: string, input: Json): Json =>
  resolved(input, scopeOf(run, taskId), 'subrun.input')

/** What a condition and a list come to, now that what they ask about is there. */
export function evaluationOf(run: RunRecord, taskId: string): Evaluation {
  const planned = plannedOf(run, taskId)
  const scope = scopeOf(run, taskId)
  const same = (a: Json, b: Json): boolean => canonicalJson(a) === canonicalJson(b)
  if (planned?.when && !holds(planned.when, scope, same))
    return { kind: 'skip', reason: 'its condition does not hold' }
  if (!planned?.forEach) return { kind: 'go' }
  try {
    const list = found({ from: planned.forEach.$from, data: planned.forEach.path ?? '' }, scope, 'forEach')
    if (!Array.isArray(list))
      return { kind: 'refuse', reason: 'task.data_missing: forEach: this is not a list' }
    if (list.length <= mostItems) return { kind: 'fan', items: list.length }
    return {
      kind: 'refuse',
      reason: `task.data_missing: forEach: ${list.length} items; ${mostItems} are the most`,
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { kind: 'refuse', reason: `${error.code}: ${error.detail}` }
  }
}

export async function takePreview(
  action: Action | undefined,
  { id: runId, requestedBy }: Pick<RunRecord, 'id' | 'requestedBy'>,
  { id: taskId, args }: PlannedTask,
): Promise<Json> {
  return plainJson<Json>((await action?.preview?.(args, { runId, taskId, requestedBy })) ?? null)
}

/**
 * Who answers may change what the action itself can check, unless the plan undoes it: an undo is planned for the arguments as
 * they were.
 */
export const isChangeable = ({ compensate }: PlannedTask, action: Action | undefined): boolean =>
  action?.input !== undefined && compensate === undefined

/** @param planned with its arguments filled in: what is approved is what runs. */
export function questionOf(
  run: RunRecord,
  planned: PlannedTask,
  { action, preview }: { action: Action | undefined; preview: Json },
): ApprovalQuestion {
  const subject = approvalSubject(planned, run.planDigest, preview)
  return {
    runId: run.id,
    taskId: planned.id,
    action: planned.action,
    title: planned.title,
    rules: planned.approval ?? { target: planned.action, expiresInSeconds: 0 },
    requestedBy: run.requestedBy,
    risk: planned.risk,
    reversible: planned.reversible,
    args: planned.args,
    preview,
    planDigest: run.planDigest,
    subject: canonicalJson(subject),
    digest: digestOf(subject),
    unattended: run.unattended,
    changeable: isChangeable(planned, action),
  }
}

/** Throws `task.data_missing` when an argument's source did not give it. */
export function contextOf(
  run: RunRecord,
  planned: PlannedTask,
  { action, signal, heartbeat }: { action: Action; signal: AbortSignal; heartbeat?: () => void },
): TaskContext {
  const preview = factsOf(run, planned.id).preview
  return {
    runId: run.id,
    taskId: planned.id,
    attempt: run.status.tasks.get(planned.id)?.attempt ?? 0,
    idempotencyKey: idempotencyKeyOf(run, planned.id),
    args: filledIn(run, planned, action).args,
    risk: planned.risk,
    outputs: Object.fromEntries(planned.needs.map((need) => [need, outputOf(run, need) ?? null])),
    approvedPreview: preview === null ? null : JSON.parse(preview),
    signal,
    heartbeat: heartbeat ?? (() => undefined),
    requestedBy: run.requestedBy,
  }
}
