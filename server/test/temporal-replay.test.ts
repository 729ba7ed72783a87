// The workflow of Temporal has to take up what older versions of it began: histories that they recorded are replayed against it.
// After a change that keeps them replayable, record one more: KEYWARD_TEST_RECORD=server/test/support/temporal-histories/NAME.json
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Client, Connection } from '@temporalio/client'
import proto from '@temporalio/proto'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { AppError, Secret } from '../src/core/index.ts'
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

test('WORK-2: a history that the workflow cannot have made is seen', async () => {
  const [file = ''] = globSync(join(folder, '*.json'))
  const history = JSON.parse(readFileSync(file, 'utf8'))
  const scheduled = history.events.find(
    (event: { eventType: string }) => event.eventType === 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED',
  )
  scheduled.activityTaskScheduledEventAttributes.activityType.name = 'another'
  await assert.rejects(replay(history), { name: 'DeterminismViolationError' })
})

test('WORK-2: what a run leaves in Temporal can be replayed', async (t) => {
  const history = await recorded(t)
  if (!history) return
  await replay(JSON.parse(history))
  const file = process.env['KEYWARD_TEST_RECORD']
  // Which process on which machine carried it is nobody's business.
  if (file) writeFileSync(file, `${history.replaceAll(/\d+@[\w.-]+/g, 'recorded')}\n`)
})

/** A gated task, one beside it, and one that fails once. */
async function recorded(t: TestContext): Promise<string | undefined> {
  const stage = await openTemporalStage(t, recordedKey)
  if (!stage) return undefined
  const engine = await stage.start([
    {
      name: 'test.note',
      idempotent: true,
      async execute({ taskId, attempt }) {
        if (taskId === 'flaky' && attempt === 1) throw new AppError('store.unavailable', 'for now')
        return { output: taskId }
      },
    },
  ])
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
  const handle = new Client({ connection, namespace }).workflow.getHandle(id)
  await eventually(async () => (await handle.describe()).status.name === 'COMPLETED', 'the workflow to end')
  const history = JSON.stringify(await handle.fetchHistory())
  await connection.close()
  return history
}
