import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64, type Fields, openTransit } from '../../../../test/support/transit.ts'
import { keyTypes } from './key-types.ts'

const plaintext = base64('hello')
const hour = 3_600_000
const versionsOf = (data: Fields): string[] => Object.keys(data['keys'] as Fields)

test('VAULT-4: a new key is shown in the shape that clients know', async (t) => {
  const { ok, read, clock, call } = await openTransit(t)
  const made = await ok('keys/k')
  assert.deepEqual(made, {
    allow_plaintext_backup: false,
    auto_rotate_period: 0,
    deletion_allowed: false,
    derived: false,
    exportable: false,
    imported_key: false,
    keys: { 1: Math.floor(clock.now().getTime() / 1000) },
    latest_version: 1,
    min_available_version: 0,
    min_decryption_version: 1,
    min_encryption_version: 0,
    name: 'k',
    soft_deleted: false,
    supports_decryption: true,
    supports_derivation: true,
    supports_encryption: true,
    supports_signing: false,
    type: 'aes256-gcm96',
  })
  assert.deepEqual(await read('keys/k'), made)
  // Made sure of again, as programs do at every start: it stays as it is.
  assert.deepEqual(await ok('keys/k', { exportable: true, type: 'rsa-2048' }), made)
  assert.equal((await call('GET', 'transit/keys/none')).status, 404)
})

test('VAULT-4: what each type of key can do', async (t) => {
  const { ok } = await openTransit(t)
  const can: Record<string, string> = {
    'aes128-gcm96': 'decryption derivation encryption',
    'aes256-gcm96': 'decryption derivation encryption',
    'chacha20-poly1305': 'decryption derivation encryption',
    ed25519: 'derivation signing',
    'ecdsa-p256': 'signing',
    'ecdsa-p384': 'signing',
    'ecdsa-p521': 'signing',
    'rsa-2048': 'decryption encryption signing',
    'rsa-3072': 'decryption encryption signing',
    'rsa-4096': 'decryption encryption signing',
    hmac: '',
  }
  assert.deepEqual(Object.keys(can), Object.keys(keyTypes))
  // 4096 bits take too long for a test, and differ in nothing else.
  for (const type of Object.keys(can).filter((name) => name !== 'rsa-4096')) {
    const made = await ok(`keys/${type}`, { type, ...(type === 'hmac' ? { key_size: 32 } : {}) })
    const abilities = ['decryption', 'derivation', 'encryption', 'signing']
    assert.equal(abilities.filter((ability) => made[`supports_${ability}`]).join(' '), can[type], type)
    if (type.startsWith('rsa') || type.startsWith('ecdsa'))
      assert.match(
        String((made['keys'] as Record<string, Fields>)['1']?.['public_key']),
        /^-----BEGIN PUBLIC KEY-----/,
      )
  }
})

test('VAULT-4: every refusal when a key is made', async (t) => {
  const { refused } = await openTransit(t)
  await refused('keys/k', { type: 'foo' }, 400, 'unknown key type foo')
  await refused('keys/k', { type: 'toString' }, 400, 'unknown key type toString')
  await refused(
    'keys/k',
    { convergent_encryption: true },
    400,
    'convergent encryption requires derivation to be enabled',
  )
  for (const type of ['rsa-2048', 'ecdsa-p256', 'hmac'])
    await refused(
      'keys/k',
      { type, derived: true, key_size: type === 'hmac' ? 32 : 0 },
      400,
      `key derivation and convergent encryption not supported for keys of type ${type}`,
    )
  await refused(
    'keys/k',
    { type: 'ed25519', derived: true, convergent_encryption: true },
    400,
    /not supported for keys/,
  )
  const period = 'auto rotate period must be 0 to disable or at least an hour'
  await refused('keys/k', { auto_rotate_period: '10m' }, 400, period)
  const size = 'invalid key size for HMAC key, must be between 32 and 512 bytes'
  for (const key_size of [undefined, 31, 513]) await refused('keys/k', { type: 'hmac', key_size }, 400, size)
  await refused('keys/k', { key_size: 32 }, 400, 'key_size is not valid for algorithm aes256-gcm96')
  for (const name of ['-k', 'k.', 'a b', 'ü'])
    await refused(`keys/${name}`, {}, 400, /cannot be the name of a key/)
})

