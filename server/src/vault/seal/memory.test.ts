import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openSealWorld } from '../../../test/support/sealed-vault.ts'
import { callerOf } from '../../../test/support/vault-server.ts'
import { systemPrincipal } from '../../core/index.ts'
import { sql } from '../../store/index.ts'
import type { KeyWrapper } from './key-wrapper.ts'

/** A service that keeps what it was given, as it was given: the very memory. */
function watchingWrapper() {
  const seen: Buffer[] = []
  const pad = randomBytes(32)
  const xor = (bytes: Uint8Array): Buffer => Buffer.from(bytes.map((byte, i) => byte ^ (pad[i] ?? 0)))
  const wrapper: KeyWrapper = {
    kind: 'transit',
    async wrap(rootKey) {
      seen.push(rootKey)
      return xor(rootKey)
    },
    async unwrap(wrapped) {
      const rootKey = xor(wrapped)
      seen.push(rootKey)
      return rootKey
    },
  }
  const isWiped = (at: number): boolean => seen[at]?.equals(Buffer.alloc(32)) ?? false
  return { wrapper, seen, isWiped }
}

test('OPS-4: a root key is wiped when the vault is sealed and when another takes its place', async (t) => {
  const { wrapper, seen, isWiped } = watchingWrapper()
  const { start } = await openSealWorld(t)
  const vault = await start({ seal: 'transit', wrappers: [wrapper] })
  const made = (await callerOf(vault)('PUT', 'sys/init', {})).body
  assert.equal(isWiped(0), false)
  await vault.seal(systemPrincipal('test'))
  assert.equal(isWiped(0), true, 'sealed')

  const again = await start({ seal: 'transit', wrappers: [wrapper] })
  assert.equal(isWiped(1), false)
  assert.equal((await callerOf(again, String(made['root_token']))('PUT', 'sys/rotate/root')).status, 204)
  assert.deepEqual([seen.length, isWiped(1), isWiped(2)], [3, true, false], 'replaced')
  again.close()
  assert.equal(isWiped(2), true, 'closed')
})

test('OPS-4: a root key that opens nothing is wiped at once', async (t) => {
  const { wrapper, isWiped } = watchingWrapper()
  const { start, store } = await openSealWorld(t)
  await callerOf(await start({ seal: 'transit', wrappers: [wrapper] }))('PUT', 'sys/init', {})
  await store.write((tx) => tx.run(sql`update vault_keys set value = x'0102' where id = 'keyring'`))
  const vault = await start({ seal: 'transit', wrappers: [wrapper] })
  assert.deepEqual([vault.status().sealed, isWiped(1)], [true, true])
})

test('VAULT-1: a service that would not open the vault again is told while the vault is open', async (t) => {
  const { wrapper } = watchingWrapper()
  let problem: string | undefined
  const { start } = await openSealWorld(t)
  const vault = await start({ seal: 'transit', wrappers: [{ ...wrapper, problem: () => problem }] })
  await callerOf(vault)('PUT', 'sys/init', {})
  assert.deepEqual([vault.status().sealed, vault.status().problem], [false, undefined])
  problem = 'the token cannot be renewed'
  assert.deepEqual([vault.status().sealed, vault.status().problem], [false, problem])
})
