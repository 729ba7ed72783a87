import assert from 'node:assert/strict'
import { test } from 'node:test'
import { together } from './together.ts'

test('LEND-1: what several ask for at the same time is read once, and anew for whoever comes after them', async () => {
  const read: string[] = []
  const ask = together(async (key: string) => read.push(key))
  assert.deepEqual(await Promise.all([ask('a'), ask('b'), ask('a')]), [1, 2, 1])
  assert.equal(await ask('a'), 3)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await ask('a'), 4)
  assert.deepEqual(read, ['a', 'b', 'a', 'a'])
})

test('LEND-1: a reading that failed is tried again by whoever comes after it', async () => {
  let tries = 0
  const ask = together(async () => {
    if (++tries === 1) throw new Error('not now')
    return tries
  })
  await assert.rejects(Promise.all([ask('a'), ask('a')]), /not now/)
  assert.equal(await ask('a'), 2)
})
