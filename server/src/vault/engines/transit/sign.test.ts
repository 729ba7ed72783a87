import assert from 'node:assert/strict'
import {
  constants,
  createHash,
  createHmac,
  createPublicKey,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
} from 'node:crypto'
import { test } from 'node:test'
import { base64, type Fields, openTransit, type TransitCaller } from '../../../../test/support/transit.ts'
import { spkiOf } from './ed25519.ts'

const message = Buffer.from('hello')
const input = message.toString('base64')
const pss = constants.RSA_PKCS1_PSS_PADDING
const payloadOf = (signature: unknown): Buffer => Buffer.from(String(signature).split(':')[2] ?? '', 'base64')
const digest = (hash: string): string => createHash(hash).update(message).digest('base64')

async function publicKeyOf({ read }: Pick<TransitCaller, 'read'>, name: string): Promise<KeyObject> {
  const keys = (await read(`export/public-key/${name}/1?format=pem`))['keys'] as Record<string, string>
  return createPublicKey(keys['1'] ?? '')
}

for (const type of ['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-2048'])
  test(`VAULT-4: ${type} signs and verifies, and refuses what was altered`, async (t) => {
    const { ok } = await openTransit(t)
    await ok('keys/s', { type })
    const { signature, key_version } = await ok('sign/s', { input })
    assert.equal(key_version, 1)
    assert.match(String(signature), /^vault:v1:/)
    assert.deepEqual(await ok('verify/s', { input, signature }), { valid: true })
    assert.deepEqual(await ok('verify/s', { input: base64('hellp'), signature }), { valid: false })
    assert.deepEqual(await ok('verify/s', { input, signature: 'vault:v1:aaaa' }), { valid: false })
    await ok('keys/s/rotate')
    assert.deepEqual(await ok('verify/s', { input, signature }), { valid: true })
    const newer = await ok('sign/s', { input })
    assert.equal(newer['key_version'], 2)
    const swapped = String(newer['signature']).replace('vault:v2:', 'vault:v1:')
    assert.deepEqual(await ok('verify/s', { input, signature: swapped }), { valid: false })
  })

test('VAULT-4: Ed25519 signatures are those of node:crypto', async (t) => {
  const world = await openTransit(t)
  await world.ok('keys/s', { type: 'ed25519' })
  const { signature } = await world.ok('sign/s', { input })
  assert.ok(nodeVerify(null, message, await publicKeyOf(world, 's'), payloadOf(signature)))
})

for (const [name, hash] of [
  ['sha1', 'sha1'],
  ['sha2-224', 'sha224'],
  ['sha2-256', 'sha256'],
  ['sha2-384', 'sha384'],
  ['sha2-512', 'sha512'],
  ['sha3-256', 'sha3-256'],
  ['sha3-512', 'sha3-512'],
])
  test(`VAULT-4: ${name} in ECDSA, PSS and PKCS #1 v1.5 is what node:crypto verifies, hashed here or before`, async (t) => {
    const world = await openTransit(t)
    const { ok } = world
    await ok('keys/e', { type: 'ecdsa-p384' })
    await ok('keys/r', { type: 'rsa-2048' })
    const [ec, rsa] = [await publicKeyOf(world, 'e'), await publicKeyOf(world, 'r')]
    const schemes = [
      { key: 'e', fields: {}, verify: (s: Buffer) => nodeVerify(hash, message, ec, s) },
      {
        key: 'r',
        fields: { signature_algorithm: 'pss' },
        verify: (s: Buffer) => nodeVerify(hash, message, { key: rsa, padding: pss }, s),
      },
      {
        key: 'r',
        fields: { signature_algorithm: 'pkcs1v15' },
        verify: (s: Buffer) => nodeVerify(hash, message, rsa, s),
      },
    ]
    for (const { key, fields, verify } of schemes) {
      const plain = { ...fields, input }
      const hashed = { ...fields, input: digest(hash ?? ''), prehashed: true }
      for (const [made, checked] of [
        [plain, hashed],
        [hashed, plain],
      ]) {
        const { signature } = await ok(`sign/${key}/${name}`, made)
        assert.ok(verify(payloadOf(signature)), `${key} ${JSON.stringify(fields)}`)
        assert.deepEqual(await ok(`verify/${key}`, { ...checked, hash_algorithm: name, signature }), {
          valid: true,
        })
        const other = { ...checked, input: digest(hash ?? '').replace(/^./, (c) => (c === 'A' ? 'B' : 'A')) }
        assert.deepEqual(await ok(`verify/${key}/${name}`, { ...other, signature }), { valid: false })
      }
    }
  })

