import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTraceparent, traceIdOf, traceparentOf } from './trace-context.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

test('OBS-1: a traceparent is read as the recommendation says, and what is malformed is passed over', () => {
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, sampled: true })
  assert.equal(parseTraceparent(`00-${traceId}-${spanId}-00`)?.sampled, false)
  assert.equal(parseTraceparent(`01-${traceId}-${spanId}-03-later`)?.sampled, true, 'a later version')
  for (const wrong of [
    '',
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
    ` 00-${traceId}-${spanId}-01`,
  ])
    assert.equal(parseTraceparent(wrong), undefined, wrong)
})

test('OBS-1: the trace of a run is the same for whoever carries it, and another for another run', () => {
  const attempt = { runId: 'run_1', taskId: 'a', attempt: 1 }
  const told = parseTraceparent(traceparentOf(attempt))
  assert.deepEqual(told, parseTraceparent(traceparentOf({ ...attempt })))
  assert.equal(told?.traceId, traceIdOf('run_1'))
  assert.notEqual(traceIdOf('run_1'), traceIdOf('run_2'))
  assert.notEqual(told?.spanId, parseTraceparent(traceparentOf({ ...attempt, attempt: 2 }))?.spanId)
})
