import assert from 'node:assert/strict'
import { createDecipheriv, createHmac, hkdfSync, privateDecrypt } from 'node:crypto'
import { test } from 'node:test'
import { base64, type Fields, openTransit } from '../../../../test/support/transit.ts'
import { Secret } from '../../../core/index.ts'

const plaintext = base64('hello')
const context = base64('abc')
const ciphertextOf = (data: Fields): string => String(data['ciphertext'])
const payloadOf = (ciphertext: string): Buffer => Buffer.from(ciphertext.split(':')[2] ?? '', 'base64')
const batchOf = (body: Fields): Fields[] => (body['data'] as Fields)['batch_results'] as Fields[]

for (const type of ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'rsa-2048'])
  test(`VAULT-4: ${type} encrypts, decrypts, rotates and rewraps`, async (t) => {
    const { ok, refused } = await openTransit(t)
    await ok('keys/k', { type })
    const first = await ok('encrypt/k', { plaintext })
    assert.equal(first['key_version'], 1)
    const old = ciphertextOf(first)
    assert.match(old, /^vault:v1:[A-Za-z0-9+/]+=*$/)
    assert.notEqual(old, ciphertextOf(await ok('encrypt/k', { plaintext })))
    assert.deepEqual(await ok('decrypt/k', { ciphertext: old }), { plaintext })
    await ok('keys/k/rotate')
    const rewrapped = await ok('rewrap/k', { ciphertext: old })
    assert.equal(rewrapped['key_version'], 2)
    assert.match(ciphertextOf(rewrapped), /^vault:v2:/)
    assert.deepEqual(await ok('decrypt/k', { ciphertext: ciphertextOf(rewrapped) }), { plaintext })
    assert.match(ciphertextOf(await ok('encrypt/k', { plaintext, key_version: 1 })), /^vault:v1:/)
    await ok('keys/k/config', { min_decryption_version: 2 })
    await refused(
      'decrypt/k',
      { ciphertext: old },
      400,
      'ciphertext or signature version is disallowed by policy (too old)',
    )
    await ok('keys/k/config', { min_decryption_version: 1 })
    assert.deepEqual(await ok('decrypt/k', { ciphertext: old }), { plaintext })
    assert.deepEqual(await ok('decrypt/k', ciphertextBody(await ok('encrypt/k', { plaintext: '' }))), {
      plaintext: '',
    })
  })

const ciphertextBody = (data: Fields): Fields => ({ ciphertext: data['ciphertext'] })

test('VAULT-4: a ciphertext is what node:crypto opens with the exported key', async (t) => {
  const { ok, read } = await openTransit(t)
  const exported = async (): Promise<Buffer> =>
    Buffer.from(
      ((await read('export/encryption-key/k'))['keys'] as Record<string, string>)['1'] ?? '',
      'base64',
    )
  await ok('keys/k', { exportable: true })
  const sealed = payloadOf(ciphertextOf(await ok('encrypt/k', { plaintext, associated_data: context })))
  const decipher = createDecipheriv('aes-256-gcm', await exported(), sealed.subarray(0, 12))
  decipher.setAAD(Buffer.from('abc')).setAuthTag(sealed.subarray(-16))
  assert.equal(decipher.update(sealed.subarray(12, -16)).toString() + decipher.final().toString(), 'hello')
})

test('VAULT-4: an RSA ciphertext is OAEP with SHA-256', async (t) => {
  const { ok, read } = await openTransit(t)
  await ok('keys/r', { type: 'rsa-2048', exportable: true })
  const sealed = payloadOf(ciphertextOf(await ok('encrypt/r', { plaintext })))
  const keys = (await read('export/encryption-key/r/latest'))['keys'] as Record<string, string>
  assert.match(keys['1'] ?? '', /^-----BEGIN RSA PRIVATE KEY-----/)
  assert.equal(privateDecrypt({ key: keys['1'] ?? '', oaepHash: 'sha256' }, sealed).toString(), 'hello')
})

