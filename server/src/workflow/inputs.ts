import type { Json } from '@keyward/contract'
import { canonicalJson, digestOf } from '../core/index.ts'
import type { Action, TaskContext } from './action.ts'
import { type ApprovalQuestion, approvalSubject } from './gate.ts'
import { type PlannedTask, plainJson } from './plan.ts'
import { factsOf, type RunRecord } from './workflow-store.ts'

export const keyOf = (runId: string, taskId: string): string => `${runId}:${taskId}`

export const plannedOf = (run: RunRecord, taskId: string): PlannedTask | undefined =>
  run.plan.tasks.find((task) => task.id === taskId)

export async function takePreview(
  action: Action | undefined,
  { id: runId, requestedBy }: Pick<RunRecord, 'id' | 'requestedBy'>,
  { id: taskId, args }: PlannedTask,
): Promise<Json> {
  return plainJson<Json>((await action?.preview?.(args, { runId, taskId, requestedBy })) ?? null)
}

export function questionOf(run: RunRecord, planned: PlannedTask, preview: Json): ApprovalQuestion {
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
  }
}

export function contextOf(run: RunRecord, planned: PlannedTask, signal: AbortSignal): TaskContext {
  const preview = factsOf(run, planned.id).preview
  return {
    runId: run.id,
    taskId: planned.id,
    attempt: run.status.tasks.get(planned.id)?.attempt ?? 0,
    idempotencyKey: keyOf(run.id, planned.id),
    args: planned.args,
    outputs: Object.fromEntries(
      planned.needs.map((need) => [need, JSON.parse(factsOf(run, need).output ?? 'null')]),
    ),
    approvedPreview: preview === null ? null : JSON.parse(preview),
    signal,
    requestedBy: run.requestedBy,
  }
}
