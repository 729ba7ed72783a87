import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatReference, parseReference, referencePattern } from './reference.ts'

const invalid = { code: 'reference.invalid', status: 400 }

test('VAULT-9: a reference names mount, path and field', () => {
  const reference = parseReference('keyward://secret/leaky-shop/stripe#value')
  assert.deepEqual(reference, { mount: 'secret', path: 'leaky-shop/stripe', field: 'value' })
  assert.equal(formatReference(reference), 'keyward://secret/leaky-shop/stripe#value')
})

test('VAULT-9: any name survives the way there and back, percent-encoded', () => {
  for (const name of ['a b', 'ключ', '100%', "it's(a)*!", 'x@y:z,"q"', '#', '😀', '...']) {
    const reference = { mount: 'secret', path: `shop/${name}`, field: name }
    const text = formatReference(reference)
    assert.match(text, /^keyward:\/\/[A-Za-z0-9._~%/-]+#[A-Za-z0-9._~%-]+$/)
    assert.deepEqual(parseReference(text), reference)
  }
})

test('VAULT-9: what climbs, is empty or has no field is refused', () => {
  for (const text of [
    '',
    'secret/shop#value',
    'keyward://secret#value',
    'keyward://secret/#value',
    'keyward:///shop#value',
    'keyward://secret/shop',
    'keyward://secret/shop#',
    'keyward://secret/shop#a#b',
    'keyward://secret/../root#value',
    'keyward://secret/./root#value',
    'keyward://secret/%2e%2e/root#value',
    'keyward://secret/a%2fb#value',
    'keyward://secret/a//b#value',
    'keyward://secret/a%00#value',
    'keyward://secret/a#%0a',
    'keyward://secret/%ff#value',
    'keyward://secret/%zz#value',
    'keyward://secret/a b#value',
    'KEYWARD://secret/a#value',
    ' keyward://secret/a#value',
    'keyward://secret/a#value\n',
  ]) {
    assert.throws(() => parseReference(text), invalid, JSON.stringify(text))
  }
})

test('VAULT-9: a reference that is too long is refused both ways', () => {
  const long = 'x'.repeat(600)
  assert.throws(() => parseReference(`keyward://secret/${long}#value`), invalid)
  assert.throws(() => parseReference(`keyward://secret/${long}${long}#value`), invalid)
  assert.throws(() => formatReference({ mount: 'secret', path: long, field: 'value' }), invalid)
  assert.throws(() => formatReference({ mount: 'secret', path: 'a', field: long }), invalid)
  assert.throws(() => formatReference({ mount: 'secret', path: '%'.repeat(400), field: 'v' }), invalid)
})

test('VAULT-9: what cannot be read back cannot be formatted', () => {
  for (const path of ['', '/a', 'a/', 'a//b', 'a/../b', 'a\u0000']) {
    assert.throws(() => formatReference({ mount: 'secret', path, field: 'value' }), invalid)
  }
  assert.throws(() => formatReference({ mount: 'a/b', path: 'c', field: 'value' }), invalid)
  assert.throws(() => formatReference({ mount: 'secret', path: 'a\ud800', field: 'value' }), invalid)
})

test('VAULT-9: an invalid reference is never repeated in the message', () => {
  assert.throws(
    () => parseReference('sk_live_not_a_reference'),
    (error: Error & { detail?: string }) => !`${error.message}${error.detail}`.includes('sk_live'),
  )
})

test('VAULT-9: references are found inside other text and end by themselves', () => {
  const text = 'postgres://app:keyward://secret/shop/db#password@db.internal/shop, "keyward://secret/a#b"'
  assert.deepEqual(text.match(referencePattern()), [
    'keyward://secret/shop/db#password',
    'keyward://secret/a#b',
  ])
})
