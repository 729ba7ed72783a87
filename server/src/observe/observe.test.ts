import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LiveEvent } from '@keyward/contract'
import { createTestClock } from '../../test/support/world.ts'
import { silentLog } from '../core/index.ts'
import { createCounter, createHistogram } from './counters.ts'
import { expositionOf } from './exposition.ts'
import { createObserve } from './observe.ts'

const unused = async (): Promise<never> => assert.fail('nobody asks')
const at = (second: number): string => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString()

function open() {
  const lines: { fields: Record<string, unknown>; message: string }[] = []
  let hear: (event: LiveEvent) => void = () => undefined
  const observe = createObserve({
    store: { write: unused, get: unused, all: unused },
    audit: { page: unused, counts: () => new Map([['factor.refused', new Map([['denied', 3]])]]) },
    clock: createTestClock(),
    env: {},
    version: '0',
    bus: {
      since: unused,
      subscribe(listener) {
        hear = listener
        return () => {
          hear = () => undefined
        }
      },
    },
    log: { ...silentLog, info: (fields, message) => void lines.push({ fields, message }) },
    work: async () => ({
      runs: { Running: 2, AwaitingApproval: 1 },
      running: { count: 1, oldestAt: 1_500, limitAt: 901_500 },
      ambiguous: { count: 0, oldestAt: null },
    }),
    oldestApprovalAt: async () => null,
    factors: () => [{ kind: 'totp', outcome: 'refused', count: 2 }],
    problems: async () =>
      new Map([
        ['store', false],
        ['lease receipts', true],
      ]),
  })
  const stop = observe.start()
  const say = (type: LiveEvent['type'], second: number, data: LiveEvent['data']): void =>
    hear({ seq: 1, type, subject: 'run:r1', at: at(second), data })
  return { observe, stop, say, lines }
}

const shownIn = (text: string, name: string): string[] =>
  text.split('\n').filter((line) => line.startsWith(`keyward_${name}`))

test('OBS-1: runs, attempts and approvals are counted by flow, action and outcome, and timed', async () => {
  const { observe, say, stop } = open()
  say('run.started', 0, { runId: 'r1', flow: 'shop', title: 'Shop' })
  assert.deepEqual(shownIn(await observe.metrics(), 'runs_ended_total'), [
    'keyward_runs_ended_total{flow="shop",state="Succeeded"} 0',
    'keyward_runs_ended_total{flow="shop",state="Failed"} 0',
    'keyward_runs_ended_total{flow="shop",state="Cancelled"} 0',
  ])
  const task = { runId: 'r1', taskId: 'a', action: 'file.read', attempt: 1 }
  say('task.finished', 3, { ...task, state: 'Pending', startedAt: at(1) })
  say('task.finished', 9, { ...task, state: 'Skipped', startedAt: null })
  const asked = { approvalId: 'p', runId: 'r1', taskId: 'a', requestedAt: at(0) }
  say('approval.approved', 30, { ...asked, state: 'approved', channel: 'cli' })
  say('approval.expired', 30, { ...asked, state: 'expired', channel: null })
  say('run.finished', 40, { runId: 'r1', flow: 'shop', state: 'Failed', startedAt: at(0) })
  const text = await observe.metrics()
  assert.deepEqual(shownIn(text, 'runs_ended_total{flow="shop",state="Failed"}'), [
    'keyward_runs_ended_total{flow="shop",state="Failed"} 1',
  ])
  assert.deepEqual(shownIn(text, 'task_attempts_total'), [
    'keyward_task_attempts_total{action="file.read",state="Pending"} 1',
    'keyward_task_attempts_total{action="file.read",state="Skipped"} 1',
  ])
  assert.deepEqual(shownIn(text, 'task_attempt_seconds').slice(3, 6), [
    'keyward_task_attempt_seconds_bucket{action="file.read",le="1"} 0',
    'keyward_task_attempt_seconds_bucket{action="file.read",le="5"} 1',
    'keyward_task_attempt_seconds_bucket{action="file.read",le="15"} 1',
  ])
  assert.deepEqual(shownIn(text, 'task_attempt_seconds_count'), [
    'keyward_task_attempt_seconds_count{action="file.read"} 1',
  ])
  assert.deepEqual(shownIn(text, 'approvals_ended_total'), [
    'keyward_approvals_ended_total{outcome="approved",channel="cli"} 1',
    'keyward_approvals_ended_total{outcome="expired",channel="none"} 1',
  ])
  assert.deepEqual(shownIn(text, 'approval_wait_seconds_sum{outcome="approved"}'), [
    'keyward_approval_wait_seconds_sum{outcome="approved"} 30',
  ])
  await stop()
  say('run.started', 50, { runId: 'r2', flow: 'late', title: 'Late' })
  assert.doesNotMatch(await observe.metrics(), /late/)
})

