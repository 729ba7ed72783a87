import type { RunDetail, RunView, TaskView } from '@keyward/contract'
import { derivedFrom } from './derived.ts'
import { outputOf } from './inputs.ts'
import { runOutcomeOf } from './outcome.ts'
import { factsOf, plannedOf, type RunRecord } from './run-record.ts'
import type { RunSummary } from './workflow-store.ts'

const timestamp = (milliseconds: number): string => new Date(milliseconds).toISOString()
const timestampOrNull = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : timestamp(milliseconds)

export function runView(run: RunSummary): RunView {
  return {
    id: run.id,
    flow: run.flow,
    title: run.title,
    state: run.state,
    outcome: run.outcome,
    reason: run.reason,
    requestedBy: run.requestedBy,
    unattended: run.unattended,
    host: run.host,
    planDigest: run.planDigest,
    createdAt: timestamp(run.createdAt),
    finishedAt: timestampOrNull(run.finishedAt),
    taskCount: run.taskCount,
    doneCount: run.doneCount,
    parentRunId: run.parentRunId,
  }
}

export function runDetail(run: RunRecord): RunDetail {
  const { state, reason, tasks } = run.status
  const summary: RunSummary = {
    ...run,
    state: state === 'New' ? 'Running' : state,
    outcome: runOutcomeOf(run.status),
    reason,
    taskCount: tasks.size,
    doneCount: [...tasks.values()].filter((task) => task.state === 'Succeeded').length,
  }
  const known = new Map(run.plan.tasks.map((task) => [task.id, task]))
  return {
    ...runView(summary),
    tasks: [...tasks.keys()].map((id) => taskView(run, id, derivedFrom(known, id))),
  }
}

function taskView(run: RunRecord, id: string, derived: ReturnType<typeof derivedFrom>): TaskView {
  const status = run.status.tasks.get(id)
  const planned = plannedOf(run, id)
  const facts = factsOf(run, id)
  const isFanned = status?.state === 'Pending' && status.items !== null
  return {
    id,
    title: planned?.title ?? id,
    action: planned?.action ?? '',
    needs: [...(status?.rules.needs ?? [])],
    risk: planned?.risk ?? 'low',
    reversible: planned?.reversible ?? false,
    secrets: [...(planned?.secrets ?? [])],
    state: isFanned ? 'Running' : (status?.state ?? 'Pending'),
    attempt: status?.attempt ?? 0,
    reason: status?.reason ?? null,
    output: outputOf(run, id) ?? null,
    approvalId: status?.approvalId ?? null,
    kind: derived?.kind ?? 'task',
    of: derived?.of ?? null,
    childRunId: facts.childRunId,
    startedAt: timestampOrNull(facts.startedAt),
    finishedAt: timestampOrNull(facts.finishedAt),
  }
}
