import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPatterns } from '../redact.ts'
import { maskerOf } from './mask.ts'

const value = 'abcabd-value-of-a-test'

test('LEND-2: a value is covered byte for byte, however its message is cut, and what ends a message is never held back', () => {
  const message = `before ${value} between ${value}${value} after ${value.slice(0, 9)}`
  const covered = message.replaceAll(value, '*'.repeat(value.length))
  for (const size of [1, 2, 3, 5, 8, 21, message.length]) {
    let masks = 0
    const masker = maskerOf(createPatterns([value]), () => {
      masks++
    })
    let out = ''
    for (let at = 0; at < message.length; at += size) {
      const chunk = Buffer.from(message.slice(at, at + size))
      const isLast = at + size >= message.length
      out += masker.push(chunk, isLast ? 0 : at + chunk.length).toString()
    }
    assert.equal(out, covered, `in pieces of ${size}`)
    assert.equal(masks, 3, `in pieces of ${size}`)
  }
})

test('LEND-2: a value that becomes known while a message is open is covered from then on', () => {
  const patterns = createPatterns()
  const masker = maskerOf(patterns, () => undefined)
  assert.equal(masker.push(Buffer.from('first '), 6).toString(), 'first ')
  patterns.add(value)
  assert.equal(masker.push(Buffer.from(`then ${value}!`), 0).toString(), `then ${'*'.repeat(value.length)}!`)
})
