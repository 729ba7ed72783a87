import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EntryInput } from '../audit/index.ts'
import { createAnonymousLog } from './anonymous-log.ts'

function openLog() {
  let now = 0
  const entries: EntryInput[] = []
  const record = createAnonymousLog({
    audit: { recordNow: async (entry) => void entries.push(entry) },
    clock: { now: () => new Date(now) },
  })
  const refuse = (target: string, reason: string): Promise<void> =>
    record({
      type: 'vault.request',
      outcome: 'denied',
      actor: 'anonymous:',
      target,
      detail: { operation: 'update', reason },
    })
  return {
    entries,
    refuse,
    pass(milliseconds: number): void {
      now += milliseconds
    },
  }
}

test('AUDIT-1: who has no token fills no disk: so many entries a minute, and how many more there were', async () => {
  const { entries, refuse, pass } = openLog()
  for (let i = 0; i < 250; i++) await refuse('path:a', 'no token')
  assert.equal(entries.length, 100)
  pass(60_000)
  await refuse('path:a', 'no token')
  assert.deepEqual(entries.at(-1)?.detail, { operation: 'update', reason: 'no token', alsoRefused: 150 })
})

test('AUDIT-1: nor with long words of their own', async () => {
  const { entries, refuse } = openLog()
  await refuse(`path:${'a'.repeat(8000)}`, `role "${'b'.repeat(60_000)}" could not be found`)
  const [entry] = entries
  assert.equal(entry?.target?.length, 1001)
  assert.ok(JSON.stringify(entry).length < 1600)
})
