import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createThrottle, holderOf } from './throttle.ts'

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

test('SAND-2: who has a network of IPv6 is one, however many addresses it comes from', () => {
  const throttle = createThrottle({ burst: 3, perSecond: 1 }, () => 0)
  const from = (prefix: string) =>
    Array.from({ length: 100 }, (_, number) => throttle.admits(`${prefix}${number.toString(16)}`))
  assert.equal(from('2001:db8:1:2:3::').filter(Boolean).length, 3)
  assert.equal(throttle.admits('2001:db8:1:3::1'), true, 'another network is not made to wait')
})

test('SAND-2: an address stands for its holder in whatever way it is written', () => {
  const holders: Record<string, string> = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '::ffff:c000:201': '192.0.2.1',
    '0:0:0:0:0:FFFF:192.0.2.1': '192.0.2.1',
    '2001:db8::1': '2001:db8:0:0::/64',
    '2001:0DB8:0:0:1:2:3:4': '2001:db8:0:0::/64',
    '2001:db8:1:2::': '2001:db8:1:2::/64',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '::1': '0:0:0:0::/64',
    '64:ff9b::192.0.2.1': '64:ff9b:0:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '': '',
  }
  for (const [address, holder] of Object.entries(holders)) assert.equal(holderOf(address), holder, address)
})
