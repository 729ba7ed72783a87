import type { EgressRecord } from '../../src/proxy/index.ts'

/** What the proxy tells of one request that was let through with a lease; `more` is what differs. */
export const egressRecord = (more: Partial<EgressRecord> = {}): EgressRecord => ({
  sandboxId: 'box',
  agentId: 'agt_1',
  runId: 'run_1',
  taskId: 'agent',
  host: 'api.example',
  port: 443,
  method: 'GET',
  path: '/v1',
  status: 200,
  outcome: 'allowed',
  reason: null,
  leaseIds: ['lea_1'],
  placeholders: 1,
  bytesOut: 4,
  bytesIn: 30,
  redactions: 1,
  ...more,
})
