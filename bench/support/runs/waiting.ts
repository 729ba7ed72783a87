// What runs that wait for a person cost: the start of the host, one look for work, and the same runs beside them.
//   node waiting.ts <runs>
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore, sql } from '../../../server/src/store/index.ts'
import { print, rounded } from '../figures.ts'
import { openEmbedded } from './embedded.ts'
import { measure } from './workload.ts'

const [count = '100000'] = process.argv.slice(2)
const dataDir = mkdtempSync(join(tmpdir(), 'keyward-bench-'))

/** One run is brought to its question by the engine; the others are copies of its rows under other ids. */
async function seed(): Promise<void> {
  const engine = await openEmbedded(dataDir, () => undefined, { answers: false })
  const asked = Promise.withResolvers<void>()
  engine.onAsked(asked.resolve)
  const id = await engine.start('waiting')
  await asked.promise
  await engine.stop()
  const store = await openStore({ dataDir })
  const columnsOf = async (table: string): Promise<string[]> =>
    (await store.all<{ name: string }>({ text: `pragma table_info(${table})`, values: [] })).map(
      ({ name }) => name,
    )
  const numbers = sql`with recursive n (i) as (select 1 union all select i + 1 from n where i < ${Number(count)} - 1)`
  for (const [table, ids, of] of [
    ['runs', { id: 'run' }, 'id'],
    ['run_tasks', { run_id: 'run', approval_id: 'apr' }, 'run_id'],
    ['approvals', { id: 'apr', run_id: 'run' }, 'run_id'],
  ] as const) {
    const columns = await columnsOf(table)
    const named = ids as Record<string, string>
    const values = columns.map((column) =>
      named[column] === undefined
        ? column
        : `case when ${column} is null then null else '${named[column]}_' || printf('%026d', i) end`,
    )
    await store.write((tx) =>
      tx.run({
        text: `insert into ${table} (${columns.join(', ')}) ${numbers.text} select ${values.join(', ')} from n, ${table} where ${table}.${of} = ?`,
        values: [...numbers.values, id],
      }),
    )
  }
  await store.close()
}

const took = async (work: () => Promise<unknown>): Promise<number> => {
  const at = performance.now()
  await work()
  return rounded(performance.now() - at, 1)
}

await seed()
const rssBefore = process.memoryUsage().rss
const openedAt = performance.now()
const idle = await openEmbedded(dataDir, () => undefined)
const startMilliseconds = rounded(performance.now() - openedAt)
const startRssMegabytes = rounded((process.memoryUsage().rss - rssBefore) / 2 ** 20)
const tickMilliseconds = await took(idle.tick)
await idle.stop()
const beside = await measure((effect) => openEmbedded(dataDir, effect), 1)
print({ waitingRuns: Number(count), startMilliseconds, startRssMegabytes, tickMilliseconds, beside })
rmSync(dataDir, { recursive: true, force: true })
