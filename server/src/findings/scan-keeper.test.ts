import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openWorld, temporaryFolder } from '../../test/support/world.ts'
import { AppError, type Principal, Secret, silentLog } from '../core/index.ts'
import type { RawFinding, ScanEvent, Scanner } from '../scan/index.ts'
import type { Store } from '../store/index.ts'
import { createFindings, type Findings, findingsMigrations } from './index.ts'

const by: Principal = { kind: 'person', id: 'psn_1', name: 'op', roles: ['operator'] }

const findingIn = (file: string, fingerprint: string): RawFinding =>
  ({
    rule: 'generic',
    provider: 'generic',
    title: 'A key',
    confidence: 'high',
    fingerprint,
    masked: 'ab…yz',
    value: new Secret('unused'),
    place: {
      file,
      line: 1,
      endLine: 1,
      column: 1,
      start: 0,
      end: 4,
      commit: null,
      author: null,
      committedAt: null,
      encoding: 'utf8',
      wrapping: 'none',
      quote: '',
      syntax: 'env',
    },
  }) as unknown as RawFinding

const noSources = async (): Promise<never> => assert.fail('nothing but the folder is asked for')

type Opened = { findings: Findings; dataDir: string; breakStore: (broken: boolean) => void }

/** Findings on a real store that can be broken, with a scanner that finds what it is told. */
async function open(t: TestContext, found: readonly RawFinding[]): Promise<Opened> {
  const { store, audit, bus, clock, dataDir } = await openWorld(t, findingsMigrations)
  let broken = false
  const breakable: Store = {
    ...store,
    write: (work, durability) =>
      broken ? Promise.reject(new AppError('store.full', 'the disk is full')) : store.write(work, durability),
  }
  const scanner = {
    async *project(): AsyncIterable<ScanEvent> {
      for (const finding of found) yield { kind: 'finding', finding }
    },
  } as unknown as Scanner
  const findings = createFindings({
    store: breakable,
    audit,
    bus,
    clock,
    log: silentLog,
    dataDir,
    vault: {} as never,
    scanner: async () => scanner,
    sources: noSources,
    version: 'test',
  })
  const breakStore = (now: boolean): void => {
    broken = now
  }
  return { findings, dataDir, breakStore }
}

test('DISC-7: a scan whose result cannot be stored is told as failed, and the server lives on', async (t) => {
  const { findings, breakStore } = await open(t, [findingIn('.env', 'f1')])
  const { scan, done } = await findings.startScan({ path: temporaryFolder(t), history: false, by })
  breakStore(true)
  const ended = await done
  assert.equal(ended.state, 'failed')
  assert.match(ended.problems[0]?.reason ?? '', /could not be stored.*disk is full/)
  assert.equal((await findings.readScan(scan.id)).state, 'failed')
  breakStore(false)
  await findings.recover()
})

test("SAND-1: Keyward's own data folder is never scanned", async (t) => {
  const world = await open(t, [])
  for (const path of [world.dataDir, join(world.dataDir, '.')])
    await assert.rejects(world.findings.startScan({ path, history: false, by }), {
      code: 'scan.path_unreadable',
    })
  const example = join(world.dataDir, 'example', 'leaky-shop')
  mkdirSync(example, { recursive: true })
  const fine = await world.findings.startScan({ path: example, history: false, by })
  assert.equal((await fine.done).state, 'finished')
})

test('SAND-1: what is found in the data folder by a scan of a folder above it is dropped', async (t) => {
  const { store, audit, bus, clock } = await openWorld(t, findingsMigrations)
  const root = temporaryFolder(t)
  const dataDir = join(root, 'var', 'keyward')
  mkdirSync(dataDir, { recursive: true })
  const files = [
    '.env',
    'var/keyward/root.token',
    'var/keyward/example/leaky-shop/.env',
    'var/keyward-2/.env',
  ]
  const scanner = {
    async *project(): AsyncIterable<ScanEvent> {
      for (const file of files) yield { kind: 'finding', finding: findingIn(file, `of ${file}`) }
    },
  } as unknown as Scanner
  const needs = { store, audit, bus, clock, log: silentLog, dataDir, vault: {} as never }
  const findings = createFindings({
    ...needs,
    scanner: async () => scanner,
    sources: noSources,
    version: 'test',
  })
  await (await findings.startScan({ path: root, history: false, by })).done
  const { items } = await findings.page({ limit: 10 })
  assert.deepEqual(
    items.flatMap(({ places }) => places.map(({ file }) => file)).sort(),
    files.filter((file) => file !== 'var/keyward/root.token').sort(),
  )
})