for (const [type, keyBytes] of [
  ['aes128-gcm96', 16],
  ['aes256-gcm96', 32],
  ['chacha20-poly1305', 32],
] as const)
  test(`VAULT-4: a convergent ${type} gives one ciphertext for a text and context`, async (t) => {
    const { ok, read, refused } = await openTransit(t)
    const made = await ok('keys/c', { type, derived: true, convergent_encryption: true, exportable: true })
    assert.deepEqual(
      [made['kdf'], made['convergent_encryption'], made['convergent_encryption_version']],
      ['hkdf_sha256', true, -1],
    )
    const one = ciphertextOf(await ok('encrypt/c', { plaintext, context }))
    assert.equal(one, ciphertextOf(await ok('encrypt/c', { plaintext, context })))
    assert.notEqual(one, ciphertextOf(await ok('encrypt/c', { plaintext, context: base64('abd') })))
    assert.notEqual(one, ciphertextOf(await ok('encrypt/c', { plaintext: base64('hellp'), context })))
    assert.deepEqual(await ok('decrypt/c', { ciphertext: one, context }), { plaintext })
    await refused(
      'decrypt/c',
      { ciphertext: one, context: plaintext },
      400,
      'cipher: message authentication failed',
    )
    await refused('decrypt/c', { ciphertext: one }, 400, /^missing 'context' for key derivation/)
    // The nonce, made again from the exported key.
    const keys = (await read('export/encryption-key/c'))['keys'] as Record<string, string>
    const source = Buffer.from(keys['1'] ?? '', 'base64')
    const derived = Buffer.from(hkdfSync('sha256', source, '', 'abc', keyBytes + 32))
    const nonce = createHmac('sha256', derived.subarray(keyBytes)).update('hello').digest().subarray(0, 12)
    assert.deepEqual(payloadOf(one).subarray(0, 12), nonce)
  })

test('VAULT-4: a ciphertext that OpenBao made is the one that is made here', async (t) => {
  const { ok } = await openTransit(t)
  // A throw-away key of an OpenBao 2.7.2, with what it gave for "hello" in the context "abc".
  const versions = { key: 'PshWWFicg7hty7y85cOxqiuDSQS5e6DZ5Yo2vZI8QTQ=', hmac_key: base64('h'.repeat(32)) }
  const entry = { ...versions, time: '2026-01-01T00:00:00Z', creation_time: 1, convergent_version: 3 }
  const policy = {
    name: 'theirs',
    keys: { 1: entry },
    derived: true,
    kdf: 1,
    convergent_encryption: true,
    latest_version: 1,
    min_decryption_version: 1,
    type: 0,
  }
  await ok('restore', { backup: base64(JSON.stringify({ policy, archived_keys: { keys: [{}, entry] } })) })
  assert.equal(
    ciphertextOf(await ok('encrypt/theirs', { plaintext, context })),
    'vault:v1:M7keDrvyXU+NOMRnYxiTUTUhQx+ClXtQ6R8Pw/+k9hzc',
  )
})

test('VAULT-4: derived keys differ by context, and need one', async (t) => {
  const { ok, refused } = await openTransit(t)
  await ok('keys/d', { derived: true })
  const { ciphertext } = await ok('encrypt/d', { plaintext, context })
  assert.deepEqual(await ok('decrypt/d', { ciphertext, context }), { plaintext })
  assert.deepEqual(Object.keys(await ok('rewrap/d', { ciphertext, context })), ['ciphertext', 'key_version'])
  await refused('decrypt/d', { ciphertext, context: plaintext }, 400, 'cipher: message authentication failed')
  await refused('encrypt/d', { plaintext }, 400, /^missing 'context'/)
  await refused('encrypt/d', { plaintext, context: '' }, 400, /^missing 'context'/)
  await refused('encrypt/d', { plaintext, context: '*' }, 400, 'illegal base64 data at input byte 0')
})

test('VAULT-4: associated data has to be the same again', async (t) => {
  const { ok, refused } = await openTransit(t)
  await ok('keys/k')
  const { ciphertext } = await ok('encrypt/k', { plaintext, associated_data: context })
  assert.deepEqual(await ok('decrypt/k', { ciphertext, associated_data: context }), { plaintext })
  await refused('decrypt/k', { ciphertext }, 400, 'cipher: message authentication failed')
  await refused('encrypt/k', { plaintext, associated_data: '*' }, 400, /illegal base64/)
  await ok('keys/r', { type: 'rsa-2048' })
  await refused('encrypt/r', { plaintext, associated_data: context }, 400, /associated_data/)
})

