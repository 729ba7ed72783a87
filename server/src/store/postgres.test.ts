import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { createDatabase, startPostgres } from '../../test/support/postgres.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import { openStore, sql } from './index.ts'

type Cut = 'before' | 'after'

/** Stands between client and server, and cuts the line at the next COMMIT: before the server hears it, or after it has obeyed. */
async function openLine(t: TestContext, databaseUrl: string) {
  const folder = temporaryFolder(t)
  const target = join(new URL(databaseUrl).searchParams.get('host') ?? '', '.s.PGSQL.5432')
  const sockets = new Set<Socket>()
  let cut: Cut | undefined
  let refused = 0
  const server = createServer((near) => {
    if (refused > 0) {
      refused--
      near.destroy()
      return
    }
    const far = createConnection(target)
    let committing = false
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => sockets.delete(socket))
    }
    near.on('data', (part) => {
      if (cut && part.includes('commit\0')) {
        committing = cut === 'after'
        cut = undefined
        if (!committing) {
          near.destroy()
          far.destroy()
          return
        }
      }
      far.write(part)
    })
    far.on('data', (part) => {
      // The answers to statements that were sent together with the commit may come first.
      if (!committing || !part.includes('COMMIT\0')) return void near.write(part)
      near.destroy()
      far.destroy()
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(join(folder, '.s.PGSQL.5432'), resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
    rmSync(folder, { recursive: true, force: true })
  })
  const url = new URL(databaseUrl)
  url.searchParams.set('host', folder)
  return {
    url: url.href,
    cutAt(when: Cut, connectionsToRefuse = 0) {
      cut = when
      refused = connectionsToRefuse
    },
  }
}

const migrations = [{ id: '0001-test', up: () => ['create table things (id text primary key)'] }]

test('OPS-1: a commit whose answer is lost is asked about, so that nobody is told the opposite of what is stored', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const line = await openLine(t, databaseUrl)
  const store = await openStore({ dataDir: '', databaseUrl: line.url })
  t.after(() => store.close())
  await store.migrate(migrations)
  const told: string[] = []
  const add = (id: string) =>
    store.write(async (tx) => {
      await tx.run(sql`insert into things (id) values (${id})`)
      tx.afterCommit(() => told.push(id))
    })
  line.cutAt('after')
  await add('stored')
  line.cutAt('before')
  await assert.rejects(add('lost'), { code: 'store.unavailable' })
  await add('next')
  const rows = await store.all<{ id: string }>(sql`select id from things order by id`)
  assert.deepEqual(
    rows.map((row) => row.id),
    ['next', 'stored'],
  )
  assert.deepEqual(told, ['stored', 'next'])
})

test('OPS-1: when the fate of a commit cannot be learned in time and it was stored after all, nothing more is written', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const line = await openLine(t, databaseUrl)
  const store = await openStore({ dataDir: '', databaseUrl: line.url })
  t.after(() => store.close())
  await store.migrate(migrations)
  line.cutAt('after', 4)
  await assert.rejects(
    store.write((tx) => tx.run(sql`insert into things (id) values ('stored')`)),
    { code: 'store.unavailable' },
  )
  for (const id of ['a', 'b'])
    await assert.rejects(
      store.write((tx) => tx.run(sql`insert into things (id) values (${id})`)),
      { code: 'store.unavailable', detail: /Restart it/ },
    )
  assert.deepEqual(await store.all(sql`select id from things`), [{ id: 'stored' }])
})

test('OPS-1: a database that would answer before a commit is on disk is told to wait for it', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query(
    "do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$",
  )
  await client.end()
  const store = await openStore({ dataDir: '', databaseUrl })
  t.after(() => store.close())
  const row = await store.write((tx) =>
    tx.get<{ value: string }>(sql`select current_setting('synchronous_commit') as value`),
  )
  assert.equal(row?.value, 'on')
})
