import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AuditEntry } from '@keyward/contract'
import { openWorld } from '../../test/support/world.ts'
import { AppError } from '../core/index.ts'
import { type Store, sql } from '../store/index.ts'
import { type Audit, createAudit, createFileAnchor, type EntryInput, verifyAudit } from './index.ts'

const { privateKey } = generateKeyPairSync('ed25519')

/** A log on a real store whose writes can be made to fail, and whose key can be taken away. */
async function openLog(t: TestContext) {
  const world = await openWorld(t)
  const fault = { full: false, sealed: false }
  const refuse = (): void => {
    if (fault.full) throw new AppError('store.full', 'the disk is full')
  }
  const store: Store = {
    ...world.store,
    async write(work, durability) {
      refuse()
      return world.store.write(work, durability)
    },
    async check() {
      refuse()
      await world.store.check()
    },
  }
  const anchorFile = join(world.dataDir, 'audit.anchor')
  const reopened = (): Audit =>
    createAudit({
      store,
      clock: world.clock,
      anchor: createFileAnchor(anchorFile),
      signingKey: async () => (fault.sealed ? undefined : privateKey),
    })
  return { ...world, store, audit: reopened(), reopened, fault, anchorFile }
}

const entry = (target: string, more: Partial<EntryInput> = {}): EntryInput => ({
  type: 'secret.read',
  outcome: 'done',
  actor: 'person:ada',
  target,
  ...more,
})

async function* all(audit: Audit): AsyncIterable<AuditEntry> {
  yield* (await audit.page({ limit: 500, order: 'asc' })).items
}

async function filled(t: TestContext, entries: number) {
  const log = await openLog(t)
  for (let i = 1; i <= entries; i++) await log.audit.recordNow(entry(`secret:${i}`))
  return log
}

test('GOV-1: entries follow one another without gaps, and the signed head proves them', async (t) => {
  const { audit, clock } = await openLog(t)
  await audit.recordNow(
    entry('secret:a', { outcome: 'intent', correlation: 'run_1', detail: { b: [1, 'ü'], a: null } }),
  )
  clock.advance(1500)
  await Promise.all([audit.recordNow(entry('secret:b')), audit.recordNow(entry('secret:c'))])
  const { items } = await audit.page({ limit: 500, order: 'asc' })
  assert.deepEqual(
    items.map(({ seq, previous }) => [seq, previous]),
    [
      [1, '0'.repeat(64)],
      [2, items[0]?.hash],
      [3, items[1]?.hash],
    ],
  )
  assert.deepEqual([items[0]?.correlation, items[0]?.detail], ['run_1', { b: [1, 'ü'], a: null }])
  assert.equal(items[1]?.at, '2026-01-01T00:00:01.500Z')
  const head = await audit.head()
  assert.equal(head.seq, 3)
  const report = await verifyAudit({ entries: all(audit), head })
  assert.deepEqual(report.problems, [])
  const cut = await verifyAudit({
    entries: all(audit),
    head: { ...head, seq: 2, hash: items[1]?.hash ?? '' },
  })
  assert.equal(cut.verified, false, 'a head for fewer entries carries no valid signature')
})

test('GOV-1: an entry commits with the change that it tells of, or not at all', async (t) => {
  const { audit, store } = await filled(t, 1)
  const failing = store.write(async (tx) => {
    await audit.record(tx, entry('secret:undone'))
    throw new Error('the change failed')
  })
  await assert.rejects(failing, /the change failed/)
  await store.write((tx) => audit.record(tx, entry('secret:done')))
  const { items } = await audit.page({ limit: 500, order: 'asc' })
  assert.deepEqual(
    items.map(({ seq, target }) => [seq, target]),
    [
      [1, 'secret:1'],
      [2, 'secret:done'],
    ],
  )
})

test('GOV-1: the entries of many transactions that share commits are one chain, without those that failed', async (t) => {
  const { audit, store } = await openLog(t)
  const job = (i: number) =>
    store.write(async (tx) => {
      for (let n = 0; n < i % 3; n++) await audit.record(tx, entry(`secret:${i}-${n}`))
      if (i % 7 === 0) throw new Error('the change failed')
    })
  await Promise.allSettled(Array.from({ length: 90 }, (_, i) => job(i)))
  const { items } = await audit.page({ limit: 500, order: 'asc' })
  const expected = Array.from({ length: 90 }, (_, i) => i)
    .filter((i) => i % 7 !== 0)
    .flatMap((i) => Array.from({ length: i % 3 }, (_, n) => `secret:${i}-${n}`))
  assert.deepEqual(
    items.map(({ target }) => target),
    expected,
  )
  assert.equal(audit.health().seq, expected.length)
  assert.deepEqual((await verifyAudit({ entries: all(audit), head: await audit.head() })).problems, [])
})

