import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { createDatabase, startPostgres } from '../../test/support/postgres.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import { AppError } from '../core/index.ts'
import { type Migration, openDataFolder, openStore, type Store, sql, sqlList, type Tx } from './index.ts'

const migrations: readonly Migration[] = [
  {
    id: '0001-test',
    up: ({ bytes, int8 }) => [
      `create table things (id text primary key, size ${int8} not null, body ${bytes})`,
    ],
  },
]

/** What every store must do. */
async function contract(
  t: TestContext,
  open: () => Promise<Store>,
  reopen: () => Promise<Store>,
): Promise<void> {
  const store = await open()
  await store.migrate(migrations)
  const add = (id: string) =>
    store.write((tx) => tx.run(sql`insert into things (id, size) values (${id}, ${1})`))
  const ids = async () =>
    (await store.all<{ id: string }>(sql`select id from things order by id`)).map((row) => row.id)
  const clear = () => store.write((tx) => tx.run(sql`delete from things`))

  await t.test('a value comes back as it was written', async () => {
    const body = Buffer.from([0, 1, 255])
    await store.write((tx) =>
      tx.run(sql`insert into things (id, size, body) values (${"it's ? $1"}, ${2 ** 52}, ${body})`),
    )
    const row = await store.get<{ id: string; size: number; body: Uint8Array }>(sql`select * from things`)
    assert.equal(row?.id, "it's ? $1")
    assert.equal(row?.size, 2 ** 52)
    assert.deepEqual(Buffer.from(row?.body ?? []), body)
    assert.equal(await clear(), 1)
  })

  await t.test(
    'a transaction that throws leaves nothing, and its neighbours in the batch are kept',
    async () => {
      const failing = store.write(async (tx) => {
        await tx.run(sql`insert into things (id, size) values ('lost', 1)`)
        throw new AppError('request.conflict', 'on purpose')
      })
      const results = await Promise.allSettled([add('a'), failing, add('b')])
      assert.deepEqual(
        results.map((result) => result.status),
        ['fulfilled', 'rejected', 'fulfilled'],
      )
      assert.deepEqual(await ids(), ['a', 'b'])
      await clear()
    },
  )

  await t.test('a statement that fails undoes its transaction and no other', async () => {
    await add('once')
    const results = await Promise.allSettled([add('x'), add('once'), add('y')])
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual(await ids(), ['once', 'x', 'y'])
    await clear()
  })

  await t.test('transactions do not interleave', async () => {
    await store.write((tx) => tx.run(sql`insert into things (id, size) values ('counter', 0)`))
    const increment = () =>
      store.write(async (tx) => {
        const row = await tx.get<{ size: number }>(sql`select size from things where id = 'counter'`)
        await Promise.resolve()
        await tx.run(sql`update things set size = ${(row?.size ?? 0) + 1} where id = 'counter'`)
      })
    await Promise.all(Array.from({ length: 300 }, increment))
    assert.equal(
      (await store.get<{ size: number }>(sql`select size from things where id = 'counter'`))?.size,
      300,
    )
    await clear()
  })

  const put = (tx: Tx, id: string): void => tx.put(sql`insert into things (id, size) values (${id}, 1)`)

  await t.test('what is put is seen by the statements after it, and goes with its transaction', async () => {
    const failing = store.write(async (tx) => {
      put(tx, 'lost')
      throw new AppError('request.conflict', 'on purpose')
    })
    const failingLate = store.write(async (tx) => {
      put(tx, 'lost too')
      assert.equal((await tx.all(sql`select id from things where id = 'lost too'`)).length, 1)
      throw new AppError('request.conflict', 'on purpose')
    })
    const kept = store.write(async (tx) => {
      put(tx, 'first')
      await tx.run(sql`update things set size = 2 where id = 'first'`)
      put(tx, 'second')
    })
    const after = store.write((tx) => tx.all<{ id: string }>(sql`select id from things order by id`))
    await assert.rejects(failing, { code: 'request.conflict' })
    await assert.rejects(failingLate, { code: 'request.conflict' })
    await kept
    assert.deepEqual(
      (await after).map(({ id }) => id),
      ['first', 'second'],
    )
    await clear()
  })

  await t.test(
    'what is put and refused is reported to its transaction, and half of it is not stored',
    async () => {
      await add('there')
      const refused = store.write(async (tx) => {
        put(tx, 'half')
        put(tx, 'there')
      })
      await Promise.allSettled([add('a'), refused, add('b')])
      await assert.rejects(refused)
      assert.ok(!(await ids()).includes('half'))
      await clear()
    },
  )

  await t.test(
    'what is put to change so many rows fails its transaction when it changes others',
    async () => {
      await add('there')
      const changing = (id: string) =>
        store.write(async (tx) => {
          put(tx, `beside ${id}`)
          const otherwise = (): AppError => new AppError('request.conflict', 'on purpose')
          tx.put(sql`update things set size = 7 where id = ${id}`, { changes: 1, otherwise })
        })
      await changing('there')
      await assert.rejects(changing('nobody'), { code: 'request.conflict' })
      assert.deepEqual((await ids()).sort(), ['beside there', 'there'])
      await clear()
    },
  )

  await t.test('what transactions collect is stored with those that succeed, once a commit', async () => {
    const calls: string[][] = []
    const collector = async (tx: Pick<Tx, 'run'>, items: readonly string[]): Promise<void> => {
      calls.push([...items])
      for (const id of items) await tx.run(sql`insert into things (id, size) values (${id}, 3)`)
    }
    const job = (id: string, fails = false) =>
      store.write(async (tx) => {
        tx.collect(collector, id)
        if (fails) throw new AppError('request.conflict')
      })
    const results = await Promise.allSettled([job('a'), job('b', true), job('c')])
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual([calls, await ids()], [[['a', 'c']], ['a', 'c']])
    // One that cannot be stored takes along all that share its commit.
    const both = await Promise.allSettled([add('with it'), job('a')])
    assert.deepEqual(
      both.map((result) => result.status),
      ['rejected', 'rejected'],
    )
    assert.deepEqual(await ids(), ['a', 'c'])
    await clear()
  })

  await t.test('a reader outside does not see what is not committed', async () => {
    await store.write(async (tx) => {
      await tx.run(sql`insert into things (id, size) values ('hidden', 1)`)
      assert.deepEqual(await ids(), [])
      assert.equal(
        (await tx.all(sql`select id from things where id in (${sqlList(['hidden', 'other'])})`)).length,
        1,
      )
    })
    await clear()
  })

  await t.test('afterCommit is called once after success and never after failure', async () => {
    const calls: string[] = []
    await store.write(async (tx) => tx.afterCommit(() => calls.push('yes')))
    const failing = store.write(async (tx) => {
      tx.afterCommit(() => calls.push('no'))
      throw new AppError('request.conflict')
    })
    await assert.rejects(failing)
    assert.deepEqual(calls, ['yes'])
  })

  await t.test(
    'what was written is there after closing and opening; migrations run once, and a newer database is refused',
    async () => {
      await add('kept')
      await store.check()
      await store.close()
      const again = await reopen()
      await again.migrate(migrations)
      assert.equal((await again.all(sql`select id from things`)).length, 1)
      await assert.rejects(again.migrate([]), { code: 'store.newer' })
      await again.close()
    },
  )
}

