import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callerOf, openUnsealedVault } from '../../test/support/vault-server.ts'
import { Secret } from '../core/index.ts'

const rules = `
path "secret/data/*" { capabilities = ["read", "create", "update", "delete"] }
path "secret/data/foo" { capabilities = ["deny"] }
path "sys/*" { capabilities = ["read", "create", "update", "delete", "list", "sudo"] }
path "sys/policies/acl/strict" { capabilities = ["deny"] }
path "sys/mounts/plain" { capabilities = ["deny"] }
path "sys/seal" { capabilities = ["deny"] }
path "transit/*" { capabilities = ["read", "create", "update"] }
path "transit/keys/x" { capabilities = ["deny"] }
path "auth/+/users/*" { capabilities = ["read", "create", "update", "delete"] }
path "auth/userpass/users/ada" { capabilities = ["deny"] }
path "auth/+/role/*" { capabilities = ["read", "create", "update", "delete"] }
path "auth/approle/role/web" { capabilities = ["deny"] }
path "identity/*" { capabilities = ["read", "create", "update", "delete"] }
path "identity/entity/name/ada" { capabilities = ["deny"] }
`

/** Other ways to write what is denied: by a slash at the end, and by other letters where they mean the same. */
const spellings = [
  ['sys/policies/acl/strict/', 'sys/policies/acl/Strict'],
  ['sys/mounts/plain/'],
  ['sys/seal/'],
  ['transit/keys/x/'],
  ['secret/data/foo/'],
  ['auth/userpass/users/ada/', 'auth/userpass/users/Ada'],
  ['auth/approle/role/web/', 'auth/approle/role/Web'],
  ['identity/entity/name/ada/', 'identity/entity/name/Ada'],
].flat()

test('VAULT-2: what is denied is denied however it is written', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await root('POST', 'sys/mounts/plain', { type: 'kv' })
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  await root('POST', 'transit/keys/x')
  await root('POST', 'sys/auth/userpass', { type: 'userpass' })
  await root('POST', 'auth/userpass/users/ada', { password: 'of a test' })
  await root('POST', 'sys/auth/approle', { type: 'approle' })
  await root('POST', 'auth/approle/role/web', { token_ttl: '1h' })
  await root('POST', 'identity/entity', { name: 'ada' })
  await root('POST', 'secret/data/foo', { data: { a: 1 } })
  await root('PUT', 'sys/policies/acl/strict', { policy: rules })
  const made = await root('POST', 'auth/token/create', { policies: ['strict'] })
  const token = String((made.body['auth'] as { client_token: string }).client_token)
  const call = callerOf(vault, token)

  const body = { policy: 'path "*" { capabilities = ["sudo"] }', password: 'another', data: { a: 2 } }
  const before = await root('GET', 'sys/policies/acl/strict')
  for (const path of spellings)
    for (const method of ['GET', 'POST', 'DELETE'] as const) {
      const { status } = await call(method, path, method === 'POST' ? body : undefined)
      // A slash at the end of what is written is refused in Vault's words before anybody is asked who they are.
      assert.equal(status, method === 'POST' && path.endsWith('/') ? 400 : 403, `${method} ${path}`)
      const question = { method, path: path.replace(/\/$/, '') }
      const { allowed } = await vault.explain({ kind: 'token', token: new Secret(token) }, question, false)
      assert.equal(allowed, false, `explained: ${method} ${path}`)
    }
  assert.deepEqual((await root('GET', 'sys/policies/acl/strict')).body['data'], before.body['data'])
  assert.equal((await root('GET', 'sys/mounts')).status, 200)
  assert.equal((await root('GET', 'transit/keys/x')).status, 200)
  assert.equal((await root('GET', 'auth/userpass/users/ada')).status, 200)
  assert.equal((await root('GET', 'auth/approle/role/web')).status, 200)
  assert.equal((await root('GET', 'identity/entity/name/ada')).status, 200)
})

test('VAULT-2: letters make a difference where names have them, and nothing is allowed by another spelling', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await root('POST', 'secret/data/Foo', { data: { a: 1 } })
  await root('POST', 'sys/auth/userpass', { type: 'userpass' })
  await root('POST', 'auth/userpass/users/ada', { password: 'of a test' })
  const policy = `${rules}path "auth/userpass/users/*" { capabilities = ["deny"] }
path "auth/userpass/users/bob" { capabilities = ["read"] }`
  await root('PUT', 'sys/policies/acl/strict', { policy })
  const made = await root('POST', 'auth/token/create', { policies: ['strict'] })
  const call = callerOf(vault, String((made.body['auth'] as { client_token: string }).client_token))
  assert.equal((await call('GET', 'secret/data/Foo')).status, 200)
  assert.equal((await call('GET', 'secret/data/foo')).status, 403)
  assert.equal((await call('GET', 'auth/userpass/users/Bob')).status, 403)
})
