import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { FindingView } from '@keyward/contract'
import { type Principal, silentLog } from '../../src/core/index.ts'
import { createFindings, findingsMigrations } from '../../src/findings/index.ts'
import { createScanner, createSources } from '../../src/scan/index.ts'
import type { Migration } from '../../src/store/index.ts'
import { createVault, vaultMigrations } from '../../src/vault/index.ts'
import { createDraws } from './draws.ts'
import { openWorld, temporaryFolder } from './world.ts'

export const olga: Principal = { kind: 'person', id: 'olga', name: 'olga', roles: ['owner'] }

/** Git as Ada has it, whatever this machine's settings are. */
export function gitIn(root: string, ...args: string[]): void {
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@shop.internal', '-c', 'commit.gpgSign=false']
  const env = {
    PATH: process.env['PATH'],
    HOME: root,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
  }
  execFileSync('git', ['-C', root, ...identity, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env })
}

/** Findings with the real scanner, vault and store, and a project to scan. */
export async function openFindingsWorld(t: TestContext, migrations: readonly Migration[] = []) {
  const world = await openWorld(t, [...vaultMigrations, ...findingsMigrations, ...migrations])
  const { store, audit, clock, dataDir } = world
  const vault = createVault({ store, audit, clock, log: silentLog, keyFile: join(dataDir, 'unseal.key') })
  await vault.load()
  await vault.initialise({ seal: 'keyfile' })
  const scanner = createScanner({ fingerprintKey: createDraws('import').bytes(32), threads: 'never' })
  const sources = createSources({ scanner, searchPath: process.env['PATH'] ?? '' })
  const findings = createFindings({
    ...world,
    log: silentLog,
    vault,
    scanner: async () => scanner,
    sources: async () => sources,
    version: 'test',
  })
  const root = realpathSync(temporaryFolder(t))
  const write = (file: string, content: string | Buffer): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), content)
  }

  async function scan(history = false): Promise<FindingView[]> {
    const { done } = await findings.startScan({ path: root, history, by: olga })
    const { state, problems } = await done
    if (state !== 'finished' || problems.length > 0) throw new Error(JSON.stringify(problems))
    return (await findings.page({ limit: 100, state: 'open' })).items
  }

  return {
    ...world,
    vault,
    findings,
    root,
    write,
    read: (file: string): Buffer => readFileSync(join(root, file)),
    remove: (file: string): void => rmSync(join(root, file), { recursive: true }),
    git: (...args: string[]): void => gitIn(root, ...args),
    scan,
    commit(message: string): void {
      gitIn(root, 'add', '--all')
      gitIn(root, 'commit', '--quiet', '--message', message)
    },
  }
}
