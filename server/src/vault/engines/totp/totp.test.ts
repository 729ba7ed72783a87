import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inflateSync } from 'node:zlib'
import decodeQR from 'qr/decode.js'
import { type Fields, openMount, text } from '../../../../test/support/pki.ts'
import { createTestClock } from '../../../../test/support/world.ts'
import { codeAt, fromBase32, stepOf, toBase32 } from '../../../core/index.ts'

/** From the appendix of RFC 6238. */
const vectors: [number, 'SHA1' | 'SHA256' | 'SHA512', string][] = [
  [59, 'SHA1', '94287082'],
  [59, 'SHA256', '46119246'],
  [59, 'SHA512', '90693936'],
  [1111111109, 'SHA1', '07081804'],
  [1234567890, 'SHA256', '91819424'],
  [20000000000, 'SHA512', '47863826'],
]

test('VAULT-2: the codes are those of RFC 6238', () => {
  const seeds = { SHA1: 20, SHA256: 32, SHA512: 64 }
  for (const [seconds, algorithm, code] of vectors) {
    const secret = Buffer.from('1234567890'.repeat(7).slice(0, seeds[algorithm]))
    const key = { secret, algorithm, digits: 8, periodSeconds: 30 }
    assert.equal(codeAt(key, stepOf(key, new Date(seconds * 1000))), code)
  }
})

test('VAULT-2: base 32 there and back', () => {
  for (const length of [1, 2, 3, 4, 5, 10, 20]) {
    const bytes = Buffer.alloc(length, 0xa7)
    assert.deepEqual(fromBase32(toBase32(bytes)), bytes)
    assert.deepEqual(
      fromBase32(
        toBase32(bytes)
          .toLowerCase()
          .padEnd(length * 8, '='),
      ),
      bytes,
    )
  }
  for (const bad of ['', 'A', 'ABC', '0189', 'A!']) assert.equal(fromBase32(bad), undefined, bad)
})

const generated = { generate: true, issuer: 'Example Ltd', account_name: 'ada@example.com' }

test('VAULT-2: a key that is made here is shown once, as URL and picture, and checks its own codes', async (t) => {
  const { ok, read, call } = await openMount(t, 'totp')
  const made = await ok('keys/ada', generated)
  const url = new URL(text(made, 'url'))
  assert.equal(url.protocol, 'otpauth:')
  assert.equal(decodeURIComponent(url.pathname), '/Example Ltd:ada@example.com')
  const png = Buffer.from(text(made, 'barcode'), 'base64')
  assert.equal(decodeQR(pixelsOf(png)), text(made, 'url'))
  assert.deepEqual(await read('keys/ada'), {
    account_name: 'ada@example.com',
    algorithm: 'SHA1',
    digits: 6,
    issuer: 'Example Ltd',
    period: 30,
  })
  const { code, period } = await read('code/ada')
  assert.equal(period, '30s')
  assert.deepEqual(await ok('code/ada', { code }), { valid: true })
  assert.equal((await call('POST', 'totp/keys/silent', { ...generated, exported: false })).status, 204)
  assert.deepEqual(Object.keys(await ok('keys/small', { ...generated, qr_size: 0 })), ['url'])
  assert.deepEqual((await call('LIST', 'totp/keys')).body['data'], { keys: ['ada', 'silent', 'small'] })
  assert.equal((await call('DELETE', 'totp/keys/ada')).status, 204)
  assert.equal((await call('GET', 'totp/keys/ada')).status, 404)
})

test('VAULT-2: a code is good once, also when many try at once', async (t) => {
  const clock = createTestClock()
  const { ok, call, read, refused } = await openMount(t, 'totp', { clock })
  await ok('keys/k', { ...generated, skew: 1 })
  const { code } = await read('code/k')
  const replies = await Promise.all(Array.from({ length: 5 }, () => call('POST', 'totp/code/k', { code })))
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 400, 400, 400, 400])
  await refused('code/k', { code }, 'code already used; wait until the next time period')
  clock.advance(30_000)
  await refused('code/k', { code }, 'code already used; wait until the next time period')
  const next = await read('code/k')
  clock.advance(30_000)
  assert.deepEqual(await ok('code/k', { code: next['code'] }), { valid: true })
  clock.advance(60_000)
  assert.deepEqual(await ok('code/k', { code }), { valid: false })
})

test('VAULT-2: skew 0 takes the code of this moment alone', async (t) => {
  const clock = createTestClock()
  const { ok, read } = await openMount(t, 'totp', { clock })
  await ok('keys/k', { ...generated, skew: 0 })
  const { code } = await read('code/k')
  clock.advance(30_000)
  assert.deepEqual(await ok('code/k', { code }), { valid: false })
})

