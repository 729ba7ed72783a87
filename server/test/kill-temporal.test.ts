import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { cleanUp } from './support/clean-up.ts'
import { memoryFolder } from './support/memory-folder.ts'
import { startTemporal } from './support/temporal.ts'

const program = join(import.meta.dirname, 'support', 'killed-temporal.ts')

/** A server in a process of its own, which is asked by words and can be killed. */
function startServer(t: TestContext, ...args: string[]) {
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [program, ...args])
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  let problem = ''
  child.stderr.on('data', (bytes) => {
    problem += bytes
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  async function kill(): Promise<void> {
    child.kill('SIGKILL')
    await ended
  }
  cleanUp(t, kill)
  return {
    kill,
    async ask(word: string) {
      child.stdin.write(`${word}\n`)
      const { value, done } = await lines.next()
      assert.ok(!done, `the server ended at '${word}': ${problem}`)
      return JSON.parse(value)
    },
  }
}

/** What a run passes whatever the machine is doing: its news, looks, questions, attempts, retries, answers and the run within it. */
const everyRunHas = [
  ...['telling 1', 'told 1', 'look:begun 1', 'look:done 1', 'StartTask:begun 1', 'StartTask:done 1'],
  ...['committing 1', 'committed 1', 'flaky:before 1', 'flaky:before 2', 'flaky:after 1'],
  ...['retryDue:begun 1', 'retryDue:done 1', 'committing 5', 'committed 5', 'answered 1', 'telling 2'],
  ...['gated:before 1', 'gated:after 1', 'StartTask:done 3'],
]

test('WORK-2: killed at every step of a run on Temporal and of its being taken up, each effect is had once', async (t) => {
  const temporal = await startTemporal(t)
  if (!temporal) return
  const { address, namespace } = temporal
  const place = [memoryFolder(t), address, namespace, randomBytes(32).toString('base64')]

  const first = startServer(t, ...place, 'freely')
  const steps: { place: string }[] = await first.ask('steps')
  const held = new Set(await first.ask('hold'))
  for (const one of everyRunHas) assert.ok(held.has(one), `no run was held at '${one}'`)
  await first.kill()

  const second = startServer(t, ...place, 'held')
  const heldAgain: string[] = await second.ask('held')
  assert.ok(new Set(heldAgain).size > 3, heldAgain.join(' '))
  await temporal.kill()
  await temporal.start()
  await second.kill()

  const third = startServer(t, ...place, 'freely')
  const { notSucceeded, doneTwice, recordedTwice, ...counts } = await third.ask('end')
  assert.deepEqual(
    { notSucceeded, doneTwice, recordedTwice },
    { notSucceeded: 0, doneTwice: 0, recordedTwice: 0 },
  )
  const { alone, around } = counts.runs
  assert.equal(alone + around, steps.length + 2)
  const effects = alone * 2 + around
  assert.deepEqual(counts, {
    runs: { alone, around, inner: around },
    effects,
    recorded: effects,
    approvals: alone,
    redeemed: alone,
  })
})
