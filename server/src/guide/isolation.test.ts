import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ensureIsolation } from './isolation.ts'
import type { Screen } from './screen.ts'

function screenOf(said: string[]): Screen {
  const say = (text: string) => void said.push(text)
  return {
    columns: undefined,
    say,
    tint: (_, text) => text,
    progress: () => ({ update: say, done: say }),
    ask: async (question) => {
      said.push(question)
      return false
    },
  }
}

const lacking = (driver: string) => ({
  driver: () => driver,
  probe: async () => ({ level: 'none' as const, reasons: ['It does not answer.'], details: undefined }),
})

test('SAND-1: who has chosen a driver is told what it lacks, and is offered no other', async () => {
  for (const driver of ['podman', 'gvisor', 'kubernetes']) {
    const said: string[] = []
    await ensureIsolation(lacking(driver), screenOf(said))
    const text = said.join('\n')
    assert.match(text, new RegExp(`It does not answer\\.\n.*${driver}`))
    assert.doesNotMatch(text, /bubblewrap/)
  }
})

test('SAND-1: who has chosen none is offered bubblewrap', async () => {
  const said: string[] = []
  await ensureIsolation(lacking('auto'), screenOf(said))
  assert.match(said.join('\n'), /bubblewrap/)
})
