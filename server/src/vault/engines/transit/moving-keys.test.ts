import assert from 'node:assert/strict'
import {
  constants,
  createCipheriv,
  createPublicKey,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import { test } from 'node:test'
import { base64, type Fields, openTransit, type TransitCaller } from '../../../../test/support/transit.ts'
import { bigInteger, parseExact, stringifyExact } from './exact-json.ts'

const plaintext = base64('hello')
const message = plaintext

/** Wraps as the documentation says: AES-KWP under a fresh key, and that key under RSA-OAEP. */
async function wrap({ read }: TransitCaller, material: Buffer, hash = 'sha256'): Promise<string> {
  const key = createPublicKey(String((await read('wrapping_key'))['public_key']))
  const ephemeral = randomBytes(32)
  const cipher = createCipheriv('id-aes256-wrap-pad', ephemeral, Buffer.from('a65959a6', 'hex'))
  const wrapped = Buffer.concat([cipher.update(material), cipher.final()])
  const head = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash }, ephemeral)
  return Buffer.concat([head, wrapped]).toString('base64')
}

const pkcs8 = (key: { privateKey: ReturnType<typeof createPublicKey> }): Buffer =>
  key.privateKey.export({ format: 'der', type: 'pkcs8' })

test('VAULT-4: keys made elsewhere are imported, used, and not rotated unless that was allowed', async (t) => {
  const world = await openTransit(t)
  const { ok, refused, read } = world
  const symmetric = randomBytes(32)
  await ok('keys/a/import', {
    type: 'aes256-gcm96',
    ciphertext: await wrap(world, symmetric),
    exportable: true,
  })
  const shown = await read('keys/a')
  assert.deepEqual([shown['imported_key'], shown['imported_key_allow_rotation']], [true, false])
  const exported = (await read('export/encryption-key/a'))['keys'] as Fields
  assert.equal(exported['1'], symmetric.toString('base64'))
  const { ciphertext } = await ok('encrypt/a', { plaintext })
  await refused('keys/a/rotate', {}, 400, /does not allow rotation/)
  await ok('keys/a/import_version', { ciphertext: await wrap(world, randomBytes(32)) })
  assert.equal((await ok('encrypt/a', { plaintext }))['key_version'], 2)
  assert.deepEqual(await ok('decrypt/a', { ciphertext }), { plaintext })

  const pairs = {
    ed25519: generateKeyPairSync('ed25519'),
    'ecdsa-p384': generateKeyPairSync('ec', { namedCurve: 'secp384r1' }),
    'rsa-2048': generateKeyPairSync('rsa', { modulusLength: 2048 }),
  }
  for (const [type, pair] of Object.entries(pairs)) {
    const body = {
      type,
      ciphertext: await wrap(world, pkcs8(pair), 'sha1'),
      hash_function: 'SHA1',
      allow_rotation: true,
    }
    await ok(`keys/${type}/import`, body)
    const signed = await ok(`sign/${type}`, { input: message })
    assert.deepEqual(await ok(`verify/${type}`, { input: message, signature: signed['signature'] }), {
      valid: true,
    })
    assert.equal((await ok(`keys/${type}/rotate`))['latest_version'], 2)
  }
  const hmac = randomBytes(48)
  await ok('keys/h/import', { type: 'hmac', ciphertext: await wrap(world, hmac) })
  assert.equal((await read('keys/h'))['key_size'], 48)
})

test('VAULT-4: a public key alone verifies and encrypts; its private key may follow', async (t) => {
  const world = await openTransit(t)
  const { ok, refused } = world
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const public_key = pair.publicKey.export({ format: 'pem', type: 'spki' })
  await ok('keys/p/import', { type: 'rsa-2048', public_key })
  const { ciphertext } = await ok('encrypt/p', { plaintext })
  await refused('decrypt/p', { ciphertext }, 400, /only a public key, which cannot decrypt/)
  await refused('sign/p', { input: message }, 400, /only a public key, which cannot sign/)
  const stranger = await wrap(world, pkcs8(generateKeyPairSync('rsa', { modulusLength: 2048 })))
  await refused('keys/p/import_version', { ciphertext: stranger }, 400, /does not belong to the public key/)
  const own = { ciphertext: await wrap(world, pkcs8(pair)) }
  await ok('keys/p/import_version', own)
  assert.deepEqual(await ok('decrypt/p', { ciphertext }), { plaintext })
  await refused(
    'keys/p/import_version',
    { ...own, version: 1 },
    400,
    'this version has its private key already',
  )
  await refused('keys/p/import_version', { ...own, version: 9 }, 400, 'version 9 of the key does not exist')
})

