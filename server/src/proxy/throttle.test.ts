import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createThrottle } from './throttle.ts'

test('SAND-2: each address has a burst of its own, which comes back with time and never grows beyond', () => {
  let now = 0
  const throttle = createThrottle({ burst: 3, perSecond: 2 }, () => now)
  const admitted = (address: string, times: number): number =>
    Array.from({ length: times }, () => throttle.admits(address)).filter(Boolean).length
  assert.equal(admitted('192.0.2.1', 10), 3)
  assert.equal(admitted('192.0.2.2', 10), 3, 'another address is not made to wait')
  now += 1
  assert.equal(admitted('192.0.2.1', 10), 2)
  now += 3600
  assert.equal(admitted('192.0.2.1', 10), 3)
})

test('SAND-2: what is remembered of addresses has an end, and a flood does not forget who is being throttled early', () => {
  let now = 0
  const throttle = createThrottle({ burst: 1, perSecond: 1 }, () => now)
  for (let i = 0; i < 9_000; i++) throttle.admits(`address-${i}`)
  now += 10
  assert.equal(throttle.admits('flood'), true)
  for (let i = 0; i < 2_000; i++) throttle.admits(`another-${i}`)
  assert.equal(throttle.admits('flood'), false)
})
