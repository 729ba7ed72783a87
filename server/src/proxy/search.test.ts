import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { createSearch, type Span } from './search.ts'

/** By trying each place. */
function everySpan(data: Buffer, wanted: readonly Buffer[]): Span[] {
  return Array.from(data.keys()).flatMap((from) =>
    wanted
      .filter((bytes) => data.subarray(from, from + bytes.length).equals(bytes))
      .map((bytes) => ({ from, to: from + bytes.length })),
  )
}

function longestBeginning(data: Buffer, wanted: readonly Buffer[], share: number): number {
  const lengths = wanted.flatMap((bytes) =>
    Array.from({ length: bytes.length - 1 }, (_, i) => i + 1).filter(
      (length) =>
        length <= data.length &&
        length >= share * bytes.length &&
        data.subarray(data.length - length).equals(bytes.subarray(0, length)),
    ),
  )
  return Math.max(0, ...lengths)
}

const inOrder = (spans: readonly Span[]): string[] => spans.map(({ from, to }) => `${from}-${to}`).sort()

test('LEND-2: what is looked for is found wherever it stands, as by trying each place', () => {
  const draws = createDraws('search')
  // Few different bytes, so that much overlaps; some differ in the bit that the search leaves out at first.
  const alphabet = [0x61, 0x62, 0xe1, 0x0a]
  const bytesOf = (length: number): Buffer =>
    Buffer.from(Array.from({ length }, () => alphabet[draws.below(alphabet.length)] ?? 0))
  for (let round = 0; round < 300; round++) {
    const wanted = Array.from({ length: 1 + draws.below(6) }, () => bytesOf(2 + draws.below(7)))
    const distinct = wanted.filter((bytes, at) => wanted.findIndex((other) => other.equals(bytes)) === at)
    const data = bytesOf(draws.below(80))
    const search = createSearch(distinct)
    const spans = everySpan(data, distinct)
    const about = `${data.toString('hex')} in round ${round}`
    assert.deepEqual(inOrder(search.spans(data)), inOrder(spans), about)
    assert.equal(search.occurs(data), spans.length > 0, about)
    for (const share of [0, 0.5])
      assert.equal(search.begun(data, share), longestBeginning(data, distinct, share), about)
  }
})

test('nothing is found by a search for nothing', () => {
  const search = createSearch([])
  const data = Buffer.from('some text')
  assert.deepEqual([search.spans(data), search.occurs(data), search.begun(data)], [[], false, 0])
})

test('what is longer than a window can tell is found all the same', () => {
  const long = Buffer.from('ab'.repeat(300))
  const data = Buffer.concat([Buffer.from('b'), long, Buffer.from('abx')])
  assert.deepEqual(createSearch([long]).spans(data), [
    { from: 1, to: 601 },
    { from: 3, to: 603 },
  ])
})
