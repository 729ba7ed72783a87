/**
 * Runs that wait for a person, across a restart: so many are started, each asks its question, everything is stopped and started
 * again (Temporal by kill -9), each is answered and ends. On the embedded host, and on a Temporal of one process over one SQLite file
 * where Go is on the path to build it.
 *
 *   node bench/waiting.ts [runs] [host,…]   (Node 24)
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { auditMigrations, createAudit, createFileAnchor } from '../server/src/audit/index.ts'
import { busMigrations, createBus } from '../server/src/bus/index.ts'
import { Secret, silentLog, systemClock } from '../server/src/core/index.ts'
import { findProgram } from '../server/src/sandbox/index.ts'
import { openStore, sql } from '../server/src/store/index.ts'
import {
  createEngine,
  type Engine,
  engineMigrations,
  gate,
  noteAction,
  olga,
  piet,
  planOf,
  task,
} from '../server/test/support/engine.ts'
import { goProgram } from '../server/test/support/go.ts'
import { openTemporal, type TemporalServer } from '../server/test/support/temporal.ts'
import { circumstances, print, rounded } from './support/figures.ts'

const count = Number(process.argv[2] ?? 1000)
const hosts = (process.argv[3] ?? 'embedded,temporal').split(',')
const key = new Secret(randomBytes(32).toString('base64'))
const plan = planOf(task('change', { approval: gate }), task('tell', { needs: ['change'] }))

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** Of this process, which has the store, the engine and the worker of Temporal: processor time a run, and resident memory afterwards. */
async function timed(work: () => Promise<void>) {
  const began = performance.now()
  const used = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(used)
  return {
    seconds: rounded((performance.now() - began) / 1000, 1),
    processorMsPerRun: rounded((user + system) / 1000 / count, 1),
    memoryMb: rounded(process.memoryUsage.rss() / 2 ** 20, 0),
  }
}

async function openEngine(dataDir: string, temporal: TemporalServer | undefined, notes: string[]) {
  const clock = systemClock
  const store = await openStore({ dataDir })
  await store.migrate([...auditMigrations, ...busMigrations, ...engineMigrations])
  const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
  const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined })
  const bus = createBus({ store, clock, log: silentLog })
  const env = temporal && {
    KEYWARD_TEMPORAL_ADDRESS: temporal.address,
    KEYWARD_TEMPORAL_NAMESPACE: temporal.namespace,
  }
  const engine = createEngine(
    { store, audit, bus, clock },
    { actions: [noteAction(notes)], temporal: env && { env, key: async () => key } },
  )
  await engine.workflow.run()
  await engine.approvals.run()
  if (temporal) await until(async () => (await engine.workflow.hosts()).temporal?.state === 'up')
  const close = async (): Promise<void> => {
    await engine.stop()
    await store.close()
  }
  const asking = async (): Promise<number> =>
    Number((await store.get<{ n: number }>(sql`select count(*) as n from approvals`))?.n)
  return { engine, close, asking }
}

async function pending({ approvals }: Engine) {
  const all = []
  let cursor: string | null | undefined
  do {
    const page = await approvals.page({ limit: 500, state: 'pending', ...(cursor ? { cursor } : {}) })
    all.push(...page.items)
    cursor = page.next
  } while (cursor)
  return all
}

/** Milliseconds: what the inbox reads first, and all that waits, in pages as the console asks for them. */
async function timesOfInbox({ approvals }: Engine) {
  const pageMs: number[] = []
  let cursor: string | undefined
  do {
    const began = performance.now()
    const page = await approvals.page({ cursor, limit: 100, state: 'pending' })
    pageMs.push(performance.now() - began)
    cursor = page.next ?? undefined
  } while (cursor)
  const sum = pageMs.reduce((all, one) => all + one, 0)
  return { pages: pageMs.length, firstMs: rounded(pageMs[0] ?? 0, 1), allMs: rounded(sum, 1) }
}

async function measure(temporal: TemporalServer | undefined) {
  const dataDir = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
  const notes: string[] = []
  const runs: string[] = []
  const first = await openEngine(dataDir, temporal, notes)
  let { engine, close } = first
  const asked = await timed(async () => {
    const start = () => engine.workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
    for (const { id } of await Promise.all(Array.from({ length: count }, start))) runs.push(id)
    await until(async () => (await first.asking()) === count)
  })
  const restarted = await timed(async () => {
    await close()
    await temporal?.kill()
    await temporal?.start()
    const next = await openEngine(dataDir, temporal, notes)
    engine = next.engine
    close = next.close
  })
  const inbox = await timesOfInbox(engine)
  const ended = await timed(async () => {
    for (const { id, digest } of await pending(engine)) await engine.approvals.approve(piet, id, { digest })
    for (const id of runs) assert.equal((await engine.workflow.whenEnded(id)).state, 'Succeeded')
  })
  assert.equal(notes.length, 2 * count)
  await close()
  rmSync(dataDir, { recursive: true, force: true })
  return { asked, restarted, inbox, ended }
}

async function onTemporal() {
  if (!findProgram('go')) return 'there is no Go here to build a Temporal with'
  const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
  const temporal = await openTemporal(await goProgram('temporal-server'), join(folder, 'temporal.db'))
  try {
    return await measure(temporal)
  } finally {
    await temporal.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

const embedded = hosts.includes('embedded') ? await measure(undefined) : undefined
const temporal = hosts.includes('temporal') ? await onTemporal() : undefined
print({ ...circumstances(), runs: count, embedded, temporal })
