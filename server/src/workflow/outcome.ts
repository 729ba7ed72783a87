import type { RunOutcome } from '@keyward/contract'
import { isRunEnded, type RunStatus } from './run-status.ts'
import { isMissed } from './settle.ts'

/** What came of a run, told by the first of its tasks that went another way; null until it has ended. */
export function runOutcomeOf({ state, cancelReason, tasks }: RunStatus): RunOutcome | null {
  if (!isRunEnded(state)) return null
  if (state === 'Failed') return 'Failed'
  const missed = [...tasks].find(([, task]) => task.rules.kind === undefined && isMissed(task))
  if (state === 'Cancelled' && (cancelReason !== null || !missed)) return 'Cancelled'
  if (!missed) return 'Done'
  const [id, { reason }] = missed
  if (reason?.startsWith('approval.denied')) return 'Denied'
  if (reason?.startsWith('approval.expired')) return 'Expired'
  // What was asked for was not done, whoever was told of it since.
  if (reason?.startsWith('approval.void')) return 'Failed'
  // Something failed, and a way out of it was not allowed.
  if (state === 'Cancelled') return 'Failed'
  return ledBack(tasks, id) ? 'RolledBack' : 'MadeGood'
}

/** By the fallback that did its work. */
function ledBack(tasks: RunStatus['tasks'], id: string): boolean {
  const found = [...tasks].find(([, { rules }]) => rules.fallbackFor === id)
  if (!found) return false
  const [other, task] = found
  return isMissed(task) ? ledBack(tasks, other) : task.rules.rollsBack === true
}