test('OPS-1: the store contract on SQLite', async (t) => {
  const dataDir = temporaryFolder(t)
  const open = () => openStore({ dataDir })
  await contract(t, open, open)
})

test('OPS-1: the store contract on PostgreSQL', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const open = () => openStore({ dataDir: '', databaseUrl })
  await contract(t, open, open)
})

test('OPS-1: a second process on the same PostgreSQL database is refused, and may follow once the first is gone', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const first = await openStore({ dataDir: '', databaseUrl })
  await assert.rejects(openStore({ dataDir: '', databaseUrl }), { code: 'store.locked' })
  await first.close()
  await (await openStore({ dataDir: '', databaseUrl })).close()
})

test('OPS-1: PostgreSQL killed and started again: a write fails clearly, the next one works, nothing committed is lost', async (t) => {
  const cluster = await startPostgres(t)
  const databaseUrl = await createDatabase(cluster)
  const store = await openStore({ dataDir: '', databaseUrl })
  t.after(() => store.close())
  await store.migrate(migrations)
  const add = (id: string) =>
    store.write((tx) => tx.run(sql`insert into things (id, size) values (${id}, 1)`))
  await add('before')
  await cluster.stop('SIGKILL')
  const kept = ['before']
  // The process that serves the connection outlives the one that was killed until it notices.
  const refused = await eventually(async () => {
    const id = `during ${kept.length}`
    const failure = await add(id).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (!failure) kept.push(id)
    return failure
  }, 'a write that is refused')
  assert.ok(refused instanceof AppError)
  assert.equal(refused.code, 'store.unavailable')
  await cluster.start()
  await add('after')
  const rows = await store.all<{ id: string }>(sql`select id from things`)
  assert.deepEqual(rows.map(({ id }) => id).sort(), ['after', ...kept].sort())
})

