import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, entries, lent, openLendWorld, system } from '../../test/support/lend-world.ts'
import { createDatabase, startPostgres } from '../../test/support/postgres.ts'
import { createTestClock, temporaryFolder } from '../../test/support/world.ts'

test('LEND-1: a revoked lease gives nothing; revoking it again changes nothing', async (t) => {
  const world = await openLendWorld(t)
  const { store, lend } = world
  const { lease, claim } = await lent(world)
  const revoke = () => store.write((tx) => lend.revoke(tx, lease.id, 'not needed', system))
  assert.equal((await revoke()).state, 'revoked')
  assert.equal((await revoke()).endReason, 'not needed')
  assert.equal((await entries(world, 'lease.revoked')).length, 1)
  await assert.rejects(lend.use(claim), { code: 'lease.ended', status: 410 })
  await assert.rejects(
    store.write((tx) => lend.revoke(tx, 'lea_none', 'why', system)),
    { code: 'lease.not_found' },
  )
})

test('LEND-1: a lease is over when its time is, whoever looks first', async (t) => {
  const world = await openLendWorld(t)
  const { lend, clock } = world
  const { lease, claim } = await lent(world)
  clock.advance(299_999)
  await lend.use(claim)
  clock.advance(1)
  assert.equal((await lend.read(lease.id))?.state, 'expired')
  assert.deepEqual((await lend.page({ limit: 10, state: 'active' })).items, [])
  assert.equal((await lend.page({ limit: 10, state: 'expired' })).items.length, 1)
  assert.equal((await lend.countActive()).size, 0)
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  assert.equal((await entries(world, 'lease.expired')).length, 1)
  assert.equal((await lend.expireDue()).expired, 0)
})

test('LEND-1: a clock that jumps ahead ends a lease; one that goes back does not lengthen it', async (t) => {
  const world = await openLendWorld(t)
  const { lend, clock } = world
  const { claim } = await lent(world)
  const issuedAt = clock.now().getTime()
  clock.set(new Date(issuedAt - 61_000))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  clock.set(new Date(issuedAt + 200_000))
  await lend.use(claim)
  clock.set(new Date(issuedAt + 100_000))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  clock.set(new Date(issuedAt + 24 * 3600_000))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  clock.set(new Date(issuedAt + 200_000))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' }, 'what has expired stays so')
})

test('IDENT-2: a quarantined agent neither gets nor uses a lease', async (t) => {
  const world = await openLendWorld(t)
  const { store, lend, identity, agent } = world
  const { claim } = await lent(world)
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'quarantined', system, 'acts oddly'))
  await assert.rejects(lend.use(claim), { code: 'agent.inactive' })
  await assert.rejects(lend.request(ask(world)), { code: 'agent.inactive' })
  assert.equal(await store.write((tx) => lend.endForAgent(tx, agent.id, 'quarantined', system)), 1)
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'active', system, 'cleared'))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
})

test('LEND-1: a forbid written by an owner stops a lease that was granted', async (t) => {
  const world = await openLendWorld(t)
  const { lend, policy } = world
  const { claim } = await lent(world)
  const text =
    '@id("hold") forbid (principal, action == Action::"lease.use", resource) when { context.host like "*.example.com" };'
  policy.prepare([policy.compile({ name: 'hold.cedar', text })])()
  await assert.rejects(lend.use(claim), { code: 'policy.denied' })
  policy.prepare([])()
  await lend.use(claim)
})

test('LEND-1: a lease is what it was after a restart', async (t) => {
  const dataDir = temporaryFolder(t)
  const clock = createTestClock()
  const before = await openLendWorld(t, { dataDir, clock })
  const { claim } = await lent(before, { uses: 2 })
  await before.lend.use(claim)
  await before.close()
  const after = await openLendWorld(t, { dataDir, clock }, 'second')
  const { value } = await after.lend.use(claim)
  assert.equal(value.reveal(), after.value)
  await assert.rejects(after.lend.use(claim), { code: 'lease.ended' })
})

test('LEND-1: the whole life of leases on PostgreSQL', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const world = await openLendWorld(t, { databaseUrl })
  const { store, lend, identity, agent, clock } = world
  const task = { runId: 'run_1', taskId: 'pay' }
  const { lease, claim } = await lent(world, { uses: 2, ...task }, { ...task, maxLeases: 1 })
  await assert.rejects(lend.request(ask(world, task)), { code: 'policy.denied' })
  await assert.rejects(lend.use({ ...claim, host: 'evil.example' }), { code: 'egress.denied' })
  assert.equal((await lend.use(claim)).value.reveal(), world.value)
  assert.deepEqual(await lend.countActive([agent.id]), new Map([[agent.id, 1]]))
  assert.equal(await store.write((tx) => lend.endForTask(tx, 'run_1', 'pay', 'done')), 1)
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  const [listed] = (await lend.page({ limit: 10, agentId: agent.id, state: 'revoked' })).items
  assert.deepEqual([listed?.id, listed?.uses, listed?.usesLeft], [lease.id, 1, 1])

  const next = await lent(world, { ttlSeconds: 5, uses: 1 })
  assert.equal((await lend.expireDue()).nextAt?.getTime(), clock.now().getTime() + 5000)
  await lend.use(next.claim)
  assert.equal((await lend.read(next.lease.id))?.state, 'used_up')
  await lend.request(ask(world, { ttlSeconds: 5 }))
  clock.advance(5000)
  assert.deepEqual(await lend.expireDue(), { expired: 1, nextAt: undefined })

  const limits = { budget: { bytes: 10, usesPerMinute: 1 }, maxLeases: 1 }
  const limited = await lent(world, {}, { ...limits, injection: { kind: 'bearer' } })
  const { id } = limited.lease
  await lend.use(limited.claim)
  await assert.rejects(lend.use(limited.claim), { code: 'lease.over_budget', detail: /in 60 s/ })
  assert.deepEqual(await lend.metered([id, lease.id]), [id])
  for (const left of [6, 2, 0]) {
    await store.write((tx) => lend.spend(tx, [id, lease.id], 4))
    assert.equal((await lend.read(id))?.bytesLeft, left)
  }
  const url = 'https://api.example.com/'
  const { candidates } = await lend.explain({ agentId: agent.id, url, method: 'GET' })
  assert.match(candidates.find((one) => one.id === id)?.text ?? '', /bytes .* are spent/)
  const [granted] = (await lend.grants({ limit: 1, agentId: agent.id })).items
  assert.deepEqual([granted?.state, granted?.leasesLeft, granted?.budget], ['used_up', 0, limits.budget])

  const owner = await store.write((tx) => identity.bootstrapOwner(tx))
  const code = await store.write((tx) => identity.createSignInCode(tx, owner.id))
  const { token } = await identity.exchange(code.reveal(), 'bearer')
  assert.equal((await identity.authenticate(token.reveal()))?.id, owner.id)
  await identity.settled()
  assert.equal(await identity.endSession(token.reveal()), true)
  assert.equal(await identity.countPeople(), 1)
  const key = await store.write((tx) => identity.rotateAgentKey(tx, agent.id, system, 0))
  assert.equal((await identity.authenticate(key.reveal()))?.id, agent.id)
  await identity.settled()
  assert.equal((await identity.agents({ limit: 5 })).items[0]?.lastUsedAt?.getTime(), clock.now().getTime())
})
