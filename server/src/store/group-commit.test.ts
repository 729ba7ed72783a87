import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/support/world.ts'
import { createGroupCommit } from './group-commit.ts'
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

/** A connection that only notes what it is told, and a disk that is as slow as the test wants, on a clock that stands still. */
function createRecorded() {
  const statements: string[] = []
  const syncs: (() => void)[] = []
  let inTransaction = false
  const commits = createGroupCommit(
    {
      async exec(statement) {
        statements.push(statement)
        if (statement === 'begin') inTransaction = true
        if (statement === 'commit' || statement === 'rollback') inTransaction = false
      },
      all: async () => [],
      get: async () => undefined,
      run: async () => 0,
      async runAll(puts) {
        statements.push(...puts.map(({ query }) => query.text))
      },
      readsCanSpoil: false,
      inTransaction: () => inTransaction,
      sync: () => new Promise((resolve) => void syncs.push(resolve)),
    },
    undefined,
    () => 0,
  )
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  return { statements, syncs, commits, turns }
}

test('OPS-1: who comes while the disk is busy shares the next commit; who does not wait for the disk goes on at once', async () => {
  const { statements, syncs, commits, turns } = createRecorded()
  const done: string[] = []
  const write = (name: string, durability: 'disk' | 'kernel') =>
    commits.write(async () => undefined, durability).then(() => done.push(name))
  const all = [write('first', 'disk')]
  await turns()
  assert.deepEqual(statements, ['begin', 'commit'])
  for (const name of ['second', 'third']) {
    all.push(write(name, 'disk'))
    await turns()
  }
  assert.equal(statements.length, 2)
  syncs.shift()?.()
  await turns()
  assert.deepEqual(done, ['first'])
  assert.deepEqual(statements.slice(2), ['begin', 'commit'])
  all.push(write('fourth', 'disk'))
  await turns()
  all.push(write('urgent', 'kernel'))
  await turns()
  assert.deepEqual(done, ['first', 'urgent'])
  for (const reached of syncs) reached()
  await Promise.all(all)
  assert.deepEqual(done, ['first', 'urgent', 'second', 'third', 'fourth'])
})

test('OPS-1: who comes again at once when answered shares the commit of those who waited meanwhile', async () => {
  const { statements, syncs, commits, turns } = createRecorded()
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const first = commits.write(async () => undefined, 'disk')
  await turns()
  const waited = commits.write(async (tx) => tx.put(sql`waited`), 'disk')
  await turns()
  const again = first.then(async () => {
    await nextTurn()
    return commits.write(async (tx) => tx.put(sql`again`), 'disk')
  })
  const other = first.then(() => commits.write(async (tx) => tx.put(sql`other`), 'disk'))
  syncs.shift()?.()
  await turns()
  assert.deepEqual(statements.slice(2), ['begin', 'waited', 'other', 'again', 'commit'])
  for (const reached of syncs) reached()
  await Promise.all([waited, again, other])
})

test('OPS-1: what nobody waits for reaches the disk too, now and then', async () => {
  const { syncs, commits } = createRecorded()
  for (let i = 0; i < 250; i++) await commits.write(async () => undefined, 'kernel')
  assert.equal(syncs.length, 2)
})

test('OPS-1: of a job that fails alone nothing is stored, and the next one is', async (t) => {
  const store = await open(t)
  const failing = store.write(async (tx) => {
    await tx.run(sql`insert into things (id) values ('half')`)
    throw new Error('not after all')
  })
  await assert.rejects(failing, /not after all/)
  await store.write((tx) => tx.run(sql`insert into things (id) values ('next')`))
  assert.deepEqual(await idsOf(store), ['next'])
})

test('OPS-1: a transaction says once that it is over, after the commit or after the failure', async (t) => {
  const store = await open(t)
  const heard: string[] = []
  const job = (name: string, fails: boolean) =>
    store.write(async (tx) => {
      tx.afterEnd(() => heard.push(`${name} over`))
      tx.afterCommit(() => heard.push(`${name} stored`))
      if (fails) throw new Error('not after all')
    })
  const stubborn = store.write(async (tx) => {
    tx.afterEnd(() => heard.push('batch over'))
    await tx.run(sql`insert into things (id) values ('x')`)
    await tx.run(sql`insert or rollback into things (id) values ('x')`)
  })
  await assert.rejects(stubborn)
  await Promise.all([job('one', false), assert.rejects(job('two', true)), job('three', false)])
  await assert.rejects(job('four', true))
  assert.deepEqual(heard, [
    'batch over',
    'two over',
    'one stored',
    'one over',
    'three stored',
    'three over',
    'four over',
  ])
})

test('OPS-1: work of another connection is done between two commits, and its failure is its own', async () => {
  const { statements, commits } = createRecorded()
  const write = (name: string) => commits.write(async (tx) => tx.put({ text: name, values: [] }), 'kernel')
  const turn = (name: string, fails = false) =>
    commits.inTurn(async () => {
      statements.push(`${name} begins`)
      await new Promise((resolve) => setImmediate(resolve))
      if (fails) throw new Error('it failed')
      statements.push(`${name} ends`)
    })
  const all = [write('one'), turn('first'), write('two'), turn('second')]
  await Promise.all([...all, assert.rejects(turn('third', true), /it failed/), write('three')])
  await write('four')
  const turns = ['first begins', 'first ends', 'second begins', 'second ends', 'third begins']
  const [first, last] = [
    ['begin', 'one', 'two', 'three', 'commit'],
    ['begin', 'four', 'commit'],
  ]
  assert.deepEqual(statements, [...first, ...turns, ...last])
})