test('VAULT-4: every refusal of import', async (t) => {
  const world = await openTransit(t)
  const { ok, refused } = world
  const type = 'aes256-gcm96'
  await refused('keys/i/import', { type, ciphertext: 'aaaa' }, 400, /^read wrapping_key first/)
  const ciphertext = await wrap(world, randomBytes(32))
  await ok('keys/k')
  await refused('keys/i/import', { type: 'nix', ciphertext }, 400, 'unknown key type nix')
  await refused('keys/i/import', { type }, 400, 'either ciphertext or public_key must be given')
  await refused('keys/i/import', { type, ciphertext, public_key: 'x' }, 400, /^only one of/)
  await refused('keys/i/import', { type, ciphertext: '*' }, 400, /illegal base64/)
  await refused('keys/i/import', { type, ciphertext: 'aaaa' }, 400, 'provided ciphertext is too short')
  await refused('keys/i/import', { type, ciphertext, hash_function: 'x' }, 400, 'unknown hash function: x')
  await refused(
    'keys/i/import',
    { type, ciphertext, hash_function: 'SHA512' },
    400,
    /^the ciphertext could not be unwrapped/,
  )
  await refused('keys/i/import', { type: 'aes128-gcm96', ciphertext }, 400, /^invalid key size 32 bytes/)
  await refused('keys/i/import', { type: 'rsa-2048', ciphertext }, 400, /^error parsing asymmetric key/)
  const p256 = await wrap(world, pkcs8(generateKeyPairSync('ec', { namedCurve: 'prime256v1' })))
  for (const other of ['ecdsa-p384', 'rsa-2048', 'ed25519'])
    await refused(
      'keys/i/import',
      { type: other, ciphertext: p256 },
      400,
      `the imported key is not of the type ${other}`,
    )
  await refused(
    'keys/i/import',
    { type, public_key: 'x' },
    400,
    'provided type does not support public_key import',
  )
  await refused('keys/i/import', { type: 'ed25519', public_key: 'x' }, 400, /no PEM block/)
  await refused(
    'keys/k/import',
    { type, ciphertext },
    400,
    /^the import path cannot be used with an existing key/,
  )
  await refused('keys/k/import_version', { ciphertext }, 400, /can only be used with an imported key/)
  await refused('keys/none/import_version', { ciphertext }, 400, /^no key found with name none/)
  const rotating = { type, ciphertext, auto_rotate_period: '24h' }
  await refused('keys/i/import', rotating, 400, /^allow_rotation must be set to true/)
})

test('VAULT-4: a key goes wrapped from one mount to another, and is the same there', async (t) => {
  const world = await openTransit(t)
  const { ok, read, refused, call } = world
  await ok('keys/source', { exportable: true })
  await ok('keys/closed')
  const { ciphertext } = await ok('encrypt/source', { plaintext })
  const { public_key } = await read('wrapping_key')
  await ok('keys/there/import', { type: 'rsa-4096', public_key })
  const wrapped = (await read('byok-export/there/source/latest'))['keys'] as Fields
  await ok('keys/copy/import', { type: 'aes256-gcm96', ciphertext: wrapped['1'] })
  assert.deepEqual(await ok('decrypt/copy', { ciphertext }), { plaintext })
  await refused('byok-export/there/closed', undefined, 400, 'key is not exportable')
  await refused('byok-export/source/source', undefined, 400, 'destination key must be an RSA key')
  await refused('byok-export/none/source', undefined, 400, 'no such destination key to export to')
  await refused('byok-export/there/none', undefined, 400, 'no such source key for export')
  assert.equal((await call('GET', 'transit/wrapping_key')).status, 200)
})

for (const type of [
  'aes128-gcm96',
  'aes256-gcm96',
  'chacha20-poly1305',
  'ed25519',
  'ecdsa-p521',
  'rsa-2048',
  'hmac',
])
  test(`VAULT-4: a backup of ${type} restores all that it was`, async (t) => {
    const { ok, read } = await openTransit(t)
    const size = type === 'hmac' ? { key_size: 32 } : {}
    await ok('keys/k', {
      type,
      ...size,
      exportable: true,
      allow_plaintext_backup: true,
      auto_rotate_period: '24h',
    })
    await ok('keys/k/rotate')
    await ok('keys/k/rotate')
    await ok('keys/k/config', { min_decryption_version: 2, min_encryption_version: 2 })
    await ok('keys/k/trim', { min_available_version: 2 })
    await ok('keys/k/config', { min_decryption_version: 3, min_encryption_version: 3 })
    const { backup } = await read('backup/k')
    await ok('restore/copy', { backup })
    assert.deepEqual({ ...(await read('keys/copy')), name: 'k' }, await read('keys/k'))
    for (const name of ['k', 'copy']) await ok(`keys/${name}/config`, { min_decryption_version: 2 })
    for (const version of [2, 3])
      for (const kind of [
        'hmac-key',
        type.includes('-poly') || type.includes('gcm') ? 'encryption-key' : 'hmac-key',
      ])
        assert.deepEqual(
          (await read(`export/${kind}/copy/${version}`))['keys'],
          (await read(`export/${kind}/k/${version}`))['keys'],
        )
    const { hmac } = await ok('hmac/k', { input: message })
    assert.deepEqual(await ok('verify/copy', { input: message, hmac }), { valid: true })
  })

