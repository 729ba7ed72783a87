import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tokenFrom } from '../../test/support/ledger.ts'
import { callerOf, openUnsealedVault } from '../../test/support/vault-server.ts'
import { sql } from '../store/index.ts'

test('VAULT-2: all tokens that are due end, however many', async (t) => {
  const { vault, rootToken, clock, store } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await Promise.all(Array.from({ length: 450 }, () => tokenFrom(root, { policies: ['default'], ttl: '1m' })))
  clock.advance(30_000)
  const kept = await tokenFrom(root, { policies: ['default'], ttl: '1h' })
  clock.set(new Date(clock.now().getTime() + 31_000))
  await vault.expireTokens()
  const left = await store.get<{ n: number }>(sql`select count(*) as n from vault_tokens`)
  assert.equal(Number(left?.n), 2)
  assert.equal((await callerOf(vault, kept.token)('GET', 'auth/token/lookup-self')).status, 200)
})

test('VAULT-2: a token that is damaged keeps no other from ending', async (t) => {
  const { vault, rootToken, clock, store } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await tokenFrom(root, { policies: ['default'], ttl: '1m' })
  await store.write((tx) => tx.run(sql`update vault_tokens set expires_at = 1 where expires_at is not null`))
  await tokenFrom(root, { policies: ['default'], ttl: '1m' })
  clock.set(new Date(clock.now().getTime() + 61_000))
  await vault.expireTokens()
  const left = await store.all<{ at: number | null }>(sql`select expires_at as at from vault_tokens`)
  assert.deepEqual(left.map(({ at }) => at).sort(), [1, null])
})