test('VAULT-4: PSS salts are as long as asked', async (t) => {
  const world = await openTransit(t)
  const { ok, refused } = world
  await ok('keys/r', { type: 'rsa-2048' })
  const key = await publicKeyOf(world, 'r')
  for (const [salt_length, length] of [
    ['auto', 222],
    ['hash', 32],
    [0, 0],
    ['20', 20],
  ] as const)
    for (const how of [{ input }, { input: digest('sha256'), prehashed: true }]) {
      const { signature } = await ok('sign/r', { ...how, salt_length })
      assert.ok(
        nodeVerify('sha256', message, { key, padding: pss, saltLength: length }, payloadOf(signature)),
      )
      assert.deepEqual(await ok('verify/r', { ...how, salt_length, signature }), { valid: true })
      assert.deepEqual(await ok('verify/r', { ...how, signature }), { valid: true })
      assert.deepEqual(await ok('verify/r', { ...how, salt_length: 33, signature }), { valid: false })
    }
  await refused(
    'sign/r',
    { input, salt_length: 'x' },
    400,
    "salt length neither 'auto', 'hash', nor an int: x",
  )
  await refused('sign/r', { input, salt_length: 223 }, 400, 'requested salt length 223 is invalid')
})

test('VAULT-4: JWS signatures are two numbers in base64url', async (t) => {
  const world = await openTransit(t)
  const { ok, refused } = world
  for (const [type, bytes] of [
    ['ecdsa-p256', 64],
    ['ecdsa-p384', 96],
    ['ecdsa-p521', 132],
  ] as const) {
    await ok(`keys/${type}`, { type })
    const key = await publicKeyOf(world, type)
    for (const how of [{ input }, { input: digest('sha256'), prehashed: true }]) {
      const jws = { ...how, marshaling_algorithm: 'jws' }
      const { signature } = await ok(`sign/${type}`, jws)
      assert.match(String(signature), /^vault:v1:[A-Za-z0-9_-]+$/)
      const raw = Buffer.from(String(signature).slice(9), 'base64url')
      assert.equal(raw.length, bytes)
      assert.ok(nodeVerify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, raw))
      assert.deepEqual(await ok(`verify/${type}`, { ...jws, signature }), { valid: true })
      assert.deepEqual(await ok(`verify/${type}`, { ...jws, signature: 'vault:v1:aaaa' }), { valid: false })
    }
  }
  await refused('sign/ecdsa-p256', { input, marshaling_algorithm: 'x' }, 400, 'invalid marshaling type "x"')
})

test('VAULT-4: an ECDSA signature of node:crypto verifies here', async (t) => {
  const { ok, read } = await openTransit(t)
  await ok('keys/e', { type: 'ecdsa-p256', exportable: true })
  const keys = (await read('export/signing-key/e'))['keys'] as Record<string, string>
  assert.match(keys['1'] ?? '', /^-----BEGIN EC PRIVATE KEY-----/)
  const signature = `vault:v1:${nodeSign('sha256', message, keys['1'] ?? '').toString('base64')}`
  for (const how of [{ input }, { input: digest('sha256'), prehashed: true }])
    assert.deepEqual(await ok('verify/e', { ...how, signature }), { valid: true })
})

