import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, lent, openLendWorld, system } from '../../test/support/lend-world.ts'
import { watchEgressEnds } from './egress-cuts.ts'

test('LEND-1, SAND-2: a revoked lease, one whose time is over and a quarantined agent are cut in the proxy', async (t) => {
  const world = await openLendWorld(t)
  const { bus, store, lend, identity, agent } = world
  const cuts: unknown[] = []
  const end = watchEgressEnds({ bus, proxy: { cut: (which, reason) => cuts.push([which, reason]) } })
  const { lease } = await lent(world)
  const second = await lend.request(ask(world))
  await store.write((tx) => lend.revoke(tx, lease.id, 'not needed any more', system))
  world.clock.advance(600_000)
  await lend.expireDue()
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'quarantined', system, 'it misbehaves'))
  end()
  assert.deepEqual(cuts, [
    [{ leaseId: lease.id }, 'Its lease was revoked.'],
    [{ leaseId: second.lease.id }, 'The time of its lease was over.'],
    [{ agentId: agent.id }, 'The agent was quarantined.'],
  ])
})
