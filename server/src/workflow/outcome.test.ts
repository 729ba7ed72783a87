import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runOutcomeOf } from './outcome.ts'
import { next } from './reducer.ts'
import { newRun, type RunEvent, type RunStatus, type TaskRules } from './run-status.ts'

const rules = (more: Partial<TaskRules> = {}): TaskRules => ({
  needs: [],
  gated: false,
  maxAttempts: 1,
  backoffSeconds: 1,
  ...more,
})

/** A deployment in small: asked for, made, watched; told when denied, led back when not well. */
const deployment = new Map([
  ['ask', rules({ gated: true })],
  ['make', rules({ needs: ['ask'] })],
  ['watch', rules({ needs: ['make'] })],
  ['explain', rules({ fallbackFor: 'ask' })],
  ['look', rules({ fallbackFor: 'watch', rollsBack: true })],
  ['back', rules({ needs: ['look'], gated: true })],
])

function after(events: readonly RunEvent[]): RunStatus {
  const begun: RunEvent = { type: 'RunStarted', tasks: deployment }
  return [begun, ...events].reduce((run, event) => next(run, event)[0], newRun)
}

const failure = { retryable: false, uncertain: false, at: 0, jitter: 0 }
const answered = (taskId: string, decision: 'approved' | 'denied' | 'expired' | 'voided'): RunEvent[] => [
  { type: 'ApprovalRequested', taskId, approvalId: `apr_${taskId}` },
  { type: 'ApprovalDecided', taskId, approvalId: `apr_${taskId}`, decision, reason: null },
]
const ran = (taskId: string, how: 'well' | 'badly' = 'well'): RunEvent[] => [
  { type: 'TaskStarted', taskId, attempt: 1 },
  how === 'well'
    ? { type: 'TaskSucceeded', taskId, attempt: 1 }
    : { type: 'TaskFailed', taskId, attempt: 1, reason: 'it broke', ...failure },
]
const deployed = [...answered('ask', 'approved'), ...ran('ask'), ...ran('make')]

test('WORK-3: what came of a run is said beside its state, however the run itself ended', () => {
  const unwell = [...deployed, ...ran('watch', 'badly'), ...ran('look')]
  const ends: [string, RunEvent[], string, string | null][] = [
    ['still under way', deployed, 'Running', null],
    ['all done', [...deployed, ...ran('watch')], 'Succeeded', 'Done'],
    ['denied, and said so', [...answered('ask', 'denied'), ...ran('explain')], 'Succeeded', 'Denied'],
    ['nobody answered', [...answered('ask', 'expired'), ...ran('explain')], 'Succeeded', 'Expired'],
    [
      'another one than was asked about',
      [...answered('ask', 'voided'), ...ran('explain')],
      'Succeeded',
      'Failed',
    ],
    [
      'denied, and could not say so',
      [...answered('ask', 'denied'), ...ran('explain', 'badly')],
      'Failed',
      'Failed',
    ],
    ['rolled back', [...unwell, ...answered('back', 'approved'), ...ran('back')], 'Succeeded', 'RolledBack'],
    ['not well, and not led back', [...unwell, ...answered('back', 'denied')], 'Cancelled', 'Failed'],
    [
      'broken half way',
      [...answered('ask', 'approved'), ...ran('ask'), ...ran('make', 'badly')],
      'Failed',
      'Failed',
    ],
    ['a person stopped it', [{ type: 'CancelRequested', reason: 'enough' }], 'Cancelled', 'Cancelled'],
  ]
  for (const [name, events, state, outcome] of ends) {
    const run = after(events)
    assert.deepEqual([run.state, runOutcomeOf(run)], [state, outcome], name)
  }
})

test('WORK-3: a denial without a fallback is a denial, and a fallback that leads nowhere back makes good', () => {
  const of = (tasks: ReadonlyMap<string, TaskRules>, events: readonly RunEvent[]) =>
    runOutcomeOf(
      [{ type: 'RunStarted', tasks } as const, ...events].reduce<RunStatus>(
        (run, event) => next(run, event)[0],
        newRun,
      ),
    )
  assert.equal(of(new Map([['ask', rules({ gated: true })]]), answered('ask', 'denied')), 'Denied')
  const other = new Map([
    ['try', rules()],
    ['otherwise', rules({ fallbackFor: 'try' })],
  ])
  assert.equal(of(other, [...ran('try', 'badly'), ...ran('otherwise')]), 'MadeGood')
})
