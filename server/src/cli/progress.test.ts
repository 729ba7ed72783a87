import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { createProgress } from './progress.ts'

function setup(isTTY: boolean, asked: boolean | undefined) {
  let written = ''
  let now = 0
  const sink = new Writable({
    decodeStrings: false,
    write(text: string, _, done) {
      written += text
      done()
    },
  })
  const errors = Object.assign(sink, { isTTY, columns: 30 })
  const progress = createProgress({ errors }, { now: () => new Date(now) }, asked)
  return {
    progress,
    written: () => written,
    after(seconds: number, text: string): void {
      now += seconds * 1000
      progress.show(text)
    },
  }
}

test('DISC-4: progress on a terminal is one line that is written over, and gone at the end', () => {
  const { progress, after, written } = setup(true, undefined)
  after(0, 'one')
  after(0, 'x'.repeat(40))
  progress.end()
  const [, one, two, last] = written().split('\r\u001b[2K')
  assert.deepEqual([one, two?.length, last], ['one', 29, ''])
})

test('DISC-4: elsewhere nothing is told, or with --progress a line now and then and the last one', () => {
  const quiet = setup(false, undefined)
  quiet.after(60, 'one')
  quiet.progress.end()
  assert.equal(quiet.written(), '')
  const asked = setup(false, true)
  for (const [seconds, text] of [
    [1, 'one'],
    [4, 'two'],
    [1, 'three'],
    [1, 'four'],
  ] as const)
    asked.after(seconds, text)
  asked.progress.clear()
  asked.progress.end()
  asked.progress.end()
  assert.equal(asked.written(), 'two\nfour\n')
})

test('DISC-4: with --no-progress nothing is told on a terminal either', () => {
  const { progress, after, written } = setup(true, false)
  after(9, 'one')
  progress.end()
  assert.equal(written(), '')
})
