import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { decrypt, generateKey, readMessage } from 'openpgp'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'

async function world(t: TestContext) {
  const opened = await openUnsealedVault(t, { seal: { seal: 'shamir', shares: 3, threshold: 2 } })
  return { ...opened, anybody: callerOf(opened.vault) }
}

test('VAULT-1: owners make a new root token, which leaves under the pad of who began', async (t) => {
  const { vault, anybody, shares, audit } = await world(t)
  const begun = (await anybody('PUT', 'sys/generate-root/attempt')).body
  const { nonce, otp, otp_length } = begun as { nonce: string; otp: string; otp_length: number }
  assert.deepEqual([otp.length, begun['started'], begun['required']], [otp_length, true, 2])
  assert.equal((await anybody('GET', 'sys/generate-root/attempt')).body['otp'], '')
  await anybody('PUT', 'sys/generate-root/update', { key: shares[2], nonce })
  const done = (await anybody('PUT', 'sys/generate-root/update', { key: shares[0], nonce })).body
  assert.deepEqual([done['complete'], done['encoded_token']], [true, done['encoded_root_token']])
  const decoded = await anybody('PUT', 'sys/decode-token', { encoded_token: done['encoded_token'], otp })
  const { token } = decoded.body['data'] as { token: string }
  const self = await callerOf(vault, token)('GET', 'auth/token/lookup-self')
  assert.deepEqual((self.body['data'] as { policies: string[] }).policies, ['root'])
  assert.equal((await anybody('GET', 'sys/generate-root/attempt')).body['started'], false)
  const { items } = await audit.page({ limit: 9, order: 'desc', type: 'vault.root_generated' })
  assert.equal(items.length, 1)
})

test('VAULT-1: the token can leave for the owner of a PGP key alone', async (t) => {
  const { vault, anybody, shares } = await world(t)
  const { publicKey, privateKey } = await generateKey({ userIDs: [{ name: 'ada' }], format: 'object' })
  const pgp_key = Buffer.from(publicKey.write()).toString('base64')
  const begun = (await anybody('PUT', 'sys/generate-root/attempt', { pgp_key })).body
  assert.deepEqual([begun['otp'], begun['pgp_fingerprint']], ['', publicKey.getFingerprint()])
  const { nonce } = begun
  await anybody('PUT', 'sys/generate-root/update', { key: shares[2], nonce })
  const done = (await anybody('PUT', 'sys/generate-root/update', { key: shares[0], nonce })).body
  const message = await readMessage({ binaryMessage: Buffer.from(String(done['encoded_token']), 'base64') })
  const { data } = await decrypt({ message, decryptionKeys: privateKey })
  assert.equal((await callerOf(vault, String(data))('GET', 'auth/token/lookup-self')).status, 200)
})

test('VAULT-1: what does not prove the owners makes no token', async (t) => {
  const { anybody, shares } = await world(t)
  const foreign = await world(t)
  const update = (body: unknown) => anybody('PUT', 'sys/generate-root/update', body)
  assert.deepEqual((await update({ key: shares[0], nonce: 'x' })).body['errors'], [
    'no root generation in progress',
  ])
  for (const body of [{ otp: 'short' }, { pgp_key: 'AAAA' }])
    assert.equal((await anybody('PUT', 'sys/generate-root/attempt', body)).status, 400)
  const { nonce } = (await anybody('PUT', 'sys/generate-root/attempt')).body
  assert.equal((await anybody('PUT', 'sys/generate-root/attempt')).status, 400)
  assert.equal((await update({ key: shares[0], nonce: 'x' })).status, 400)
  await update({ key: shares[0], nonce })
  assert.equal((await update({ key: shares[0], nonce })).status, 400)
  const wrong = await update({ key: foreign.shares[0], nonce })
  assert.match(String(wrong.body['errors']), /root generation aborted/)
  assert.equal((await anybody('GET', 'sys/generate-root/attempt')).body['progress'], 0)
  assert.equal((await anybody('DELETE', 'sys/generate-root/attempt')).status, 204)
  assert.equal((await anybody('GET', 'sys/generate-root/attempt')).body['started'], false)
  for (const body of [{}, { encoded_token: 'AAAA', otp: 'too long' }])
    assert.equal((await anybody('PUT', 'sys/decode-token', body)).status, 400)
})
