import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openWorld } from '../../../test/support/world.ts'
import { createBarrier } from '../barrier/barrier.ts'
import { encrypt } from '../barrier/cipher.ts'
import { createKeyRing } from '../barrier/key-ring.ts'
import { keyRingContext } from '../barrier/stored-ring.ts'
import { putKey, vaultMigrations } from '../vault-store.ts'
import { createLockouts } from './lockouts.ts'

test('VAULT-2: names that are made up and locked do not fill the storage', async (t) => {
  const { store, clock } = await openWorld(t, vaultMigrations)
  const rootKey = randomBytes(32)
  const ring = createKeyRing(clock.now())
  await store.write((tx) => putKey(tx, 'keyring', encrypt(rootKey, 0, keyRingContext, ring.toBytes())))
  const barrier = createBarrier({ store, now: clock.now })
  barrier.open(ring, rootKey)
  const lockouts = createLockouts({ clock, store, barrier, mostUsers: 3 })
  const settings = { threshold: 1, durationSeconds: 900, resetSeconds: 900, disabled: false }
  const guess = (name: string) =>
    lockouts.attempt({ mountAccessor: 'auth_x', name }, settings, async () => undefined)
  for (let i = 0; i < 8; i++) assert.equal(await guess(`name-${i}`), undefined)
  const kept = ['name-5', 'name-6', 'name-7']
  assert.deepEqual(
    lockouts
      .locked()
      .map(({ name }) => name)
      .sort(),
    kept,
  )
  assert.deepEqual((await barrier.list('sys/lockout/auth_x/')).sort(), kept)
  for (const name of kept) await assert.rejects(guess(name), { code: 'policy.denied' })
  // Who was forgotten is locked again as anybody is.
  await guess('name-0')
  await assert.rejects(guess('name-0'), { code: 'policy.denied' })
  await lockouts.load()
  assert.deepEqual(
    lockouts
      .locked()
      .map(({ name }) => name)
      .sort(),
    ['name-0', 'name-6', 'name-7'],
  )
})
