import assert from 'node:assert/strict'
import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { entries, type LendWorld, lent, openLendWorld, system } from '../../test/support/lend-world.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import { type Store, sql } from '../store/index.ts'
import type { Claim } from './index.ts'

const usesInRow = async ({ store }: { store: Store }, id: string): Promise<number> =>
  (await store.get<{ uses: number }>(sql`select uses from leases where id = ${id}`))?.uses ?? -1

async function use({ lend }: LendWorld, claim: Claim, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await lend.use(claim)
}

/** The numbers of the uses, as the log has them, in its order. */
const numbers = async (world: LendWorld): Promise<number[]> =>
  (await entries(world, 'lease.used')).map(({ detail }) => Number((detail as { use?: number }).use))

/** What a killed process leaves, opened by the next one. */
function afterKill(t: TestContext, { dataDir, clock }: LendWorld): Promise<LendWorld> {
  const copy = join(temporaryFolder(t), 'data')
  mkdirSync(copy, { mode: 0o700 })
  cpSync(dataDir, copy, { recursive: true, filter: (path) => !path.endsWith('-shm') })
  return openLendWorld(t, { dataDir: copy, clock }, 'second')
}

test('LEND-1: a lease that is used often has its uses counted ahead, and each has its number and its entry', async (t) => {
  const world = await openLendWorld(t)
  const { claim, lease } = await lent(world)
  await use(world, claim, 5)
  await Promise.all(Array.from({ length: 15 }, () => world.lend.use(claim)))
  assert.ok((await usesInRow(world, lease.id)) > 20)
  assert.equal((await world.lend.read(lease.id))?.uses, 20)
  assert.deepEqual(
    (await numbers(world)).toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i + 1),
  )
})

test('LEND-1: after a kill, what was counted ahead counts as used, and no number comes twice', async (t) => {
  const world = await openLendWorld(t)
  const { claim, lease } = await lent(world)
  await use(world, claim, 20)
  const second = await afterKill(t, world)
  assert.equal((await second.lend.read(lease.id))?.uses, await usesInRow(world, lease.id))
  await use(second, claim, 2)
  const told = await numbers(second)
  assert.equal(told.length, 22, 'each use that was answered has its entry')
  assert.equal(new Set(told).size, 22)
})

test('LEND-1: a lease with a limit counts each use as it is made', async (t) => {
  for (const budget of [{ uses: 100 }, { usesPerMinute: 100 }, { bytes: 100 }]) {
    const world = await openLendWorld(t)
    const { claim, lease } = await lent(world, {}, { budget })
    await use(world, claim, 10)
    const second = await afterKill(t, world)
    assert.equal(await usesInRow(second, lease.id), 10)
  }
})

test('LEND-1: what was counted ahead is given back when the lease rests, ends, or the server stops', async (t) => {
  const world = await openLendWorld(t)
  const { claim, lease } = await lent(world)
  await use(world, claim, 20)
  world.clock.advance(5000)
  await use(world, claim, 1)
  assert.equal(await usesInRow(world, lease.id), 21)
  await use(world, claim, 10)
  await world.lend.settled()
  assert.equal(await usesInRow(world, lease.id), 31)
  await use(world, claim, 4)
  const revoked = await world.store.write((tx) => world.lend.revoke(tx, lease.id, 'over', system))
  assert.deepEqual([revoked.uses, await usesInRow(world, lease.id)], [35, 35])
  assert.equal((await world.lend.read(lease.id))?.uses, 35)
  await assert.rejects(world.lend.use(claim), { code: 'lease.ended' })
})

test('LEND-1: a use whose lease is revoked while its entry is written gets nothing, and that is recorded', async (t) => {
  const world = await openLendWorld(t)
  const { claim, lease } = await lent(world)
  await use(world, claim, 4)
  const { recordOnDisk } = world.audit
  t.mock.method(world.audit, 'recordOnDisk', async (entry: Parameters<typeof recordOnDisk>[0]) => {
    await recordOnDisk(entry)
    await world.store.write((tx) => world.lend.revoke(tx, lease.id, 'over', system))
  })
  await assert.rejects(world.lend.use(claim), { code: 'lease.ended' })
  const used = await entries(world, 'lease.used')
  assert.deepEqual(
    used.slice(-2).map(({ outcome }) => outcome),
    ['intent', 'failed'],
  )
})

test('LEND-1: a use whose entry cannot be written gets nothing, and stays counted', async (t) => {
  const world = await openLendWorld(t)
  const { claim, lease } = await lent(world)
  await use(world, claim, 4)
  const full = t.mock.method(world.audit, 'recordOnDisk', async () => {
    throw new Error('the disk is full')
  })
  await assert.rejects(world.lend.use(claim), /the disk is full/)
  full.mock.restore()
  await use(world, claim, 1)
  assert.equal((await world.lend.read(lease.id))?.uses, 6)
  assert.deepEqual(await numbers(world), [1, 2, 3, 4, 6])
})