test('VAULT-4: keys are listed, and deleted only when that was allowed', async (t) => {
  const { ok, call } = await openTransit(t)
  assert.equal((await call('LIST', 'transit/keys')).status, 404)
  await ok('keys/b')
  await ok('keys/a')
  assert.deepEqual((await call('LIST', 'transit/keys')).body['data'], { keys: ['a', 'b'] })
  const refusedWith = async (name: string): Promise<unknown> =>
    ((await call('DELETE', `transit/keys/${name}`)).body['errors'] as string[])[0]
  assert.equal(await refusedWith('a'), 'error deleting policy a: deletion is not allowed for this key')
  assert.equal(await refusedWith('x'), 'error deleting policy x: could not delete key; not found')
  await ok('keys/a/config', { deletion_allowed: true })
  assert.equal((await call('DELETE', 'transit/keys/a')).status, 204)
  assert.deepEqual((await call('LIST', 'transit/keys')).body['data'], { keys: ['b'] })
  assert.equal((await call('GET', 'transit/keys/a')).status, 404)
})

test('VAULT-4: versions are limited and trimmed, in the order that loses nothing by accident', async (t) => {
  const { ok, refused, read } = await openTransit(t)
  await ok('keys/k', { exportable: true })
  const { ciphertext } = await ok('encrypt/k', { plaintext })
  for (const latest of [2, 3]) assert.equal((await ok('keys/k/rotate'))['latest_version'], latest)
  const config = (body: Fields, error: string) => refused('keys/k/config', body, 400, error)
  await config(
    { min_decryption_version: 4 },
    'cannot set min decryption version of 4, latest key version is 3',
  )
  await config(
    { min_encryption_version: 4 },
    'cannot set min encryption version of 4, latest key version is 3',
  )
  await config({ min_decryption_version: -1 }, 'min decryption version cannot be negative')
  await config({ min_encryption_version: -1 }, 'min encryption version cannot be negative')
  await config(
    { min_encryption_version: 1, min_decryption_version: 2 },
    'cannot set min encryption/decryption values; min encryption version of 1 must be greater than or equal to min decryption version of 2',
  )
  const trim = (body: Fields, error: string) => refused('keys/k/trim', body, 400, error)
  await trim({}, 'missing min_available_version')
  await trim(
    { min_available_version: 2 },
    'minimum available version cannot be set when minimum encryption version is not set',
  )
  await ok('keys/k/config', { min_encryption_version: 2 })
  await trim(
    { min_available_version: 4 },
    'minimum available version cannot be greater than the latest version',
  )
  await trim(
    { min_available_version: 3 },
    'minimum available version cannot be greater than minimum encryption version',
  )
  await trim(
    { min_available_version: 2 },
    'minimum available version cannot be greater than minimum decryption version',
  )
  assert.deepEqual(versionsOf(await ok('keys/k/config', { min_decryption_version: 2 })), ['2', '3'])
  assert.equal((await ok('keys/k/trim', { min_available_version: 2 }))['min_available_version'], 2)
  await trim({ min_available_version: 1 }, 'minimum available version cannot be decremented')
  await config(
    { min_decryption_version: 1 },
    'min decryption version should not be less then min available version',
  )
  await refused(
    'decrypt/k',
    { ciphertext },
    400,
    'ciphertext or signature version is disallowed by policy (too old)',
  )
  assert.deepEqual(versionsOf(await read('export/encryption-key/k')), ['2', '3'])
  await ok('keys/k/config', { min_decryption_version: 0, min_encryption_version: 0 })
  await refused(
    'decrypt/k',
    { ciphertext },
    400,
    'ciphertext or signature version is disallowed by policy (too old)',
  )
  for (const path of ['config', 'trim'])
    await refused(`keys/none/${path}`, {}, 400, 'no existing key named none could be found')
  await refused('keys/none/rotate', {}, 400, 'key not found')
})

