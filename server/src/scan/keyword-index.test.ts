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
