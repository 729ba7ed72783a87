import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/support/world.ts'
import { openStore, type Store, sql, type Tx } from './index.ts'

async function open(t: TestContext): Promise<Store> {
  const store = await openStore({ dataDir: temporaryFolder(t) })
  t.after(() => store.close())
  await store.migrate([{ id: '0001-test', up: () => ['create table things (id text primary key)'] }])
  return store
}

const idsOf = async (store: Store): Promise<string[]> =>
  (await store.all<{ id: string }>(sql`select id from things order by id`)).map((row) => row.id)

test('OPS-1: a transaction that is used after its end changes nothing, also not in its neighbour', async (t) => {
  const store = await open(t)
  let escaped: Tx | undefined
  await store.write(async (tx) => {
    escaped = tx
    await tx.run(sql`insert into things (id) values ('first')`)
  })
  const late = (): Promise<unknown> =>
    escaped?.run(sql`insert into things (id) values ('late')`) ?? assert.fail('there is no transaction')
  await assert.rejects(late(), /used after its end/)
  await store.write(async (tx) => {
    await assert.rejects(late(), /used after its end/)
    await tx.run(sql`insert into things (id) values ('second')`)
  })
  assert.deepEqual(await idsOf(store), ['first', 'second'])
})

test('OPS-1: work that goes on after the database has rolled back by itself stores nothing', async (t) => {
  const store = await open(t)
  const neighbour = store.write((tx) => tx.run(sql`insert into things (id) values ('neighbour')`))
  const stubborn = store.write(async (tx) => {
    await tx.run(sql`insert into things (id) values ('before')`)
    // What SQLite does by itself when the disk is full, and a caller that takes no notice of it.
    await tx.run(sql`insert or rollback into things (id) values ('before')`).catch(() => undefined)
    await tx.run(sql`insert into things (id) values ('after')`)
  })
  await assert.rejects(stubborn, { code: 'store.unavailable' })
  await assert.rejects(neighbour)
  assert.deepEqual(await idsOf(store), [])
  await store.write((tx) => tx.run(sql`insert into things (id) values ('next')`))
  assert.deepEqual(await idsOf(store), ['next'])
})
