import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { test } from 'node:test'
import { type Fields, makeRoot, openMount, text } from '../../../../test/support/pki.ts'

test('VAULT-2: issuers and keys are named, tuned and removed', async (t) => {
  const world = await openMount(t, 'pki')
  const { ok, read, refused, call } = world
  const first = await makeRoot(world, { issuer_name: 'first', key_name: 'k1' })
  const second = await makeRoot(world, { common_name: 'Second', issuer_name: 'second' })
  await refused(
    'root/generate/internal',
    { common_name: 'x', issuer_name: 'first' },
    'issuer name already in use',
  )
  await refused(
    'root/generate/internal',
    { common_name: 'x', issuer_name: 'default' },
    /reserved keyword 'default'/,
  )
  await refused('root/generate/internal', { common_name: 'x', issuer_name: 'a b' }, /invalid characters/)
  await refused('root/generate/internal', { common_name: 'x', key_name: 'k1' }, 'key name already in use')
  await refused('root/generate/kms', { common_name: 'x' }, /the "exported" path parameter must be/)
  await refused(
    'root/generate/existing',
    { common_name: 'x', key_type: 'ec' },
    /cannot be set when an existing key/,
  )
  await refused('root/generate/existing', { common_name: 'x', key_ref: 'none' }, /unable to find PKI key/)
  assert.equal((await read('config/issuers'))['default'], first['issuer_id'])
  await ok('config/issuers', { default: 'second' })
  await refused('config/issuers', { default: 'default' }, /can't be 'default'/)
  await refused('config/issuers', { default: 'none' }, /unable to find PKI issuer for reference: none/)
  assert.equal((await read('issuer/default'))['issuer_id'], second['issuer_id'])
  const issuer = (body: Fields, error: string | RegExp) => refused('issuer/first', body, error)
  await issuer({ issuer_name: 'second' }, 'issuer name already in use')
  await issuer({ leaf_not_after_behavior: 'x' }, /Unknown value for field `leaf_not_after_behavior`/)
  await issuer({ usage: 'x' }, /unknown name for usage: x/)
  await issuer({ manual_chain: 'second' }, /expected first cert in chain to be a self-reference/)
  await issuer({ revocation_signature_algorithm: 'x' }, /Unknown signature algorithm/)
  await issuer({ issuing_certificates: 'nonsense' }, /invalid URL found/)
  await call('PATCH', 'pki/issuer/first', { usage: 'read-only' })
  await ok('roles/r', { allow_any_name: true, key_type: 'ec', ttl: '1h', issuer_ref: 'first' })
  await refused('issue/r', { common_name: 'a.test' }, /does not have the usage issuing-certificates/)
  assert.equal(
    (await ok('issuer/second/issue/r', { common_name: 'a.test' }))['issuing_ca'],
    second['certificate'],
  )
  const withdrawn = await ok('issuer/second/revoke', {})
  assert.equal(withdrawn['revoked'], true)
  await refused('issuer/second/issue/r', { common_name: 'a.test' }, /does not have the usage/)
  await refused('issuer/second', { usage: 'issuing-certificates' }, /This issuer was revoked/)

  await refused('key/none', undefined, 'unable to find PKI key for reference: none')
  const key = await read('key/k1')
  assert.equal(key['key_type'], 'ec')
  assert.match(text(key, 'subject_key_id'), /^(?:[0-9a-f]{2}:){19}[0-9a-f]{2}$/)
  assert.equal(key['private_key'], undefined)
  const remove = await call('DELETE', 'pki/key/k1')
  assert.match(JSON.stringify(remove.body), /Key in Use by Issuer/)
  const made = await ok('keys/generate/exported', { key_type: 'ed25519', key_name: 'mine' })
  assert.match(text(made, 'private_key'), /PRIVATE KEY/)
  await refused('keys/generate/kms', {}, 'Unknown type of key to generate')
  assert.equal((await call('DELETE', 'pki/key/mine')).status, 204)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  assert.equal((await ok('keys/import', { pem_bundle: pem, key_name: 'brought' }))['key_type'], 'ec')
  await refused('key/brought', { key_name: 'k1' }, 'key name already in use')
  await refused('config/keys', { default: 'default' }, /can't be 'default'/)
  await refused('config/keys', { default: '' }, /must be non-empty/)
  assert.equal((await ok('key/brought', { key_name: 'ours' }))['key_name'], 'ours')
  await refused('keys/import', { pem_bundle: 'x' }, /too short/)
  await refused('keys/import', { pem_bundle: pem + pem }, /only a single key/)
  // The right modulus, with private parts of another key.
  const [own = {}, other = {}] = [1, 2].map(() =>
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  )
  const mixed = { ...own, d: other.d, dp: other.dp } as JsonWebKey
  const contradictory = createPrivateKey({ key: mixed, format: 'jwk' }).export({
    type: 'pkcs8',
    format: 'pem',
  })
  await refused('keys/import', { pem_bundle: contradictory.toString() }, /the key contradicts itself/)
  const bundle = (path: string, pem_bundle: string, error: RegExp) => refused(path, { pem_bundle }, error)
  await bundle('issuers/import/bundle', '', /parameters were empty/)
  await bundle('issuers/import/bundle', '/etc/ssl/ca.pem', /too short/)
  await bundle('issuers/import/bundle', 'x'.repeat(99), /invalid PEM data/)
  // Texts that a pattern could spend hours on.
  for (const long of [`-----BEGIN A-----${' '.repeat(4e6)}`, '-----BEGIN A-----'.repeat(2e5)])
    await bundle('issuers/import/bundle', long, /invalid PEM data/)
  await bundle('issuers/import/cert', pem, /private keys found in the PEM bundle/)
  const leaf = await call('PATCH', 'pki/issuer/first', { usage: 'issuing-certificates,crl-signing' }).then(
    () => ok('issue/r', { common_name: 'a.test' }),
  )
  await bundle('issuers/import/cert', text(leaf, 'certificate'), /Refusing to import non-CA certificate/)
})
