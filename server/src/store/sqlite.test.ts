import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AppError } from '../core/index.ts'
import { openStore } from './index.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'keyward-test-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('OPS-4: the database and what SQLite puts beside it are for their owner alone', async (t) => {
  const dataDir = folder(t)
  const store = await openStore({ dataDir })
  t.after(() => store.close())
  await store.check()
  const modes = ['', '-wal', '-shm'].map((end) => statSync(join(dataDir, `keyward.db${end}`)).mode & 0o777)
  assert.deepEqual(modes, [0o600, 0o600, 0o600])
})

test('a folder that is not there is said to be unavailable, with the file', async (t) => {
  await assert.rejects(openStore({ dataDir: join(folder(t), 'nowhere') }), (error: unknown) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.code, 'store.unavailable')
    assert.match(error.detail ?? '', /nowhere.*keyward\.db/)
    return true
  })
})

test('a write after the end is refused to whoever asked, and to nobody else', async (t) => {
  const store = await openStore({ dataDir: folder(t) })
  await store.close()
  await assert.rejects(store.write(async (tx) => tx.afterCommit(() => assert.fail())))
  await assert.rejects(store.check())
})