test('GOV-1: while entries cannot be written operations fail and health says so; an idle log recovers', async (t) => {
  const { audit, fault } = await filled(t, 2)
  await audit.anchor()
  assert.deepEqual(audit.health(), { state: 'ok', reason: null, seq: 2 })
  fault.full = true
  await assert.rejects(audit.recordNow(entry('secret:lost')), { code: 'audit.unavailable', status: 503 })
  assert.equal(audit.health().state, 'failing')
  assert.match(audit.health().reason ?? '', /disk is full/)
  await assert.rejects(audit.anchor(), { code: 'store.full' })
  assert.equal(audit.health().state, 'failing')
  fault.full = false
  await audit.anchor()
  assert.deepEqual(audit.health(), { state: 'ok', reason: null, seq: 2 })
  await audit.recordNow(entry('secret:kept'))
  assert.equal(audit.health().seq, 3)
})

test('GOV-1: a write that succeeds recovers health at once', async (t) => {
  const { audit, fault } = await filled(t, 1)
  fault.full = true
  await assert.rejects(audit.recordNow(entry('secret:lost')))
  fault.full = false
  await audit.recordNow(entry('secret:kept'))
  assert.equal(audit.health().state, 'ok')
})

test('GOV-1: newest rows cut off are missed, also after a restart, and no later entry hides that', async (t) => {
  const { audit, store, reopened } = await filled(t, 5)
  await audit.anchor()
  await store.write((tx) => tx.run(sql`delete from audit_entries where seq > 3`))
  for (const log of [audit, reopened()]) {
    await assert.rejects(log.anchor(), { code: 'audit.broken' })
    await assert.rejects(log.head(), { code: 'audit.broken' })
    assert.equal(log.health().state, 'failing')
    await log.recordNow(entry('secret:more'))
    assert.match(log.health().reason ?? '', /entry 5 is missing or altered/)
  }
  // As many entries as before, but others.
  await assert.rejects(reopened().head(), { code: 'audit.broken' })
})

test('GOV-1: an altered row shows at the anchor when it is the last, and to the verifier wherever it is', async (t) => {
  const { audit, store } = await filled(t, 5)
  await audit.anchor()
  await store.write((tx) => tx.run(sql`update audit_entries set actor = 'person:eve' where seq = 2`))
  const report = await verifyAudit({ entries: all(audit), head: await audit.head() })
  assert.deepEqual(
    report.problems.map(({ kind, seq }) => [kind, seq]),
    [['hash', 2]],
  )
  await store.write((tx) => tx.run(sql`update audit_entries set hash = ${'f'.repeat(64)} where seq = 5`))
  await assert.rejects(audit.anchor(), { code: 'audit.broken' })
})

test('GOV-1: the anchor moves on with the chain and never back', async (t) => {
  const { audit, anchorFile, reopened } = await filled(t, 2)
  await audit.anchor()
  const first = readFileSync(anchorFile, 'utf8')
  assert.match(first, /^2 [0-9a-f]{64}\n$/)
  assert.equal(statSync(anchorFile).mode & 0o777, 0o600)
  await audit.recordNow(entry('secret:3'))
  assert.equal(readFileSync(anchorFile, 'utf8'), first)
  await reopened().anchor()
  assert.match(readFileSync(anchorFile, 'utf8'), /^3 /)
})

test('GOV-1: an anchor that is none is told, not written over', async (t) => {
  const { audit, anchorFile } = await filled(t, 2)
  writeFileSync(anchorFile, 'zero\n')
  await assert.rejects(audit.anchor(), { code: 'audit.broken' })
  assert.equal(readFileSync(anchorFile, 'utf8'), 'zero\n')
  rmSync(anchorFile)
  mkdirSync(anchorFile)
  chmodSync(anchorFile, 0o700)
  await assert.rejects(audit.anchor(), { code: 'audit.unavailable' })
})

test('GOV-1: without the key there is no head, and nothing else is missing', async (t) => {
  const { audit, fault } = await filled(t, 2)
  fault.sealed = true
  await assert.rejects(audit.head(), { code: 'vault.sealed' })
  await audit.recordNow(entry('secret:3'))
  assert.equal((await audit.page({ limit: 10, order: 'desc' })).items[0]?.seq, 3)
  fault.sealed = false
  assert.equal((await audit.head()).seq, 3)
})

test('GOV-1: pages go either way, by type and correlation; a foreign cursor is refused', async (t) => {
  const { audit } = await filled(t, 7)
  await audit.recordNow(entry('run:x', { type: 'run.started', correlation: 'run_x' }))
  const walk = async (order: 'asc' | 'desc'): Promise<number[]> => {
    const seen: number[] = []
    let cursor: string | undefined
    do {
      const { items, next } = await audit.page({ limit: 3, order, cursor })
      seen.push(...items.map(({ seq }) => seq))
      cursor = next ?? undefined
    } while (cursor !== undefined)
    return seen
  }
  assert.deepEqual(await walk('asc'), [1, 2, 3, 4, 5, 6, 7, 8])
  assert.deepEqual(await walk('desc'), [8, 7, 6, 5, 4, 3, 2, 1])
  const of = async (filter: { type?: string; correlation?: string }) =>
    (await audit.page({ limit: 10, order: 'asc', ...filter })).items.map(({ seq }) => seq)
  assert.deepEqual(await of({ type: 'run.started' }), [8])
  assert.deepEqual(await of({ correlation: 'run_x' }), [8])
  assert.deepEqual(await of({ correlation: 'run_y' }), [])
  await assert.rejects(audit.page({ limit: 3, order: 'asc', cursor: 'x' }), { code: 'request.invalid' })
})
