import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planOf, task } from '../../../test/support/engine.ts'
import { createTestClock } from '../../../test/support/world.ts'
import { due } from '../due.ts'
import { next } from '../reducer.ts'
import { rulesOf } from '../rules.ts'
import type { RunRecord } from '../run-record.ts'
import { newRun, type RunEvent } from '../run-status.ts'
import { createSharedKeys } from '../shared-keys.ts'
import { createTurns } from './turns.ts'

function open() {
  const clock = createTestClock()
  const told: string[] = []
  const late: string[] = []
  const turns = createTurns({
    clock,
    keys: createSharedKeys(),
    tell: (runId) => void told.push(runId),
    giveUp: ({ runId, taskId, attempt, seconds }) =>
      void late.push(`${runId}:${taskId}#${attempt} after ${seconds}`),
  })
  const look = (run: RunRecord) => [...turns.look(run, due(run.status))]
  return { clock, turns, told, late, look }
}

/** A run of one task that shares a key. */
function runOf(id: string, { priority = 0, limit = 1, startTimeoutSeconds = 60 } = {}): RunRecord {
  const shared = { concurrencyKey: 'shop', concurrencyLimit: limit, startTimeoutSeconds }
  const plan = { ...planOf(task('a', shared)), priority }
  const [status] = next(newRun, {
    type: 'RunStarted',
    tasks: new Map(plan.tasks.map((one) => [one.id, rulesOf(one)])),
  })
  return {
    ...{ id, plan, status, host: 'temporal', flow: 'test', title: id, requestedBy: 'person:olga' },
    ...{ unattended: false, planDigest: '', createdAt: 0, parentRunId: null, parentTaskId: null },
    ...{ revision: 0, finishedAt: null, facts: new Map() },
  }
}

const after = (run: RunRecord, event: RunEvent): RunRecord => ({ ...run, status: next(run.status, event)[0] })

test('WORK-1: as many may begin as the key has room for; the others are told when their turn comes', () => {
  const { turns, told, look } = open()
  const [one, two, three] = ['one', 'two', 'three'].map((id) => runOf(id, { limit: 2 })) as [
    RunRecord,
    RunRecord,
    RunRecord,
  ]
  assert.deepEqual([look(one), look(two), look(three)], [['a'], ['a'], []])
  assert.ok(turns.take(one, 'a') && turns.take(two, 'a'))
  assert.equal(turns.take(three, 'a'), false)
  assert.deepEqual([look(three), told], [[], []])
  turns.free(one, 'a')
  assert.deepEqual([told, look(three)], [['three'], ['a']])
})

test('WORK-1: the more urgent goes first, and who leaves the line gives its place to the next', () => {
  const { turns, told, look } = open()
  const first = runOf('first')
  look(first)
  assert.ok(turns.take(first, 'a'))
  const urgent = runOf('urgent', { priority: 5 })
  assert.deepEqual([look(runOf('later')), look(urgent)], [[], []])
  turns.free(first, 'a')
  assert.deepEqual(told, ['urgent'])
  look(after(urgent, { type: 'PauseRequested', reason: 'not now' }))
  assert.deepEqual(told, ['urgent', 'later'])
  turns.forget('later')
  assert.deepEqual(look(urgent), ['a'])
})

test('WORK-2: whoever was told and does not begin is told again', () => {
  const { clock, turns, told, look } = open()
  const first = runOf('first')
  look(first)
  turns.take(first, 'a')
  look(runOf('lost'))
  turns.free(first, 'a')
  turns.remind()
  assert.deepEqual(told, ['lost'])
  clock.advance(30_000)
  turns.remind()
  turns.remind()
  assert.deepEqual(told, ['lost', 'lost'])
})

test('WORK-1: the time to begin counts from the first look, once for an attempt, and not for what waits no more', () => {
  const { clock, turns, late, look } = open()
  const run = runOf('late')
  look(run)
  clock.advance(59_000)
  look(run)
  clock.advance(1000)
  assert.deepEqual(late, ['late:a#1 after 60'])
  const paused = runOf('paused')
  look(paused)
  look(after(paused, { type: 'PauseRequested', reason: 'not now' }))
  look(runOf('stopped'))
  turns.clear()
  clock.advance(60_000)
  assert.equal(late.length, 1)
})