test('VAULT-4: PKCS #1 v1.5 without the name of a hash', async (t) => {
  const { ok, refused } = await openTransit(t)
  await ok('keys/r', { type: 'rsa-2048' })
  const bare = { input, prehashed: true, signature_algorithm: 'pkcs1v15' }
  const { signature } = await ok('sign/r/none', bare)
  assert.deepEqual(await ok('verify/r/none', { ...bare, signature }), { valid: true })
  assert.deepEqual(await ok('verify/r/none', { ...bare, input: base64('hellp'), signature }), {
    valid: false,
  })
  const rule = 'hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15'
  await refused('sign/r/none', { input, prehashed: true }, 400, rule)
  await refused('sign/r/none', { input, signature_algorithm: 'pkcs1v15' }, 400, rule)
  await refused(
    'sign/r/none',
    { ...bare, input: base64('x'.repeat(246)) },
    400,
    'input is too long for this key',
  )
  for (const padding of ['pss', 'pkcs1v15'])
    await refused(
      'sign/r',
      { input, prehashed: true, signature_algorithm: padding },
      400,
      /has 32 bytes; the one given has 5/,
    )
})

test('VAULT-4: a derived Ed25519 key has a public key for each context', async (t) => {
  const { ok, read, refused } = await openTransit(t)
  await ok('keys/d', { type: 'ed25519', derived: true })
  const context = base64('abc')
  const made = await ok('sign/d', { input, context })
  const shown = (await read(`keys/d?context=${encodeURIComponent(context)}`))['keys'] as Record<
    string,
    Fields
  >
  assert.equal(shown['1']?.['public_key'], made['public_key'])
  assert.equal(((await read('keys/d'))['keys'] as Record<string, Fields>)['1']?.['public_key'], '')
  const raw = Buffer.from(String(made['public_key']), 'base64')
  const key = createPublicKey({ key: spkiOf(raw), format: 'der', type: 'spki' })
  assert.ok(nodeVerify(null, message, key, payloadOf(made['signature'])))
  assert.deepEqual(await ok('verify/d', { input, context, signature: made['signature'] }), { valid: true })
  assert.deepEqual(await ok('verify/d', { input, context: input, signature: made['signature'] }), {
    valid: false,
  })
  await refused('sign/d', { input }, 400, /^missing 'context'/)
})

test('VAULT-4: every refusal of sign and verify', async (t) => {
  const { ok, refused } = await openTransit(t)
  await ok('keys/s', { type: 'ed25519' })
  await ok('keys/e', { type: 'ecdsa-p256' })
  await ok('keys/r', { type: 'rsa-2048' })
  await ok('keys/k')
  await refused('sign/none', { input }, 400, 'signing key not found')
  await refused(
    'verify/none',
    { input, signature: 'vault:v1:aaaa' },
    400,
    'signature verification key not found',
  )
  await refused('sign/k', { input }, 400, 'key type aes256-gcm96 does not support signing')
  await refused(
    'verify/k',
    { input, signature: 'vault:v1:aaaa' },
    400,
    'key type aes256-gcm96 does not support verification',
  )
  await refused('sign/s', {}, 400, 'missing input')
  await refused(
    'sign/s',
    { input: '*' },
    400,
    'unable to decode input as base64: illegal base64 data at input byte 0',
  )
  await refused('sign/e/nix', { input }, 400, 'invalid hash algorithm "nix"')
  await refused('sign/r', { input, signature_algorithm: 'x' }, 400, 'unsupported rsa signature algorithm x')
  const tooNew = 'requested version for signing is higher than the latest key version'
  await refused('sign/s', { input, key_version: 2 }, 400, tooNew)
  await refused('verify/s', { input, signature: 'aaaa' }, 400, 'invalid signature: no prefix')
  await refused('verify/s', { input, signature: 'vault:v1:*' }, 400, 'invalid base64 signature value')
  await refused(
    'verify/s',
    { input, signature: 'vault:v9:aaaa' },
    400,
    'invalid signature: version is too new',
  )
  const neither = "neither a 'signature' nor an 'hmac' were given to verify"
  await refused('verify/s', { input }, 400, neither)
  await refused('verify/s', { input, hmac: 'a', signature: 'b' }, 400, "provide one of 'signature' or 'hmac'")
})

