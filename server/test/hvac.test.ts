// Keyward's vault as Python programs see it: the real hvac against the dialect over HTTP.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hvacOrSkip, runHvac } from './support/hvac.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'

test('VAULT-2: hvac works with the vault', async (t) => {
  const packages = await hvacOrSkip(t)
  if (packages === undefined) return
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const printed = await runHvac(packages, 'hvac_client.py', url, rootToken)
  assert.deepEqual(printed.trim().split('\n'), [
    'status',
    'kv_2',
    'kv_1',
    'policies',
    'approle',
    'userpass',
    'wrapping',
    'token_roles',
  ])
})