test('VAULT-4: a backup needs leave, and a restore does not overwrite', async (t) => {
  const { ok, read, refused } = await openTransit(t)
  await ok('keys/k')
  await refused('backup/none', undefined, 400, 'key "none" not found')
  await refused('backup/k', undefined, 400, 'exporting is disallowed on the policy')
  await ok('keys/k/config', { exportable: true })
  await refused('backup/k', undefined, 400, 'plaintext backup is disallowed on the policy')
  await ok('keys/k/config', { allow_plaintext_backup: true })
  const { backup } = await read('backup/k')
  const { ciphertext } = await ok('encrypt/k', { plaintext })
  await refused('restore', { backup }, 400, 'key "k" already exists')
  await ok('keys/k/rotate')
  await ok('restore', { backup, force: true })
  assert.equal((await read('keys/k'))['latest_version'], 1)
  assert.deepEqual(await ok('decrypt/k', { ciphertext }), { plaintext })
})

test('VAULT-4: every refusal of restore', async (t) => {
  const { ok, read, refused } = await openTransit(t)
  await ok('keys/k', {
    derived: true,
    convergent_encryption: true,
    exportable: true,
    allow_plaintext_backup: true,
  })
  await ok('keys/r', { type: 'rsa-2048', exportable: true, allow_plaintext_backup: true })
  const parsed = async (name: string): Promise<Fields> =>
    parseExact(Buffer.from(String((await read(`backup/${name}`))['backup']), 'base64').toString()) as Fields
  const [whole, rsa] = [await parsed('k'), await parsed('r')]
  const policy = whole['policy'] as Fields
  const keys = { 1: ((policy['keys'] as Fields)['1'] ?? {}) as Fields }
  const restore = (content: unknown, error: string | RegExp) =>
    refused('restore/x', { backup: base64(stringifyExact(content)) }, 400, error)
  const changed = (fields: Fields) => ({ policy: { ...policy, ...fields } })
  await refused('restore', {}, 400, "'backup' must be supplied")
  await refused('restore', { backup: '*' }, 400, 'illegal base64 data: the backup is no base64')
  await refused('restore', { backup: base64('nothing') }, 400, 'the backup cannot be restored: it is no JSON')
  for (const content of [{}, [], null, { policy: 1 }]) await restore(content, /it has no policy/)
  await restore(changed({ type: 99 }), /its type of key is not supported/)
  await restore(changed({ kdf: 0 }), /derived in a way that is not known here/)
  await restore(
    changed({ keys: { 1: { ...keys[1], convergent_version: 1 } } }),
    /its nonces are made in a way/,
  )
  await restore(changed({ keys: {} }), /version 1 is missing/)
  await restore(changed({ latest_version: 0 }), /contradict each other/)
  await restore(changed({ min_decryption_version: 2 }), /contradict each other/)
  await restore(changed({ latest_version: 'x' }), /"latest_version" is no count/)
  await restore(changed({ keys: { 1: { ...keys[1], key: 'aaaa' } } }), /a key has the wrong size/)
  await restore(changed({ keys: { 1: { ...keys[1], key: '*' } } }), /"key" is no base64/)
  await restore(changed({ keys: { 1: { ...keys[1], hmac_key: null } } }), /an HMAC key is missing/)
  const rsaPolicy = rsa['policy'] as Fields
  const rsaEntry = (rsaPolicy['keys'] as Record<string, Fields>)['1']
  for (const rsa_key of [{}, { ...(rsaEntry?.['rsa_key'] as Fields), D: 5, Precomputed: {} }, 7])
    await restore(
      { policy: { ...rsaPolicy, keys: { 1: { ...rsaEntry, rsa_key } } } },
      /a key in it is damaged/,
    )
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const mixed = { ...(rsaEntry?.['rsa_key'] as Fields), N: bigInteger(other.n) }
  await restore(
    { policy: { ...rsaPolicy, keys: { 1: { ...rsaEntry, rsa_key: mixed } } } },
    /a key in it is damaged/,
  )
  await refused('restore/-x', { backup: base64(stringifyExact(whole)) }, 400, /cannot be the name of a key/)
})
