import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AuditEntry, AuditHead } from '@keyward/contract'
import { openWorld, temporaryFolder } from '../../test/support/world.ts'
import { AppError } from '../core/index.ts'
import { type Durability, type Store, sql } from '../store/index.ts'
import { createAudit, createFileAnchor, type EntryInput, openFileJournal, problemOfEntry } from './index.ts'
import { createJournalLog } from './read-log.ts'

const read = (target: string, more: Partial<EntryInput> = {}): EntryInput => ({
  type: 'secret.read',
  outcome: 'done',
  actor: 'person:ada',
  target,
  ...more,
})

const pageOf = async (audit: ReturnType<typeof createAudit>): Promise<AuditEntry[]> =>
  (await audit.page({ limit: 10_000, order: 'asc' })).items
const targets = (entries: readonly AuditEntry[]): string[] => entries.map(({ target }) => target)

/** Every hash and link, from the first entry on. */
function assertChain(entries: readonly AuditEntry[]): void {
  let last: Pick<AuditHead, 'seq' | 'hash'> = { seq: 0, hash: '0'.repeat(64) }
  for (const entry of entries) {
    assert.equal(problemOfEntry(entry, last), undefined)
    last = entry
  }
}

/** What a killed process would leave of a world, opened again in a folder of its own. */
async function afterKill(t: TestContext, { dataDir }: { dataDir: string }) {
  const copy = join(temporaryFolder(t), 'data')
  mkdirSync(copy, { mode: 0o700 })
  // The shared memory of the database dies with its processes.
  cpSync(dataDir, copy, { recursive: true, filter: (path) => !path.endsWith('-shm') })
  return openWorld(t, [], { dataDir: copy })
}

const stored = async ({ store }: { store: Store }): Promise<number> =>
  (await store.get<{ n: number }>(sql`select count(*) as n from audit_entries`))?.n ?? 0

test('GOV-1: an entry of a read is in the journal when it is recorded, and in the chain before anybody looks', async (t) => {
  const world = await openWorld(t)
  await Promise.all(['a', 'b', 'c'].map((name) => world.audit.recordRead(read(`secret:${name}`))))
  assert.equal(await stored(world), 0)
  const entries = await pageOf(world.audit)
  assert.deepEqual(targets(entries), ['secret:a', 'secret:b', 'secret:c'])
  assertChain(entries)
  assert.equal(world.audit.health().seq, 3)
})

test('GOV-1: reads and changes stand in the chain in the order in which they were answered', async (t) => {
  const { audit } = await openWorld(t)
  for (let i = 0; i < 40; i++)
    await (i % 3 === 2 ? audit.recordNow(read(`secret:${i}`)) : audit.recordRead(read(`secret:${i}`)))
  const entries = await pageOf(audit)
  assert.deepEqual(
    targets(entries),
    Array.from({ length: 40 }, (_, i) => `secret:${i}`),
  )
  assertChain(entries)
})

test('GOV-1: after a kill the chain has what only the journal had, once, however often it starts', async (t) => {
  const world = await openWorld(t)
  await world.audit.recordNow(read('secret:1'))
  for (const name of ['2', '3']) await world.audit.recordRead(read(`secret:${name}`))
  const second = await afterKill(t, world)
  assert.deepEqual(targets(await pageOf(second.audit)), ['secret:1', 'secret:2', 'secret:3'])
  await second.audit.recordRead(read('secret:4'))
  const third = await afterKill(t, second)
  const entries = await pageOf(third.audit)
  assert.deepEqual(targets(entries), ['secret:1', 'secret:2', 'secret:3', 'secret:4'])
  assertChain(entries)
})

test('GOV-1: a kill right after the chain has taken entries from the journal doubles none of them', async (t) => {
  const world = await openWorld(t)
  await world.audit.recordRead(read('secret:1'))
  await world.audit.recordNow(read('secret:2'))
  await world.audit.recordRead(read('secret:3'))
  const second = await afterKill(t, world)
  assert.deepEqual(targets(await pageOf(second.audit)), ['secret:1', 'secret:2', 'secret:3'])
})

