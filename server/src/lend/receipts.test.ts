import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { AuditEntry, Json, Proof } from '@keyward/contract'
import {
  ask,
  entries,
  give,
  type LendWorld,
  lent,
  openLendWorld,
  system,
} from '../../test/support/lend-world.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import { AppError, digestOf } from '../core/index.ts'

const receiptOf = async ({ lend }: LendWorld, leaseId: string) => (await lend.read(leaseId))?.receipt

const detailOf = (entry: AuditEntry | undefined): { [key: string]: Json } =>
  Object.assign(Object.create(null), entry?.detail)

const told = (result: Proof['result']): Proof => ({
  by: 'a server',
  how: 'a sign-in',
  answer: '200',
  result,
  livesUntil: null,
})

async function revoked(t: TestContext, options: Parameters<typeof openLendWorld>[1] = {}) {
  const world = await openLendWorld(t, options)
  const { lease, claim } = await lent(world)
  await world.store.write((tx) => world.lend.revoke(tx, lease.id, 'the task is over', system))
  return { world, lease, claim }
}

test('LEND-3: the end of a lease is shown by its own placeholder, and the receipt is in the audit log', async (t) => {
  const world = await openLendWorld(t)
  const { lease, placeholder } = await lent(world)
  assert.equal(await receiptOf(world, lease.id), null)
  assert.equal(await world.lend.proveDue(), 0, 'what is in force is not probed')
  await world.store.write((tx) => world.lend.revoke(tx, lease.id, 'the task is over', system))
  assert.equal((await receiptOf(world, lease.id))?.state, 'waiting')
  assert.equal(await world.lend.proveDue(), 1)
  const receipt = await receiptOf(world, lease.id)
  assert.deepEqual(
    [receipt?.state, receipt?.attempts, receipt?.proofs[0]?.answer],
    ['proved', 1, 'lease.ended'],
  )
  const [entry] = await entries(world, 'lease.receipt')
  const { digest, state, ...shown } = detailOf(entry)
  assert.deepEqual([entry?.outcome, entry?.target, state], ['done', `lease:${lease.id}`, 'proved'])
  assert.equal(digest, digestOf({ ...shown, lease: lease.id }), 'the digest is over what was shown')
  assert.equal(receipt?.digest, digest)
  assert.equal(world.sealed.size, 0, 'the placeholder is not kept any longer')
  const stored = JSON.stringify(await world.store.all({ text: 'select * from audit_entries', values: [] }))
  assert.ok(!stored.includes(placeholder) && !stored.includes(world.value))
  assert.equal(await world.lend.proveDue(), 0, 'once is enough')
})

test('LEND-3: every way to end has a receipt: expiry, the last use, the task, the agent', async (t) => {
  const world = await openLendWorld(t)
  const { store, lend, clock, agent } = world
  const expired = await lent(world)
  clock.advance(300_000)
  await lend.expireDue()
  const used = await lent(world, { uses: 1 })
  await lend.use(used.claim)
  await give(world, { runId: 'run_1', taskId: 'task_1' })
  const ofTask = await lend.request(ask(world, { runId: 'run_1', taskId: 'task_1' }))
  await store.write((tx) => lend.endForTask(tx, 'run_1', 'task_1', 'its task succeeded'))
  const ofAgent = await lent(world)
  await store.write((tx) => lend.endForAgent(tx, agent.id, 'it is quarantined'))
  assert.equal(await lend.proveDue(), 4)
  for (const { lease } of [expired, used, ofTask, ofAgent])
    assert.equal((await receiptOf(world, lease.id))?.state, 'proved')
  assert.equal((await entries(world, 'lease.receipt')).length, 4)
})

test('LEND-3: an end that is not refused is an alert, and is tried again until it is', async (t) => {
  const { world, lease } = await revoked(t)
  const { lend, clock, bus } = world
  const heard: string[] = []
  bus.subscribe(({ type, subject }) => void heard.push(`${type} ${subject}`))
  const [honest] = world.probes
  world.probes.splice(0, 1, async () => [told('accepted')])
  await lend.proveDue()
  const receipt = await receiptOf(world, lease.id)
  assert.deepEqual([receipt?.state, receipt?.proofs[0]?.result], ['unproved', 'accepted'])
  assert.equal(Date.parse(receipt?.nextTryAt ?? '') - clock.now().getTime(), 2000)
  assert.deepEqual(await lend.unproved(), { count: 1, oldestAt: new Date('2026-01-01T00:00:00.000Z') })
  assert.ok(heard.includes(`lease.unproved lease:${lease.id}`))
  assert.equal(await lend.proveDue(), 0, 'not before its time')
  for (const seconds of [2, 4, 8]) {
    clock.advance(seconds * 1000)
    assert.equal(await lend.proveDue(), 1, `after ${seconds} s`)
  }
  const failures = await entries(world, 'lease.unproved')
  assert.deepEqual(
    failures.map((entry) => [entry.outcome, detailOf(entry)['attempts']]),
    [1, 2, 4].map((attempts) => ['failed', attempts]),
  )
  world.probes.splice(0, 1, ...(honest ? [honest] : []))
  clock.advance(16_000)
  await lend.proveDue()
  assert.deepEqual([(await receiptOf(world, lease.id))?.state, (await lend.unproved()).count], ['proved', 0])
})

test('LEND-3: what cannot be asked is unproved: a probe that fails, a sealed vault, nobody who probes', async (t) => {
  const { world, lease } = await revoked(t)
  const { probes, clock, lend } = world
  const [honest] = probes.splice(0)
  const next = async () => {
    clock.advance(15 * 60_000)
    await lend.proveDue()
    return receiptOf(world, lease.id)
  }
  assert.equal((await next())?.state, 'unproved')
  probes.push(async () => Promise.reject(new AppError('vault.sealed')))
  assert.match((await next())?.proofs[0]?.answer ?? '', /sealed/)
  probes.splice(0, 1, async () => [told('refused'), told('unanswered')])
  assert.equal((await next())?.state, 'unproved', 'all of them must refuse')
  probes.splice(0, 1, ...(honest ? [honest] : []))
  assert.equal((await next())?.state, 'proved')
})

test('LEND-3: a credential that lives on upstream is said so, and is not tried for ever', async (t) => {
  const { world, lease } = await revoked(t)
  world.probes.push(async () => [{ ...told('lives_on'), livesUntil: '2026-01-01T01:00:00.000Z' }])
  await world.lend.proveDue()
  const receipt = await receiptOf(world, lease.id)
  assert.deepEqual(
    [receipt?.state, receipt?.nextTryAt, receipt?.proofs.map(({ livesUntil }) => livesUntil)],
    ['lives_on', null, [null, '2026-01-01T01:00:00.000Z']],
  )
  assert.equal((await entries(world, 'lease.receipt')).length, 1)
})

test('LEND-3: what a killed server had not shown is shown by the next one', async (t) => {
  const dataDir = temporaryFolder(t)
  const { world, lease } = await revoked(t, { dataDir })
  const { clock } = world
  const sealed = new Map(world.sealed)
  await world.close()
  const next = await openLendWorld(t, { dataDir, clock }, 'second')
  for (const [path, bytes] of sealed) next.sealed.set(path, bytes)
  assert.equal(await next.lend.proveDue(), 1)
  assert.equal((await receiptOf(next, lease.id))?.state, 'proved')
})