test('VAULT-4: every refusal of encrypt', async (t) => {
  const { ok, refused, call } = await openTransit(t)
  for (const type of ['ed25519', 'ecdsa-p256']) await ok(`keys/${type}`, { type })
  await ok('keys/hmac', { type: 'hmac', key_size: 32 })
  await ok('keys/r', { type: 'rsa-2048' })
  await ok('keys/k')
  await refused('encrypt/k', {}, 400, 'missing plaintext to encrypt')
  await refused('encrypt/k', { plaintext: '*' }, 400, 'illegal base64 data at input byte 0')
  await refused('encrypt/k', { plaintext: 'aGVsbG8' }, 400, 'illegal base64 data at input byte 7')
  await refused('encrypt/k', { plaintext: {} }, 400, /"plaintext": it must be text/)
  await refused(
    'encrypt/k',
    { plaintext, nonce: base64('abcabcabcabc') },
    400,
    'provided nonce not allowed for this key',
  )
  for (const path of ['encrypt/r', 'decrypt/r', 'rewrap/r', 'datakey/wrapped/r']) {
    const body = { plaintext, ciphertext: 'vault:v1:aaaa', padding_scheme: 'pkcs1v15' }
    await refused(path, body, 400, 'padding scheme pkcs1v15 is not supported; use oaep')
  }
  const tooNew = 'requested version for encryption is higher than the latest key version'
  await refused('encrypt/k', { plaintext, key_version: 2 }, 400, tooNew)
  await refused(
    'encrypt/k',
    { plaintext, key_version: -1 },
    400,
    'requested version for encryption is negative',
  )
  await refused('encrypt/k', { plaintext, key_version: 'x' }, 400, /"key_version": it must be a whole number/)
  for (const type of ['ed25519', 'ecdsa-p256', 'hmac'])
    await refused(
      `encrypt/${type}`,
      { plaintext },
      400,
      `message encryption not supported for key type ${type}`,
    )
  await refused(
    'encrypt/r',
    { plaintext: base64('x'.repeat(191)) },
    400,
    /is too long for this key, which takes 190/,
  )
  await ok('keys/k/rotate')
  await ok('keys/k/config', { min_encryption_version: 2 })
  const tooOld = 'requested version for encryption is less than the minimum encryption key version'
  await refused('encrypt/k', { plaintext, key_version: 1 }, 400, tooOld)
  assert.equal((await call('GET', 'transit/encrypt/k')).status, 405)
  assert.equal((await call('DELETE', 'transit/encrypt/k')).status, 405)
})

test('VAULT-4: every refusal of decrypt, rewrap and datakey', async (t) => {
  const { ok, refused } = await openTransit(t)
  await ok('keys/k')
  await ok('keys/ed25519', { type: 'ed25519' })
  await ok('keys/d', { derived: true })
  await ok('keys/r', { type: 'rsa-2048' })
  const bad: [string, string][] = [
    ['', 'missing ciphertext to decrypt'],
    ['aaaa', 'invalid ciphertext: no prefix'],
    ['vault:x1:aaaa', 'invalid ciphertext: no prefix'],
    ['vault:vx:aaaa', 'invalid ciphertext: version number could not be decoded'],
    ['vault:v1:****', 'invalid ciphertext: could not decode base64'],
    ['vault:v1:aaaa', 'invalid ciphertext length'],
    [`vault:v1:${'a'.repeat(44)}`, 'cipher: message authentication failed'],
    [`vault:v0:${'a'.repeat(44)}`, 'cipher: message authentication failed'],
    [`vault:v7:${'a'.repeat(44)}`, 'invalid ciphertext: version is too new'],
  ]
  for (const [ciphertext, error] of bad)
    for (const path of ['decrypt/k', 'rewrap/k']) await refused(path, { ciphertext }, 400, error)
  await refused('decrypt/r', { ciphertext: 'vault:v1:aaaa' }, 400, 'failed to RSA decrypt the ciphertext')
  for (const path of ['decrypt', 'rewrap'])
    await refused(`${path}/none`, { ciphertext: 'vault:v1:aaaa' }, 400, 'encryption key not found')
  const undecryptable = 'message decryption not supported for key type ed25519'
  await refused('decrypt/ed25519', { ciphertext: 'vault:v1:aaaa' }, 400, undecryptable)
  await refused('datakey/wrapped/k', { bits: 129 }, 400, 'invalid bit length')
  await refused('datakey/foo/k', {}, 400, "Invalid path, must be 'plaintext' or 'wrapped'")
  await refused('datakey/wrapped/none', {}, 400, 'encryption key not found')
  await refused('datakey/wrapped/d', {}, 400, /^missing 'context'/)
  await refused('datakey/wrapped/ed25519', {}, 400, 'message encryption not supported for key type ed25519')
  await refused('datakey/wrapped/k', { nonce: 'YWJj' }, 400, 'provided nonce not allowed for this key')
})