test('GOV-1: a new database takes nothing out of the journal of another', async (t) => {
  const world = await openWorld(t)
  await world.audit.recordRead(read('secret:other'))
  const folder = join(temporaryFolder(t), 'data')
  mkdirSync(folder, { mode: 0o700 })
  cpSync(join(world.dataDir, 'audit.journal'), join(folder, 'audit.journal'))
  const fresh = await openWorld(t, [], { dataDir: folder })
  await fresh.audit.recordRead(read('secret:own'))
  assert.deepEqual(targets(await pageOf((await afterKill(t, fresh)).audit)), ['secret:own'])
})

test('GOV-1: a server whose journal was damaged does not start, and changes nothing', async (t) => {
  const world = await openWorld(t)
  for (const name of ['1', '2', '3']) await world.audit.recordRead(read(`secret:${name}`))
  await world.close()
  const killed = await openWorld(t, [], { dataDir: world.dataDir })
  for (const name of ['4', '5', '6']) await killed.audit.recordRead(read(`secret:${name}`))
  const copy = join(temporaryFolder(t), 'data')
  mkdirSync(copy, { mode: 0o700 })
  cpSync(world.dataDir, copy, { recursive: true, filter: (path) => !path.endsWith('-shm') })
  const file = join(copy, 'audit.journal')
  const bytes = readFileSync(file)
  bytes[bytes.indexOf('secret:5')] = 0
  writeFileSync(file, bytes)
  await assert.rejects(openWorld(t, [], { dataDir: copy }), { code: 'audit.broken' })
  assert.deepEqual(readFileSync(file), bytes)
})

test('GOV-1: no text that a caller can send comes out of the journal other than it went in', async (t) => {
  const world = await openWorld(t)
  const texts = ['\ud800', 'a\0b', 'tab\there', 'line\nhere', 'back\\slash "quoted"', '\ufeffü😀\u2028', '']
  for (const text of texts)
    await world.audit.recordRead(
      read(`Secret:${text}`, { actor: `agent:${text}`, correlation: text, detail: { text, list: [text] } }),
    )
  const [left, kept] = [await pageOf((await afterKill(t, world)).audit), await pageOf(world.audit)]
  assertChain(left)
  assert.deepEqual(
    left.map(({ actor, correlation, detail }) => [actor, correlation, detail]),
    kept.map(({ actor, correlation, detail }) => [actor, correlation, detail]),
  )
  assert.equal(kept[2]?.correlation, 'tab\there')
})

test('GOV-1: more reads than the journal holds are all in the chain, in order', async (t) => {
  const { audit } = await openWorld(t)
  const detail = { note: 'x'.repeat(2000) }
  const names = Array.from({ length: 2500 }, (_, i) => `secret:${i}`)
  for (let from = 0; from < names.length; from += 250)
    await Promise.all(names.slice(from, from + 250).map((name) => audit.recordRead(read(name, { detail }))))
  const entries = await pageOf(audit)
  assert.deepEqual(targets(entries), names)
  assertChain(entries)
})

test('GOV-1: an entry that is larger than a frame goes into the chain by itself', async (t) => {
  const world = await openWorld(t)
  await world.audit.recordRead(read('secret:small'))
  await world.audit.recordRead(read(`secret:${'x'.repeat(200_000)}`))
  assert.equal(await stored(world), 2)
  assertChain(await pageOf(world.audit))
})

/** A log on a store and a journal that can be made to fail. */
async function openFaulty(t: TestContext, durability: Durability = 'disk') {
  const world = await openWorld(t)
  const fault = { store: false, journal: false }
  const written: Durability[] = []
  const refuse = (which: keyof typeof fault): void => {
    if (fault[which]) throw new AppError('store.full', 'the disk is full')
  }
  const store: Store = {
    ...world.store,
    async write(work, wanted = 'disk') {
      refuse('store')
      written.push(wanted)
      return world.store.write(work, wanted)
    },
    async check() {
      refuse('store')
      await world.store.check()
    },
  }
  const file = openFileJournal(join(world.dataDir, 'audit.journal'), durability)
  const journal: typeof file = {
    ...file,
    write(text) {
      refuse('journal')
      return file.write(text)
    },
    check() {
      refuse('journal')
      file.check()
    },
  }
  const anchor = createFileAnchor(join(world.dataDir, 'audit.anchor'))
  const audit = createAudit({
    store,
    clock: world.clock,
    anchor,
    signingKey: async () => undefined,
    readDurability: durability,
    journal,
  })
  await audit.start()
  t.after(() => audit.close())
  return { ...world, audit, fault, written }
}

