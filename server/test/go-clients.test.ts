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

test("VAULT-2: Terraform's Vault provider plans, applies, finds nothing to change, and destroys", async (t) => {
  const program = await goProgramOrSkip(t, 'terraform-client')
  if (program === undefined) return
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  assert.deepEqual(await runGoProgram(program, url, rootToken), [
    'vault_policy',
    'vault_mount',
    'vault_generic_secret',
    'vault_token_auth_backend_role',
    'vault_token',
    'vault_auth_backend',
    'vault_generic_endpoint',
    'vault_generic_endpoint',
    'vault_approle_auth_backend_role_secret_id',
    'vault_approle_auth_backend_login',
    'vault_generic_endpoint',
    'vault_identity_entity',
    'vault_identity_group',
    'vault_jwt_auth_backend',
    'vault_pki_secret_backend',
    'vault_pki_secret_backend_root_cert',
    'vault_pki_secret_backend_role',
    'vault_pki_secret_backend_cert',
    'vault_ssh_secret_backend_ca',
    'destroyed',
  ])
})
