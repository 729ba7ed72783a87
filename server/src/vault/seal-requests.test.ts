import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decrypt, generateKey, readMessage } from 'openpgp'
import { callerOf, openUnsealedVault, openVault } from '../../test/support/vault-server.ts'
import { Secret, systemPrincipal } from '../core/index.ts'

const by = systemPrincipal('test')

test('VAULT-2: seal-status and health tell each state, and the codes are those that a load balancer asks for', async (t) => {
  const { vault } = await openVault(t)
  const anybody = callerOf(vault)
  const codes = async (query = ''): Promise<number> => (await anybody('GET', `sys/health${query}`)).status
  const status = async () => (await anybody('GET', 'sys/seal-status')).body
  assert.deepEqual(
    [await codes(), await codes('?uninitcode=299'), (await status())['initialized'], (await status())['n']],
    [501, 299, false, 0],
  )
  const { shares } = await vault.initialise({ seal: 'shamir', shares: 2, threshold: 2 })
  assert.deepEqual([await codes(), await codes('?sealedcode=298&activecode=200')], [503, 298])
  await vault.unseal(shares[0] ?? new Secret(''))
  const half = await status()
  assert.deepEqual([half['sealed'], half['progress'], half['t'], half['n']], [true, 1, 2, 2])
  assert.match(String(half['nonce']), /^[0-9a-f-]{36}$/)
  await vault.unseal(shares[1] ?? new Secret(''))
  const open = await status()
  assert.deepEqual(
    [open['sealed'], open['progress'], open['nonce'], open['migration']],
    [false, 0, '', false],
  )
  assert.deepEqual(
    [await codes('?standbyok=true&perfstandbyok=true&drsecondarycode=472'), await codes('?activecode=203')],
    [200, 203],
  )
  for (const bad of ['?activecode=abc', '?sealedcode=99', '?standbycode=1000', '?standbyok=maybe'])
    assert.equal(await codes(bad), 400, bad)
  const head = await vault.handle({
    method: 'HEAD',
    path: 'sys/health',
    query: {},
    token: undefined,
    body: undefined,
  })
  assert.deepEqual([head.status, head.body], [200, undefined])
})

test('VAULT-2: a vault has a name and an id of its own for ever, and tells them while it is open', async (t) => {
  const { vault, rootToken, shares } = await openUnsealedVault(t, {
    seal: { seal: 'shamir', shares: 1, threshold: 1 },
  })
  const anybody = callerOf(vault)
  const told = async (path: string) => {
    const { cluster_name: name, cluster_id: id } = (await anybody('GET', path)).body
    return { name, id }
  }
  const first = await told('sys/seal-status')
  assert.match(String(first.id), /^[0-9a-f-]{36}$/)
  assert.equal(first.name, `keyward-${String(first.id).slice(0, 8)}`)
  assert.deepEqual(await told('sys/health'), first)
  const settings = await callerOf(vault, rootToken)('GET', 'sys/config/state/sanitized')
  assert.equal((settings.body['data'] as Record<string, unknown>)['cluster_name'], first.name)
  await vault.seal(by)
  for (const path of ['sys/seal-status', 'sys/health'])
    assert.deepEqual(await told(path), { name: undefined, id: undefined })
  await vault.unseal(new Secret(shares[0] ?? ''))
  assert.deepEqual(await told('sys/health'), first)
  const other = await openUnsealedVault(t)
  assert.notEqual((await callerOf(other.vault)('GET', 'sys/health')).body['cluster_id'], first.id)
})

test('VAULT-2: one server is asked for no leader, sealed or not, and gives up nothing', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  assert.equal((await root('PUT', 'sys/step-down')).status, 204)
  assert.equal((await callerOf(vault)('PUT', 'sys/step-down')).status, 403)
  await vault.seal(by)
  const { status, body } = await callerOf(vault)('GET', 'sys/leader')
  assert.deepEqual([status, body['ha_enabled']], [200, false])
})

test('VAULT-2: unseal asks for a key or a reset, and an open vault has nothing to reset', async (t) => {
  const { vault } = await openUnsealedVault(t)
  const anybody = callerOf(vault)
  assert.deepEqual((await anybody('PUT', 'sys/unseal', { reset: true })).body['errors'], [
    'vault is unsealed',
  ])
  assert.match(String((await anybody('PUT', 'sys/unseal', {})).body['errors']), /'key' must be specified/)
  assert.equal((await anybody('DELETE', 'sys/unseal')).status, 405)
  assert.equal((await anybody('GET', 'sys/unseal')).status, 405)
})

test('VAULT-2: init gives shares and the root token to the owners of PGP keys alone', async (t) => {
  const { vault } = await openVault(t)
  const anybody = callerOf(vault)
  const { publicKey, privateKey } = await generateKey({ userIDs: [{ name: 'ada' }], format: 'object' })
  const key = Buffer.from(publicKey.write()).toString('base64')
  const shares = { secret_shares: 1, secret_threshold: 1 }
  for (const bad of [
    { ...shares, pgp_keys: ['AAAA'] },
    { ...shares, pgp_keys: [key, key] },
    { ...shares, root_token_pgp_key: 'AAAA' },
    { ...shares, recovery_shares: 1 },
    { recovery_shares: 1, recovery_threshold: 1 },
  ])
    assert.equal((await anybody('PUT', 'sys/init', bad)).status, 400, JSON.stringify(bad))
  assert.equal(vault.status().initialised, false, 'refused before anything was made')
  const { body } = await anybody('PUT', 'sys/init', { ...shares, pgp_keys: [key], root_token_pgp_key: key })
  const open = async (bytes: Buffer): Promise<string> =>
    String(
      (await decrypt({ message: await readMessage({ binaryMessage: bytes }), decryptionKeys: privateKey }))
        .data,
    )
  const share = await open(Buffer.from(String((body['keys_base64'] as string[])[0]), 'base64'))
  await vault.unseal(new Secret(share))
  const token = await open(Buffer.from(String(body['root_token']), 'base64'))
  assert.equal((await callerOf(vault, token)('GET', 'auth/token/lookup-self')).status, 200)
  const again = await anybody('PUT', 'sys/init', shares)
  assert.deepEqual([again.status, again.body['errors']], [400, ['Vault is already initialized']])
})
