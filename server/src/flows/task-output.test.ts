import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutputChunk } from '@keyward/contract'
import { systemClock } from '../core/index.ts'
import { createTaskOutput } from './task-output.ts'

const textOf = ({ chunks }: { chunks: readonly OutputChunk[] }): string =>
  chunks.map(({ text }) => text).join('')

test('SAND-1: a character that comes in two pieces is shown whole, each stream for itself', () => {
  const output = createTaskOutput(systemClock)
  const writer = output.open('run_1', 'agent', 1)
  const euro = Buffer.from('€')
  writer.write('stdout', euro.subarray(0, 1))
  writer.write('stderr', Buffer.from('!'))
  writer.write('stdout', euro.subarray(1))
  writer.write('stdout', euro.subarray(0, 2))
  writer.close()
  assert.deepEqual(
    output.read('run_1', 'agent', 0).chunks.map(({ seq, stream, text }) => [seq, stream, text]),
    [
      [1, 'stderr', '!'],
      [2, 'stdout', '€'],
      [3, 'stdout', '\ufffd'],
    ],
  )
})

test('SAND-1: the numbers of a task go on with its next attempt, and another task has its own', () => {
  const output = createTaskOutput(systemClock)
  const heard: OutputChunk[] = []
  const stop = output.follow('run_1', 'agent', (chunk) => heard.push(chunk))
  for (const attempt of [1, 2]) {
    const writer = output.open('run_1', 'agent', attempt)
    writer.write('stdout', Buffer.from(`attempt ${attempt}\n`))
    writer.close()
  }
  const other = output.open('run_1', 'other', 1)
  other.write('stdout', Buffer.from('other'))
  stop()
  output.open('run_1', 'agent', 3).write('stdout', Buffer.from('unheard'))
  assert.deepEqual(
    heard.map(({ seq, attempt }) => [seq, attempt]),
    [
      [1, 1],
      [2, 2],
    ],
  )
  assert.equal(textOf(output.read('run_1', 'agent', 1)), 'attempt 2\nunheard')
  assert.equal(output.read('run_1', 'other', 0).chunks[0]?.seq, 1)
  assert.deepEqual(output.read('run_2', 'agent', 0), { chunks: [], missed: false })
})

test('OPS-4: what is kept has an end, for one task and for all, and who missed something is told', () => {
  const output = createTaskOutput(systemClock)
  const writer = output.open('run_1', 'agent', 1)
  for (let i = 0; i < 100; i++) writer.write('stdout', Buffer.alloc(20_000, 'x'))
  const read = output.read('run_1', 'agent', 0)
  assert.equal(read.missed, true)
  assert.ok(textOf(read).length < 300_000)
  assert.ok(read.chunks.every(({ text }) => text.length <= 16 * 1024))
  assert.equal(output.read('run_1', 'agent', (read.chunks[0]?.seq ?? 0) - 1).missed, false)
  for (let i = 0; i < 200; i++) {
    const short = output.open(`run_${i + 2}`, 'agent', 1)
    short.write('stdout', Buffer.from('short'))
    short.close()
  }
  assert.equal(textOf(output.read('run_2', 'agent', 0)), '', 'the oldest is forgotten')
  assert.equal(textOf(output.read('run_201', 'agent', 0)), 'short')
  assert.ok(textOf(output.read('run_1', 'agent', 0)).length > 0, 'one that is still written is not')
})
