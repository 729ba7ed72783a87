import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fits } from './matching.ts'

test('CONN-1: a star stands for any letters, and nothing else is more than itself', () => {
  const fitting: [string, string][] = [
    ['main', 'main'],
    ['*', ''],
    ['release/*', 'release/1.2/a'],
    ['*-fix', 'a-fix-fix'],
    ['a*b*c', 'a-b-b-c'],
    ['**x', 'x'],
  ]
  for (const [pattern, name] of fitting) assert.ok(fits(pattern, name), `${pattern} ${name}`)
  const others: [string, string][] = [
    ['main', 'Main'],
    ['main', 'main2'],
    ['', 'a'],
    ['release/*', 'release'],
    ['a*b*c', 'a-c-b'],
    ['m.in', 'main'],
    [`${'*a'.repeat(40)}b`, 'a'.repeat(200)],
  ]
  for (const [pattern, name] of others) assert.ok(!fits(pattern, name), `${pattern} ${name}`)
})
