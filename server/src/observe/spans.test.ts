import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEntry, Json } from '@keyward/contract'
import { spansOf } from './spans.ts'

let seq = 0
function entry(type: AuditEntry['type'], more: Partial<AuditEntry> & { detail?: Json } = {}): AuditEntry {
  seq++
  return {
    ...{ seq, id: `ent_${seq}`, type, outcome: 'done', actor: 'system:workflow', target: 'run:r1' },
    ...{ correlation: 'r1', detail: {}, previous: '', hash: '' },
    at: new Date(Date.UTC(2026, 0, 1) + seq * 1000).toISOString(),
    ...more,
  }
}

const target = 'task:r1:a'

test('OBS-1: sandboxes and requests lie within their attempt, secrets are events of it, and no path or value is told', () => {
  const spans = spansOf([
    entry('run.started', { detail: { flow: 'shop' } }),
    entry('task.started', {
      ...{ target, outcome: 'intent' },
      detail: { action: 'agent.task', attempt: 1, requestedBy: 'agent:agt_1' },
    }),
    entry('connection.used', { target: 'connection:c1', detail: { taskId: 'a', secretPath: 'secret/x' } }),
    entry('sandbox.started', { target, actor: 'agent:agt_1', detail: { driver: 'bubblewrap' } }),
    entry('lease.used', { target: 'lease:l1', detail: { taskId: 'a' } }),
    entry('egress.allowed', {
      target: 'destination:api.example:443',
      detail: { taskId: 'a', method: 'POST', path: '/v1/hidden', status: 200, bytesIn: 5, bytesOut: 7 },
    }),
    entry('egress.denied', {
      ...{ target: 'destination:::1:22', outcome: 'denied' },
      detail: { taskId: 'a', method: 'odd method' },
    }),
    entry('sandbox.finished', { target, outcome: 'failed', detail: { exitCode: 3, limit: null } }),
    entry('task.finished', { target, outcome: 'failed', detail: { state: 'Failed', attempt: 1 } }),
    entry('run.finished', { outcome: 'failed', detail: { state: 'Failed' } }),
  ])
  const names = spans.map(({ name }) => name)
  const wanted = ['POST', 'connect', 'invoke_agent', 'execute_tool agent.task', 'invoke_workflow shop']
  assert.deepEqual(names, wanted)
  const [post, odd, sandbox, attempt, run] = spans
  assert.deepEqual(
    [post?.parentSpanId, odd?.parentSpanId, sandbox?.parentSpanId, attempt?.parentSpanId, run?.parentSpanId],
    [sandbox?.spanId, sandbox?.spanId, attempt?.spanId, run?.spanId, undefined],
  )
  assert.deepEqual(post?.attributes, {
    'http.request.method': 'POST',
    'server.address': 'api.example',
    'server.port': 443,
    'http.response.status_code': 200,
    'http.request.size': 7,
    'http.response.size': 5,
    'keyward.egress.event': 'egress.allowed',
  })
  assert.deepEqual([odd?.attributes['server.address'], odd?.failed, odd?.kind], ['::1', true, 'client'])
  assert.deepEqual(
    [attempt?.events.map(({ name }) => name), sandbox?.events.map(({ name }) => name)],
    [['connection.used'], ['lease.used']],
  )
  assert.deepEqual(
    [sandbox?.attributes['process.exit.code'], sandbox?.attributes['gen_ai.agent.id'], sandbox?.failed],
    [3, 'agt_1', true],
  )
  assert.equal(attempt?.attributes['gen_ai.agent.id'], 'agt_1')
  assert.doesNotMatch(JSON.stringify(spans), /hidden|secret\/x/)
  assert.equal(run?.startAt !== undefined && run.startAt < run.endAt, true)
})

test('OBS-1: a run that goes on after its end has a span for each round, in one trace', () => {
  const round = (attempt: number) => [
    entry('task.started', { target, outcome: 'intent', detail: { action: 'x', attempt } }),
    entry('task.finished', { target, detail: { state: 'Failed', attempt } }),
    entry('run.finished', { detail: { state: 'Failed' } }),
  ]
  const spans = spansOf([
    entry('run.started', { detail: { flow: 'shop' } }),
    ...round(1),
    entry('run.retried'),
    ...round(2),
  ])
  const names = spans.map(({ name }) => name)
  const each = ['execute_tool x', 'invoke_workflow shop']
  assert.deepEqual(names, [...each, ...each])
  assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, 4)
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1)
  assert.equal(spans[2]?.parentSpanId, spans[3]?.spanId)
})

test('OBS-1: what is still open when a run ends is ended with it; entries that are no run of ours make no span', () => {
  const spans = spansOf([
    entry('run.started', { detail: 'odd' }),
    entry('approval.requested', { target: 'approval:p1' }),
    entry('run.finished', { detail: { state: 'Cancelled' } }),
    entry('approval.cancelled', { target: 'approval:p1' }),
  ])
  assert.deepEqual(
    spans.map(({ name }) => name),
    ['approval', 'invoke_workflow unknown'],
  )
  assert.deepEqual(spansOf([entry('task.finished', { target }), entry('run.finished')]), [])
})
