// More than one sandbox at a time.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { attacker, type Subject, testId, testLimits } from './attacker.ts'

export function pairContract({ driver, skip }: Subject): void {
  const { shell } = attacker(driver)

  describe('two sandboxes', { skip }, () => {
    test('SAND-2: of the same id, the second is refused and the first goes on', async () => {
      const spec = { id: testId(), env: {}, limits: testLimits }
      const end = new AbortController()
      let second: Promise<void> | undefined
      let isRefused = false
      const first = await driver.run(
        { ...spec, command: ['sh', '-c', 'while :; do echo on; sleep 0.1; done'] },
        {
          signal: end.signal,
          onOutput: () => {
            if (isRefused) end.abort()
            second ??= assert
              .rejects(driver.run({ ...spec, command: ['true'] }, {}), { code: 'sandbox.failed' })
              .then(() => {
                isRefused = true
              })
          },
        },
      )
      await second
      assert.deepEqual([isRefused, first.cancelled], [true, true], 'it said more after the refusal')
    })

    test('SAND-2: side by side, neither sees the other', async () => {
      const [one, other] = await Promise.all([
        shell('echo secret > /tmp/one; echo secret > /dev/shm/one; sleep 1'),
        shell('sleep 0.5; ls -A /tmp /dev/shm /workspace'),
      ])
      assert.equal(one.exitCode, 0)
      assert.doesNotMatch(other.stdoutTail, /one|secret/)
    })
  })
}
