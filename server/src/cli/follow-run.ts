import { setTimeout as pause } from 'node:timers/promises'
import { api, type RunDetail, type TaskView } from '@keyward/contract'
import type { Client } from './client.ts'
import { printable } from './printable.ts'
import type { Terminal } from './terminal.ts'

const firstPauseMilliseconds = 200
const longestPauseMilliseconds = 2000

const bad: ReadonlySet<string> = new Set(['Failed', 'Cancelled', 'Denied', 'Expired', 'RolledBack'])

/** What was wanted did not come to be, also where the run itself came to a good end. */
export const endedBadly = ({ state, outcome }: Pick<RunDetail, 'state' | 'outcome'>): boolean =>
  bad.has(outcome ?? state)

export const isFinished = ({ state }: Pick<RunDetail, 'state'>): boolean =>
  state === 'Succeeded' || state === 'Failed' || state === 'Cancelled'

/** Tells each change of a run's tasks on standard error until the run has finished; returns it as it ended. */
export async function followRun(
  terminal: Pick<Terminal, 'note'>,
  client: Client,
  runId: string,
): Promise<RunDetail> {
  const told = new Map<string, string>()
  let wait = firstPauseMilliseconds
  for (;;) {
    const run = await client.call(api.runs.read, { runId })
    const changed = run.tasks.filter((task) => told.get(task.id) !== stateOf(task))
    for (const task of changed) {
      told.set(task.id, stateOf(task))
      terminal.note(taskLine(task))
    }
    if (isFinished(run)) return run
    wait = changed.length > 0 ? firstPauseMilliseconds : Math.min(wait * 1.5, longestPauseMilliseconds)
    await pause(wait)
  }
}

const stateOf = ({ state, attempt, approvalId }: TaskView): string => `${state} ${attempt} ${approvalId}`

function taskLine({ id, title, state, attempt, reason, approvalId }: TaskView): string {
  const again = attempt > 1 ? ` (attempt ${attempt})` : ''
  const todo = state === 'AwaitingApproval' && approvalId ? `: keyward approve ${approvalId}` : ''
  return printable(`${state.padEnd(16)}  ${id}  ${title}${again}${todo || (reason ? `: ${reason}` : '')}`)
}
