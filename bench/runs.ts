/**
 * Durable runs: nine tasks that do nothing but be counted, two of them at the same time, one after an approval. Fifteen runs one at a
 * time, then 200 at once, on Keyward's embedded host and on other engines, each in a process of its own, one after the other. Each
 * answers when its storage has synced. Then what 100,000 waiting runs cost.
 *
 *   node bench/runs.ts [rounds] [engine,…]   (Node 24)
 *
 * Engines: keyward, source, restate, openworkflow, dbos, temporal, waiting. `keyward` is compiled, as an installed package is and as the
 * others are; `source` is the same from source. The packages of the
 * others come from npm into a cache folder; PostgreSQL is that of Debian, and Temporal's server is built with Go.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { circumstances, print } from './support/figures.ts'
import { compiled } from './support/runs/compiled.ts'
import { peersFolder } from './support/runs/peers.ts'

const [rounds = '3', wanted] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'))

type Engine = {
  readonly program: string
  readonly words: readonly string[]
  readonly peer?: true
  readonly compiled?: true
}

const folderFor = (name: string): string => mkdtempSync(join(folder, `${name}-`))

/** By name: the program of its process, and its words. A peer is given the folder of the peers first. */
const engines: Readonly<Record<string, Engine>> = {
  keyward: { program: 'keyward.ts', words: [folderFor('keyward'), rounds], compiled: true },
  source: { program: 'keyward.ts', words: [folderFor('source'), rounds] },
  restate: { program: 'restate.ts', words: [rounds], peer: true },
  openworkflow: { program: 'openworkflow.ts', words: [rounds], peer: true },
  dbos: { program: 'dbos.ts', words: [rounds], peer: true },
  temporal: { program: 'temporal.ts', words: [rounds] },
  waiting: { program: 'waiting.ts', words: ['100000'] },
}

async function measured(name: string): Promise<unknown> {
  const engine = engines[name]
  if (!engine) return { skipped: 'there is no such engine' }
  const peers = engine.peer ? peersFolder() : undefined
  if (engine.peer && peers === undefined) return { skipped: 'its packages could not be installed' }
  const source = join(import.meta.dirname, 'support', 'runs', engine.program)
  const program = engine.compiled ? await compiled(source, folder) : source
  const words = peers === undefined ? engine.words : [peers, ...engine.words]
  const { status, stdout } = spawnSync(process.execPath, [program, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  return status === 0 ? JSON.parse(stdout) : { skipped: 'it could not be measured; why stands above' }
}

const report: Record<string, unknown> = {}
for (const name of wanted?.split(',') ?? Object.keys(engines)) {
  report[name] = { load: circumstances().load, ...((await measured(name)) as object) }
  process.stderr.write(`${name}: ${JSON.stringify(report[name])}\n`)
}
print({ ...circumstances(), fsync: 'before each acknowledgement, all engines', report })
rmSync(folder, { recursive: true, force: true })
