import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hvacOrSkip, runHvac } from './support/hvac.ts'
import { openVault, serveVault } from './support/vault-server.ts'

test('VAULT-1: hvac initialises, opens, rekeys, rotates and seals a vault, and makes a root token', async (t) => {
  const packages = await hvacOrSkip(t)
  if (packages === undefined) return
  const { vault } = await openVault(t)
  const { url } = await serveVault(t, vault)
  assert.equal((await runHvac(packages, 'hvac_operator.py', url, '')).trim(), 'done')
})
