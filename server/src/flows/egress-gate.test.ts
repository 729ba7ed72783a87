import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EntryInput } from '../audit/index.ts'
import type { EgressRecord } from '../proxy/index.ts'
import { createEgressGate } from './egress-gate.ts'

const record = (outcome: EgressRecord['outcome']): EgressRecord => ({
  sandboxId: 'box',
  agentId: 'agt_1',
  runId: 'run_1',
  taskId: 'agent',
  host: 'api.example',
  port: 443,
  method: 'GET',
  path: '/',
  status: null,
  outcome,
  reason: null,
  leaseIds: [],
  placeholders: 0,
  bytesOut: 0,
  bytesIn: 0,
  redactions: 0,
})

test('APPR-3, LEND-2: what failed on its way is not recorded as refused by policy', async () => {
  const entries: EntryInput[] = []
  const gate = createEgressGate({
    policy: { decide: () => ({ allow: true, policies: [], reason: '' }) },
    lend: { use: () => Promise.reject(new Error('not asked')) },
    identity: { agent: async () => undefined },
    audit: { recordNow: async (entry) => void entries.push(entry) },
  })
  for (const outcome of ['allowed', 'failed', 'denied', 'misused'] as const)
    await gate.record(record(outcome))
  assert.deepEqual(
    entries.map(({ type, outcome }) => `${type} ${outcome}`),
    ['egress.allowed done', 'egress.allowed failed', 'egress.denied denied', 'lease.misused denied'],
  )
})
