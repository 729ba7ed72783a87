import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, statSync, truncateSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openUnsealedVault, openVault } from '../../../test/support/vault-server.ts'
import { Secret, systemPrincipal } from '../../core/index.ts'

const shamir = (shares: number, threshold: number) => ({ seal: 'shamir', shares, threshold }) as const
const by = systemPrincipal('test')

for (const [shares, threshold] of [
  [1, 1],
  [2, 2],
  [5, 3],
  [255, 2],
] as const)
  test(`VAULT-1: any ${threshold} of ${shares} shares unseal`, async (t) => {
    const { vault } = await openVault(t)
    const made = await vault.initialise(shamir(shares, threshold))
    assert.equal(made.shares.length, shares)
    assert.equal(vault.status().sealed, true)
    const chosen = made.shares.slice(-threshold)
    for (const [i, share] of chosen.entries()) {
      assert.equal(vault.status().progress, i)
      await vault.unseal(share)
    }
    assert.deepEqual([vault.status().sealed, vault.status().progress], [false, 0])
  })

for (const [shares, threshold] of [
  [0, 0],
  [1, 2],
  [3, 1],
  [256, 2],
  [2, 0],
  [2.5, 2],
] as const)
  test(`VAULT-1: ${threshold} of ${shares} shares is refused`, async (t) => {
    const { vault } = await openVault(t)
    await assert.rejects(vault.initialise(shamir(shares, threshold)), { code: 'request.invalid' })
    assert.equal(vault.status().initialised, false)
  })

test('VAULT-1: the same share twice counts once, and reset forgets', async (t) => {
  const { vault, shares } = await openUnsealedVault(t, { seal: shamir(3, 2) })
  await vault.seal(by)
  const [one = ''] = shares
  await vault.unseal(new Secret(one))
  assert.equal((await vault.unseal(new Secret(one))).progress, 1)
  const reset = await vault.handle({
    method: 'PUT',
    path: 'sys/unseal',
    query: {},
    token: undefined,
    body: new Secret('{"reset":true}'),
  })
  assert.match(reset.body?.reveal() ?? '', /"progress":0,"nonce":""/)
})

test('VAULT-1: a wrong share, and shares of another vault, end the attempt and open nothing', async (t) => {
  const { vault, shares } = await openUnsealedVault(t, { seal: shamir(3, 2) })
  const foreign = await openUnsealedVault(t, { seal: shamir(3, 2) })
  await vault.seal(by)
  for (const wrong of [randomBytes(33).toString('hex'), foreign.shares[0] ?? '']) {
    await vault.unseal(new Secret(shares[0] ?? ''))
    await assert.rejects(vault.unseal(new Secret(wrong)), { code: 'vault.share_invalid' })
    assert.deepEqual([vault.status().sealed, vault.status().progress], [true, 0])
  }
  for (const malformed of ['zz!', '', randomBytes(10).toString('hex')])
    await assert.rejects(vault.unseal(new Secret(malformed)), { code: 'vault.share_invalid' })
  await vault.unseal(new Secret(shares[1] ?? ''))
  const base64 = Buffer.from(shares[2] ?? '', 'hex').toString('base64')
  assert.equal((await vault.unseal(new Secret(base64))).sealed, false)
})

test('VAULT-1: a vault is initialised once', async (t) => {
  const { vault } = await openUnsealedVault(t)
  await assert.rejects(vault.initialise({ seal: 'keyfile' }), { code: 'vault.already_initialised' })
  assert.equal(vault.status().sealed, false)
})

test('VAULT-1: a vault that was never initialised says so', async (t) => {
  const { vault } = await openVault(t)
  await assert.rejects(vault.unseal(new Secret('00'.repeat(32))), { code: 'vault.uninitialised' })
  await assert.rejects(vault.unsealByItself(), { code: 'vault.uninitialised' })
})

