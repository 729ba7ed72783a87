import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createTurnstile } from './turnstile.ts'

test('VAULT-3: so many are inside at once, in the order in which they came, also after one that failed', async () => {
  const turnstile = createTurnstile(2)
  let inside = 0
  let most = 0
  const order: number[] = []
  const passing = Array.from({ length: 9 }, (_, at) =>
    turnstile.pass(async () => {
      inside++
      most = Math.max(most, inside)
      order.push(at)
      await setImmediate()
      inside--
      if (at % 3 === 0) throw new Error('this one failed')
    }),
  )
  const outcomes = await Promise.allSettled(passing)
  assert.deepEqual([most, inside], [2, 0])
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8])
  assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 3)
})
