import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entries, lent, openLendWorld } from '../../test/support/lend-world.ts'
import { createTestClock, temporaryFolder } from '../../test/support/world.ts'

test('LEND-1: the uses of a minute are counted, and one too many is told when to come again', async (t) => {
  const world = await openLendWorld(t)
  const { lend, clock } = world
  const { claim, lease } = await lent(world, {}, { budget: { usesPerMinute: 2 } })
  assert.equal(lease.usesPerMinute, 2)
  await lend.use(claim)
  clock.advance(20_000)
  await lend.use(claim)
  await assert.rejects(lend.use(claim), {
    code: 'lease.over_budget',
    status: 429,
    detail: /possible in 40 s/,
  })
  clock.advance(39_999)
  await assert.rejects(lend.use(claim), { code: 'lease.over_budget' })
  clock.advance(1)
  await lend.use(claim)
  await lend.use(claim)
  await assert.rejects(lend.use(claim), { code: 'lease.over_budget', detail: /possible in 60 s/ })
  const many = await Promise.allSettled(Array.from({ length: 4 }, () => lend.use(claim)))
  assert.ok(many.every(({ status }) => status === 'rejected'))
  assert.equal((await lend.read(lease.id))?.uses, 4)
  assert.equal((await entries(world, 'lease.denied')).length, 7)
  assert.equal((await entries(world, 'lease.misused')).length, 0)
})

test('LEND-1: a grant caps the uses of each lease, whatever the agent asks for', async (t) => {
  const world = await openLendWorld(t)
  const capped = (uses?: number) => lent(world, { uses }, { budget: { uses: 3 }, maxLeases: 1 })
  assert.deepEqual([(await capped()).lease.usesLeft, (await capped(9)).lease.usesLeft], [3, 3])
  assert.equal((await capped(2)).lease.usesLeft, 2)
})

test('LEND-1: bytes are spent when they are known, and a lease without any left gives nothing', async (t) => {
  const world = await openLendWorld(t)
  const { lend, store } = world
  const { claim, lease } = await lent(world, {}, { budget: { bytes: 1000 }, maxLeases: 1 })
  const { lease: other } = await lent(world, {}, { maxLeases: 1 })
  assert.deepEqual(await lend.metered([]), [])
  assert.deepEqual(await lend.metered([lease.id, other.id]), [lease.id])
  const spend = (bytes: number) => store.write((tx) => lend.spend(tx, [lease.id, other.id], bytes))
  assert.deepEqual((await lend.use(claim)).budgets, [{ leaseId: lease.id, bytesLeft: 1000 }])
  await spend(600)
  assert.deepEqual((await lend.use(claim)).budgets, [{ leaseId: lease.id, bytesLeft: 400 }])
  await spend(600)
  assert.equal((await lend.read(lease.id))?.bytesLeft, 0)
  assert.equal((await lend.read(other.id))?.bytesLeft, null)
  await assert.rejects(lend.use(claim), { code: 'lease.over_budget', detail: /are spent/ })
})

test('LEND-1: the last use is the last, also when many try at once', async (t) => {
  const world = await openLendWorld(t)
  const { lend } = world
  const { lease, claim } = await lent(world, { uses: 3 })
  const answers = await Promise.allSettled(Array.from({ length: 8 }, () => lend.use(claim)))
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 3)
  const after = await lend.read(lease.id)
  assert.deepEqual([after?.state, after?.uses, after?.usesLeft], ['used_up', 3, 0])
  assert.equal(after?.endReason, 'its last use was made')
  assert.equal((await entries(world, 'lease.used')).length, 3)
})

test('LEND-1: the uses of a minute, and the bytes, stay counted over a restart', async (t) => {
  const dataDir = temporaryFolder(t)
  const clock = createTestClock()
  const before = await openLendWorld(t, { dataDir, clock })
  const { claim, lease } = await lent(before, {}, { budget: { usesPerMinute: 2, bytes: 100 } })
  await before.lend.use(claim)
  await before.lend.use(claim)
  await before.store.write((tx) => before.lend.spend(tx, [lease.id], 40))
  await before.close()
  const after = await openLendWorld(t, { dataDir, clock }, 'second')
  clock.advance(59_999)
  await assert.rejects(after.lend.use(claim), { code: 'lease.over_budget', detail: /possible in 1 s/ })
  clock.advance(1)
  assert.deepEqual((await after.lend.use(claim)).budgets, [{ leaseId: lease.id, bytesLeft: 60 }])
})