test('VAULT-4: exportable and the backup in the clear are never taken back', async (t) => {
  const { ok } = await openTransit(t)
  await ok('keys/k')
  const on = await ok('keys/k/config', { exportable: true, allow_plaintext_backup: true })
  assert.deepEqual([on['exportable'], on['allow_plaintext_backup']], [true, true])
  const off = await ok('keys/k/config', { exportable: false, allow_plaintext_backup: false })
  assert.deepEqual([off['exportable'], off['allow_plaintext_backup']], [true, true])
})

test('VAULT-4: a key whose time has come is rotated before it makes anything new', async (t) => {
  const { ok, read, refused, clock, audit } = await openTransit(t)
  await ok('keys/k', { auto_rotate_period: '24h' })
  await ok('keys/s', { type: 'ed25519', auto_rotate_period: '1h' })
  assert.equal((await read('keys/k'))['auto_rotate_period'], 86_400)
  await refused('keys/k/config', { auto_rotate_period: '5m' }, 400, /at least an hour/)
  const old = await ok('encrypt/k', { plaintext })
  clock.advance(24 * hour - 1)
  assert.equal((await ok('encrypt/k', { plaintext }))['key_version'], 1)
  clock.advance(1)
  assert.deepEqual(await ok('decrypt/k', { ciphertext: old['ciphertext'] }), { plaintext })
  assert.equal((await read('keys/k'))['latest_version'], 1)
  const many = await Promise.all(Array.from({ length: 5 }, () => ok('encrypt/k', { plaintext })))
  assert.deepEqual(
    many.map(({ key_version }) => key_version),
    [2, 2, 2, 2, 2],
  )
  assert.deepEqual(await ok('decrypt/k', { ciphertext: old['ciphertext'] }), { plaintext })
  const { items } = await audit.page({ limit: 100, order: 'desc', type: 'vault.request' })
  const rotations = items.filter(({ detail }) => JSON.stringify(detail).includes('"rotated":2'))
  assert.deepEqual(
    rotations.map(({ target }) => target),
    ['path:transit/encrypt/k'],
  )
  assert.equal((await ok('sign/s', { input: plaintext }))['key_version'], 2)
  await ok('keys/k/config', { auto_rotate_period: 0 })
  clock.advance(100 * hour)
  assert.equal((await ok('encrypt/k', { plaintext }))['key_version'], 2)
})

test('VAULT-4: a soft-deleted key does nothing until it is restored', async (t) => {
  const { ok, refused, call } = await openTransit(t)
  await ok('keys/k', { exportable: true })
  const { ciphertext } = await ok('encrypt/k', { plaintext })
  const gone = await call('DELETE', 'transit/keys/k/soft-delete')
  assert.equal((gone.body['data'] as Fields)['soft_deleted'], true)
  const refusal = 'refusing to use soft-deleted key'
  await refused('encrypt/k', { plaintext }, 400, refusal)
  await refused('decrypt/k', { ciphertext }, 400, refusal)
  await refused('keys/k/rotate', {}, 400, refusal)
  await refused('export/encryption-key/k', undefined, 400, refusal)
  assert.equal((await ok('keys/k/soft-delete-restore'))['soft_deleted'], false)
  assert.deepEqual(await ok('decrypt/k', { ciphertext }), { plaintext })
})

