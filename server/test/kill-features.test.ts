import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDraws } from './support/draws.ts'
import { memoryFolder } from './support/memory-folder.ts'

const program = join(import.meta.dirname, 'support', 'killed-features.ts')

type Place = readonly [boundary: string, time: string]

/** Where a process dies, by what it is at. */
const places: Record<string, readonly Place[]> = {
  'a list': [
    ['list:executed', '1'],
    ['each.0:started', '1'],
    ['each.1:executed', '1'],
    ['each.2:completed', '1'],
  ],
  'a task that is tried again': [
    ['flaky:executed', '1'],
    ['flaky:completed', '1'],
    ['flaky:started', '2'],
    ['flaky:executed', '2'],
  ],
  'a run within it': [
    ['child:begun', '1'],
    ['x:started', '1'],
    ['y:executed', '1'],
    ['y:completed', '1'],
  ],
  'an answered approval': [
    ['answered', '1'],
    ['asked:starting', '1'],
    ['asked:started', '1'],
  ],
  'what is undone': [
    ['last:completed', '1'],
    ['flaky.undo:started', '1'],
    ['flaky.undo:executed', '1'],
    ['list.undo:executed', '1'],
  ],
}

function runChild(
  dataDir: string,
  place: readonly string[],
): Promise<{ line: string; killed: boolean; problem: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, dataDir, ...place], (error, stdout, stderr) => {
      const killed = error?.signal === 'SIGKILL'
      resolve({ line: stdout, killed, problem: error && !killed ? stderr : '' })
    })
  })
}

test('WORK-2: killed in a list, a retry, a run within a run, after an answer and while it undoes: each effect once', async (t) => {
  const dataDir = memoryFolder(t)
  const draws = createDraws('kill features')
  let runs = 0
  const found = async (place: readonly string[], during: string): Promise<void> => {
    const { line, killed, problem } = await runChild(dataDir, place)
    assert.equal(problem, '')
    assert.deepEqual(
      JSON.parse(line),
      {
        runs: Array(runs).fill('Failed'),
        within: Array(runs).fill('Succeeded'),
        effects: runs * 10,
        undone: runs * 2,
        repeatedEffects: 0,
        redeemed: runs,
      },
      `after ${during}`,
    )
    assert.equal(killed, place.length > 0, `${place[0]} was not reached`)
    runs++
  }
  let during = 'nothing'
  for (const [what, all] of Object.entries(places)) {
    const place = all[draws.below(all.length)] ?? all[0] ?? []
    await found(place, during)
    during = `${what}: ${place[0]}`
  }
  await found([], during)
})
