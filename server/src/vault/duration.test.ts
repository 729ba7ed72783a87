import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDuration } from './duration.ts'

test('VAULT-2: durations are read as clients write them, in whole seconds', () => {
  const cases: [unknown, number | undefined][] = [
    [undefined, undefined],
    ['', undefined],
    [90, 90],
    ['90', 90],
    ['1h30m', 5400],
    ['7d', 604_800],
    ['1500ms', 1],
    ['1.15m', 69],
    ['292h', 1_051_200],
  ]
  for (const [written, seconds] of cases)
    assert.equal(parseDuration(written, 'ttl'), seconds, String(written))
})

test('VAULT-2: a duration that nobody can count with is refused', () => {
  for (const written of [
    '1x',
    '-1s',
    '1e3',
    '9007199254740992',
    '9'.repeat(400),
    `${'9'.repeat(400)}h`,
    '300000d',
  ])
    assert.throws(() => parseDuration(written, 'ttl'), { code: 'request.invalid' }, written.slice(0, 20))
})
