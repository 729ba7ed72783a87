import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPlaceholder } from '../src/core/index.ts'
import { createPlaceholderScan, placeholdersIn } from '../src/proxy/placeholders.ts'
import { createScanner } from '../src/scan/index.ts'
import { createDraws } from './support/draws.ts'

const scanner = createScanner({ fingerprintKey: createDraws('placeholders').bytes(32) })
const kinds = [
  'github-personal-access-token',
  'gitlab-token',
  'npm-token',
  'sk-<an 48>',
  'xoxb-<digit 12>-<digit 12>-<an 24>',
  'x-<an 70>',
]

const formed = (like: string) => {
  const form = scanner.placeholderForm(like)
  assert.ok(form, like)
  return { prefix: form.prefix, placeholder: form.make() }
}

test('LEND-2: the proxy finds a placeholder of each form, whatever stands beside it and however it is cut', () => {
  for (const like of kinds) {
    const { prefix, placeholder } = formed(like)
    assert.ok(isPlaceholder(prefix + placeholder))
    const other = formed(like).placeholder
    for (const text of [placeholder, `Bearer ${prefix}${placeholder}`, `abc${placeholder}XYZ0`])
      assert.deepEqual(placeholdersIn(text), [placeholder])
    assert.deepEqual(placeholdersIn(placeholder + other), [placeholder, other])
    assert.deepEqual(placeholdersIn(placeholder.slice(0, -1)), [])
    for (let at = 0; at <= placeholder.length; at++) {
      const scan = createPlaceholderScan()
      const parts = [`.. ${placeholder.slice(0, at)}`, `${placeholder.slice(at)} ..`]
      assert.equal(parts.map((part) => scan(Buffer.from(part))).find(Boolean), placeholder, `${like} ${at}`)
    }
  }
})

test('DISC-1: the scanner reports no placeholder of Keyward, and does report the same key without its mark', () => {
  const found = (text: string): number => scanner.contents(Buffer.from(text), '.env').length
  for (const like of kinds) {
    const { prefix, placeholder } = formed(like)
    assert.equal(found(`API_KEY=${prefix}${placeholder}\n`), 0, like)
  }
  const { prefix, placeholder } = formed('npm-token')
  assert.equal(found(`API_KEY=${prefix}${placeholder.replace('kWpL8hXq', 'Zt4bQ9Lm')}\n`), 1)
})
