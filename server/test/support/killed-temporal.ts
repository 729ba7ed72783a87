/**
 * A server whose runs are Temporal's, and which kills itself at the n-th time that a boundary is reached.
 *   node killed-temporal.ts <data folder> <address> <namespace> <key, base64> <boundary> <n>
 * Finishes what an earlier one left and prints what it found as one line of JSON; without a boundary it ends then.
 */
import { auditMigrations, createAudit, createFileAnchor } from '../../src/audit/index.ts'
import { busMigrations, createBus } from '../../src/bus/index.ts'
import { Secret, silentLog, systemClock } from '../../src/core/index.ts'
import { openDataFolder, openStore, sql } from '../../src/store/index.ts'
import type { Action } from '../../src/workflow/index.ts'
import { createEngine, engineMigrations, gate, olga, piet, planOf, task } from './engine.ts'

const [dataDir = '', address = '', namespace = '', key = '', fatal = '', nth = '1'] = process.argv.slice(2)
const clock = systemClock
let armed = false
let left = Number(nth)

function boundary(name: string): void {
  if (!armed || name !== fatal || --left > 0) return
  process.kill(process.pid, 'SIGKILL')
}

const folder = openDataFolder(dataDir)
const store = await openStore({ dataDir })
await store.migrate([
  ...auditMigrations,
  ...busMigrations,
  ...engineMigrations,
  { id: '9990-effects', up: () => ['create table effects (id text primary key, times integer not null)'] },
])
const audit = createAudit({
  store,
  clock,
  anchor: createFileAnchor(`${dataDir}/audit.anchor`),
  signingKey: async () => undefined,
})
const bus = createBus({ store, clock, log: silentLog })

const effect = (name: string, idempotent: boolean): Action => ({
  name,
  idempotent,
  preview: async (args) => args,
  async execute({ idempotencyKey }) {
    boundary('executing')
    return {
      output: idempotencyKey,
      async commit(tx) {
        await tx.run(sql`insert into effects (id, times) values (${idempotencyKey}, 1)
          on conflict (id) do update set times = effects.times + 1`)
      },
    }
  },
})
const once: Action = {
  ...effect('test.once', false),
  reconcile: async ({ idempotencyKey }) => {
    const done = await store.get(sql`select id from effects where id = ${idempotencyKey}`)
    return done ? { effect: 'done', result: { output: idempotencyKey } } : { effect: 'none' }
  },
}
const { workflow, approvals, stop } = createEngine(
  { store, audit, bus, clock },
  {
    actions: [effect('test.note', true), once],
    onBoundary: boundary,
    temporal: {
      env: { KEYWARD_TEMPORAL_ADDRESS: address, KEYWARD_TEMPORAL_NAMESPACE: namespace },
      key: async () => new Secret(key),
      heartbeatSeconds: 2,
    },
  },
)

async function answerAll(): Promise<void> {
  for (const { id, digest } of (await approvals.page({ limit: 500, state: 'pending' })).items)
    await approvals.approve(piet, id, { digest }).catch(() => undefined)
  boundary('answered')
}
bus.subscribe(({ type }) => {
  if (type === 'approval.requested') void answerAll()
})

await workflow.run()
await approvals.run()
await answerAll()
const { items: runs } = await workflow.page({ limit: 500 })
await Promise.all(runs.map(({ id }) => workflow.whenEnded(id)))
const states = (await workflow.page({ limit: 500 })).items.map(({ state }) => state)
const count = async (query: ReturnType<typeof sql>): Promise<number> =>
  Number((await store.get<{ n: number }>(query))?.n)
process.stdout.write(
  `${JSON.stringify({
    runs: states.length,
    succeeded: states.filter((state) => state === 'Succeeded').length,
    effects: await count(sql`select count(*) as n from effects`),
    repeatedEffects: await count(sql`select count(*) as n from effects where times > 1`),
    approvals: await count(sql`select count(*) as n from approvals`),
  })}\n`,
)

if (fatal) {
  armed = true
  const plan = planOf(
    task('a'),
    task('b', { needs: ['a'], approval: gate }),
    task('c', { needs: ['b'], action: 'test.once' }),
  )
  const { id } = await workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
  boundary('begun')
  await workflow.whenEnded(id)
}
await stop()
await store.close()
folder.release()
