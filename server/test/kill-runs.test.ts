import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memoryFolder } from './support/memory-folder.ts'

const program = join(import.meta.dirname, 'support', 'killed-engine.ts')

function runChild(dataDir: string, nth: number): Promise<{ line: string; killed: boolean; problem: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, dataDir, String(nth)], (error, stdout, stderr) => {
      const killed = error?.signal === 'SIGKILL'
      resolve({ line: stdout, killed, problem: error && !killed ? stderr : '' })
    })
  })
}

test('WORK-2: killed at every boundary of a run, one after another, each run finishes exactly once', async (t) => {
  const dataDir = memoryFolder(t)
  let nth = 0
  for (;;) {
    const { line, killed, problem } = await runChild(dataDir, nth + 1)
    assert.equal(problem, '')
    const { runs, succeeded, effects, repeatedEffects, openLeases, approvals, redeemed } = JSON.parse(line)
    assert.equal(runs, nth, `boundary ${nth}: a run was lost or started twice`)
    assert.equal(succeeded, runs, `boundary ${nth}: a run did not succeed`)
    assert.equal(effects, runs * 4)
    assert.deepEqual([repeatedEffects, openLeases], [0, 0], `boundary ${nth}`)
    assert.deepEqual(
      [approvals, redeemed],
      [runs, runs],
      `boundary ${nth}: an approval was asked for or used twice`,
    )
    if (!killed) break
    nth++
    assert.ok(nth < 200, 'a run has no end of boundaries')
  }
  const names = readFileSync(join(dataDir, 'killed-at.txt'), 'utf8').trim().split('\n')
  for (const name of [
    'begun',
    'committing',
    'committed',
    'lent',
    'answered',
    'a:executed',
    'b:asked',
    'b:starting',
  ]) {
    assert.ok(names.includes(name), `no kill at '${name}': ${names.join(' ')}`)
  }
})
