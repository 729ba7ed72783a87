import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'
import { openWorld } from '../../../test/support/world.ts'
import { Secret } from '../../core/index.ts'
import { putKey, vaultMigrations } from '../vault-store.ts'
import { createBarrier } from './barrier.ts'
import { encrypt } from './cipher.ts'
import { createKeyRing } from './key-ring.ts'
import { keyRingContext, readRing } from './stored-ring.ts'

async function openBarrier(t: TestContext) {
  const { store, clock } = await openWorld(t, vaultMigrations)
  const rootKey = randomBytes(32)
  const ring = createKeyRing(clock.now())
  await store.write((tx) => putKey(tx, 'keyring', encrypt(rootKey, 0, keyRingContext, ring.toBytes())))
  const barrier = createBarrier({ store, now: clock.now })
  barrier.open(ring, rootKey)
  const put = (from: number, to: number) =>
    store.write(async (tx) => {
      for (let i = from; i < to; i++) await barrier.put(tx, `folder/${i}`, String(i))
    })
  return { store, barrier, rootKey, put, storedRing: () => readRing(store, rootKey) }
}

test('VAULT-1: a key is replaced before its last permitted encryption, and what it closed still opens', async (t) => {
  const { barrier, put } = await openBarrier(t)
  barrier.limitEncryptions(3000)
  let most = 0
  for (let i = 0; i < 40; i++) {
    await put(i * 50, (i + 1) * 50)
    most = Math.max(most, barrier.encryptions())
  }
  assert.ok(barrier.terms().length >= 2, String(barrier.terms().length))
  assert.ok(most <= 3000, String(most))
  for (const i of [0, 999, 1999]) assert.equal((await barrier.get(`folder/${i}`))?.toString(), String(i))
})

test('VAULT-1: the stored count is never less than the encryptions that were made, names and folders included', async (t) => {
  const { store, barrier, put, storedRing } = await openBarrier(t)
  await put(0, 100)
  assert.ok(barrier.encryptions() >= 200, 'each entry has a value and a name')
  assert.ok((await storedRing()).newest().encryptions >= barrier.encryptions())
  await store.write((tx) => barrier.rotate(tx))
  assert.equal(barrier.encryptions(), 0)
  await put(100, 200)
  const ring = await storedRing()
  assert.equal(ring.newest().term, 2)
  assert.ok(ring.newest().encryptions >= barrier.encryptions(), 'after a rotation too')
})

test('VAULT-1: what a failed transaction reserved is reserved anew', async (t) => {
  const { store, barrier, put, storedRing } = await openBarrier(t)
  const failing = store.write(async (tx) => {
    await barrier.put(tx, 'a', 'x')
    throw new Error('on purpose')
  })
  await assert.rejects(failing, /on purpose/)
  assert.equal((await storedRing()).newest().encryptions, 0)
  await put(0, 10)
  assert.ok((await storedRing()).newest().encryptions >= barrier.encryptions())
})

test('VAULT-1: the count survives a restart', async (t) => {
  const { vault, store, rootToken } = await openUnsealedVault(t)
  const encryptions = async (): Promise<number> => {
    const { body } = await callerOf(vault, rootToken)('GET', 'sys/key-status')
    return Number((body['data'] as { encryptions: number }).encryptions)
  }
  for (let i = 0; i < 20; i++)
    await store.write((tx) => vault.kv.write(tx, `secret/${i}`, { value: new Secret('x') }))
  const before = await encryptions()
  vault.close()
  await vault.unsealByItself()
  assert.ok(before > 20 && (await encryptions()) >= before)
})

test('VAULT-1: a key that is too old is replaced by itself, unless that is switched off', async (t) => {
  const { vault, clock, rootToken, audit } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  const term = async () => (await root('GET', 'sys/key-status')).body['term']
  assert.deepEqual((await root('GET', 'sys/rotate/config')).body['data'], {
    enabled: true,
    interval: 0,
    max_operations: 3_865_470_566,
  })
  clock.advance(86_400_000 * 400)
  await vault.expireTokens()
  assert.equal(await term(), 1)
  await root('PUT', 'sys/rotate/config', { interval: '24h', enabled: false })
  await vault.expireTokens()
  assert.equal(await term(), 1)
  await root('PUT', 'sys/rotate/config', { enabled: true })
  await vault.expireTokens()
  assert.equal(await term(), 2)
  await vault.expireTokens()
  assert.equal(await term(), 2)
  clock.advance(86_400_000)
  await vault.expireTokens()
  assert.equal(await term(), 3)
  const { items } = await audit.page({ limit: 50, order: 'desc' })
  assert.ok(items.some(({ target, actor }) => target === 'path:sys/rotate' && actor === 'system:expiry'))
  for (const body of [{ max_operations: 1 }, { interval: '23h' }, { max_operations: 2 ** 32 }])
    assert.equal((await root('PUT', 'sys/rotate/config', body)).status, 400)
  assert.equal((await callerOf(vault)('GET', 'sys/rotate/config')).status, 403)
})
