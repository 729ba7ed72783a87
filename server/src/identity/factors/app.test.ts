import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { codeAt, fromBase32, Secret, stepOf } from '../../core/index.ts'
import { newApp, stepShown } from './app.ts'

const at = new Date('2026-06-01T12:00:00.000Z')

function codeOf(base32: Secret): Secret {
  const secret = fromBase32(base32.reveal()) ?? Buffer.alloc(0)
  const key = { secret, algorithm: 'SHA1', digits: 6, periodSeconds: 30 } as const
  return new Secret(codeAt(key, stepOf(key, at)))
}

test('IDENT-1: the secret of an app prints as nothing, and its stored bytes are wiped by their use', () => {
  const app = newApp('ada')
  const { base32, url, stored } = app
  assert.doesNotMatch(inspect({ base32, url }) + JSON.stringify({ base32, url }), /otpauth|[A-Z2-7]{16}/)
  const copy = Buffer.from(stored)
  assert.equal(stepShown(stored, codeOf(base32), at), Math.floor(at.getTime() / 30_000))
  assert.ok(stored.every((byte) => byte === 0))
  const wrong = new Secret(codeOf(base32).reveal() === '000000' ? '000001' : '000000')
  assert.equal(stepShown(copy, wrong, at), undefined)
  assert.ok(copy.every((byte) => byte === 0))
})

test('IDENT-1: an app that an earlier version stored goes on to work', () => {
  const { base32, stored } = newApp('ada')
  const before = Buffer.from(JSON.stringify({ secret: stored.subarray(1).toString('base64') }))
  assert.notEqual(stepShown(before, codeOf(base32), at), undefined)
})
