// What a command in any sandbox can rely on (SAND-1), and what it does not get to see (SAND-2).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { attacker, type Subject, testId, testLimits } from './attacker.ts'

export function commandContract({ driver, skip, stateDir }: Subject): void {
  const { run, shell, node } = attacker(driver)

  describe('a command in the sandbox', { skip }, () => {
    test('SAND-1: it runs, and its output and exit code come back', async () => {
      const seen: string[] = []
      const result = await driver.run(
        {
          id: testId(),
          command: ['/bin/sh', '-c', 'echo out; echo err >&2; exit 7'],
          env: {},
          limits: testLimits,
        },
        { onOutput: (stream, chunk) => void seen.push(`${stream}:${chunk}`) },
      )
      assert.equal(result.exitCode, 7)
      assert.equal(result.signal, null)
      assert.equal(result.limit, null)
      assert.equal(result.stdoutTail, 'out\n')
      assert.equal(result.stderrTail, 'err\n')
      assert.deepEqual(seen.sort(), ['stderr:err\n', 'stdout:out\n'])
    })

    test('SAND-1: a command that does not exist ends as in any shell', async () => {
      assert.equal((await run(['/no/such/command'])).exitCode, 127)
    })

    test('SAND-1: a signal that ended it is named', async () => {
      const result = await shell('kill -SEGV $$')
      assert.deepEqual([result.exitCode, result.signal], [null, 'SIGSEGV'])
    })

    test('SAND-2: it sees the environment it was given and nothing of the server’s', async () => {
      process.env['KEYWARD_TEST_CANARY'] = 'canary-value'
      const script = 'env; for f in /proc/[0-9]*/environ; do tr "\\0" "\\n" < $f; done 2>/dev/null'
      const result = await shell(script, { env: { GIVEN: 'yes' } })
      delete process.env['KEYWARD_TEST_CANARY']
      assert.match(result.stdoutTail, /^GIVEN=yes$/m)
      assert.doesNotMatch(result.stdoutTail, /canary/i)
    })

    test('SAND-2: no descriptor but the three standard ones reaches it, and input is empty', async () => {
      const result = await shell('cd /proc/self/fd && echo *; cat | wc -c')
      assert.match(result.stdoutTail, /^0 1 2( \d)?\n0\n$/)
      const opened = await node("console.log(require('fs').readlinkSync('/proc/self/fd/0'))")
      assert.equal(opened.stdoutTail, '/dev/null\n')
    })

    test('SAND-2: command lines inside show no folder of the host', async () => {
      const result = await shell('for f in /proc/[0-9]*/cmdline; do tr "\\0" " " < $f; done 2>/dev/null')
      assert.ok(!result.stdoutTail.includes(stateDir))
      assert.ok(!result.stdoutTail.includes(process.execPath))
    })

    test('SAND-1: its streams can be opened again by their names', async () => {
      const result = await shell('echo again > /dev/stdout; echo too > /dev/stderr')
      assert.deepEqual([result.stdoutTail, result.stderrTail], ['again\n', 'too\n'])
    })

    test('SAND-1: output written just before the end is not lost, also when the server is slow to take it', async () => {
      const script = 'head -c 3000000 /dev/zero | tr "\\0" x; echo; echo end'
      let isHeld = false
      const onOutput = () => {
        // As long as a busy server may be away from its event loop.
        if (!isHeld) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
        isHeld = true
      }
      const limits = { ...testLimits, outputBytes: 4_000_000 }
      const command = ['/bin/sh', '-c', script] as const
      const result = await driver.run({ id: testId(), command, env: {}, limits }, { onOutput })
      assert.match(result.stdoutTail, /x\nend\n$/)
    })

    test('SAND-1: a cancelled run ends at once and says so', async () => {
      const cancel = new AbortController()
      const spec = {
        id: testId(),
        command: ['sh', '-c', 'echo on; sleep 600'] as const,
        env: {},
        limits: testLimits,
      }
      const result = await driver.run(spec, { signal: cancel.signal, onOutput: () => cancel.abort() })
      assert.equal(result.cancelled, true)
      assert.equal(result.limit, null)
    })
  })
}
