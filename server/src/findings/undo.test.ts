import assert from 'node:assert/strict'
import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openWorld, temporaryFolder } from '../../test/support/world.ts'
import { type Principal, silentLog } from '../core/index.ts'
import { type FileChangeRow, insertFinding, moveFindings, putFileChange } from './findings-store.ts'
import { findingsMigrations } from './index.ts'
import { sha256 } from './project-file.ts'
import { createUndo } from './undo.ts'

const by: Principal = { kind: 'person', id: 'psn_1', name: 'op', roles: ['operator'] }
const before = Buffer.from('KEY=old\n')
const after = Buffer.from('KEY=keyward://secret/shop/key#value\n')

/** A run that was going to rewrite `.env`, and how far it said it came. */
async function setup(t: TestContext, state: FileChangeRow['state'], present: Buffer) {
  const { store, audit, bus, clock, dataDir } = await openWorld(t, findingsMigrations)
  const root = realpathSync(temporaryFolder(t))
  const file = join(root, '.env')
  writeFileSync(file, present)
  await store.write((tx) =>
    putFileChange(tx, {
      run_id: 'run_1',
      root,
      file: '.env',
      sha_before: sha256(before),
      sha_after: sha256(after),
      undo_path: 'undo/run_1/x',
      state,
    }),
  )
  const { undo } = createUndo({
    store,
    audit,
    bus,
    clock,
    log: silentLog,
    dataDir,
    vault: { sealed: { get: async () => before }, kv: {} } as never,
    scanner: () => assert.fail('nothing is scanned'),
    sources: () => assert.fail('nothing is scanned'),
    version: 'test',
  })
  return { undo, store, root, content: () => readFileSync(file, 'utf8') }
}

test('DISC-5: a file that a cancelled run wrote without being able to say so is put back', async (t) => {
  const { undo, content } = await setup(t, 'prepared', after)
  assert.deepEqual(await undo('run_1', by), { files: ['.env'], findings: [] })
  assert.equal(content(), before.toString())
})

test('DISC-5: what a run only prepared is left alone, whatever the file holds', async (t) => {
  for (const present of [before, Buffer.from('KEY=mine\n')]) {
    const { undo, content } = await setup(t, 'prepared', present)
    await assert.rejects(undo('run_1', by), { code: 'finding.state' })
    assert.equal(content(), present.toString())
  }
})

test('DISC-5: a file that was edited after the run is left alone', async (t) => {
  const { undo, content } = await setup(t, 'rewritten', Buffer.from('KEY=mine\n'))
  await assert.rejects(undo('run_1', by), { code: 'finding.changed' })
  assert.equal(content(), 'KEY=mine\n')
})

test('DISC-5: nothing is put back under a run that is still at work', async (t) => {
  const { undo, store, root, content } = await setup(t, 'rewritten', after)
  const finding = {
    id: 'fnd_1',
    project: 'shop',
    root,
    fingerprint: 'f1',
    rule: 'generic',
    provider: 'generic',
    title: 'A key',
    confidence: 'high',
    reasons: '[]',
    entropy: null,
    masked: '…',
    secret_path: 'secret/shop/key',
    first_seen_at: 0,
    last_seen_at: 0,
    state_since: 0,
  } as const
  const importing = { state: 'importing', runId: 'run_1', reason: null, at: new Date(0), actor: 'x' } as const
  await store.write(async (tx) => {
    await insertFinding(tx, finding, 'scn_1')
    await moveFindings(tx, ['fnd_1'], ['open'], importing)
  })
  await assert.rejects(undo('run_1', by), { code: 'finding.state', detail: /still at work/ })
  assert.equal(content(), after.toString())
})
