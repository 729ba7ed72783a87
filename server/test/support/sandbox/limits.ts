// What a sandbox may use up.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { attacker, processesWith, type Subject, testId, testLimits } from './attacker.ts'

export function limitsContract({ driver, skip, bounded }: Subject): void {
  const { run, shell } = attacker(driver)

  describe('limits', { skip }, () => {
    test('SAND-2: a fork bomb stops at the process limit', async () => {
      const script = 'i=0; while [ $i -lt 300 ]; do sleep 20 & i=$((i+1)); done; echo all'
      const result = await shell(script, { limits: { processes: 20 } })
      assert.doesNotMatch(result.stdoutTail, /all/)
      assert.match(result.stderrTail, /fork/i)
      if (bounded) assert.equal(result.limit, 'processes')
    })

    test('SAND-2: memory ends at its limit', async () => {
      const result = await shell('head -c 3000000000 /dev/zero | tail', {
        limits: { memoryBytes: 128 * 1024 ** 2 },
      })
      assert.notEqual(result.exitCode, 0)
      if (bounded) assert.equal(result.limit, 'memory')
    })

    test('SAND-2: many processes together do not get more memory than one', async () => {
      // Each keeps less than the limit, for as long as it takes to be noticed.
      const hog = "(x=$(head -c 40000000 /dev/zero | tr '\\0' x); sleep 30; :) & "
      const result = await shell(`${hog.repeat(6)} wait`, {
        limits: { memoryBytes: 128 * 1024 ** 2 },
      })
      assert.equal(result.limit, 'memory')
    })

    test('SAND-2: the disk ends at its limit, wherever it is written', async () => {
      const script =
        'for d in /tmp /workspace /dev/shm $HOME /run /var/tmp; do head -c 4000000 /dev/zero > $d/x; done; df -k /tmp'
      const result = await shell(script, { limits: { diskBytes: 8_000_000 } })
      assert.match(result.stderrTail, /No space left/)
      assert.equal(result.limit, 'disk')
    })

    test('SAND-2: files end at a number, too', async () => {
      const script =
        'i=0; while : > /tmp/$i; do i=$((i+1)); [ $i -gt 20000 ] && echo all && break; done; echo stopped'
      const result = await shell(script, { limits: { diskBytes: 8_000_000 } })
      assert.doesNotMatch(result.stdoutTail, /all/)
    })

    test('SAND-2: one file ends at its size limit', async () => {
      const result = await run(['head', '-c', '5000000', '/dev/zero'], { limits: { fileBytes: 1_000_000 } })
      assert.equal(result.limit, 'output', 'output is not a file')
      const file = await shell('exec head -c 5000000 /dev/zero > x', { limits: { fileBytes: 1_000_000 } })
      assert.deepEqual([file.signal, file.limit], ['SIGXFSZ', 'disk'])
    })

    test('SAND-2: processor time ends at its limit', async () => {
      const result = await shell('while :; do :; done', { limits: { cpuSeconds: 1 } })
      assert.equal(result.limit, 'cpu')
    })

    test('SAND-2: a flood of output ends the run, and only the allowed part is kept', async () => {
      let passed = 0
      const result = await driver.run(
        { id: testId(), command: ['yes'], env: {}, limits: { ...testLimits, outputBytes: 100_000 } },
        {
          onOutput: (_, chunk) => {
            passed += chunk.length
          },
        },
      )
      assert.equal(result.limit, 'output')
      assert.equal(passed, 100_000)
      assert.match(result.stderrTail, /output ended at 100000 bytes/)
    })

    test('SAND-2: past the wall time nobody survives, however far it has detached itself', async () => {
      const mark = `${4_000_000 + process.pid}`
      const script = `(setsid sh -c 'trap "" TERM HUP; setsid sleep ${mark} >/dev/null 2>&1 &' &); sleep 600`
      const result = await shell(script, { limits: { wallSeconds: 2 } })
      assert.equal(result.limit, 'wall')
      assert.equal(result.exitCode, null)
      assert.deepEqual(await processesWith(mark), [])
    })

    test('SAND-2: nobody survives the end of the command either', async () => {
      const mark = `${5_000_000 + process.pid}`
      const result = await shell(`setsid sleep ${mark} >/dev/null 2>&1 & echo done`)
      assert.equal(result.exitCode, 0)
      assert.deepEqual(await processesWith(mark), [])
    })
  })
}
