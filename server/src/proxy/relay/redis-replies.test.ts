import assert from 'node:assert/strict'
import { test } from 'node:test'
import { followReplies } from './redis-replies.ts'

const answers = [
  '+OK\r\n',
  '-ERR no\r\n',
  ':42\r\n',
  '$3\r\na\r\n\r\n',
  '$-1\r\n',
  '$0\r\n\r\n',
  '*0\r\n',
  '*-1\r\n',
  '*2\r\n$1\r\na\r\n*1\r\n:1\r\n',
  '%1\r\n+k\r\n*2\r\n_\r\n#t\r\n',
  '|1\r\n+ttl\r\n:10\r\n$2\r\nhi\r\n',
  '=7\r\ntxt:abc\r\n',
  `+${'x'.repeat(100)}\r\n`,
]

test('LEND-2: the end of each answer of Redis is found, however it is cut', () => {
  const whole = Buffer.from(answers.join(''))
  const expected = answers.map((_, at) => answers.slice(0, at + 1).join('').length)
  for (const size of [1, 2, 3, 7, 64, whole.length]) {
    const follow = followReplies()
    const found: number[] = []
    for (let at = 0; at < whole.length; at += size) {
      const { ends } = follow(whole.subarray(at, at + size))
      found.push(...ends.map((end) => at + end))
    }
    assert.deepEqual(found, expected, `in pieces of ${size}`)
  }
})

test('LEND-2: what Redis pushes answers no command, and what has not ended is known', () => {
  const follow = followReplies()
  assert.deepEqual(follow(Buffer.from('>2\r\n+message\r\n$2\r\nhi\r\n:1\r\n')), { ends: [26], open: 0 })
  assert.deepEqual(follow(Buffer.from('$10\r\nabc')), { ends: [], open: 3 })
  assert.deepEqual(follow(Buffer.from('de')), { ends: [], open: 5 })
  assert.deepEqual(follow(Buffer.from('fghij\r\n')), { ends: [7], open: 0 })
  assert.throws(() => follow(Buffer.from('HTTP/1.1 400 Bad Request\r\n')), /refused/)
  assert.throws(() => followReplies()(Buffer.from('*1\r\n'.repeat(100))), /refused/)
})
