import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { connectorsDocument, documentPath } from './document.ts'

test('CONN-1: docs/connectors.md tells what the connectors say; node server/src/connectors/document.ts writes it', () => {
  assert.equal(readFileSync(documentPath, 'utf8'), connectorsDocument())
})
