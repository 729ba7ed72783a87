import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getHeapSpaceStatistics } from 'node:v8'
import { holdYoungGeneration, releaseMemory } from './index.ts'

test('OPS-1: memory that nobody uses any more is given back', async () => {
  let garbage: string[] = Array.from({ length: 200_000 }, (_, i) => `a text of some length, number ${i}`)
  const full = process.memoryUsage().heapUsed
  garbage = garbage.slice(0, 1)
  await releaseMemory()
  assert.equal(garbage.length, 1)
  assert.ok(process.memoryUsage().heapUsed < full - 10_000_000)
})

test('OPS-1: under load the memory for new objects stays small', async () => {
  await releaseMemory()
  holdYoungGeneration()
  let kept: object[] = []
  for (let turn = 0; turn < 300; turn++) {
    for (let i = 0; i < 10_000; i++) kept.push({ turn, i })
    if (kept.length > 50_000) kept = []
    await new Promise((resolve) => setImmediate(resolve))
  }
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  assert.ok((young?.space_size ?? 0) <= 16 * 1024 * 1024)
})
