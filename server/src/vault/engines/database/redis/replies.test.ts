import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReplyReader, type Reply } from './replies.ts'

const bytes = Buffer.from(
  '+OK\r\n-ERR no\r\n:42\r\n$5\r\nh\r\nlo\r\n$-1\r\n*3\r\n$1\r\na\r\n*0\r\n:-1\r\n*-1\r\n$4\r\n\u00e4\u00f6\r\n',
)
const replies: Reply[] = ['OK', { error: 'ERR no' }, 42, 'h\r\nlo', null, ['a', [], -1], null, 'äö']

test('VAULT-3: answers of Redis are read however they are cut', () => {
  for (let size = 1; size <= bytes.length; size++) {
    const read: Reply[] = []
    const take = createReplyReader((reply) => read.push(reply))
    for (let at = 0; at < bytes.length; at += size) take(bytes.subarray(at, at + size))
    assert.deepEqual(read, replies, `pieces of ${size}`)
  }
})

test('VAULT-3: what is no answer of Redis is refused', () => {
  for (const text of [
    'HTTP/1.1 400\r\n',
    '$x\r\n',
    '$99999999999\r\n',
    '*-2\r\n',
    `${'*1\r\n'.repeat(20)}:1\r\n`,
  ])
    assert.throws(() => createReplyReader(() => undefined)(Buffer.from(text)), Error, text)
})
