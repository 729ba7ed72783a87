import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startPostgres } from '../../../server/test/support/postgres.ts'
import { freePort } from '../servers.ts'

/** At these versions; Temporal's packages are the server's own. */
const packages = {
  '@dbos-inc/dbos-sdk': '5.3.0',
  openworkflow: '0.10.1',
  '@restatedev/restate-sdk': '1.17.2',
  '@restatedev/restate-server': '1.7.12',
}

/** The folder into which the peers are installed, once, by npm and without their scripts; undefined where that does not succeed. */
export function peersFolder(): string | undefined {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const folder = join(cache, 'keyward-bench', 'peers')
  const missing = Object.keys(packages).filter((name) => !existsSync(join(folder, 'node_modules', name)))
  if (missing.length === 0) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: packages }))
  const { status } = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return status === 0 ? folder : undefined
}

/** What a package of the peers exports. Its types are not here. */
export const peer = (folder: string, file: string) =>
  import(pathToFileURL(join(folder, 'node_modules', file)).href)

/** Approves each run once, as soon as it asks, however often its code is run again. */
export function approver(approve: (run: string) => Promise<unknown>): (run: string) => void {
  const asked = new Set<string>()
  return (run) => {
    if (asked.has(run)) return
    asked.add(run)
    setImmediate(() => approve(run))
  }
}

/** A PostgreSQL with its own settings: it answers when a commit is on disk. */
export async function aPostgres(): Promise<{ url: string; stop(): Promise<void> }> {
  const steps: (() => unknown)[] = []
  const port = await freePort()
  await startPostgres({ after: (step) => void steps.push(step as () => unknown) }, async () => ({
    port,
    words: ['-c', 'listen_addresses=127.0.0.1'],
  }))
  return {
    url: `postgresql://keyward@127.0.0.1:${port}/postgres`,
    async stop() {
      for (const step of steps) await step()
    },
  }
}
