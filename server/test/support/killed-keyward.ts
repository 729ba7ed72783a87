/**
 * The whole of Keyward in a process that finishes what an earlier one left, then moves one leaked key and kills itself at
 * a boundary: any step of the run, any other write to the store, before and after any file is put in place.
 *   node killed-keyward.ts <settings file> [<name of the boundary>#<how many of that name>]
 * Prints what it found before it begins, as one line of JSON, and at its end the boundaries that it passed and what its sandboxes hold.
 */
import { readFileSync } from 'node:fs'
import fileSystem from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'
import type { AuditEntry } from '@keyward/contract'
import { type Audit, verifyAudit } from '../../src/audit/index.ts'
import { AppError, type Principal, silentLog, systemClock } from '../../src/core/index.ts'
import { createKeyward } from '../../src/keyward.ts'
import type { SandboxProbe } from '../../src/sandbox/sandbox.ts'
import { openDataFolder, openStore, type Store } from '../../src/store/index.ts'

type Settings = {
  dataDir: string
  /** Where the next leaked key is. */
  project: string
  /** Projects of earlier processes, each with what its files were. */
  earlier: string[]
  upstream: { host: string; address: string; caPem: string }
  /** What sandboxes hold here, if an earlier process has measured it. */
  sandboxFound?: SandboxProbe
}

const [settingsFile = '', killAt = ''] = process.argv.slice(2)
const settings = JSON.parse(readFileSync(settingsFile, 'utf8')) as Settings
const { dataDir, upstream } = settings
const passed: string[] = []
let armed = false
let told = 0

function boundary(name: string): void {
  told++
  if (!armed) return
  const place = `${name}#${passed.filter((earlier) => earlier.startsWith(`${name}#`)).length + 1}`
  passed.push(place)
  if (place === killAt) process.kill(process.pid, 'SIGKILL')
}

const { rename } = fileSystem
fileSystem.rename = async (from, to) => {
  boundary(`before placing ${basename(String(to))}`)
  await rename(from, to)
  boundary(`after placing ${basename(String(to))}`)
}
syncBuiltinESMExports()

/** Besides the writes of the run itself, which tell of theirs. */
function withBoundaries(store: Store): Store {
  return {
    ...store,
    async write(work, durability) {
      const toldBefore = told
      const result = await store.write(work, durability)
      if (told === toldBefore) boundary('written')
      return result
    },
  }
}

const folder = openDataFolder(dataDir)
const store = withBoundaries(await openStore({ dataDir }))
const keyward = await createKeyward({
  store,
  clock: systemClock,
  log: silentLog,
  dataDir,
  version: '0.0.0',
  searchPath: process.env['PATH'] ?? '',
  env: { ...process.env, KEYWARD_SANDBOX_POOL: '0' },
  auditDurability: 'disk',
  onBoundary: boundary,
  sandboxFound: settings.sandboxFound,
})
const { vault, audit, findings, flows, identity, lend, workflow } = keyward
if (vault.status().initialised) await vault.unsealByItself()
else await vault.initialise({ seal: 'keyfile' })
await keyward.start()
const owner: Principal = { kind: 'person', id: 'olga', name: 'olga', roles: ['owner'] }

const { items: runs } = await workflow.page({ limit: 500 })
await Promise.all(runs.map(({ id }) => workflow.whenEnded(id)))
const runOf = new Map<string, string>()
for (const { id, state, runId } of (await findings.page({ limit: 500 })).items) {
  if (state === 'importing') throw new Error(`${id} is still reserved`)
  const { project } = await findings.read(id)
  if (runId !== null) runOf.set(project, runId)
}

const head = await audit.head()
const report = {
  states: (await workflow.page({ limit: 500 })).items.map(({ state }) => state),
  moved: Object.fromEntries(runOf),
  undone: [] as string[],
  versions: await versions(),
  activeLeases: [...(await lend.countActive()).values()].reduce((sum, n) => sum + n, 0),
  chain: await verifyAudit({ entries: entriesUpTo(audit, head.seq), head }),
}
for (const project of settings.earlier) {
  const runId = runOf.get(basename(project))
  if (runId !== undefined && (await undone(runId))) report.undone.push(basename(project))
}
process.stdout.write(`${JSON.stringify(report)}\n`)

armed = true
const { done } = await findings.startScan({ path: settings.project, history: false, by: owner })
const { project } = await done
const { items } = await findings.page({ limit: 500, project, state: 'open' })
const findingIds = items.map(({ id }) => id).sort()
const { secrets } = await findings.preview(findingIds)
const sandboxFound = await keyward.sandbox.probe()
const isolated = sandboxFound.level !== 'none'
const run = await flows.start({
  flow: 'leaked-key',
  input: {
    findingIds,
    ...(isolated ? { agentTask: await agentTask(secrets[0]?.reference ?? '') } : {}),
  },
  by: owner,
  unattended: true,
})
await workflow.whenEnded(run.id)
await findings.undo(run.id, owner)
armed = false
await keyward.stop()
await store.close()
folder.release()
process.stdout.write(`${JSON.stringify({ passed, sandboxFound })}\n`)

async function agentTask(reference: string) {
  const known = (await identity.agents({ limit: 500 })).items.find(({ name }) => name === 'worker')
  const agent =
    known ??
    (await store.write((tx) => identity.registerAgent(tx, { name: 'worker', description: '', owner }))).agent
  const url = `https://${upstream.host}/v1/balance`
  const script = `const answer = await fetch('${url}', { headers: { authorization: process.env.API_KEY } }); process.exitCode = answer.ok ? 0 : 1`
  return {
    agentId: agent.id,
    title: 'Asks for the balance',
    secretPath: reference.replace('keyward://', '').replace('#value', ''),
    field: 'value',
    variable: 'API_KEY',
    command: ['node', '--input-type=module', '-e', script],
    workspace: null,
    environment: {},
    destinations: [{ host: upstream.host, port: 443 }],
    route: { address: upstream.address, caPem: upstream.caPem },
  }
}

/** Whether the files are back; an undo that was cut off goes on, one that had ended says so. */
async function undone(runId: string): Promise<boolean> {
  try {
    return (await findings.undo(runId, owner)).files.length > 0
  } catch (error) {
    if (error instanceof AppError && error.code === 'finding.state') return true
    throw error
  }
}

/** Of each stored value, by its path. */
async function versions(): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const project of await vault.kv.list('secret/'))
    for (const name of await vault.kv.list(`secret/${project}`)) {
      const path = join('secret', project, name)
      found[path] = (await vault.kv.read(path))?.version ?? 0
    }
  return found
}

async function* entriesUpTo(log: Audit, seq: number): AsyncGenerator<AuditEntry> {
  for (let cursor: string | undefined = '0'; cursor !== undefined; ) {
    const { items, next } = await log.page({ cursor, limit: 500, order: 'asc' })
    for (const entry of items) if (entry.seq <= seq) yield entry
    cursor = next ?? undefined
  }
}
