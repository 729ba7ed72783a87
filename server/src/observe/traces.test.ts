import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { cleanUp } from '../../test/support/clean-up.ts'
import { begin, openStage } from '../../test/support/durable-stage.ts'
import { gate, noteAction, olga, pendingApproval, piet, planOf, task } from '../../test/support/engine.ts'
import { eventually } from '../../test/support/eventually.ts'
import { attributesOf, openOtlpServer, type SentSpan } from '../../test/support/otlp-server.ts'
import { AppError, parseTraceparent, silentLog, traceIdOf, traceparentOf } from '../core/index.ts'
import type { Action } from '../workflow/index.ts'
import { observeMigrations } from './observe-store.ts'
import { otlpSettings } from './otlp.ts'
import { createTraces } from './traces.ts'

const failing: Action = {
  name: 'fails',
  idempotent: true,
  execute: async () => {
    throw new AppError('connector.refused', `the words of the failure ${secret}`)
  },
}
const secret = `test-secret-${randomBytes(12).toString('hex')}`

async function open(t: TestContext) {
  const collector = await openOtlpServer(t)
  const stage = await openStage(t, observeMigrations)
  const { world } = stage
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.endpoint}/`,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc, x-scope = shop',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  }
  const settings = otlpSettings(env, '1.2.3') ?? assert.fail('it is to be on')
  const start = () => {
    const traces = createTraces({ ...world, log: silentLog, settings })
    traces.start()
    cleanUp(t, () => traces.stop())
    return traces
  }
  return { collector, stage, world, start }
}

const named = (spans: readonly SentSpan[], name: string): SentSpan =>
  spans.find((span) => span.name === name) ?? assert.fail(`there is no span ${name}`)
const rootOf = (spans: readonly SentSpan[]): SentSpan =>
  spans.find(({ parentSpanId }) => parentSpanId === undefined) ?? assert.fail('there is no root')

test('OBS-1: a run is one trace: itself, its attempts, its approval, linked to what asked for it', async (t) => {
  const { collector, stage, start } = await open(t)
  const engine = await stage.start([noteAction([])])
  start()
  const asking = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
  const { id } = await engine.workflow.start(undefined, {
    plan: planOf(task('a'), task('b', { needs: ['a'], approval: gate })),
    requestedBy: olga,
    unattended: false,
    traceparent: `00-${asking.traceId}-${asking.spanId}-01`,
  })
  const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
  await engine.approvals.approve(piet, approvalId, { digest })
  await engine.workflow.whenEnded(id)
  await eventually(async () => collector.spans.length >= 4, 'the trace')
  const { spans } = collector
  assert.equal(spans.length, 4)
  assert.deepEqual(new Set(spans.map(({ traceId }) => traceId)), new Set([traceIdOf(id)]))
  const root = rootOf(spans)
  assert.equal(attributesOf(root)['keyward.run.id'], id)
  assert.equal(attributesOf(root)['keyward.run.state'], 'Succeeded')
  assert.equal(attributesOf(root)['gen_ai.operation.name'], 'invoke_workflow')
  assert.deepEqual(root.links, [asking])
  const attempts = spans.filter(({ name }) => name === 'execute_tool test.note')
  assert.deepEqual(
    attempts.map((span) => [span.parentSpanId, attributesOf(span)['keyward.task.id'], span.status.code]),
    [
      [root.spanId, 'a', 0],
      [root.spanId, 'b', 0],
    ],
  )
  const told = parseTraceparent(traceparentOf({ runId: id, taskId: 'a', attempt: 1 }))
  assert.equal(attempts[0]?.spanId, told?.spanId, 'what commands are told is the span of their attempt')
  assert.equal(attributesOf(named(spans, 'approval'))['keyward.approval.outcome'], 'approved')
  const [headers] = collector.headers
  assert.deepEqual([headers?.['authorization'], headers?.['x-scope']], ['Bearer abc', 'shop'])
  assert.match(collector.bodies[0] ?? '', /"service.name".+"keyward"/)
})

test('OBS-1: a span has no reason, argument or output in it, and says by its code why it failed', async (t) => {
  const { collector, stage, start } = await open(t)
  const engine = await stage.start([failing])
  start()
  const { id } = await begin(engine, task('a', { action: 'fails', args: { value: secret } }))
  const run = await engine.workflow.whenEnded(id)
  assert.equal(run.state, 'Failed')
  await eventually(async () => collector.spans.length >= 2, 'the trace')
  const failed = named(collector.spans, 'execute_tool fails')
  assert.equal(failed.status.code, 2)
  assert.equal(attributesOf(failed)['error.type'], 'connector.refused')
  assert.equal(rootOf(collector.spans).status.code, 2)
  assert.ok(!collector.bodies.join('').includes(secret))
  assert.ok(!collector.bodies.join('').includes('the words'))
})

test('OBS-1: what ended while the collector or the server was away is sent later, once', async (t) => {
  const { collector, stage, start, world } = await open(t)
  const engine = await stage.start([noteAction([])])
  collector.instead = 503
  const before = start()
  const first = await begin(engine, task('a'))
  await engine.workflow.whenEnded(first.id)
  await eventually(async () => collector.refused > 0, 'the collector to refuse')
  await before.stop()
  const second = await begin(engine, task('a'))
  await engine.workflow.whenEnded(second.id)
  collector.instead = undefined
  const after = start()
  await eventually(async () => collector.spans.length >= 4, 'both traces')
  await after.idle()
  await after.stop()
  assert.deepEqual(
    collector.spans.map(({ traceId }) => traceId),
    [traceIdOf(first.id), traceIdOf(first.id), traceIdOf(second.id), traceIdOf(second.id)],
  )
  const third = start()
  await third.idle()
  assert.equal(collector.spans.length, 4, 'nothing is sent a second time')
  collector.instead = 503
  const last = await begin(engine, task('a'))
  await engine.workflow.whenEnded(last.id)
  await eventually(async () => collector.refused > 1, 'the collector to refuse again')
  collector.instead = undefined
  await eventually(async () => {
    world.clock.advance(60_000)
    return collector.spans.length >= 6
  }, 'the trace once more is tried')
})

test('OBS-1: what the collector will never take is given up, and the next trace is sent', async (t) => {
  const { collector, stage, start } = await open(t)
  const engine = await stage.start([noteAction([])])
  start()
  collector.instead = 400
  const refused = await begin(engine, task('a'))
  await engine.workflow.whenEnded(refused.id)
  await eventually(async () => collector.refused === 1, 'the refusal')
  collector.instead = undefined
  const taken = await begin(engine, task('a'))
  await engine.workflow.whenEnded(taken.id)
  await eventually(async () => collector.spans.length >= 2, 'the next trace')
  assert.ok(collector.spans.every(({ traceId }) => traceId === traceIdOf(taken.id)))
  assert.equal(collector.refused, 1)
})

test('OBS-1: traces are sent only where an endpoint is named, and what cannot be meant is refused', () => {
  assert.equal(otlpSettings({}, '1'), undefined)
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }
  assert.equal(otlpSettings({ ...endpoint, OTEL_SDK_DISABLED: 'TRUE' }, '1'), undefined)
  assert.equal(otlpSettings(endpoint, '1')?.url, 'http://127.0.0.1:4318/v1/traces')
  const own = { ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces.example/x' }
  assert.equal(otlpSettings(own, '1')?.url, 'https://traces.example/x')
  for (const wrong of [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: '127.0.0.1' },
    { ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: 'nothing' },
    { ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: 'a=%zz' },
  ])
    assert.throws(() => otlpSettings(wrong, '1'), { code: 'request.invalid' })
  const held = otlpSettings({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: `key=${secret}` }, '1')
  assert.ok(!JSON.stringify(held).includes(secret), 'a header is a secret')
})

test('OBS-1: a question to a language model is a span of its goal, with counts and no words', async (t) => {
  const { collector, world, start } = await open(t)
  start()
  const ask = async (goalId: string, end: { outcome: 'done' | 'failed'; code?: string }) => {
    const type = 'goal.model_asked' as const
    const entry = { type, actor: 'person:olga', target: 'model:planner-1', correlation: goalId }
    const server = 'api.openai.com:443'
    await world.audit.recordNow({ ...entry, outcome: 'intent', detail: { secretPath: secret, server } })
    world.clock.advance(1500)
    const spent = { answers: 2, inputTokens: 900, outputTokens: 40 }
    const { outcome, ...code } = end
    await world.store.write(async (tx) => {
      await world.audit.record(tx, { ...entry, outcome, detail: { ...spent, ...code } })
      const data = { ...spent, outcome, goalId }
      await world.bus.publish(tx, { type, subject: 'model:planner-1', data })
    })
  }
  await ask('goal_1', { outcome: 'done' })
  await ask('goal_2', { outcome: 'failed', code: 'goal.model_failed' })
  await eventually(async () => collector.spans.length === 2, 'both spans')
  const [good, bad] = collector.spans
  assert.ok(good && bad)
  assert.deepEqual([good.name, good.kind, good.traceId], ['chat planner-1', 3, traceIdOf('goal_1')])
  assert.equal(BigInt(good.endTimeUnixNano) - BigInt(good.startTimeUnixNano), 1_500_000_000n)
  assert.deepEqual(attributesOf(good), {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'planner-1',
    'gen_ai.output.type': 'json',
    'gen_ai.usage.input_tokens': '900',
    'gen_ai.usage.output_tokens': '40',
    'server.address': 'api.openai.com',
    'server.port': '443',
    'keyward.goal.id': 'goal_1',
    'keyward.planner.answers': '2',
  })
  assert.deepEqual([bad.status.code, attributesOf(bad)['error.type']], [2, 'goal.model_failed'])
  assert.ok(!collector.bodies.join('').includes(secret))
})
