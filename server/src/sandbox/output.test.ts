import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { finished } from 'node:stream/promises'
import { test } from 'node:test'
import { createOutput, type OutputFilter } from './output.ts'

/** Turns letters into capitals, and holds the last byte back until the next one. */
function shouting(): OutputFilter {
  let held: Buffer = Buffer.alloc(0)
  return {
    push(chunk) {
      const all = Buffer.concat([held, chunk])
      held = all.subarray(-1)
      return Buffer.from(all.subarray(0, -1).toString().toUpperCase())
    },
    end: () => Buffer.from(held.toString().toUpperCase()),
  }
}

function opened(newFilter: (() => OutputFilter) | undefined, outputBytes = 100) {
  const shown: string[] = []
  let floods = 0
  const output = createOutput({
    outputBytes,
    newFilter,
    onOutput: (name, chunk) => shown.push(`${name} ${chunk}`),
    onFlood: () => floods++,
  })
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() }
  output.attach('stdout', streams.stdout)
  output.attach('stderr', streams.stderr)
  const ended = async (): Promise<void> => {
    for (const stream of Object.values(streams)) {
      stream.end()
      await finished(stream)
    }
  }
  return { output, shown, streams, ended, floods: () => floods }
}

test('SAND-1: what is shown and what is kept has passed the filter of its stream, to its last byte', async () => {
  const { output, shown, streams, ended } = opened(shouting)
  streams.stdout.write('ab')
  streams.stderr.write('xy')
  streams.stdout.write('cd')
  await ended()
  assert.deepEqual([output.tail('stdout'), output.tail('stderr')], ['ABCD', 'XY'])
  assert.deepEqual(shown.toSorted(), ['stderr X', 'stderr Y', 'stdout A', 'stdout BC', 'stdout D'])
})

test('SAND-1: a stream that breaks off shows what its filter held back', async () => {
  const { output, streams } = opened(shouting)
  const closed = once(streams.stdout, 'close')
  streams.stdout.once('data', () => streams.stdout.destroy())
  streams.stdout.write('ab')
  await closed
  assert.equal(output.tail('stdout'), 'AB')
})

test('SAND-1: the limit of output counts what was written, and one flood is told once', async () => {
  const { output, streams, ended, floods } = opened(
    () => ({ push: () => Buffer.alloc(0), end: shouting().end }),
    3,
  )
  streams.stdout.write('ab')
  streams.stderr.write('xyz')
  streams.stdout.write('cd')
  await ended()
  assert.equal(floods(), 1)
  assert.equal(output.tail('stdout'), '')
  assert.match(output.tail('stderr'), /output ended at 3 bytes/)
})

test('SAND-1: without a filter output passes as it is', async () => {
  const { output, shown, streams, ended } = opened(undefined)
  streams.stdout.write('ab')
  await ended()
  assert.deepEqual([output.tail('stdout'), shown], ['ab', ['stdout ab']])
})