test('VAULT-4: data keys, in the clear only where that was asked for', async (t) => {
  const { ok } = await openTransit(t)
  await ok('keys/k')
  for (const bits of [128, 256, 512]) {
    const made = await ok('datakey/plaintext/k', { bits })
    assert.equal(Buffer.from(String(made['plaintext']), 'base64').length, bits / 8)
    assert.deepEqual(await ok('decrypt/k', { ciphertext: made['ciphertext'] }), {
      plaintext: made['plaintext'],
    })
  }
  assert.deepEqual(Object.keys(await ok('datakey/wrapped/k')), ['ciphertext', 'key_version'])
})

test('VAULT-4: a batch answers each item, in order, and one bad item makes it 400', async (t) => {
  const { ok, call } = await openTransit(t)
  await ok('keys/k')
  const items = [{ plaintext, reference: 'one' }, { plaintext: '*' }, {}]
  const mixed = await call('POST', 'transit/encrypt/k', { batch_input: items })
  assert.equal(mixed.status, 400)
  const [good, ...bad] = batchOf(mixed.body)
  assert.deepEqual([good?.['key_version'], good?.['reference']], [1, 'one'])
  assert.deepEqual(bad, [
    { error: 'illegal base64 data at input byte 0', reference: '' },
    { error: 'missing plaintext to encrypt', reference: '' },
  ])
  const preferred = { batch_input: items, partial_failure_response_code: 207 }
  assert.equal((await call('POST', 'transit/encrypt/k', preferred)).status, 207)
  const hopeless = { batch_input: [{ plaintext: '*' }], partial_failure_response_code: 207 }
  assert.equal((await call('POST', 'transit/encrypt/k', hopeless)).status, 400)
  const sealed = await ok('encrypt/k', { batch_input: [{ plaintext }, { plaintext: context }] })
  const ciphertexts = (sealed['batch_results'] as Fields[]).map(ciphertextBody)
  const opened = await ok('decrypt/k', { batch_input: ciphertexts })
  assert.deepEqual(opened['batch_results'], [
    { plaintext, reference: '' },
    { plaintext: context, reference: '' },
  ])
  const damaged = await call('POST', 'transit/decrypt/k', {
    batch_input: [...ciphertexts, { ciphertext: 'vault:v1:aaaa', reference: 'r' }],
  })
  assert.equal(damaged.status, 400)
  assert.deepEqual(batchOf(damaged.body)[2], {
    plaintext: '',
    error: 'invalid ciphertext length',
    reference: 'r',
  })
  const rewrapped = await call('POST', 'transit/rewrap/k', {
    batch_input: [...ciphertexts, { ciphertext: 'x' }],
  })
  assert.equal(rewrapped.status, 200)
  assert.equal(batchOf(rewrapped.body)[2]?.['error'], 'invalid ciphertext: no prefix')
})

