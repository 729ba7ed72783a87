import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../core/index.ts'
import type { Agent } from '../identity/index.ts'
import { createPolicy } from '../policy/index.ts'
import { createEgressGate } from './egress-gate.ts'

test('IDENT-2: the sandbox of a quarantined agent, or of one that is gone, opens no connection', async () => {
  const agents = new Map([
    ['agt_1', { state: 'active' }],
    ['agt_2', { state: 'quarantined' }],
  ])
  const unused = async (): Promise<never> => assert.fail('nothing of this is asked for')
  const gate = createEgressGate({
    policy: createPolicy({ clock: systemClock }),
    identity: { agent: async (id) => agents.get(id) as Agent | undefined },
    lend: { use: unused },
    audit: { recordNow: unused },
  })
  const admit = async (agentId: string): Promise<boolean> => {
    const owner = { sandboxId: 'sbx_1', agentId, runId: 'run_1', taskId: 'agent' }
    return (await gate.admit({ ...owner, host: 'api.example.com', port: 443 })).allow
  }
  assert.deepEqual(await Promise.all(['agt_1', 'agt_2', 'agt_3'].map(admit)), [true, false, false])
})
