import assert from 'node:assert/strict'
import { test } from 'node:test'
import { give, type LendWorld, lent, openLendWorld, system } from '../../test/support/lend-world.ts'

const place = { host: 'api.example.com', port: 443 }
const narrow = { ...place, methods: ['POST'], pathPattern: '/v1/*/refunds' }
const other = { host: 'files.example.com', port: 8443 }

const ways = async ({ lend, agent }: LendWorld) =>
  (await lend.reach(agent.id)).ways.map(({ kind, destination, open, reason }) => [
    kind,
    `${destination.host}:${destination.port}`,
    open,
    reason,
  ])

test('LEND-2: each live lease and grant is a way out, one for each place', async (t) => {
  const world = await openLendWorld(t)
  assert.deepEqual(await ways(world), [])
  await give(world, { destinations: [narrow, other], injection: { kind: 'bearer' }, field: 'value' })
  await lent(world, { destinations: [place] }, { destinations: [place], maxLeases: 1 })
  assert.deepEqual(await ways(world), [
    ['lease', 'api.example.com:443', true, 'It holds a lease.'],
    ['grant', 'api.example.com:443', true, 'It may ask for a lease.'],
    ['grant', 'files.example.com:8443', true, 'It may ask for a lease.'],
  ])
  const { ways: seen } = await world.lend.reach(world.agent.id)
  assert.deepEqual(
    [seen[1]?.destination, seen[1]?.injection, seen[1]?.field, seen[1]?.secretPath],
    [narrow, { kind: 'bearer' }, 'value', 'secret/shop/payments'],
  )
  assert.equal((await world.lend.read(seen[0]?.id ?? ''))?.uses, 0, 'nothing is counted')
})

test('LEND-2: what is over leads nowhere, and what would be refused says why', async (t) => {
  const world = await openLendWorld(t)
  const { lend, store, identity, agent } = world
  const { lease } = await lent(world)
  await store.write((tx) => lend.revoke(tx, lease.id, 'done with it', system))
  assert.deepEqual(
    (await ways(world)).map(([kind]) => kind),
    ['grant'],
  )
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'quarantined', system, 'it looks odd'))
  assert.deepEqual(await ways(world), [['grant', 'api.example.com:443', false, 'builder is quarantined.']])
  world.clock.advance(366 * 86_400_000)
  await assert.rejects(lend.reach('agt_none'), { code: 'agent.not_found' })
})
