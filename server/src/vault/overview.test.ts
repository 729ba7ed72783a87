import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authOf } from '../../test/support/vault-auth.ts'
import { callerOf, openUnsealedVault } from '../../test/support/vault-server.ts'
import { systemPrincipal } from '../core/index.ts'

test('VAULT-2: tokens are listed page by page, each once, and those that have ended not', async (t) => {
  const { vault, rootToken, clock } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  const made: string[] = []
  for (let i = 0; i < 7; i++) {
    const auth = authOf(
      await root('POST', 'auth/token/create', { policies: ['a'], ttl: i < 2 ? '1s' : '1h' }),
    )
    if (i >= 2) made.push(String(auth['accessor']))
  }
  clock.advance(2000)
  const seen: string[] = []
  let pages = 0
  for (let cursor: string | undefined; ; pages++) {
    const { items, next } = await vault.overview.tokens({ cursor, limit: 3 })
    assert.ok(items.length <= 3)
    seen.push(...items.filter(({ path }) => path === 'auth/token/create').map(({ accessor }) => accessor))
    if (next === null) break
    cursor = next
  }
  assert.ok(pages >= 1)
  assert.deepEqual(seen.sort(), made.sort())
  await assert.rejects(vault.overview.tokens({ cursor: 'x', limit: 3 }), { code: 'request.invalid' })
})

test('VAULT-2: of a sealed vault nothing is shown', async (t) => {
  const { vault } = await openUnsealedVault(t)
  await vault.seal(systemPrincipal('test'))
  const { mounts, mountTypes, key, policyNames, policyText, tokens } = vault.overview
  for (const look of [mounts, mountTypes, key]) assert.throws(look, { code: 'vault.sealed' })
  for (const look of [
    policyNames,
    () => policyText('default'),
    () => tokens({ cursor: undefined, limit: 1 }),
  ])
    await assert.rejects(look, { code: 'vault.sealed' })
})