test('VAULT-1: sealed, nothing is read, written or believed', async (t) => {
  const { vault, store, rootToken } = await openUnsealedVault(t)
  await store.write((tx) => vault.kv.write(tx, 'secret/a', { value: new Secret('x') }))
  await vault.seal(by)
  await assert.rejects(vault.kv.read('secret/a'), { code: 'vault.sealed' })
  await assert.rejects(vault.sealed.list(''), { code: 'vault.sealed' })
  await assert.rejects(
    store.write((tx) => vault.sealed.put(tx, 'a', Buffer.from('x'))),
    { code: 'vault.sealed' },
  )
  assert.equal(await vault.principalOf(rootToken), undefined)
  const request = {
    method: 'GET',
    path: 'secret/data/a',
    query: {},
    token: new Secret(rootToken),
    body: undefined,
  } as const
  const answer = await vault.handle(request)
  assert.deepEqual([answer.status, answer.body?.reveal()], [503, '{"errors":["Vault is sealed"]}\n'])
})

test('VAULT-1: the key file opens the vault again after a restart', async (t) => {
  const first = await openUnsealedVault(t)
  await first.store.write((tx) => first.vault.kv.write(tx, 'secret/a', { value: new Secret('kept') }))
  first.vault.close()
  await first.vault.load()
  assert.deepEqual([first.vault.status().initialised, first.vault.status().sealed], [true, true])
  await first.vault.unsealByItself()
  assert.equal((await first.vault.kv.read('secret/a'))?.data['value']?.reveal(), 'kept')
})

test('VAULT-1: the key file is 32 bytes for its owner only, and a wider one is refused', async (t) => {
  const { vault, dataDir } = await openUnsealedVault(t)
  const path = join(dataDir, 'unseal.key')
  assert.deepEqual([statSync(path).size, statSync(path).mode & 0o777], [32, 0o600])
  assert.equal(existsSync(`${path}.new`), false)
  vault.close()
  chmodSync(path, 0o640)
  await assert.rejects(vault.unsealByItself(), (error: { detail?: string }) =>
    /chmod 600/.test(error.detail ?? ''),
  )
  chmodSync(path, 0o600)
  truncateSync(path, 31)
  await assert.rejects(vault.unsealByItself(), { code: 'vault.share_invalid' })
  unlinkSync(path)
  await assert.rejects(vault.unsealByItself(), { code: 'vault.share_invalid' })
})

test('VAULT-1: an initialisation that fails after the key file was made can be repeated', async (t) => {
  const { vault, store, dataDir } = await openVault(t)
  const original = store.write
  store.write = () => Promise.reject(new Error('disk gone'))
  await assert.rejects(vault.initialise({ seal: 'keyfile' }), /disk gone/)
  store.write = original
  const key = readFileSync(join(dataDir, 'unseal.key'))
  assert.deepEqual([vault.status().initialised, vault.status().sealed], [false, true])
  await vault.initialise({ seal: 'keyfile' })
  assert.deepEqual(readFileSync(join(dataDir, 'unseal.key')), key)
})

test('VAULT-1: rotation while requests run loses nothing', async (t) => {
  const { vault, store, rootToken } = await openUnsealedVault(t)
  const rotate = (): Promise<unknown> =>
    vault.handle({
      method: 'PUT',
      path: 'sys/rotate',
      query: {},
      token: new Secret(rootToken),
      body: undefined,
    })
  const write = (i: number): Promise<unknown> =>
    store.write((tx) => vault.kv.write(tx, `secret/r/${i}`, { value: new Secret(`v${i}`) }))
  await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 8 === 3 ? rotate() : write(i))))
  vault.close()
  await vault.unsealByItself()
  for (let i = 0; i < 40; i++) {
    if (i % 8 !== 3) assert.equal((await vault.kv.read(`secret/r/${i}`))?.data['value']?.reveal(), `v${i}`)
  }
  const status = await vault.handle({
    method: 'GET',
    path: 'sys/key-status',
    query: {},
    token: new Secret(rootToken),
    body: undefined,
  })
  assert.equal(JSON.parse(status.body?.reveal() ?? '{}').term, 6)
})