test('VAULT-4: every refusal of export', async (t) => {
  const { ok, read, refused, call } = await openTransit(t)
  await ok('keys/closed', { type: 'rsa-2048' })
  await ok('keys/k', { exportable: true })
  await ok('keys/e', { type: 'ecdsa-p256', exportable: true })
  const get = (path: string, error: string | RegExp) => refused(`export/${path}`, undefined, 400, error)
  for (const kind of ['encryption-key', 'signing-key', 'hmac-key'])
    await get(`${kind}/closed`, 'private key material is not exportable')
  assert.match(String(((await read('export/public-key/closed'))['keys'] as Fields)['1']), /BEGIN PUBLIC KEY/)
  await get('signing-key/k', 'signing not supported for the key')
  await get('encryption-key/e', 'encryption not supported for the key')
  await get('public-key/k', 'unknown key type aes256-gcm96 for export type public-key')
  await get('foo/k', 'invalid export type: foo')
  await get('encryption-key/k/7', 'version does not exist or cannot be found')
  await get('encryption-key/k/x', 'invalid key version')
  await get('encryption-key/k?format=zz', 'invalid format: zz')
  await get('encryption-key/k?format=pem', /symmetric key; supported values/)
  await get('hmac-key/e?format=der', /symmetric key; supported values/)
  await get('signing-key/e?format=raw', /supported values are ``, `der`, or `pem`/)
  assert.equal((await call('GET', 'transit/export/signing-key/none')).status, 404)
  await ok('keys/k/rotate')
  await ok('keys/k/config', { min_decryption_version: 2 })
  await get('encryption-key/k/1', 'version for export is below minimum decryption version')
  assert.deepEqual(versionsOf(await read('export/encryption-key/k/latest')), ['2'])
})

test('VAULT-4: the forms in which keys are exported', async (t) => {
  const { ok, read } = await openTransit(t)
  for (const type of ['ed25519', 'ecdsa-p521', 'rsa-2048'])
    await ok(`keys/${type}`, { type, exportable: true })
  const text = async (path: string): Promise<string> =>
    String(((await read(`export/${path}`))['keys'] as Fields)['1'])
  const bytes = async (path: string): Promise<number> => Buffer.from(await text(path), 'base64').length
  assert.equal(await bytes('signing-key/ed25519'), 64)
  assert.equal(await bytes('public-key/ed25519?format=raw'), 32)
  assert.equal(await bytes('signing-key/ed25519?format=der'), 48)
  assert.match(await text('signing-key/ed25519?format=pem'), /^-----BEGIN PRIVATE KEY-----/)
  assert.match(await text('signing-key/ecdsa-p521'), /^-----BEGIN EC PRIVATE KEY-----/)
  assert.match(await text('signing-key/ecdsa-p521?format=pem'), /^-----BEGIN PRIVATE KEY-----/)
  assert.match(await text('signing-key/rsa-2048'), /^-----BEGIN RSA PRIVATE KEY-----/)
  assert.match(await text('encryption-key/rsa-2048?format=pem'), /^-----BEGIN PRIVATE KEY-----/)
  assert.match(await text('public-key/rsa-2048'), /^-----BEGIN PUBLIC KEY-----/)
})

test('VAULT-4: a mount takes its keys with it, and another has none of them', async (t) => {
  const { ok, call, read } = await openTransit(t)
  await ok('keys/k')
  await call('POST', 'sys/mounts/other', { type: 'transit' })
  assert.equal((await call('GET', 'other/keys/k')).status, 404)
  await ok('config/keys', { disable_upsert: true })
  assert.equal((await call('DELETE', 'sys/mounts/transit')).status, 204)
  assert.equal((await call('GET', 'transit/keys/k')).status, 404)
  await call('POST', 'sys/mounts/transit', { type: 'transit' })
  assert.equal((await call('LIST', 'transit/keys')).status, 404)
  assert.deepEqual(await read('config/keys'), { disable_upsert: false })
  const mounts = (await call('GET', 'sys/mounts')).body['data'] as Record<string, Fields>
  assert.deepEqual([mounts['other/']?.['type'], mounts['other/']?.['options']], ['transit', {}])
})