test('GOV-1: an entry that is larger than a frame is on disk, also where reads do not wait for it: with it goes what the journal held', async (t) => {
  const { audit, written } = await openFaulty(t, 'kernel')
  await audit.recordOnDisk(read('secret:intent'))
  written.length = 0
  await audit.recordRead(read(`secret:${'x'.repeat(200_000)}`))
  assert.deepEqual(written, ['disk'])
})

for (const durability of ['disk', 'kernel'] as const)
  test(`GOV-1: what cannot be written to the journal is refused, and health says so until it can (${durability})`, async (t) => {
    const { audit, fault } = await openFaulty(t, durability)
    fault.journal = true
    await assert.rejects(audit.recordRead(read('secret:lost')), { code: 'audit.unavailable' })
    assert.equal(audit.health().state, 'failing')
    await assert.rejects(audit.anchor(), { code: 'store.full' })
    fault.journal = false
    await audit.anchor()
    assert.equal(audit.health().state, 'ok')
    await audit.recordRead(read('secret:kept'))
    assert.deepEqual(targets(await pageOf(audit)), ['secret:kept'])
  })

test('GOV-1: while the chain cannot be written no more reads are recorded, and none that was is lost', async (t) => {
  const { audit, fault } = await openFaulty(t)
  await audit.recordRead(read('secret:1'))
  fault.store = true
  await assert.rejects(audit.recordNow(read('secret:lost')), { code: 'audit.unavailable' })
  await assert.rejects(audit.recordRead(read('secret:lost')), { code: 'audit.unavailable' })
  await assert.rejects(audit.anchor(), { code: 'audit.unavailable' })
  assert.equal(audit.health().state, 'failing')
  fault.store = false
  await audit.recordRead(read('secret:2'))
  await audit.anchor()
  assert.deepEqual(audit.health(), { state: 'ok', reason: null, seq: 2 })
  assert.deepEqual(targets(await pageOf(audit)), ['secret:1', 'secret:2'])
})

test('GOV-1: a transaction that fails takes nothing out of the journal', async (t) => {
  const { audit, store } = await openWorld(t)
  await audit.recordRead(read('secret:1'))
  const failing = store.write(async (tx) => {
    await audit.record(tx, read('secret:undone'))
    throw new Error('the change failed')
  })
  await assert.rejects(failing, /the change failed/)
  await store.write((tx) =>
    tx.run(sql`create trigger full before insert on audit_entries
    begin select raise(abort, 'full'); end`),
  )
  await assert.rejects(audit.recordNow(read('secret:lost')), { code: 'audit.unavailable' })
  await store.write((tx) => tx.run(sql`drop trigger full`))
  await audit.recordRead(read('secret:2'))
  assert.deepEqual(targets(await pageOf(audit)), ['secret:1', 'secret:2'])
})

test('GOV-1: without a journal reads that come together share a commit, and are in the chain at once', async (t) => {
  const { store, clock, dataDir } = await openWorld(t)
  const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
  const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined })
  await Promise.all(['a', 'b'].map((name) => audit.recordRead(read(`secret:${name}`))))
  assert.equal(await stored({ store }), 2)
})

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** On a disk whose syncs take 20 turns of the event loop, and a millisecond of a clock that stands still otherwise. */
function openSlow(written: (entries: number) => void) {
  let milliseconds = 0
  return createJournalLog({
    journal: {
      write(text: string) {
        written(text.split('\n').length - 1)
        return 1
      },
      async sync() {
        await turns(20)
        milliseconds++
      },
    } as unknown as Parameters<typeof createJournalLog>[0]['journal'],
    chain: { expect: () => undefined, waitingBytes: () => 0 },
    settle: async () => undefined,
    append: async () => assert.fail('it fits into the journal'),
    stored: () => undefined,
    refusal: (error) => new Error(String(error)),
    now: () => new Date(0),
    milliseconds: () => milliseconds,
  })
}

