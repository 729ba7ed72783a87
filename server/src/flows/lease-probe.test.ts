import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiHost, newPlaceholder, newValue, openProxy } from '../../test/support/egress.ts'
import type { ProbedLease } from '../lend/index.ts'
import { createProxyProbe } from './lease-probe.ts'

const leaseOf = (placeholder: string, host = apiHost): ProbedLease => ({
  leaseId: 'lea_1',
  agentId: 'agt_1',
  runId: undefined,
  taskId: undefined,
  placeholder,
  destination: { host, port: 443 },
  injection: { kind: 'bearer' },
})

test('LEND-3: a placeholder that the proxy still exchanges is told; the value goes nowhere', async (t) => {
  const { proxy, gate } = await openProxy(t)
  const probe = createProxyProbe({ proxy })
  const placeholder = newPlaceholder()
  const lease = { value: newValue(), host: apiHost, ended: false }
  gate.leases.set(placeholder, lease)
  const [proof] = await probe(leaseOf(placeholder))
  assert.deepEqual([proof?.result, proof?.answer], ['accepted', '502 egress.unreachable'])
  lease.ended = true
  const [refused] = await probe(leaseOf(placeholder))
  assert.deepEqual([refused?.result, refused?.answer], ['refused', '403 lease.ended'])
  assert.equal(proxy.health().channels, 0)
})

test('LEND-3: who may not connect at all is refused before; what the server cannot decide is no refusal', async (t) => {
  const { proxy, gate } = await openProxy(t)
  const probe = createProxyProbe({ proxy })
  gate.denied.add(apiHost)
  assert.equal((await probe(leaseOf(newPlaceholder())))[0]?.answer, '403 egress.denied')
  const elsewhere = newPlaceholder()
  gate.leases.set(elsewhere, { value: newValue(), host: apiHost })
  const [wrong] = await probe(leaseOf(elsewhere, 'other.example.test'))
  assert.deepEqual([wrong?.result, wrong?.answer], ['unanswered', '403 egress.denied'])
  gate.resolve = () => Promise.reject(new Error('it fails'))
  assert.equal((await probe(leaseOf(elsewhere, 'other.example.test')))[0]?.result, 'unanswered')
  await proxy.stop()
  assert.equal((await probe(leaseOf(elsewhere)))[0]?.result, 'unanswered')
})