test('OBS-1: how much work is in hand, since when, and what has a problem', async () => {
  const { observe } = open()
  const text = await observe.metrics()
  for (const line of [
    'keyward_runs{state="Running"} 2',
    'keyward_tasks{state="Running"} 1',
    'keyward_task_oldest_timestamp_seconds{state="Running"} 1.5',
    'keyward_task_oldest_timestamp_seconds{state="Ambiguous"} 0',
    'keyward_task_limit_timestamp_seconds 901.5',
    'keyward_approval_oldest_timestamp_seconds 0',
    'keyward_events_total{event="factor.refused",outcome="denied"} 3',
    'keyward_second_factor_attempts_total{kind="totp",outcome="refused"} 2',
    'keyward_problem{part="store"} 0',
    'keyward_problem{part="lease receipts"} 1',
  ])
    assert.ok(text.split('\n').includes(line), line)
})

test('OBS-1: each end in the log names its run and task; what an earlier version said is passed over', () => {
  const { say, lines } = open()
  say('task.finished', 3, {
    ...{ runId: 'r1', taskId: 'a', action: 'file.read', attempt: 1 },
    ...{ state: 'Failed', startedAt: at(1) },
  })
  say('task.finished', 3, { runId: 'r1', taskId: 'a', state: 'Failed', attempt: 1 })
  say('run.paused', 3, { runId: 'r1' })
  assert.deepEqual(lines, [
    {
      fields: { runId: 'r1', taskId: 'a', action: 'file.read', attempt: 1, state: 'Failed', seconds: 2 },
      message: 'a task ended an attempt',
    },
  ])
})

test('OBS-1: labels are bounded in number and cannot break the exposition', () => {
  const counter = createCounter()
  for (let i = 0; i < 700; i++) counter.add({ flow: `f${i}` })
  counter.add({ flow: 'f0' })
  const samples = counter.samples()
  assert.equal(samples.length, 501)
  assert.deepEqual(samples.at(-1), { labels: { flow: 'other' }, value: 200 })
  assert.equal(samples[0]?.value, 2)
  const odd = createCounter()
  odd.add({ flow: 'a"b\\c\nd' })
  assert.equal(
    expositionOf([{ name: 'x_total', kind: 'counter', help: 'X.', samples: odd.samples() }]),
    '# HELP keyward_x_total X.\n# TYPE keyward_x_total counter\nkeyward_x_total{flow="a\\"b\\\\c\\nd"} 1\n',
  )
  assert.equal(expositionOf([{ name: 'y', kind: 'gauge', help: 'Y.', samples: [] }]), '')
})

test('OBS-1: a value on the bound of a bucket is in it, one above the last is in +Inf', () => {
  const histogram = createHistogram([1, 2])
  for (const value of [1, 2, 3]) histogram.observe({}, value)
  assert.deepEqual(
    histogram.samples().map(({ suffix, labels, value }) => [suffix, labels?.['le'], value]),
    [
      ['_bucket', '1', 1],
      ['_bucket', '2', 2],
      ['_bucket', '+Inf', 3],
      ['_sum', undefined, 6],
      ['_count', undefined, 3],
    ],
  )
})

test('OBS-1, WORK-1: what a language model was asked for plans is counted, with its tokens', async () => {
  const { observe, say, lines } = open()
  say('goal.model_asked', 1, { answers: 1, inputTokens: 900, outputTokens: 40, outcome: 'done' })
  say('goal.model_asked', 2, { answers: 3, inputTokens: 100, outputTokens: 2, outcome: 'failed' })
  const text = await observe.metrics()
  assert.deepEqual(shownIn(text, 'planner_'), [
    'keyward_planner_goals_total{outcome="done"} 1',
    'keyward_planner_goals_total{outcome="failed"} 1',
    'keyward_planner_tokens_total{type="input"} 1000',
    'keyward_planner_tokens_total{type="output"} 42',
  ])
  assert.equal(lines.length, 2)
})
