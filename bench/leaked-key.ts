/**
 * Leaked-key runs per second: the whole of Keyward in this process, on SQLite with every commit on disk, as installed. Each run moves
 * one key that stands in two files of a project of its own: plan and preview, a person's approval with its digest, the value into the
 * vault, an encrypted undo copy and a reference into each file (both synced), and the findings marked. No sandbox task.
 *
 *   node bench/leaked-key.ts [runs] [at once]   (Node 24)
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Principal, silentLog, systemClock } from '../server/src/core/index.ts'
import { createKeyward, type Keyward } from '../server/src/keyward.ts'
import { openDataFolder, openStore } from '../server/src/store/index.ts'
import { circumstances, median, print, rounded } from './support/figures.ts'
import { openWorkbench } from './support/servers.ts'

const count = Number(process.argv[2] ?? 200)
const atOnce = Number(process.argv[3] ?? 32)
const warmUp = 40
const bench = openWorkbench()

function makeProject(name: string): string {
  const folder = join(bench.folder, name)
  const key = ['sk', 'live', randomBytes(16).toString('hex')].join('_')
  mkdirSync(folder)
  writeFileSync(join(folder, '.env'), `PORT=8080\nSTRIPE_SECRET_KEY=${key}\nLOG_LEVEL=info\n`)
  writeFileSync(join(folder, 'shop.yaml'), `shop:\n  name: leaky\n  stripe_secret_key: "${key}"\n`)
  return folder
}

/** The only account, just signed in: it may approve its own run. */
async function signIn({ store, identity }: Keyward): Promise<Principal> {
  const { id, name, roles } = await store.write((tx) => identity.bootstrapOwner(tx))
  return { kind: 'person', id, name, roles, signedInAt: new Date() }
}

type Leak = { readonly folder: string; readonly findingIds: readonly string[] }

async function findLeak(
  { findings }: Keyward,
  by: Principal,
  folder: string,
  known: Set<string>,
): Promise<Leak> {
  const { done } = await findings.startScan({ path: folder, history: false, by })
  const { project } = await done
  const { items } = await findings.page({ limit: 10, state: 'open', project })
  const findingIds = items.map(({ id }) => id).filter((id) => !known.has(id))
  for (const id of findingIds) known.add(id)
  if (findingIds.length !== 1) throw new Error(`${folder}: ${findingIds.length} findings instead of one`)
  return { folder, findingIds }
}

/** As a person does: the event names the approval, the page shows it, the answer carries its digest. */
function answerApprovals({ bus, approvals }: Keyward, by: Principal): void {
  bus.subscribe(({ type, subject }) => {
    if (type !== 'approval.requested') return
    const id = subject.slice('approval:'.length)
    void approvals.read(id).then(({ digest }) => approvals.approve(by, id, { digest }))
  })
}

async function moveKey(
  { flows, workflow }: Keyward,
  by: Principal,
  { folder, findingIds }: Leak,
): Promise<number> {
  const began = performance.now()
  const input = { findingIds: [...findingIds] }
  const { id } = await flows.start({ flow: 'leaked-key', input, by, unattended: false })
  const { state } = await workflow.whenEnded(id)
  if (state !== 'Succeeded') throw new Error(`run ${id} ended as ${state}`)
  if (!readFileSync(join(folder, '.env'), 'utf8').includes('keyward://'))
    throw new Error(`${folder} is as before`)
  return performance.now() - began
}

/** Each lane takes the next one when it is done. Returns the milliseconds of every run. */
async function inLanes(
  keyward: Keyward,
  by: Principal,
  leaks: readonly Leak[],
  lanes: number,
): Promise<number[]> {
  const waiting = [...leaks]
  const times: number[] = []
  const lane = async (): Promise<void> => {
    for (let leak = waiting.shift(); leak; leak = waiting.shift())
      times.push(await moveKey(keyward, by, leak))
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return times
}

const dataDir = join(bench.folder, 'data')
const lock = openDataFolder(dataDir)
const store = await openStore({ dataDir })
try {
  const keyward = await createKeyward({
    store,
    clock: systemClock,
    log: silentLog,
    searchPath: process.env['PATH'] ?? '',
    env: process.env,
    dataDir,
    version: '0.0.0',
    auditDurability: 'disk',
  })
  await keyward.vault.initialise({ seal: 'keyfile' })
  await keyward.start()
  const owner = await signIn(keyward)
  answerApprovals(keyward, owner)
  const known = new Set<string>()
  const leaks: Leak[] = []
  for (let i = 0; i < warmUp + count + warmUp; i++)
    leaks.push(await findLeak(keyward, owner, makeProject(`shop-${i}`), known))
  await inLanes(keyward, owner, leaks.splice(0, warmUp), atOnce)
  const processor = process.cpuUsage()
  const began = performance.now()
  await inLanes(keyward, owner, leaks.splice(0, count), atOnce)
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(processor)
  const alone = await inLanes(keyward, owner, leaks, 1)
  print({
    ...circumstances(),
    runs: count,
    atOnce,
    runsPerSecond: rounded(count / seconds),
    processorMillisecondsPerRun: rounded((user + system) / 1000 / count, 1),
    aloneMillisecondsPerRun: rounded(median(alone), 1),
    rssMegabytes: rounded(process.memoryUsage.rss() / 2 ** 20),
  })
  await keyward.stop()
} finally {
  await store.close()
  lock.release()
  await bench.end()
}
