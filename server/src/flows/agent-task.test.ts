import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLendWorld } from '../../test/support/lend-world.ts'
import { traceparentOf } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import { agentTaskAction } from './agent-task.ts'
import { createSandboxedCommands } from './sandboxed-commands.ts'

test('LEND-1: what ends a lease with its task is said in words', async () => {
  const unused = (): never => assert.fail('ending a task needs nothing else')
  const told: string[] = []
  const commands = createSandboxedCommands({
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
    sandbox: { run: unused, probe: unused },
    images: { use: unused, ofAgent: unused },
    policy: { decide: unused },
    taskOutput: { open: unused },
    artifacts: { create: unused, open: unused },
  })
  const action = agentTaskAction(commands)
  const tx = {} as Tx
  await action.ended?.(tx, { runId: 'run_1', taskId: 'agent', reason: 'Succeeded' })
  await action.ended?.(tx, { runId: 'run_1', taskId: 'agent', reason: 'run.cancelled: by person:ada' })
  assert.deepEqual(told, [
    'run_1/agent: its task succeeded',
    'run_1/agent: its task ended: run.cancelled: by person:ada',
  ])
})

test('LEND-3: an attempt that is lost leaves no lease behind, and the next has no more than what is left', async (t) => {
  const world = await openLendWorld(t)
  const { lend, agent, store } = world
  const placeholders: string[] = []
  const traceparents: (string | undefined)[] = []
  const args = {
    agentId: agent.id,
    title: 'Charge once',
    secretPath: 'secret/shop/payments',
    field: 'value',
    variable: 'KEY',
    command: ['charge'],
    workspace: null,
    environment: {},
    destinations: [{ host: 'api.example.com', port: 443 }],
    budget: { uses: 2 },
    route: null,
  }
  const commands = createSandboxedCommands({
    ...world,
    proxy: { open: async () => ({ socketPath: '', caPem: '' }), close: async () => undefined },
    sandbox: {
      probe: async () => ({ level: 'full', reasons: [], details: undefined }),
      run: async ({ env }) => {
        placeholders.push(String(env['KEY']))
        traceparents.push(env['TRACEPARENT'])
        throw new Error('the server is killed here')
      },
    },
    images: { use: () => assert.fail('no image is named'), ofAgent: async () => undefined },
    taskOutput: {
      open: () => Object.assign(Object.create(null), { onOutput: () => undefined, close: () => undefined }),
    },
    artifacts: {
      create: () => assert.fail('nothing is kept'),
      open: () => assert.fail('nothing was left'),
    },
    traced: () => traceparents.length > 0,
  })
  const action = agentTaskAction(commands)
  const attempt = (number: number) =>
    action.execute({
      runId: 'run_1',
      taskId: 'agent',
      attempt: number,
      idempotencyKey: 'run_1:agent',
      args,
      outputs: {},
      approvedPreview: null,
      risk: 'low',
      signal: new AbortController().signal,
      heartbeat: () => undefined,
      requestedBy: 'person:ada',
    })
  const use = () => {
    const at = { host: 'api.example.com', port: 443, method: 'GET', path: '/', places: ['bearer'] }
    const claim = { ...at, agentId: agent.id, sandboxId: 'sbx_1', runId: 'run_1', taskId: 'agent' }
    return lend.use({ ...claim, placeholder: placeholders.at(-1) ?? '' })
  }
  await assert.rejects(attempt(1), /killed here/)
  await use()
  await assert.rejects(attempt(2), /killed here/)
  const told = traceparentOf({ runId: 'run_1', taskId: 'agent', attempt: 2 })
  assert.deepEqual(
    traceparents,
    [undefined, told],
    'OBS-1: a command is told its trace where traces are sent',
  )
  const { items } = await lend.page({ limit: 10, runId: 'run_1' })
  assert.deepEqual(items.map(({ state, usesLeft }) => [state, usesLeft]).sort(), [
    ['active', 1],
    ['revoked', 1],
  ])
  await use()
  await assert.rejects(attempt(3), { code: 'lease.over_budget', detail: /earlier attempt/ })
  await assert.rejects(use(), { code: 'lease.ended' })
  await store.write((tx) => lend.endForTask(tx, 'run_1', 'agent', 'its task failed'))
})