test('VAULT-4: batches of sign and verify answer each item', async (t) => {
  const { ok, refused } = await openTransit(t)
  await ok('keys/s', { type: 'ed25519' })
  const made = (await ok('sign/s', { batch_input: [{ input, reference: 'r' }, {}] }))[
    'batch_results'
  ] as Fields[]
  assert.deepEqual([made[0]?.['key_version'], made[0]?.['reference']], [1, 'r'])
  assert.deepEqual(made[1], { key_version: 0, error: 'missing input', reference: '' })
  const signature = made[0]?.['signature']
  const batch_input = [
    { input, signature },
    { input: base64('hellp'), signature },
    { input, signature: 'x', reference: 'q' },
  ]
  assert.deepEqual((await ok('verify/s', { batch_input }))['batch_results'], [
    { valid: true, reference: '' },
    { valid: false, reference: '' },
    { valid: false, error: 'invalid signature: no prefix', reference: 'q' },
  ])
  const mixed = {
    batch_input: [
      { input, signature },
      { input, hmac: 'x' },
    ],
  }
  await refused(
    'verify/s',
    mixed,
    400,
    "elements of batch_input must all provide 'signature' or all provide 'hmac'",
  )
  const empty = { batch_input: [{ input }] }
  await refused('verify/s', empty, 400, "no batch_input elements have 'signature' or 'hmac'")
})

test('VAULT-4: HMACs are those of node:crypto, and every type of key makes them', async (t) => {
  const { ok, read } = await openTransit(t)
  for (const settings of [{}, { type: 'hmac', key_size: 64 }, { type: 'ed25519' }, { type: 'rsa-2048' }]) {
    const name = `h-${settings.type ?? 'aes'}`
    await ok(`keys/${name}`, { ...settings, exportable: true })
    const keys = (await read(`export/hmac-key/${name}`))['keys'] as Record<string, string>
    const key = Buffer.from(keys['1'] ?? '', 'base64')
    assert.equal(key.length, settings.key_size ?? 32)
    for (const [algorithm, hash] of [
      ['sha2-256', 'sha256'],
      ['sha2-512', 'sha512'],
      ['sha3-384', 'sha3-384'],
    ] as const) {
      const { hmac } = await ok(`hmac/${name}/${algorithm}`, { input })
      assert.equal(hmac, `vault:v1:${createHmac(hash, key).update(message).digest('base64')}`)
      assert.deepEqual(await ok(`verify/${name}/${algorithm}`, { input, hmac }), { valid: true })
      assert.deepEqual(await ok(`verify/${name}`, { input: base64('x'), hmac, algorithm }), { valid: false })
    }
  }
})

test('VAULT-4: every refusal of hmac', async (t) => {
  const { ok, refused } = await openTransit(t)
  await ok('keys/k')
  await refused('hmac/none', { input }, 400, 'encryption key not found')
  await refused('hmac/k', {}, 400, 'missing input for HMAC')
  await refused(
    'hmac/k',
    { input: '*' },
    400,
    'unable to decode input as base64: illegal base64 data at input byte 0',
  )
  await refused('hmac/k/sha1', { input }, 400, 'unsupported algorithm sha1')
  await refused(
    'hmac/k',
    { input, key_version: 4 },
    400,
    'key version does not exist; latest key version is 1',
  )
  await refused('verify/k', { input, hmac: 'aaaa' }, 400, 'invalid HMAC: no prefix')
  await refused(
    'verify/k',
    { input, hmac: 'vault:vx:aaaa' },
    400,
    'invalid HMAC: version number could not be decoded',
  )
  await refused('verify/k', { input, hmac: 'vault:v9:aaaa' }, 400, 'invalid HMAC: version is too new')
  await refused(
    'verify/k',
    { input, hmac: 'vault:v1:*' },
    400,
    'unable to decode verification HMAC as base64',
  )
  assert.deepEqual(await ok('verify/k', { input, hmac: 'vault:v1:aaaa' }), { valid: false })
  const { batch_results } = await ok('hmac/k', { batch_input: [{ input: '' }, {}] })
  assert.equal((batch_results as Fields[])[1]?.['error'], 'missing input for HMAC')
  await ok('keys/k/rotate')
  await ok('keys/k/config', { min_encryption_version: 2 })
  await refused(
    'hmac/k',
    { input, key_version: 1 },
    400,
    'cannot generate HMAC: version is too old (disallowed by policy)',
  )
})
