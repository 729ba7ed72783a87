// The workflow of Temporal has to take up what older versions of it began: histories that they recorded are replayed against it.
// After a change that keeps them replayable, record one more: KEYWARD_TEST_RECORD=server/test/support/temporal-histories/NAME
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Client, Connection } from '@temporalio/client'
import proto from '@temporalio/proto'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { AppError, Secret } from '../src/core/index.ts'
import type { Action } from '../src/workflow/index.ts'
import { failureConverterPath, workflowBundle } from '../src/workflow/temporal/bundle.ts'
import { createCodec } from '../src/workflow/temporal/codec.ts'
import { gate, olga, pendingApproval, piet, planOf, task } from './support/engine.ts'
import { eventually } from './support/eventually.ts'
import { openTemporalStage } from './support/temporal-stage.ts'

/** Made from a text, because what was recorded with it has to be readable for ever. */
const recordedKey = new Secret(createHash('sha256').update('recorded histories of runs').digest('base64'))
const folder = join(import.meta.dirname, 'support', 'temporal-histories')

const quiet = { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } } as const
Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: quiet })

const replay = async (history: { [field: string]: unknown }): Promise<void> =>
  Worker.runReplayHistory(
    {
      workflowBundle: await workflowBundle(),
      dataConverter: { payloadCodecs: [createCodec(recordedKey)], failureConverterPath },
    },
    proto.temporal.api.history.v1.History.fromObject(history),
  )

test('WORK-2: the workflow of now goes on with the runs that older versions began', async () => {
  const files = globSync(join(folder, '*.json'))
  assert.ok(files.length > 0, 'there are recordings')
  for (const file of files) await replay(JSON.parse(readFileSync(file, 'utf8')))
})

test('WORK-2: the workflow of now goes on from wherever an older version stood', async () => {
  for (const file of globSync(join(folder, '*.json'))) {
    const { events }: { events: { eventType: string }[] } = JSON.parse(readFileSync(file, 'utf8'))
    const ends = events.flatMap(({ eventType }, i) =>
      eventType === 'EVENT_TYPE_WORKFLOW_TASK_STARTED' ? [i + 1] : [],
    )
    assert.ok(ends.length > 1)
    for (const end of ends) await replay({ events: events.slice(0, end) })
  }
})

test('WORK-2: a history that the workflow cannot have made is seen', async () => {
  const history = JSON.parse(readFileSync(join(folder, 'gated-and-retried.json'), 'utf8'))
  const scheduled = history.events.find(
    (event: { eventType: string }) => event.eventType === 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED',
  )
  scheduled.activityTaskScheduledEventAttributes.activityType.name = 'another'
  await assert.rejects(replay(history), { name: 'DeterminismViolationError' })
})

test('WORK-2: what a run leaves in Temporal can be replayed, each of its histories', async (t) => {
  const histories = await recorded(t)
  if (!histories) return
  assert.ok(histories.length > 1, 'the run went on in a new history')
  const file = process.env['KEYWARD_TEST_RECORD']
  for (const [i, history] of histories.entries()) {
    await replay(JSON.parse(history))
    // Which process on which machine carried it is nobody's business.
    if (file) writeFileSync(`${file}-${i + 1}.json`, `${history.replaceAll(/\d+@[\w.-]+/g, 'recorded')}\n`)
  }
})

/** A gated task, one beside it, and one that fails once; the last history first. */
async function recorded(t: TestContext): Promise<string[] | undefined> {
  const stage = await openTemporalStage(t, recordedKey)
  if (!stage) return undefined
  const flaky: Action = {
    name: 'test.note',
    idempotent: true,
    async execute({ taskId, attempt }) {
      if (taskId === 'flaky' && attempt === 1) throw new AppError('store.unavailable', 'for now')
      return { output: taskId }
    },
  }
  const engine = await stage.start([flaky], { longHistory: 30 })
  const plan = planOf(
    task('first'),
    task('gated', { needs: ['first'], approval: gate }),
    task('beside', { needs: ['first'] }),
    task('flaky', { needs: ['gated'], retry: { maxAttempts: 2, backoffSeconds: 1 } }),
  )
  const { id } = await engine.workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
  const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
  await engine.approvals.approve(piet, approvalId, { digest })
  await engine.workflow.whenEnded(id)
  const { address, namespace } = stage.temporal
  const connection = await Connection.connect({ address })
  const { workflow } = new Client({ connection, namespace })
  await eventually(
    async () => (await workflow.getHandle(id).describe()).status.name === 'COMPLETED',
    'the workflow to end',
  )
  const histories: string[] = []
  let before: string | null | undefined
  do {
    const history = await workflow.getHandle(id, before ?? undefined).fetchHistory()
    histories.push(JSON.stringify(history))
    before = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId
  } while (before)
  await connection.close()
  return histories
}
