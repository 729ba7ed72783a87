import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { memoryFolder } from './support/memory-folder.ts'
import { createDatabase, postgresBinaries, startPostgres } from './support/postgres.ts'

const program = join(import.meta.dirname, 'support', 'killed-leases.ts')

type Child = { line: string; killed: boolean; problem: string }

function runChild(dataDir: string, nth: number, databaseUrl: string | undefined): Promise<Child> {
  const args = [program, dataDir, String(nth), ...(databaseUrl === undefined ? [] : [databaseUrl])]
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => {
      const killed = error?.signal === 'SIGKILL'
      resolve({ line: stdout, killed, problem: error && !killed ? stderr : '' })
    })
  })
}

/** Each process ends what the one before left, and dies one boundary, or a few, later than it. */
async function killEverywhere(t: TestContext, step: number, databaseUrl?: string): Promise<void> {
  const dataDir = memoryFolder(t)
  for (let nth = 1; ; nth += step) {
    assert.ok(nth < 400, 'the process has no end of boundaries')
    const { line, killed, problem } = await runChild(dataDir, nth, databaseUrl)
    assert.equal(problem, '')
    const { found, rest } = JSON.parse(line)
    assert.equal(found.outside, found.live, `before boundary ${nth}: what is outside is what has a lease`)
    assert.deepEqual(rest, { outside: 0, leases: 0 }, `before boundary ${nth}: all ends at its time`)
    if (!killed) break
  }
  const names = readFileSync(join(dataDir, 'killed-at.txt'), 'utf8')
  for (const name of ['written', 'before making', 'made', 'before ending', 'ended', 'extended'])
    assert.ok(step > 1 || names.includes(name), `no kill at '${name}'`)
}

test('LEND-1, VAULT-3: killed at every boundary, nothing is left outside that has no lease', (t) =>
  killEverywhere(t, 1))

test('LEND-1, VAULT-3: the same on PostgreSQL', async (t) => {
  if (!postgresBinaries()) return t.skip('PostgreSQL is not installed')
  await killEverywhere(t, 5, await createDatabase(await startPostgres(t)))
})
