import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { memoryFolder } from './support/memory-folder.ts'
import { startTemporal } from './support/temporal.ts'

const program = join(import.meta.dirname, 'support', 'killed-temporal.ts')

function runChild(...args: string[]): Promise<{ line: string; killed: boolean; problem: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      const killed = error?.signal === 'SIGKILL'
      resolve({ line: stdout, killed, problem: error && !killed ? stderr : '' })
    })
  })
}

test('WORK-2: killed at the steps of a run on Temporal, each run finishes exactly once', async (t) => {
  const temporal = await startTemporal(t)
  if (!temporal) return
  const { address, namespace } = temporal
  const place = [memoryFolder(t), address, namespace, randomBytes(32).toString('base64')]
  const kills = [
    ['begun', '1'],
    ['answered', '1'],
    ['executing', '3'],
    ['c:executed', '1'],
    ['c:completed', '1'],
  ] as const
  for (const [done, [name, nth]] of kills.entries()) {
    const { line, killed, problem } = await runChild(...place, name, nth)
    assert.equal(problem, '')
    assert.ok(killed, `${name} was reached`)
    assertWhole(line, done, `before the kill at ${name}`)
  }
  const { line, problem } = await runChild(...place)
  assert.equal(problem, '')
  assertWhole(line, kills.length, 'at the end')
})

function assertWhole(line: string, runs: number, when: string): void {
  assert.deepEqual(
    JSON.parse(line),
    { runs, succeeded: runs, effects: runs * 3, repeatedEffects: 0, approvals: runs },
    when,
  )
}
