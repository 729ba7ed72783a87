import { createCounter, createHistogram, familyOf } from './counters.ts'
import type { Family } from './exposition.ts'
import type { Happening } from './happenings.ts'

export type RunMetrics = { take(happening: Happening): void; families(): Family[] }

const endStates = ['Succeeded', 'Failed', 'Cancelled'] as const
const taskSeconds = [0.005, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600]
const answerSeconds = [1, 10, 60, 300, 1800, 7200, 28_800, 86_400, 604_800]

/** Counts of what has happened to runs since this process started. */
export function createRunMetrics(): RunMetrics {
  const started = createCounter()
  const ended = createCounter()
  const tasks = createCounter()
  const attempts = createHistogram(taskSeconds)
  const answers = createCounter()
  const waited = createHistogram(answerSeconds)
  const questions = createCounter()
  const tokens = createCounter()
  return {
    take(happening) {
      switch (happening.kind) {
        case 'run-started': {
          const { flow } = happening
          started.add({ flow })
          for (const state of endStates) ended.add({ flow, state }, 0)
          break
        }
        case 'run-finished':
          ended.add({ flow: happening.flow, state: happening.state })
          break
        case 'task-finished': {
          const { action, state, startedAt, at } = happening
          tasks.add({ action, state })
          if (startedAt !== null) attempts.observe({ action }, (at - startedAt) / 1000)
          break
        }
        case 'approval-ended': {
          const { outcome, channel, startedAt, at } = happening
          answers.add({ outcome, channel })
          waited.observe({ outcome }, (at - startedAt) / 1000)
          break
        }
        case 'model-asked': {
          const { outcome, inputTokens, outputTokens } = happening
          questions.add({ outcome })
          tokens.add({ type: 'input' }, inputTokens)
          tokens.add({ type: 'output' }, outputTokens)
          break
        }
      }
    },
    families: () => [
      familyOf('runs_started_total', 'Runs that began.', started),
      familyOf('runs_ended_total', 'Runs that ended, by how.', ended),
      familyOf(
        'task_attempts_total',
        'Ends of attempts, and of tasks without one, by what the task was then; Pending: it is tried again.',
        tasks,
      ),
      familyOf('task_attempt_seconds', 'How long attempts took.', attempts),
      familyOf(
        'approvals_ended_total',
        'Approvals that ended, by how and where they were answered.',
        answers,
      ),
      familyOf('approval_wait_seconds', 'How long approvals were open.', waited),
      familyOf('planner_goals_total', 'Goals for which a language model was asked, by outcome.', questions),
      familyOf('planner_tokens_total', 'Tokens that it took, as its service counts them.', tokens),
    ],
  }
}
