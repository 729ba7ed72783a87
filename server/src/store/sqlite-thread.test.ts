import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { cleanUp } from '../../test/support/clean-up.ts'
import { eventually } from '../../test/support/eventually.ts'
import { createTestClock, temporaryFolder } from '../../test/support/world.ts'
import { openStore, type Store, sql } from './index.ts'

const inserting = new URL('../../test/support/aside-insert.ts', import.meta.url)

async function openThings(t: TestContext) {
  const dataDir = temporaryFolder(t)
  const store = await openStore({ dataDir })
  let open = true
  const close = async (): Promise<void> => {
    if (open) await store.close()
    open = false
  }
  cleanUp(t, close)
  await store.migrate([{ id: '0001-test', up: () => ['create table things (id text primary key)'] }])
  const aside = (input: object): Promise<number> =>
    store.aside?.(inserting, input) ?? assert.fail('no thread')
  return { dataDir, store, aside, close }
}

const idsOf = async (store: Store): Promise<string[]> =>
  (await store.all<{ id: string }>(sql`select id from things order by id`)).map(({ id }) => id)

test('OPS-1: a job of the other thread is a transaction that all others see when it is done', async (t) => {
  const { store, aside } = await openThings(t)
  assert.equal(await aside({ ids: ['a', 'b'] }), 2)
  assert.deepEqual(await idsOf(store), ['a', 'b'])
  await store.write((tx) => tx.run(sql`insert into things (id) values ('c')`))
  assert.equal(await aside({ ids: ['d'] }), 4)
})

test('OPS-1: a job of the other thread that fails leaves nothing and says why; the next one works', async (t) => {
  const { store, aside } = await openThings(t)
  await assert.rejects(aside({ ids: ['a'], fails: 'known' }), {
    code: 'request.conflict',
    detail: 'so it was asked',
  })
  await assert.rejects(aside({ ids: ['a'], fails: 'unknown' }), /nobody expected this/)
  await assert.rejects(aside({ ids: ['a', 'a'] }), /UNIQUE/)
  assert.deepEqual(await idsOf(store), [])
  assert.equal(await aside({ ids: ['a'] }), 1)
})

test('OPS-1: when the other thread dies its job leaves nothing, writers go on, and another thread takes the next', async (t) => {
  const { store, aside } = await openThings(t)
  const after = Promise.allSettled([
    aside({ ids: ['a'], ends: true }),
    store.write((tx) => tx.run(sql`insert into things (id) values ('b')`)),
  ])
  assert.deepEqual(
    (await after).map(({ status }) => status),
    ['rejected', 'fulfilled'],
  )
  await assert.rejects(aside({ ids: ['c'], ends: true }), { code: 'store.unavailable' })
  assert.equal(await aside({ ids: ['d'] }), 2)
  assert.deepEqual(await idsOf(store), ['b', 'd'])
})

test('OPS-1: the other thread ends when there was no work for it for a while, and another takes the next', async (t) => {
  const clock = createTestClock()
  const store = await openStore({ dataDir: temporaryFolder(t), clock })
  cleanUp(t, () => store.close())
  const telling = new URL('../../test/support/aside-thread.ts', import.meta.url)
  const thread = (): Promise<number> => store.aside?.(telling, {}) ?? assert.fail('no thread')
  const first = await thread()
  clock.advance(20_000)
  assert.equal(await thread(), first)
  clock.advance(20_000)
  assert.equal(await thread(), first, 'work in between lets it stay')
  clock.advance(30_000)
  const second = await thread()
  assert.notEqual(second, first)
  assert.equal(await thread(), second)
})

test('OPS-1: transactions of both threads take turns, and none is lost', async (t) => {
  const { store, aside } = await openThings(t)
  const names = Array.from({ length: 120 }, (_, i) => `n${String(i).padStart(3, '0')}`)
  await Promise.all(
    names.map((id, i) =>
      i % 3 === 0
        ? aside({ ids: [id] })
        : store.write(
            async (tx) => {
              const before = await tx.get(sql`select count(*) as n from things`)
              await tx.run(sql`insert into things (id) values (${id})`)
              assert.notDeepEqual(await tx.get(sql`select count(*) as n from things`), before)
            },
            i % 3 === 1 ? 'disk' : 'kernel',
          ),
    ),
  )
  assert.deepEqual(await idsOf(store), names)
})

for (const who of ['writers', 'jobs of the other thread'])
  test(`OPS-1: the log is copied into the database and begins anew while there are ${who}`, async (t) => {
    const { dataDir, store, aside } = await openThings(t)
    const looking = new DatabaseSync(join(dataDir, 'keyward.db'))
    cleanUp(t, () => looking.close())
    const look = looking.prepare('pragma wal_checkpoint(noop)')
    const long = (i: number): string => `${i}-${'x'.repeat(8000)}`
    let written = 0
    let longest = 0
    const write = async (): Promise<unknown> => {
      const ids = Array.from({ length: 50 }, () => long(written++))
      if (who !== 'writers') return aside({ ids })
      return Promise.all(
        ids.map((id) => store.write((tx) => tx.run(sql`insert into things (id) values (${id})`))),
      )
    }
    await eventually(async () => {
      await write()
      const { log } = look.get() as { log: number }
      longest = Math.max(longest, log)
      return log < longest / 2
    }, 'a log that begins anew')
    assert.equal((await idsOf(store)).length, written)
  })

test('OPS-1: a store that is closed while the other thread works has all that was acknowledged', async (t) => {
  const { dataDir, store, aside, close } = await openThings(t)
  await aside({ ids: ['a'] })
  const last = store.write((tx) => tx.run(sql`insert into things (id) values ('b')`))
  const working = aside({ ids: Array.from({ length: 500 }, (_, i) => `m${i}`) })
  await Promise.all([last, working])
  await close()
  const again = await openStore({ dataDir })
  assert.equal((await idsOf(again)).length, 502)
  await again.close()
})
