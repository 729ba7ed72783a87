/**
 * How long until `keyward server` answers its first request, and what it holds at rest. Measured from the start of the process
 * to the answer, a new data folder each time, with the compile cache warm (`cold`: without it, as at the very first start).
 * Memory is read five seconds later, of all its processes: the egress proxy is not among them, it is started for the first sandbox.
 * `rss` counts what processes share once for each of them, `pss` once in all.
 *
 *   node bench/start.ts [rounds] [launcher]   (Node 24, Linux)
 *
 * `launcher` is a `bin/keyward.mjs`: of an installed package, or `server/bin/keyward.mjs` for the sources of this repository. By default the package as it
 * would be published is built and run.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { circumstances, median, print, rounded } from './support/figures.ts'
import {
  childrenOf,
  ended,
  freePort,
  openWorkbench,
  packageLauncher,
  residentMegabytes,
} from './support/servers.ts'

const rounds = Number(process.argv[2] ?? 5)
const secondsToRest = 5
const bench = openWorkbench()
const launcher = process.argv[3] ?? packageLauncher(bench)

type Memory = { readonly rss: number; readonly pss: number }
type Started = { readonly milliseconds: number; readonly memory: Memory }

async function measure(name: string, cache: string, memory: boolean): Promise<Started> {
  const port = await freePort()
  const token = randomBytes(8).toString('hex')
  const listen = `--listen=127.0.0.1:${port}`
  const args = ['server', '--dev', `--dev-root-token-id=${token}`, listen, '--data', join(bench.folder, name)]
  const began = performance.now()
  const child = bench.start(process.execPath, [launcher, ...args], { XDG_CACHE_HOME: cache })
  await firstAnswer(port, token)
  const milliseconds = performance.now() - began
  if (memory) await sleep(secondsToRest * 1000)
  const pid = child.pid ?? 0
  const held = [pid, ...childrenOf(pid)].map(residentMegabytes)
  await ended(child)
  const sum = (of: keyof Memory): number => held.reduce((all, each) => all + each[of], 0)
  return { milliseconds, memory: { rss: sum('rss'), pss: sum('pss') } }
}

/** A request that needs the store, the vault and the audit log. */
async function firstAnswer(port: number, token: string): Promise<void> {
  for (let attempt = 0; attempt < 5000; attempt++) {
    const url = `http://127.0.0.1:${port}/v1/secret/metadata?list=true`
    const answer = await fetch(url, { headers: { 'X-Vault-Token': token } }).catch(() => undefined)
    if (answer?.status === 404) return
    await sleep(5)
  }
  throw new Error('the server did not answer')
}

try {
  const warm = join(bench.folder, 'cache')
  const cold: Started[] = []
  const results: Started[] = []
  for (let round = 0; round < rounds; round++)
    cold.push(await measure(`cold-${round}`, join(bench.folder, `cache-${round}`), false))
  await measure('first', warm, false)
  for (let round = 0; round < rounds; round++) results.push(await measure(`warm-${round}`, warm, true))
  const middle = (of: (started: Started) => number): number => rounded(median(results.map(of)))
  print({
    ...circumstances(),
    launcher: process.argv[3] ?? 'package',
    rounds,
    startMilliseconds: middle((started) => started.milliseconds),
    startColdMilliseconds: rounded(median(cold.map((started) => started.milliseconds))),
    memoryMegabytes: { rss: middle(({ memory }) => memory.rss), pss: middle(({ memory }) => memory.pss) },
  })
} finally {
  await bench.end()
}
