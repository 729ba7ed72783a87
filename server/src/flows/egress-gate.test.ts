import assert from 'node:assert/strict'
import { test } from 'node:test'
import { egressRecord } from '../../test/support/egress-record.ts'
import { give, openLendWorld } from '../../test/support/lend-world.ts'
import type { EntryInput } from '../audit/index.ts'
import type { Tx } from '../store/index.ts'
import { createEgressGate } from './egress-gate.ts'

const unused = (): never => assert.fail('not asked')

test('APPR-3, LEND-2: what failed on its way is not recorded as refused by policy', async () => {
  const entries: EntryInput[] = []
  const events: string[] = []
  const gate = createEgressGate({
    policy: { decide: () => ({ allow: true, policies: [], reason: '' }) },
    lend: { use: unused, metered: async () => [], spend: unused },
    store: { write: (work) => work({} as Tx) },
    identity: { agent: async () => undefined },
    bus: { publish: async (_tx, { type, subject }) => void events.push(`${type} ${subject}`) },
    audit: {
      record: async (_tx, entry) => void entries.push(entry),
      recordOnDisk: async (entry) => void entries.push(entry),
    },
  })
  for (const outcome of ['allowed', 'failed', 'denied', 'misused'] as const)
    await gate.record(egressRecord({ outcome }))
  assert.deepEqual(
    entries.map(({ type, outcome }) => `${type} ${outcome}`),
    ['egress.allowed done', 'egress.allowed failed', 'egress.denied denied', 'lease.misused denied'],
  )
  assert.deepEqual(events, ['lease.misused destination:api.example:443'], 'misuse is an alert')
  assert.deepEqual(gate.counts(), { allowed: 1, failed: 1, denied: 1, misused: 1 })
})

test('SAND-2: no default policy lets a sandbox out unseen; one that names the host does', async (t) => {
  const world = await openLendWorld(t)
  const { policy } = world
  const gate = createEgressGate({ ...world, policy })
  const at = egressRecord({ agentId: world.agent.id, host: 'pinned.example.com' })
  assert.equal((await gate.admit({ ...at, passThrough: false })).allow, true)
  assert.equal((await gate.admit({ ...at, passThrough: true })).allow, false)
  await assert.rejects(give(world, { destinations: [{ host: at.host, port: 443, tls: 'pass-through' }] }), {
    code: 'request.invalid',
  })
})

test('LEND-1: the bytes of a request are spent in the transaction that records it', async () => {
  const told: string[] = []
  const tx = {} as Tx
  const gate = createEgressGate({
    policy: { decide: () => ({ allow: true, policies: ['agent-connects'], reason: '' }) },
    lend: {
      use: unused,
      metered: async (ids) => ids.filter((id) => id === 'lea_2'),
      spend: async (given, ids, bytes) => void told.push(`${given === tx} ${ids} ${bytes}`),
    },
    identity: { agent: unused },
    bus: { publish: unused },
    audit: {
      recordOnDisk: unused,
      record: async (given, { type }) => void told.push(`${given === tx} ${type}`),
    },
    store: { write: (work) => work(tx) },
  })
  await gate.record(egressRecord({ leaseIds: ['lea_1', 'lea_2'] }))
  assert.deepEqual(told, ['true lea_2 34', 'true egress.allowed'])
})
