/**
 * Durable transactions per second on SQLite, with one caller and with fifty, as the store commits them; and beside it what
 * SQLite's own `synchronous = full` gives one caller, who waits for the disk in the main thread. See docs/decisions/0002.
 *
 *   node bench/commits.ts [seconds]   (Node 24)
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openStore, sql } from '../server/src/store/index.ts'

const seconds = Number(process.argv[2] ?? 2)
const rounds = 3
const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
const schema = ['create table t (id integer primary key, n integer not null)', 'insert into t values (1, 0)']
const store = await openStore({ dataDir: folder })
await store.migrate([{ id: '0001-bench', up: () => schema }])
const full = new DatabaseSync(join(folder, 'full.db'))
full.exec(`pragma journal_mode = wal; pragma synchronous = full; ${schema.join(';')}`)
const update = full.prepare('update t set n = n + 1 where id = 1')

async function grouped(callers: number): Promise<number> {
  let done = 0
  const end = performance.now() + seconds * 1000
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (; performance.now() < end; done++)
        await store.write((tx) => tx.run(sql`update t set n = n + 1 where id = 1`))
    }),
  )
  return done
}

function alone(): number {
  let done = 0
  for (const end = performance.now() + seconds * 1000; performance.now() < end; done++) update.run()
  return done
}

const perSecond = (count: number): string => Math.round(count / seconds).toLocaleString('en')
for (let round = 1; round <= rounds; round++) {
  const [one, fifty, plain] = [await grouped(1), await grouped(50), alone()]
  process.stdout.write(
    `round ${round}: store, 1 caller ${perSecond(one)}/s; store, 50 callers ${perSecond(fifty)}/s; synchronous=full, 1 caller ${perSecond(plain)}/s\n`,
  )
}
await store.close()
full.close()
rmSync(folder, { recursive: true })
