import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  type Audit,
  auditMigrations,
  createAudit,
  createFileAnchor,
  openFileJournal,
} from '../../src/audit/index.ts'
import { type Bus, busMigrations, createBus } from '../../src/bus/index.ts'
import { type Clock, silentLog } from '../../src/core/index.ts'
import { type Migration, openDataFolder, openStore, type Store } from '../../src/store/index.ts'
import { cleanUp } from './clean-up.ts'
import { memoryOrDisk } from './memory-folder.ts'
import { leaveDatabase, takeDatabase } from './world-databases.ts'

/** A clock that stands still until it is moved; timers fire as it passes them. */
export type TestClock = Clock & { advance(milliseconds: number): void; set(now: Date): void }

export type World = { store: Store; audit: Audit; bus: Bus; clock: TestClock; dataDir: string }

export function createTestClock(start = new Date('2026-01-01T00:00:00.000Z')): TestClock {
  let now = start.getTime()
  let timers: { at: number; call: () => void }[] = []
  const fire = (): void => {
    const due = timers.filter((timer) => timer.at <= now).sort((a, b) => a.at - b.at)
    timers = timers.filter((timer) => timer.at > now)
    for (const timer of due) timer.call()
  }
  return {
    now: () => new Date(now),
    after(milliseconds, call) {
      const timer = { at: now + milliseconds, call }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(milliseconds) {
      now += milliseconds
      fire()
    },
    set(to) {
      now = to.getTime()
      fire()
    },
  }
}

/** A temporary folder, removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'keyward-test-'))
  cleanUp(t, () => rmSync(path, { recursive: true, force: true }))
  return path
}

/**
 * A store of its own with audit and bus, closed after the test. Give `dataDir` to open again what an earlier world left, and
 * `databaseUrl` to use PostgreSQL.
 */
export async function openWorld(
  t: TestContext,
  migrations: readonly Migration[] = [],
  options: { dataDir?: string; clock?: TestClock; databaseUrl?: string } = {},
): Promise<World & { close(): Promise<void> }> {
  const dataDir = options.dataDir ?? mkdtempSync(join(memoryOrDisk(), 'keyward-test-'))
  const clock = options.clock ?? createTestClock()
  const folder = openDataFolder(dataDir)
  const all = [...auditMigrations, ...busMigrations, ...migrations]
  const tables = all.map(({ id }) => id).join()
  const databaseUrl = options.databaseUrl ?? (await takeDatabase(tables, options.dataDir))
  const store = await openStore({ dataDir, databaseUrl })
  let open = true
  const close = async (): Promise<void> => {
    if (!open) return
    open = false
    audit.close()
    await store.close()
    folder.release()
    if (options.dataDir !== undefined) return
    rmSync(dataDir, { recursive: true, force: true })
    if (options.databaseUrl === undefined && databaseUrl) await leaveDatabase(tables, databaseUrl)
  }
  cleanUp(t, close)
  await store.migrate(all)
  const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
  const journal =
    store.dialect === 'sqlite' ? openFileJournal(join(dataDir, 'audit.journal'), 'disk') : undefined
  const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined, journal })
  await audit.start()
  const bus = createBus({ store, clock, log: silentLog })
  return { store, audit, bus, clock, dataDir, close }
}