test('VAULT-4: a batch that is none is refused as a whole', async (t) => {
  const { ok, refused } = await openTransit(t)
  await ok('keys/k')
  for (const path of ['encrypt/k', 'decrypt/k', 'rewrap/k', 'hmac/k']) {
    await refused(path, { batch_input: [] }, 400, 'missing batch input to process')
    await refused(path, { batch_input: 'x' }, 400, /it must be an array/)
    await refused(path, { batch_input: [1] }, 400, /\[0\] must be an object/)
  }
  const code = { batch_input: [{ plaintext: '*' }, { plaintext }], partial_failure_response_code: 42 }
  await refused('encrypt/k', code, 400, /must be an HTTP status/)
})

test('VAULT-4: encrypting with a key that is not there makes it', async (t) => {
  const { ok, read, refused } = await openTransit(t)
  await ok('encrypt/plain', { plaintext })
  const plain = await read('keys/plain')
  assert.deepEqual([plain['type'], plain['derived'], plain['latest_version']], ['aes256-gcm96', false, 1])
  await ok('encrypt/derived', { plaintext, context, type: 'chacha20-poly1305', convergent_encryption: true })
  const derived = await read('keys/derived')
  assert.deepEqual(
    [derived['type'], derived['derived'], derived['convergent_encryption']],
    ['chacha20-poly1305', true, true],
  )
  const mixed = { batch_input: [{ plaintext, context }, { plaintext }] }
  await refused('encrypt/x', mixed, 400, 'context should be set either in all the request blocks or in none')
  const noContext = 'convergent encryption requires derivation to be enabled, so context is required'
  await refused('encrypt/x', { plaintext, convergent_encryption: true }, 400, noContext)
  for (const type of ['rsa-2048', 'ed25519', 'hmac', 'nix'])
    await refused('encrypt/x', { plaintext, type }, 400, `unknown key type ${type}`)
  await refused('encrypt/..x', { plaintext }, 400, /cannot be the name of a key/)
  assert.deepEqual(await ok('config/keys', { disable_upsert: true }), { disable_upsert: true })
  await refused('encrypt/x', { plaintext }, 400, 'encryption key not found')
  assert.deepEqual(await read('config/keys'), { disable_upsert: true })
  await ok('config/keys', { disable_upsert: false })
  await ok('encrypt/x', { plaintext })
})

test('VAULT-4: two that encrypt with a new key at once use the same one', async (t) => {
  const { ok, read } = await openTransit(t)
  const made = await Promise.all(Array.from({ length: 8 }, () => ok('encrypt/new', { plaintext })))
  assert.equal((await read('keys/new'))['latest_version'], 1)
  for (const { ciphertext } of made) assert.deepEqual(await ok('decrypt/new', { ciphertext }), { plaintext })
})

test('VAULT-4: who may only update does not make keys; who may only create does not use them', async (t) => {
  const { ok, withRules } = await openTransit(t)
  await ok('keys/k')
  const updater = await withRules('path "transit/encrypt/*" { capabilities = ["update"] }')
  await updater.ok('encrypt/k', { plaintext })
  await updater.refused('encrypt/new', { plaintext }, 403, /permission denied/)
  await updater.refused('decrypt/k', { ciphertext: 'vault:v1:aaaa' }, 403, /permission denied/)
  await updater.refused('keys/k', undefined, 403, /permission denied/)
  const creator = await withRules('path "transit/encrypt/*" { capabilities = ["create"] }')
  await creator.refused('encrypt/k', { plaintext }, 403, /permission denied/)
  await creator.ok('encrypt/new', { plaintext })
  await creator.refused('encrypt/new', { plaintext }, 403, /permission denied/)
})

test('VAULT-4: nothing is done for a sealed vault or a foreign token, and keys are gone from memory at seal', async (t) => {
  const { ok, vault, call } = await openTransit(t)
  const { ciphertext } = await ok('encrypt/k', { plaintext })
  const stranger = await vault.handle({
    method: 'POST',
    path: 'transit/encrypt/k',
    query: {},
    token: new Secret('s.unknown'),
    body: new Secret(JSON.stringify({ plaintext })),
  })
  assert.equal(stranger.status, 403)
  await vault.seal({ kind: 'system', id: 'test', name: 'test', role: 'owner' } as never)
  assert.equal((await call('POST', 'transit/encrypt/k', { plaintext })).status, 503)
  await vault.unsealByItself()
  assert.deepEqual(await ok('decrypt/k', { ciphertext }), { plaintext })
})
