import assert from 'node:assert/strict'
import { test } from 'node:test'
import { releaseMemory } from './index.ts'

test('OPS-1: memory that nobody uses any more is given back', async () => {
  let garbage: string[] = Array.from({ length: 200_000 }, (_, i) => `a text of some length, number ${i}`)
  const full = process.memoryUsage().heapUsed
  garbage = garbage.slice(0, 1)
  await releaseMemory()
  assert.equal(garbage.length, 1)
  assert.ok(process.memoryUsage().heapUsed < full - 10_000_000)
})
