import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { documentDetectors, documentPath } from './document.ts'

test('docs/detectors.md tells what the tables hold; node server/src/scan/detectors/document.ts writes it', () => {
  assert.equal(readFileSync(documentPath, 'utf8'), documentDetectors())
})
