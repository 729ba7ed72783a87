// How fast a folder is scanned: `node bench/scan.ts [megabytes] [rounds]`. The tree is source text made from a fixed seed
// and the packages that are installed beside this repository, programs and archives included. With `--history` it is the
// history of a repository instead: `node bench/scan.ts --history [commits] [rounds]`. Every program is started anew, scans
// everything, and is timed by the operating system; betterleaks, gitleaks, kingfisher and ripsecrets are timed too when
// they are on the path. Prints JSON.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv, execPath, stdout } from 'node:process'
import { fileURLToPath } from 'node:url'
import { type Corpus, copyPackages, makeHistory, makeSource } from './support/scan-corpus.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))

const keyward = [execPath, join(repository, 'server/bin/keyward.mjs'), 'scan', '--no-ignore-files']
const report = ['--format', 'json']
const kingfisher = ['kingfisher', 'scan', '--no-validate', '--no-update-check', '--quiet']

type Programs = Readonly<Record<string, readonly string[]>>

const overFolder: Programs = {
  keyward: [...keyward, '--no-history', ...report],
  betterleaks: ['betterleaks', 'fs'],
  gitleaks: ['gitleaks', 'dir', '--no-banner', '--exit-code', '0'],
  kingfisher,
  ripsecrets: ['ripsecrets'],
}

const overHistory: Programs = {
  keyward: [...keyward, ...report],
  betterleaks: ['betterleaks', 'git'],
  gitleaks: ['gitleaks', 'git', '--no-banner', '--exit-code', '0'],
  kingfisher,
}

type Cost = { seconds: number; processorSeconds: number; rssMegabytes: number; exitCode: number }

/** Start of the process included; undefined when the program is not installed. */
function timed(command: readonly string[], root: string): Cost | undefined {
  const [program = ''] = command
  if (spawnSync('sh', ['-c', `command -v "${program}"`]).status !== 0) return
  const run = spawnSync('/usr/bin/time', ['-f', '@ %e %U %S %M', ...command, root], {
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 256e6,
    timeout: 900_000,
  })
  const figures = /@ ([\d.]+) ([\d.]+) ([\d.]+) (\d+)\n$/.exec(run.stderr.toString())
  if (!figures || run.error) return
  const [seconds = 0, user = 0, system = 0, kilobytes = 0] = figures.slice(1).map(Number)
  return {
    seconds,
    processorSeconds: user + system,
    rssMegabytes: kilobytes / 1024,
    exitCode: run.status ?? -1,
  }
}

const best = (costs: readonly Cost[], of: keyof Cost): number =>
  Math.round(Math.min(...costs.map((cost) => cost[of])) * 100) / 100

const history = argv.includes('--history')
const [size = history ? 20_000 : 400, rounds = 3] = argv
  .slice(2)
  .filter((argument) => !argument.startsWith('--'))
  .map(Number)
const root = mkdtempSync(join(tmpdir(), 'keyward-bench-scan-'))
try {
  const made: Corpus = { files: 0, bytes: 0, commits: 0, planted: 0 }
  if (history) await makeHistory(root, size, made)
  else {
    makeSource(root, size * 0.5e6, made)
    copyPackages(join(repository, 'node_modules'), root, size * 1e6, made)
  }
  const costs = new Map<string, Cost[]>()
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of Object.entries(history ? overHistory : overFolder)) {
      const cost = timed(command, root)
      if (cost) costs.set(name, [...(costs.get(name) ?? []), cost])
    }
  }
  const figures = [...costs].map(([name, all]) => ({
    name,
    seconds: best(all, 'seconds'),
    processorSeconds: best(all, 'processorSeconds'),
    exitCode: all[0]?.exitCode,
    rssMegabytes: Math.round(Math.max(...all.map((cost) => cost.rssMegabytes))),
  }))
  const own = figures.find(({ name }) => name === 'keyward')
  const measured = {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`,
    load: loadavg().map((load) => Math.round(load * 10) / 10),
    [history ? 'history' : 'tree']: { ...made, bytes: undefined, megabytes: Math.round(made.bytes / 1e6) },
    programs: figures.map((figure) => ({
      ...figure,
      timesKeyward: own && Math.round((figure.processorSeconds / own.processorSeconds) * 100) / 100,
    })),
  }
  stdout.write(`${JSON.stringify(measured, undefined, 2)}\n`)
} finally {
  rmSync(root, { recursive: true, force: true })
}
