import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '@keyward/contract'
import { type Principal, silentLog } from '../core/index.ts'
import { createFlows } from './flows.ts'

const by: Principal = { kind: 'person', id: 'psn_1', name: 'operator', roles: ['operator'] }

test('APPR-1: a name that every object answers to is no flow, so nobody brings a plan of their own', async () => {
  const plans: unknown[] = []
  const unused = async (): Promise<never> => assert.fail('nothing of this is asked for')
  const flows = createFlows({
    store: { write: unused },
    bus: { subscribe: () => () => undefined },
    log: silentLog,
    findings: { preview: unused, release: unused, importingRuns: async () => [] },
    workflow: {
      async start(_tx, { plan }) {
        plans.push(plan)
        throw new Error('a run was started')
      },
      read: unused,
      startedBefore: async () => undefined,
    },
  })
  const plan: { [key: string]: Json } = {
    flow: 'leaked-key',
    title: 'No person was asked',
    input: null,
    tasks: [{ id: 'agent', title: 'x', action: 'agent.task', args: {}, needs: [], secrets: [] }],
  }
  for (const flow of ['constructor', 'valueOf', 'toString', '__proto__', 'hasOwnProperty'])
    await assert.rejects(flows.start({ flow, input: plan, by, unattended: false }), {
      code: 'run.plan_invalid',
    })
  assert.deepEqual(plans, [])
})
