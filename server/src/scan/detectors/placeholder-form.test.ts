import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checksumOf } from '../checks.ts'
import { placeholderFormOf } from './placeholder-form.ts'

/** As strict clients check them. */
const kinds: Readonly<Record<string, RegExp>> = {
  'github-personal-access-token': /^ghp_[A-Za-z0-9]{36}$/,
  'github-oauth-token': /^gho_[A-Za-z0-9]{36}$/,
  'npm-token': /^npm_[A-Za-z0-9]{36}$/,
  'gitlab-token': /^glpat-[A-Za-z0-9_-]{20}$/,
  'xoxb-<digit 12>-<digit 12>-<an 24>': /^xoxb-\d{12}-\d{12}-[A-Za-z0-9]{24}$/,
  'sk-<an 48>': /^sk-[A-Za-z0-9]{48}$/,
  'sk_live_<an 24>': /^sk_live_[A-Za-z0-9]{24}$/,
  'SG.<url 22>.<url 43>': /^SG\.[\w-]{22}\.[\w-]{43}$/,
}

test('LEND-2: placeholders have the length and the letters of the keys that they look like, and no two are the same', () => {
  for (const [like, shape] of Object.entries(kinds)) {
    const form = placeholderFormOf(like)
    assert.ok(form, like)
    const made = Array.from({ length: 20 }, () => form.prefix + form.make())
    for (const one of made) assert.match(one, shape)
    assert.equal(new Set(made).size, made.length)
    if (!/^(?:github|npm)-/.test(like)) continue
    for (const one of made) assert.equal(checksumOf(one.slice(4, -6)), one.slice(-6), 'its checksum is right')
  }
})

test('LEND-2: what cannot hold a placeholder that is hard to guess, or a checksum that is not known, has none', () => {
  for (const like of [
    '<an 19>',
    '<hex 40>',
    'key_<digit 30>',
    'a<an 30>b',
    'x<an 71>',
    '<nothing 30>',
    'pypi-token',
  ])
    assert.equal(placeholderFormOf(like), undefined, like)
})
