import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { base64, openTransit, transitCaller } from '../../../test/support/transit.ts'

const input = base64('hello')

test('VAULT-2: random bytes, as many and as written as asked', async (t) => {
  const { ok, refused, call } = await openTransit(t)
  const bytes = async (path: string, body = {}): Promise<number> =>
    Buffer.from(String((await ok(path, body))['random_bytes']), 'base64').length
  assert.equal(await bytes('random'), 32)
  assert.equal(await bytes('random', { bytes: 7 }), 7)
  for (const path of ['random/5', 'random/platform/5', 'random/all/5', 'random/seal/5'])
    assert.equal(await bytes(path), 5)
  assert.equal(await bytes('random/all', { bytes: 9 }), 9)
  assert.match(String((await ok('random/4', { format: 'hex' }))['random_bytes']), /^[0-9a-f]{8}$/)
  assert.notDeepEqual(await ok('random'), await ok('random'))
  await refused('random/0', {}, 400, "'bytes' cannot be less than 1")
  await refused('random/x', {}, 400, /error parsing url-set byte count/)
  await refused('random/200000', {}, 400, "'bytes' should be less than 131072")
  await refused('random', { format: 'x' }, 400, 'unsupported encoding format x; must be "hex" or "base64"')
  await refused('random/foo/4', {}, 400, /^unsupported entropy source "foo"/)
  assert.equal((await call('GET', 'transit/random')).status, 405)
})

test('VAULT-2: hashes are those of node:crypto', async (t) => {
  const { ok, refused } = await openTransit(t)
  const sum = (hash: string): ReturnType<typeof createHash> => createHash(hash).update('hello')
  assert.deepEqual(await ok('hash', { input }), { sum: sum('sha256').digest('hex') })
  const sha512 = { sum: sum('sha512').digest('base64') }
  assert.deepEqual(await ok('hash/sha2-512', { input, format: 'base64' }), sha512)
  assert.deepEqual(await ok('hash/sha3-224', { input, algorithm: 'sha2-256' }), {
    sum: sum('sha3-224').digest('hex'),
  })
  await refused('hash/sha1', { input }, 400, 'unsupported algorithm sha1')
  await refused(
    'hash',
    { input: '*' },
    400,
    'unable to decode input as base64: illegal base64 data at input byte 0',
  )
  await refused('hash', {}, 400, 'input missing')
  await refused('hash', { input, format: 'x' }, 400, /^unsupported encoding format/)
})

test('VAULT-2: sys/tools has both, for who may', async (t) => {
  const { call, withRules } = await openTransit(t)
  const hashed = await call('POST', 'sys/tools/hash/sha2-224', { input })
  const sum = createHash('sha224').update('hello').digest('hex')
  assert.deepEqual([hashed.status, hashed.body['data']], [200, { sum }])
  assert.equal((await call('POST', 'sys/tools/random/platform/7', { format: 'hex' })).status, 200)
  assert.equal((await call('POST', 'sys/tools/random/0', {})).status, 400)
  const nobody = await withRules('path "secret/*" { capabilities = ["read"] }')
  assert.equal((await nobody.call('POST', 'sys/tools/random', {})).status, 403)
  const someone = await withRules('path "sys/tools/*" { capabilities = ["update"] }')
  assert.equal((await transitCaller(someone.call).call('POST', 'sys/tools/random', {})).status, 200)
})
