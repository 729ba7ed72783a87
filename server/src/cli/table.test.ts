import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnsOf, printable, printableJson, shorten } from './printable.ts'
import { renderFacts, renderTable } from './table.ts'

type Row = { id: string; count: number; note: string | null }
const columns = [
  { title: 'id', value: ({ id }: Row) => id },
  { title: 'count', value: ({ count }: Row) => count, align: 'right' as const },
  { title: 'note', value: ({ note }: Row) => note, shrink: true },
]

test('CLI-1: columns are aligned, also with wide characters and marks', () => {
  const rows: Row[] = [
    { id: 'a', count: 7, note: null },
    { id: '日本', count: 1234, note: 'é' },
  ]
  assert.equal(
    renderTable(columns, rows, undefined),
    ['ID    COUNT  NOTE', 'a         7  -', '日本   1234  é', ''].join('\n'),
  )
})

test('CLI-1: a narrow terminal cuts what may be cut, never an id; a pipe gets everything', () => {
  const rows: Row[] = [{ id: 'an-id-of-some-length', count: 1, note: 'x'.repeat(100) }]
  const narrow = renderTable(columns, rows, 50)
  for (const line of narrow.trimEnd().split('\n')) assert.ok(columnsOf(line) <= 50)
  assert.match(narrow, /an-id-of-some-length +1 {2}x+…\n/)
  assert.match(renderTable(columns, rows, 5), /an-id-of-some-length/)
  assert.match(renderTable(columns, rows, undefined), /x{100}\n/)
})

test('CLI-1: data can neither drive the terminal nor hide or reorder text', () => {
  const nasty = 'a\u001b[2J\u009b31m\r\n\u0007\u202e\u200bb'
  const shown = printable(nasty)
  assert.equal(shown, 'a\\u001b[2J\\u009b31m\\u000d\\u000a\\u0007\\u202e\\u200bb')
  assert.equal(renderFacts([['Note', nasty]]), `Note  ${shown}\n`)
  assert.deepEqual(JSON.parse(printableJson({ nasty }, 2)), { nasty })
  assert.match(printableJson({ nasty }), /^[\x20-\x7e]+$/)
})

test('CLI-1: a text is cut by columns, not inside a character', () => {
  assert.equal(shorten('日本語です', 5), '日本…')
  assert.equal(shorten('👩‍👩‍👧 family', 4), '👩‍👩‍👧 …')
  assert.equal(columnsOf('\u001b[31mred\u001b[39m'), 3)
})
