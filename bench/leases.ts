/**
 * What many leases cost: how long a start and an unseal take with none and with many of them, what memory they hold, and how many a
 * second are granted and ended. The engine behind them does nothing, so that only Keyward is measured: each grant is two durable
 * transactions, each end another two, all with their audit entries.
 *
 *   node bench/leases.ts [leases] [at once]   (Node 24)
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { auditMigrations, createAudit, createFileAnchor } from '../server/src/audit/index.ts'
import { busMigrations } from '../server/src/bus/index.ts'
import { type Clock, Secret, silentLog, systemClock } from '../server/src/core/index.ts'
import { openDataFolder, openStore } from '../server/src/store/index.ts'
import { createVault, type Engine, type Vault, vaultMigrations } from '../server/src/vault/index.ts'
import { circumstances, median, print, rounded } from './support/figures.ts'

const rounds = 5
const beyondEveryLease = 3_600_000
const [first = '100000', second = '64', , ahead = '0'] = process.argv.slice(2)

/** Credentials that are nothing but a name. */
const engine = (): Engine => ({
  type: 'nothing',
  paths: [
    {
      pattern: 'creds/{role}',
      grant: async ({ params }) => ({
        ttlSeconds: 1800,
        maxTtlSeconds: 1800,
        renewable: true,
        role: params['role'] ?? '',
        mostLeases: 0,
        state: { name: 'v-token-shop-4f8a1c2e' },
        make: async () => ({ username: 'v-token-shop-4f8a1c2e' }),
      }),
    },
  ],
  async wipe() {},
  async endLease() {},
})

async function opened(dataDir: string, clock: Clock) {
  const folder = openDataFolder(dataDir)
  const store = await openStore({ dataDir })
  await store.migrate([...auditMigrations, ...busMigrations, ...vaultMigrations])
  const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
  const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined })
  const keyFile = join(dataDir, 'unseal.key')
  const vault = createVault({
    store,
    audit,
    clock,
    log: silentLog,
    keyFile,
    engines: { nothing: async () => engine },
  })
  await vault.load()
  const close = async (): Promise<void> => {
    vault.close()
    await store.close()
    folder.release()
  }
  return { vault, close }
}

const asker =
  (vault: Vault, token: Secret) =>
  async (method: 'GET' | 'POST', path: string, body?: object): Promise<void> => {
    const text = body && new Secret(JSON.stringify(body))
    const { status } = await vault.handle({ method, path, query: {}, token, body: text })
    if (status >= 300) throw new Error(`${method} ${path}: ${status}`)
  }

/** Fills a new vault; returns how many a second. */
async function fill(dataDir: string, leases: number, atOnce: number): Promise<number> {
  const { vault, close } = await opened(dataDir, systemClock)
  const { rootToken } = await vault.initialise({ seal: 'keyfile' })
  const ask = asker(vault, rootToken)
  await ask('POST', 'sys/mounts/nothing', { type: 'nothing' })
  let left = leases
  const began = performance.now()
  const worker = async (): Promise<void> => {
    while (left-- > 0) await ask('GET', `nothing/creds/role-${left % 10}`)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const perSecond = (leases / (performance.now() - began)) * 1000
  await close()
  return perSecond
}

type Opened = { startMilliseconds: number; unsealMilliseconds: number; rssMegabytes: number }

/** In a process of its own: opens what is there; `ahead`, until everything has ended. */
async function open(dataDir: string, milliseconds: number): Promise<void> {
  const clock = { ...systemClock, now: () => new Date(Date.now() + milliseconds) }
  const began = performance.now()
  const { vault, close } = await opened(dataDir, clock)
  const loaded = performance.now()
  await vault.openAtStart()
  const open = performance.now()
  if (milliseconds > 0) {
    while ((await vault.leases.count()) > 0) await sleep(20)
    print({ endMilliseconds: performance.now() - open })
  } else {
    await sleep(1000)
    print({
      startMilliseconds: open - began,
      unsealMilliseconds: open - loaded,
      rssMegabytes: process.memoryUsage.rss() / 2 ** 20,
    })
  }
  await close()
}

function inChild<T>(dataDir: string, milliseconds: number): T {
  const args = [import.meta.filename, 'open', dataDir, '', String(milliseconds)]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as T
}

function measured(dataDir: string): Opened {
  const all = Array.from({ length: rounds }, () => inChild<Opened>(dataDir, 0))
  const middle = (of: (one: Opened) => number): number => rounded(median(all.map(of)))
  return {
    startMilliseconds: middle((one) => one.startMilliseconds),
    unsealMilliseconds: middle((one) => one.unsealMilliseconds),
    rssMegabytes: middle((one) => one.rssMegabytes),
  }
}

async function main(leases: number, atOnce: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
  try {
    const [none, many] = [join(folder, 'none'), join(folder, 'many')]
    await fill(none, 0, 1)
    const grantsPerSecond = rounded(await fill(many, leases, atOnce))
    const without = measured(none)
    const withMany = measured(many)
    const { endMilliseconds } = inChild<{ endMilliseconds: number }>(many, beyondEveryLease)
    print({
      ...circumstances(),
      leases,
      atOnce,
      grantsPerSecond,
      without,
      withMany,
      endsPerSecond: rounded((leases / endMilliseconds) * 1000),
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

if (first === 'open') await open(second, Number(ahead))
else await main(Number(first), Number(second))
