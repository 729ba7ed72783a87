import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inBatches } from './batch.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what comes up in one turn is told in one message, in its order, and nothing twice', async () => {
  const sent: (readonly number[])[] = []
  const tell = inBatches<number>((messages) => void sent.push(messages))
  tell(1)
  await Promise.resolve()
  tell(2)
  process.nextTick(tell, 3)
  assert.deepEqual(sent, [])
  await turn()
  tell(4)
  await turn()
  await turn()
  assert.deepEqual(sent, [[1, 2, 3], [4]])
})

test('what is told while a message is sent goes into the next one', async () => {
  const sent: (readonly number[])[] = []
  const tell = inBatches<number>((messages) => {
    sent.push(messages)
    if (messages.includes(1)) tell(2)
  })
  tell(1)
  await turn()
  await turn()
  assert.deepEqual(sent, [[1], [2]])
})
