import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tx } from '../store/index.ts'
import { agentTaskAction } from './agent-task.ts'

test('LEND-1: what ends a lease with its task is said in words', async () => {
  const unused = (): never => assert.fail('ending a task needs nothing else')
  const told: string[] = []
  const action = agentTaskAction({
    store: { write: unused },
    audit: { record: unused, recordNow: unused },
    bus: { subscribe: unused, publish: unused },
    identity: { agent: unused },
    lend: {
      grant: unused,
      issue: unused,
      valuesForTask: unused,
      endForTask: async (_tx, runId, taskId, reason) => told.push(`${runId}/${taskId}: ${reason}`),
    },
    proxy: { open: unused, close: unused },
    sandbox: { run: unused },
    taskOutput: { open: unused },
  })
  const tx = {} as Tx
  await action.ended?.(tx, { runId: 'run_1', taskId: 'agent', reason: 'Succeeded' })
  await action.ended?.(tx, { runId: 'run_1', taskId: 'agent', reason: 'run.cancelled: by person:ada' })
  assert.deepEqual(told, [
    'run_1/agent: its task succeeded',
    'run_1/agent: its task ended: run.cancelled: by person:ada',
  ])
})
