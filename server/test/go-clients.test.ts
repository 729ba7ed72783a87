// Keyward's vault as Go programs see it: the client modules of HashiCorp Vault and of OpenBao, and Terraform's provider.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goProgramOrSkip, runGoProgram } from './support/go.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'

test('VAULT-2: the Go clients of HashiCorp Vault and of OpenBao work with the vault', async (t) => {
  const program = await goProgramOrSkip(t, 'go-client')
  if (program === undefined) return
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  assert.deepEqual(await runGoProgram(program, url, rootToken), [
    'status',
    'kv_2',
    'kv_1',
    'policies',
    'tokens',
    'lifetime',
    'approle',
    'userpass',
    'wrapping',
    'transit',
    'refusals',
    'openbao',
  ])
})
