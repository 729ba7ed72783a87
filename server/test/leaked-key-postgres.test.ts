import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { createDatabase, startPostgres } from './support/postgres.ts'
import { scratchFolder } from './support/server.ts'

const run = promisify(execFile)
const program = join(import.meta.dirname, '..', 'bin', 'keyward.mjs')

test('OPS-1: the whole way of a leaked key, and a second time, with PostgreSQL in the place of the embedded database', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const dataDir = scratchFolder(t, 'data')
  const env = { ...process.env, KEYWARD_DATABASE_URL: databaseUrl }
  for (const time of ['first', 'second']) {
    const args = [program, 'start', '--yes', '--json', '--data', dataDir, '--listen', '127.0.0.1:0']
    const { stdout } = await run(process.execPath, args, { env })
    const report = JSON.parse(stdout)
    assert.equal(report.run.state, 'Succeeded', time)
    assert.deepEqual(
      report.steps.filter((step: { state: string }) => step.state !== 'ok'),
      [],
      time,
    )
  }
})
