import type { RunDetail, RunView, TaskView } from '@keyward/contract'
import type { PlannedTask } from './plan.ts'
import { factsOf, type RunRecord, type RunSummary } from './workflow-store.ts'

const timestamp = (milliseconds: number): string => new Date(milliseconds).toISOString()
const timestampOrNull = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : timestamp(milliseconds)

export function runView(run: RunSummary): RunView {
  return {
    id: run.id,
    flow: run.flow,
    title: run.title,
    state: run.state,
    reason: run.reason,
    requestedBy: run.requestedBy,
    unattended: run.unattended,
    planDigest: run.planDigest,
    createdAt: timestamp(run.createdAt),
    finishedAt: timestampOrNull(run.finishedAt),
    taskCount: run.taskCount,
    doneCount: run.doneCount,
  }
}

export function runDetail(run: RunRecord): RunDetail {
  const { state, reason, tasks } = run.status
  const summary: RunSummary = {
    ...run,
    state: state === 'New' ? 'Running' : state,
    reason,
    taskCount: tasks.size,
    doneCount: [...tasks.values()].filter((task) => task.state === 'Succeeded').length,
  }
  return { ...runView(summary), tasks: run.plan.tasks.map((planned) => taskView(run, planned)) }
}

function taskView(run: RunRecord, planned: PlannedTask): TaskView {
  const status = run.status.tasks.get(planned.id)
  const facts = factsOf(run, planned.id)
  return {
    id: planned.id,
    title: planned.title,
    action: planned.action,
    needs: [...planned.needs],
    risk: planned.risk,
    reversible: planned.reversible,
    secrets: [...planned.secrets],
    state: status?.state ?? 'Pending',
    attempt: status?.attempt ?? 0,
    reason: status?.reason ?? null,
    output: facts.output === null ? null : JSON.parse(facts.output),
    approvalId: status?.approvalId ?? null,
    startedAt: timestampOrNull(facts.startedAt),
    finishedAt: timestampOrNull(facts.finishedAt),
  }
}
