import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { testId, testLimits } from '../../test/support/sandbox/attacker.ts'
import { systemClock } from '../core/index.ts'
import { follow } from './conversation.ts'
import type { EngineClient } from './engine-client.ts'
import { startContainer } from './engine-run.ts'

/** Holds this process until the other one has ended: everything that it did is then to be seen in one turn. */
function holdUntilEnded(pid: number): void {
  for (;;) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')) return
  }
}

const client: EngineClient = {
  name: 'podman',
  words: ['podman'],
  env: {},
  ask: async () => ({ code: 125, stdout: '', stderr: '' }),
}

test('SAND-2: a busy server still hears what a container said whose end it sees first', async () => {
  const spec = { id: testId(), command: ['true'] as const, env: {}, limits: testLimits }
  const words = ['/bin/sh', '-c', `echo '{"kind":"started"}'; exit 137`]
  for (let round = 0; round < 5; round++) {
    const started = startContainer({
      client,
      clock: systemClock,
      name: 'x',
      words,
      spec,
      watch: {},
      ownMemoryBytes: 0,
    })
    const result = follow({ clock: systemClock, order: { env: {} } }, spec, {}, started)
    assert.ok(started.child.pid)
    holdUntilEnded(started.child.pid)
    assert.equal((await result).signal, 'SIGKILL')
  }
})
