import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getHeapSpaceStatistics } from 'node:v8'
import { createTestClock } from '../../test/support/world.ts'
import { holdYoungGeneration, releaseMemory, releaseWhenIdle } from './index.ts'

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

test('OPS-1: memory is given back in an idle minute after work, once, and never to a process at work', async () => {
  const clock = createTestClock()
  const state = { processorMs: 0, heapBytes: 100, released: 0 }
  const end = releaseWhenIdle({
    clock,
    processorMs: () => state.processorMs,
    heapBytes: () => state.heapBytes,
    release: async () => {
      state.released++
      state.heapBytes = 100
    },
  })
  const minute = async (usedMs: number): Promise<number> => {
    state.processorMs += usedMs
    clock.advance(60_000)
    await new Promise((resolve) => setImmediate(resolve))
    return state.released
  }
  assert.equal(await minute(50_000), 0, 'at work')
  assert.equal(await minute(10), 1)
  assert.equal(await minute(10), 1, 'nothing to give back')
  state.heapBytes = 160
  assert.equal(await minute(50_000), 1, 'at work')
  assert.equal(await minute(10), 2)
  state.heapBytes = 160
  end()
  assert.equal(await minute(10), 2, 'it has ended')
})