test('VAULT-2: a key of another service, by its URL or by its text', async (t) => {
  const { ok, read } = await openMount(t, 'totp')
  const secret = toBase32(Buffer.from('12345678901234567890'))
  await ok('keys/url', {
    url: `otpauth://totp/Shop:eve@example.com?secret=${secret}&algorithm=SHA256&digits=8&period=60`,
  })
  assert.deepEqual(await read('keys/url'), {
    account_name: 'eve@example.com',
    algorithm: 'SHA256',
    digits: 8,
    issuer: 'Shop',
    period: 60,
  })
  assert.match(text(await read('code/url'), 'code'), /^\d{8}$/)
  await ok('keys/text', { key: secret.toLowerCase(), issuer: 'Shop' })
  assert.match(text(await read('code/text'), 'code'), /^\d{6}$/)
})

test('VAULT-2: every refusal of one-time codes', async (t) => {
  const { ok, refused } = await openMount(t, 'totp')
  const key = toBase32(Buffer.from('a test secret of ours'))
  const create = (body: Fields, error: string | RegExp) => refused('keys/k', body, error)
  await create({ generate: true, key }, 'a key should not be passed if generate is true')
  await create({ generate: true, url: 'otpauth://totp/a' }, 'a url should not be passed if generate is true')
  await create({ ...generated, issuer: '' }, 'the issuer value is required for generated keys')
  await create({ ...generated, account_name: '' }, 'the account_name value is required for generated keys')
  await create({ ...generated, key_size: 0 }, 'the key_size value must be greater than zero')
  await create({ ...generated, key_size: 9999 }, /must not be greater/)
  await create({ ...generated, qr_size: 9999 }, /must not be greater/)
  await create({ ...generated, qr_size: -1 }, /cannot be negative/)
  await create({}, 'the key value is required')
  await create({ key: 'not base 32: 018' }, 'invalid key value: it is no base 32')
  await create({ key, digits: 7 }, 'the digits value can only be 6 or 8')
  await create({ key, algorithm: 'MD5' }, 'the algorithm value is not valid')
  await create({ key, period: 0 }, 'the period value must be greater than zero')
  await create({ key, skew: 2 }, 'the skew value must be 0 or 1')
  for (const url of ['hello', 'https://example.com', 'otpauth://totp/%zz'])
    await create({ url }, 'an error occurred while parsing url string')
  await create({ url: `otpauth://hotp/a?secret=${key}` }, /only totp/)
  await create(
    { url: `otpauth://totp/a?secret=${key}&digits=six` },
    'an error occurred while parsing digits value in url',
  )
  await create({ url: 'otpauth://totp/a' }, 'the key value is required')
  await refused('keys/a%20b', { key }, /cannot be the name of a key/)
  await refused('code/none', undefined, 'unknown key: none')
  await refused('code/none', { code: '123456' }, 'unknown key: none')
  await ok('keys/k', { key })
  await refused('code/k', {}, 'the code value is required')
  for (const code of ['12345', '1234567', ' 12345', 'abcdef'])
    await refused('code/k', { code }, 'invalid number of digits for the code')
})

test('VAULT-2: no key and no code of it stands in the audit log', async (t) => {
  const { ok, read, audit } = await openMount(t, 'totp')
  const made = await ok('keys/k', generated)
  const secret = new URL(text(made, 'url')).searchParams.get('secret') ?? ''
  const { code } = await read('code/k')
  await ok('code/k', { code })
  const { items } = await audit.page({ limit: 100, order: 'desc' })
  const log = JSON.stringify(items.map(({ detail, target }) => [detail, target]))
  assert.ok(secret.length > 20 && !log.includes(secret))
  assert.ok(!log.includes(`"${String(code)}"`))
})

/** What a camera would see of a picture with one bit a pixel. */
function pixelsOf(png: Buffer): { width: number; height: number; data: Uint8Array } {
  const width = png.readUInt32BE(16)
  const start = png.indexOf('IDAT') + 4
  const rows = inflateSync(png.subarray(start, start + png.readUInt32BE(start - 8)))
  const rowBytes = Math.ceil(width / 8) + 1
  const data = new Uint8Array(width * width * 4).fill(255)
  for (let y = 0; y < width; y++)
    for (let x = 0; x < width; x++) {
      const white = ((rows[y * rowBytes + 1 + (x >> 3)] ?? 0) & (0x80 >> (x & 7))) !== 0
      if (!white) data.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3)
    }
  return { width, height: width, data }
}