test('an unreachable PostgreSQL names what to check, not the password', async () => {
  const databaseUrl = 'postgresql://u:generated-pass@127.0.0.1:1/db'
  await assert.rejects(openStore({ dataDir: '', databaseUrl }), (error: unknown) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.code, 'store.unavailable')
    assert.match(error.detail ?? '', /KEYWARD_DATABASE_URL/)
    assert.doesNotMatch(error.detail ?? '', /generated-pass/)
    return true
  })
})

test('OPS-1: the data folder is private and has one owner at a time', (t) => {
  const path = join(temporaryFolder(t), 'data')
  const folder = openDataFolder(path)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  assert.equal(statSync(join(path, 'keyward.lock')).mode & 0o777, 0o600)
  const second = `
    const { openDataFolder } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)})
    try { openDataFolder(${JSON.stringify(path)}); console.log('opened') } catch (error) { console.log(error.code, error.detail) }`
  const tryOpen = () =>
    spawnSync(process.execPath, ['--input-type=module', '-e', second], { encoding: 'utf8' }).stdout
  assert.match(tryOpen(), new RegExp(`^store.locked .*process ${process.pid}\\b`))
  folder.release()
  assert.match(tryOpen(), /^opened/)
})

test('a data folder that others can read is refused with the command that mends it', (t) => {
  const path = join(temporaryFolder(t), 'open')
  mkdirSync(path, { mode: 0o755 })
  assert.throws(() => openDataFolder(path), { code: 'store.unavailable', detail: /chmod 700/ })
})

test('a damaged page is reported as such at start, and the file is left alone', async (t) => {
  const dataDir = temporaryFolder(t)
  const store = await openStore({ dataDir })
  await store.migrate(migrations)
  for (let i = 0; i < 40; i++)
    await store.write((tx) =>
      tx.run(sql`insert into things (id, size, body) values (${`row ${i}`}, 1, ${Buffer.alloc(3000, 7)})`),
    )
  await store.close()
  const file = join(dataDir, 'keyward.db')
  const fd = openSync(file, 'r+')
  writeSync(fd, Buffer.alloc(4096 * 4, 0xa5), 0, 4096 * 4, 4096 * 2)
  const damaged = readFileSync(file)
  await assert.rejects(openStore({ dataDir }), { code: 'store.corrupt', detail: /keyward\.db/ })
  assert.ok(damaged.equals(readFileSync(file)))
})

test('a file that is no database is reported as damage', async (t) => {
  const dataDir = temporaryFolder(t)
  const fd = openSync(join(dataDir, 'keyward.db'), 'w')
  writeSync(fd, 'this is not a database, however long one looks at it'.repeat(100))
  await assert.rejects(openStore({ dataDir }), { code: 'store.corrupt' })
})
