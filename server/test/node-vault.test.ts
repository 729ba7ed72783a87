// Keyward's vault as Node programs see it: the real node-vault against the dialect over HTTP.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import nodeVault from 'node-vault'
import { openUnsealedVault, openVault, serveVault } from './support/vault-server.ts'

type Answer = Record<string, Record<string, unknown>>

const generated = (): string => `test-${randomBytes(12).toString('hex')}`

async function setup(t: TestContext) {
  const world = await openUnsealedVault(t)
  const { url: endpoint } = await serveVault(t, world.vault)
  const as = (token?: string) => nodeVault({ endpoint, ...(token ? { token } : {}) })
  return { ...world, as, root: as(world.rootToken) }
}

/** What node-vault throws: the words of the answer, and its status. */
const refusedWith = (status: number, words: RegExp) => (error: unknown) => {
  const { message, response } = error as { message: string; response?: { statusCode: number } }
  assert.match(message, words)
  assert.equal(response?.statusCode, status)
  return true
}

test('VAULT-2: node-vault reads and writes KV of both versions, and cubbyhole', async (t) => {
  const { root } = await setup(t)
  const value = generated()
  await root.write('secret/data/shop', { data: { key: value } })
  const read = (await root.read('secret/data/shop')) as Answer
  assert.deepEqual(read['data']?.['data'], { key: value })
  await root.mount({ mount_point: 'old', type: 'kv', options: { version: '1' } })
  await root.write('old/a/b', { key: value })
  assert.deepEqual(((await root.read('old/a/b')) as Answer)['data'], { key: value })
  assert.deepEqual(((await root.list('old/a')) as Answer)['data'], { keys: ['b'] })
  await root.delete('old/a/b')
  await assert.rejects(root.read('old/a/b'), refusedWith(404, /404/))
  await root.write('cubbyhole/a', { n: 1 })
  assert.deepEqual(((await root.read('cubbyhole/a')) as Answer)['data'], { n: 1 })
  assert.ok('old/' in ((await root.mounts()) as object))
  await root.unmount({ mount_point: 'old' })
  assert.equal('old/' in ((await root.mounts()) as object), false)
})

test('VAULT-2: node-vault makes policies and tokens, and what is not allowed is refused', async (t) => {
  const { root, as, rootToken } = await setup(t)
  await root.addPolicy({ name: 'shop', rules: 'path "secret/data/shop" { capabilities = ["read"] }' })
  assert.ok(((await root.policies()) as unknown as { policies: string[] }).policies.includes('shop'))
  await root.write('secret/data/shop', { data: { n: 1 } })
  const made = (await root.tokenCreate({ policies: ['shop'], ttl: '1h', renewable: true })) as Answer
  // node-vault goes on with the token that it has made.
  root.token = rootToken
  const child = as(String(made['auth']?.['client_token']))
  assert.deepEqual(((await child.read('secret/data/shop')) as Answer)['data']?.['data'], { n: 1 })
  await assert.rejects(child.write('secret/data/shop', { data: {} }), refusedWith(403, /permission denied/))
  const self = (await child.tokenLookupSelf()) as Answer
  assert.deepEqual(self['data']?.['policies'], ['default', 'shop'])
  await child.tokenRenewSelf({ increment: '30m' })
  await root.tokenRevokeAccessor({ accessor: self['data']?.['accessor'] })
  await assert.rejects(child.tokenLookupSelf(), refusedWith(403, /permission denied/))
})

test('VAULT-2: node-vault signs in by AppRole and by name, and unwraps', async (t) => {
  const { root, as } = await setup(t)
  await root.enableAuth({ mount_point: 'approle', type: 'approle' })
  await root.addApproleRole({ role_name: 'shop', token_policies: 'default', token_ttl: 1200 })
  const { data: id } = (await root.getApproleRoleId({ role_name: 'shop' })) as Answer
  const { data: secret } = (await root.getApproleRoleSecret({ role_name: 'shop' })) as Answer
  const client = as()
  const login = (await client.approleLogin({
    role_id: id?.['role_id'],
    secret_id: secret?.['secret_id'],
  })) as Answer
  assert.equal(client.token, login['auth']?.['client_token'])
  assert.deepEqual(((await client.tokenLookupSelf()) as Answer)['data']?.['policies'], ['default'])

  await root.enableAuth({ mount_point: 'userpass', type: 'userpass' })
  const password = generated()
  await root.write('auth/userpass/users/ada', { password })
  const person = as()
  await person.userpassLogin({ username: 'ada', password })
  assert.equal(((await person.tokenLookupSelf()) as Answer)['data']?.['display_name'], 'userpass-ada')
  await assert.rejects(
    as().userpassLogin({ username: 'ada', password: 'wrong' }),
    refusedWith(400, /invalid/),
  )

  const wrapped = (await root.write(
    'sys/wrapping/wrap',
    { note: password },
    { headers: { 'X-Vault-Wrap-TTL': '60s' } },
  )) as Answer
  const unwrapped = (await as(String(wrapped['wrap_info']?.['token'])).unwrap()) as Answer
  assert.deepEqual(unwrapped['data'], { note: password })
})

test('VAULT-4: node-vault encrypts and decrypts with a key of transit', async (t) => {
  const { root } = await setup(t)
  await root.mount({ mount_point: 'transit', type: 'transit' })
  await root.write('transit/keys/shop', {})
  const plaintext = Buffer.from(generated()).toString('base64')
  const sealed = (await root.encryptData({ name: 'shop', plaintext })) as Answer
  const opened = (await root.decryptData({
    name: 'shop',
    ciphertext: sealed['data']?.['ciphertext'],
  })) as Answer
  assert.equal(opened['data']?.['plaintext'], plaintext)
})

test('VAULT-1: node-vault initialises, unseals and seals, and asks for health', async (t) => {
  const { vault } = await openVault(t)
  const { url: endpoint } = await serveVault(t, vault)
  const client = nodeVault({ endpoint })
  assert.deepEqual(await client.initialized(), { initialized: false })
  const made = (await client.init({ secret_shares: 2, secret_threshold: 2 })) as unknown as {
    keys: string[]
    root_token: string
  }
  for (const key of made.keys) await client.unseal({ key })
  assert.equal(((await client.status()) as unknown as { sealed: boolean }).sealed, false)
  client.token = made.root_token
  assert.equal(((await client.health()) as unknown as { sealed: boolean }).sealed, false)
  await client.seal()
  await assert.rejects(client.read('secret/data/a'), refusedWith(503, /Vault is sealed/))
})
