import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { take } from './read.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('SAND-2: waiting for the rest of a message leaves the process free for everybody else', async () => {
  const stream = new PassThrough()
  stream.write('ab')
  const taken = take(stream, 100_000)
  // Would never come back if the wait kept itself busy.
  for (let turns = 0; turns < 3; turns++) await turn()
  stream.write('c'.repeat(60_000))
  await turn()
  stream.write(`${'c'.repeat(39_998)}rest`)
  assert.equal((await taken).length, 100_000)
  assert.equal(String(await take(stream, 4)), 'rest')
})

test('what ends before so much has come is told', async () => {
  const stream = new PassThrough()
  stream.end('ab')
  await assert.rejects(take(stream, 3), /ended early/)
  const gone = new PassThrough()
  const taken = take(gone, 1)
  gone.destroy()
  await assert.rejects(taken, /ended early/)
  assert.equal((await take(new PassThrough(), 0)).length, 0)
})
