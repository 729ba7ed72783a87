import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitsGlob } from './glob.ts'

test('VAULT-2: a star stands for any characters, also none, and for line ends', () => {
  const cases = [
    ['team-*', 'team-', true],
    ['team-*', 'team-a\nb', true],
    ['team-*', 'Team-a', false],
    ['*', '', true],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'a--b--b--c', true],
    ['a*b*c', 'acb', false],
    ['ab*ba', 'aba', false],
    ['a.c', 'abc', false],
    ['**', 'x', true],
    ['', '', true],
    ['', 'x', false],
  ] as const
  for (const [pattern, value, fits] of cases)
    assert.equal(fitsGlob(pattern, value), fits, `${pattern} ${value}`)
})

test('VAULT-2: a text made to go through all ways that several stars leave is read once', () => {
  // As a regular expression, 500 characters of this take ten seconds, and each further one longer.
  assert.equal(fitsGlob(`${'*a'.repeat(20)}*b`, 'a'.repeat(1_000_000)), false)
})
