import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { createKeywordIndex } from './keyword-index.ts'

const find = (words: string[], text: string): [string | undefined, number][] => {
  const hits: [string | undefined, number][] = []
  const bytes = Buffer.from(text)
  createKeywordIndex(words).search(bytes, 0, bytes.length, (word, start, end) => {
    assert.equal(text.slice(start, end).toLowerCase(), words[word]?.toLowerCase())
    hits.push([words[word], start])
  })
  return hits
}

test('words that overlap, begin alike or stand at the very ends are all found, whatever their case', () => {
  assert.deepEqual(find(['abc', 'bcd', 'abcde', 'cde'], 'ABCde.abc'), [
    ['abc', 0],
    ['bcd', 1],
    ['abcde', 0],
    ['cde', 2],
    ['abc', 6],
  ])
})

test('on random text the index finds what a plain search finds', () => {
  const { text: drawn, below } = createDraws('keyword index')
  const draw = (length: number): string => drawn(length, 'ab-_')
  for (let round = 0; round < 200; round++) {
    const words = [...new Set(Array.from({ length: 12 }, () => draw(1 + below(5))))]
    const text = draw(300)
    const plain = words.flatMap((word) =>
      Array.from({ length: text.length }, (_, at) => at).flatMap((at) =>
        text.startsWith(word, at) ? [`${at} ${word}`] : [],
      ),
    )
    assert.deepEqual(
      find(words, text)
        .map(([word, at]) => `${at} ${word}`)
        .sort(),
      plain.sort(),
    )
  }
})

test('in long text nothing is lost or told twice where its stretches meet, and the order is that of the ends', () => {
  const { text: drawn, below } = createDraws('keyword index, long text')
  for (let round = 0; round < 12; round++) {
    const words = [...new Set(Array.from({ length: 6 }, () => drawn(2 + below(40), 'ab')))]
    // Words of every length stand everywhere, at the ends of each stretch too.
    let text = ''
    while (text.length < 900 + round * 13_000)
      text += `${words[below(words.length)]}${drawn(below(4), 'ab-')}`
    const bytes = Buffer.from(text)
    const [from, to] = [below(100), bytes.length - below(100)]
    const plain = words.flatMap((word, index) => {
      const found: [number, number, number][] = []
      for (
        let at = text.indexOf(word, from);
        at >= 0 && at + word.length <= to;
        at = text.indexOf(word, at + 1)
      )
        found.push([at + word.length, at, index])
      return found
    })
    const hits: [number, number, number][] = []
    createKeywordIndex(words).search(bytes, from, to, (word, start, end) => {
      assert.ok((hits.at(-1)?.[0] ?? 0) <= end)
      hits.push([end, start, word])
    })
    const order = (a: number[], b: number[]): number =>
      (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0) || (a[2] ?? 0) - (b[2] ?? 0)
    assert.deepEqual(hits.sort(order), plain.sort(order))
  }
})
