import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memoryFolder } from './support/memory-folder.ts'
import { postgresBinaries } from './support/postgres.ts'
import { startPostgresAccounts } from './support/postgres-accounts.ts'

const program = join(import.meta.dirname, 'support', 'killed-database.ts')

type Child = { line: string; killed: boolean; problem: string }

function runChild(settingsFile: string, nth: number): Promise<Child> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, settingsFile, String(nth)], (error, stdout, stderr) => {
      const killed = error?.signal === 'SIGKILL'
      resolve({ line: stdout, killed, problem: error && !killed ? stderr : '' })
    })
  })
}

test('VAULT-3: killed at every boundary, no user is left without a lease, and no password is lost', {
  skip: !postgresBinaries() && 'PostgreSQL is not installed',
}, async (t) => {
  const dataDir = memoryFolder(t)
  const { databaseUrl, connectionUrl, username, password, query } = await startPostgresAccounts(t)
  await query('create role app login')
  const settingsFile = join(dataDir, 'settings.json')
  const settings = { dataDir, ownerUrl: databaseUrl, connectionUrl, username, password }
  writeFileSync(settingsFile, JSON.stringify(settings))
  for (let nth = 1; ; nth++) {
    assert.ok(nth < 200, 'the process has no end of boundaries')
    const { line, killed, problem } = await runChild(settingsFile, nth)
    assert.equal(problem, '')
    assert.deepEqual(
      JSON.parse(line),
      { unleased: 0, app: true, reachable: true },
      `after the kill before boundary ${nth}`,
    )
    if (!killed) break
  }
  const names = readFileSync(join(dataDir, 'killed-at.txt'), 'utf8')
  for (const name of ['written', 'before sending', 'sent'])
    assert.ok(names.includes(name), `no kill at '${name}'`)
})
