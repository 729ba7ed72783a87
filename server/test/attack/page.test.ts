import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { elsewhere, page } from './page.ts'

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')

test('SAND-2: the page of attacks says what the tests try', () => {
  assert.equal(read('docs/attacks.md'), page(), 'run: node server/test/attack/page.ts')
})

test('SAND-2: every attack on the page has its test', () => {
  const missing = elsewhere.filter(({ file, title }) => !read(file).includes(title))
  assert.deepEqual(missing, [])
})
