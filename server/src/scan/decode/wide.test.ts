import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { wideTexts } from './wide.ts'

/** Reads every byte: slow, and plain. */
function plainly(bytes: Buffer): [at: number, text: string][] {
  const found: [number, string][] = []
  for (let at = 0; at < bytes.length; ) {
    let end = at
    while (bytes[end + 1] === 0 && /[ -~]/.test(String.fromCharCode(bytes[end] ?? 0))) end += 2
    if (end - at >= 32) found.push([at, bytes.toString('utf16le', at, end)])
    at = end > at ? end : at + 1
  }
  return found
}

function told(bytes: Buffer): [at: number, text: string][] {
  const wide = wideTexts(bytes)
  if (!wide) return []
  let at = 0
  return wide.text
    .toString('latin1')
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const here: [number, string] = [wide.originOf(at), line]
      at += line.length + 1
      return here
    })
}

test('DISC-1: however texts of UTF-16 stand between other bytes, those that are long enough are found whole', () => {
  const draws = createDraws('wide texts')
  let found = 0
  for (let round = 0; round < 1500; round++) {
    const parts = Array.from({ length: 6 }, () => {
      const length = draws.below(45)
      const kind = draws.below(5)
      if (kind < 3) return Buffer.from(draws.text(length), 'utf16le')
      return kind === 3
        ? draws.bytes(1 + (length % 9))
        : Buffer.from([65, 0, 0, 66, 0]).subarray(0, length % 6)
    })
    const bytes = Buffer.concat(parts)
    const expected = plainly(bytes)
    assert.deepEqual(told(bytes), expected)
    found += expected.length
  }
  assert.ok(found > 1000)
})
