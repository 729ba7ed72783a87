import assert from 'node:assert/strict'
import { test } from 'node:test'
import { egressRecord } from '../../test/support/egress-record.ts'
import { openWorld } from '../../test/support/world.ts'
import { createEgressGate } from './egress-gate.ts'
import { createEgressLog } from './egress-log.ts'

const request = egressRecord()
const unused = (): never => assert.fail('not asked')

test('LEND-2, OBS-1: requests are read back from the audit log with their decision, filtered and in pages', async (t) => {
  const world = await openWorld(t, [])
  const gate = createEgressGate({
    ...world,
    policy: { decide: () => ({ allow: true, policies: ['agent-connects'], reason: '' }) },
    lend: { use: unused, metered: async () => [], spend: unused },
    identity: { agent: unused },
  })
  const log = createEgressLog(world.audit)
  const denied = { outcome: 'denied', status: 403, reason: 'not listed', leaseIds: [] } as const
  await gate.record(request)
  await gate.record({ ...request, outcome: 'failed', status: 502, reason: 'It does not answer.' })
  await gate.record({ ...request, agentId: 'agt_2', host: 'api.example.evil', ...denied })
  await gate.record({
    ...request,
    host: '::1',
    port: 8443,
    outcome: 'misused',
    status: 403,
    reason: 'elsewhere',
  })
  await gate.record({ ...request, runId: undefined, sandboxId: 'probe-lea_1', taskId: undefined, ...denied })
  await world.audit.recordNow({
    type: 'lease.misused',
    outcome: 'denied',
    actor: 'agent:agt_1',
    target: 'lease:lea_1',
    correlation: 'run_1',
    detail: null,
  })

  const { items, next } = await log({ limit: 10 })
  assert.equal(next, null)
  assert.deepEqual(
    items.map(({ outcome, host, port, runId, isProbe, policies }) => [
      outcome,
      `${host} ${port}`,
      runId,
      isProbe,
      policies,
    ]),
    [
      ['denied', 'api.example 443', null, true, []],
      ['misused', '::1 8443', 'run_1', false, []],
      ['denied', 'api.example.evil 443', 'run_1', false, []],
      ['failed', 'api.example 443', 'run_1', false, ['agent-connects']],
      ['allowed', 'api.example 443', 'run_1', false, ['agent-connects']],
    ],
    'the newest first; what is no request of a sandbox is not among them',
  )
  const { seq, at, isProbe, policies, ...rest } = items.at(-1) ?? assert.fail('none')
  const { placeholders, ...recorded } = request
  assert.deepEqual(rest, recorded)

  const seqs = async (filter: Parameters<typeof log>[0]) =>
    (await log(filter)).items.map(({ outcome, host }) => `${outcome} ${host}`)
  assert.deepEqual(await seqs({ limit: 10, agentId: 'agt_2' }), ['denied api.example.evil'])
  assert.deepEqual(await seqs({ limit: 10, host: 'API.example', outcome: 'denied' }), ['denied api.example'])
  assert.deepEqual(await seqs({ limit: 10, outcome: 'failed' }), ['failed api.example'])
  assert.deepEqual(await seqs({ limit: 10, runId: 'run_none' }), [])
  const first = await log({ limit: 3 })
  assert.deepEqual(await seqs({ limit: 3, cursor: first.next ?? '' }), [
    'failed api.example',
    'allowed api.example',
  ])
  await assert.rejects(log({ limit: 3, cursor: 'elsewhere' }), { code: 'request.invalid' })
})
