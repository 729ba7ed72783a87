import type { PlannedTask } from './plan.ts'
import type { TaskRules } from './run-status.ts'

/** What the reducer has to know of a task. */
export function rulesOf(task: PlannedTask): TaskRules {
  const { approval, when, forEach, after, fallbackFor, rollsBack, compensate } = task
  const attempts = {
    maxAttempts: task.retry?.maxAttempts ?? 1,
    backoffSeconds: task.retry?.backoffSeconds ?? 1,
  }
  return {
    needs: task.needs,
    gated: approval !== undefined,
    ...attempts,
    ...(when || forEach ? { evaluated: true } : {}),
    ...(after === 'end' ? { afterEnd: true } : {}),
    ...(fallbackFor === undefined ? {} : { fallbackFor }),
    ...(rollsBack ? { rollsBack } : {}),
    ...(compensate
      ? { undo: { gated: compensate.approval !== undefined, ...(task.retry ? attempts : undoAttempts) } }
      : {}),
  }
}

/** Of an undo whose task says nothing about retries. */
export const undoAttempts = { maxAttempts: 5, backoffSeconds: 2 }