test('callers who come in two groups share one sync of the disk soon, and nobody waits for one who stays away', async () => {
  const sizes: number[] = []
  const log = openSlow((entries) => void sizes.push(entries))
  async function caller(firstAfter: number, requests: number): Promise<void> {
    await turns(firstAfter)
    for (let i = 0; i < requests; i++) {
      await log.record(read('secret:a'), 'disk')
      // On its way to the caller and back.
      await turns(5)
    }
  }
  await Promise.all([0, 0, 0, 10, 10, 10, 10].map((after) => caller(after, 12)))
  assert.deepEqual(sizes.slice(0, 2), [3, 7])
  assert.deepEqual(new Set(sizes.slice(1, 12)), new Set([7]))
  sizes.length = 0
  await caller(0, 3)
  assert.deepEqual(sizes, [1, 1, 1])
})

test('one caller alone who asks again at once waits for nobody', async () => {
  const idleTurns: number[] = []
  let turn = 0
  let asked = 0
  const log = openSlow(() => void idleTurns.push(turn - asked))
  let counting = true
  async function count(): Promise<void> {
    while (counting) {
      await turns(1)
      turn++
    }
  }
  const counted = count()
  for (let i = 0; i < 5; i++) {
    asked = turn
    await log.record(read('secret:a'), 'disk')
  }
  counting = false
  await counted
  assert.equal(idleTurns.length, 5)
  assert.ok(Math.max(...idleTurns) <= 3, String(idleTurns))
})

test('GOV-1: what the chain has taken without a sync is in the journal still, for a power cut that takes it back', async (t) => {
  const world = await openWorld(t)
  const released: number[] = []
  const durabilities: (Durability | undefined)[] = []
  const file = join(world.dataDir, 'audit.journal')
  const journal = openFileJournal(file, 'disk')
  const release = (position: number): void => {
    released.push(position)
    journal.release(position)
  }
  const aside: Store['aside'] = async (job, input, durability) => {
    durabilities.push(durability)
    return (await world.store.aside?.(job, input, durability)) ?? assert.fail('no thread')
  }
  const audit = createAudit({
    store: { ...world.store, aside },
    clock: world.clock,
    anchor: createFileAnchor(join(world.dataDir, 'audit.anchor')),
    signingKey: async () => undefined,
    journal: { ...journal, release },
  })
  t.after(() => audit.close())
  await audit.start()
  await audit.recordNow(read('secret:first'))
  const synced = join(temporaryFolder(t), 'data')
  mkdirSync(synced, { mode: 0o700 })
  cpSync(world.dataDir, synced, { recursive: true, filter: (path) => !path.endsWith('-shm') })
  released.length = 0
  let count = 1
  /** Some 240 kB: more than the chain takes at once, less than what it has on disk for it. */
  async function readMuch(): Promise<void> {
    const detail = { note: 'x'.repeat(4000) }
    const targets = Array.from({ length: 60 }, () => read(`secret:${count++}`, { detail }))
    await Promise.all(targets.map((entry) => audit.recordRead(entry)))
    await audit.page({ limit: 1, order: 'asc' })
  }

  for (let round = 0; round < 3; round++) await readMuch()
  assert.equal(await stored(world), count)
  assert.deepEqual([new Set(durabilities), released], [new Set(['kernel']), []])
  cpSync(file, join(synced, 'audit.journal'))
  const after = await pageOf((await openWorld(t, [], { dataDir: synced })).audit)
  assert.equal(after.length, count)
  assertChain(after)

  for (let round = 0; round < 9; round++) await readMuch()
  assert.equal(durabilities.includes('disk') && released.length > 0, true)
  for (let round = 0; durabilities.at(-1) === 'disk' && round < 3; round++) await readMuch()
  const last = released.at(-1) ?? 0
  await audit.recordNow(read('secret:change'))
  assert.equal((released.at(-1) ?? 0) > last, true)
  assertChain(await pageOf(audit))
})
