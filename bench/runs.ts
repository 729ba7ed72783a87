/**
 * Durable runs per second: a plan of eight tasks, one of which waits for an approval, on SQLite with every commit on disk as in
 * production. The tasks themselves do nothing, so this is what the engine, the audit log and the bus cost.
 *
 *   node bench/runs.ts [runs]   (Node 24)
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { auditMigrations, createAudit, createFileAnchor } from '../server/src/audit/index.ts'
import { busMigrations, createBus } from '../server/src/bus/index.ts'
import { silentLog, systemClock } from '../server/src/core/index.ts'
import { openStore } from '../server/src/store/index.ts'
import {
  createEngine,
  engineMigrations,
  gate,
  noteAction,
  olga,
  piet,
  planOf,
  task,
} from '../server/test/support/engine.ts'

const count = Number(process.argv[2] ?? 500)
const atOnce = 100
const dataDir = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
const clock = systemClock
const store = await openStore({ dataDir })
await store.migrate([...auditMigrations, ...busMigrations, ...engineMigrations])
const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined })
const bus = createBus({ store, clock, log: silentLog })
const { workflow, approvals, stop } = createEngine(
  { store, audit, bus, clock },
  { actions: [noteAction([])] },
)

/** As a person does: the event names the approval, the page shows it, the answer carries its digest. */
bus.subscribe(({ type, subject }) => {
  if (type !== 'approval.requested') return
  const id = subject.slice('approval:'.length)
  void approvals.read(id).then(({ digest }) => approvals.approve(piet, id, { digest }))
})

const plan = planOf(
  task('check'),
  task('store', { needs: ['check'], approval: gate }),
  task('rewrite-a', { needs: ['store'] }),
  task('rewrite-b', { needs: ['store'] }),
  task('lend', { needs: ['rewrite-a', 'rewrite-b'] }),
  task('use', { needs: ['lend'] }),
  task('return', { needs: ['use'] }),
  task('tell', { needs: ['return'] }),
)

async function oneAfterAnother(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const { id } = await workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
    const { state } = await workflow.whenEnded(id)
    if (state !== 'Succeeded') throw new Error(`run ${id} ended as ${state}`)
  }
}

await workflow.run()
await approvals.run()
await oneAfterAnother(20)
const began = performance.now()
await Promise.all(Array.from({ length: atOnce }, () => oneAfterAnother(count / atOnce)))
const seconds = (performance.now() - began) / 1000
const alone = performance.now()
await oneAfterAnother(20)
const result = {
  runs: count,
  tasksPerRun: plan.tasks.length,
  atOnce,
  runsPerSecond: Math.round(count / seconds),
  aloneMillisecondsPerRun: Math.round((performance.now() - alone) / 20),
  rssMegabytes: Math.round(process.memoryUsage().rss / 2 ** 20),
}
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
await stop()
await store.close()
rmSync(dataDir, { recursive: true })
