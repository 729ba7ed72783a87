import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authOf, dataOf, openAuth } from '../../../../test/support/vault-auth.ts'

type Fields = Record<string, unknown>

test('VAULT-2: auth methods are enabled, listed, read, tuned and disabled', async (t) => {
  const { root } = await openAuth(t, 'approle', { description: 'machines', config: { max_lease_ttl: '2h' } })
  const list = await root('GET', 'sys/auth')
  const machines = dataOf(list)['approle/'] as Fields
  assert.deepEqual(machines, list.body['approle/'])
  assert.deepEqual([machines['type'], machines['description']], ['approle', 'machines'])
  assert.match(String(machines['accessor']), /^auth_approle_[0-9a-f]{8}$/)
  assert.deepEqual(machines['config'], {
    default_lease_ttl: 0,
    max_lease_ttl: 7200,
    force_no_cache: false,
    token_type: 'default-service',
  })
  assert.deepEqual(Object.keys(dataOf(list)).sort(), ['approle/', 'token/'])
  assert.equal('approle/' in dataOf(await root('GET', 'sys/mounts')), false)
  assert.deepEqual(dataOf(await root('GET', 'sys/auth/approle'))['uuid'], machines['uuid'])

  const tuned = {
    default_lease_ttl: '1h',
    description: 'm',
    listing_visibility: 'unauth',
    token_type: 'default-batch',
  }
  assert.equal((await root('POST', 'sys/auth/approle/tune', tuned)).status, 204)
  assert.deepEqual(dataOf(await root('GET', 'sys/auth/approle/tune')), {
    default_lease_ttl: 3600,
    max_lease_ttl: 7200,
    force_no_cache: false,
    description: 'm',
    listing_visibility: 'unauth',
    token_type: 'default-batch',
  })
  await root('POST', 'sys/auth/approle/tune', { max_lease_ttl: -1, default_lease_ttl: 'system' })
  assert.equal(dataOf(await root('GET', 'sys/auth/approle/tune'))['max_lease_ttl'], 768 * 3600)
  const both = await root('GET', 'sys/mounts/auth/approle/tune')
  assert.deepEqual(dataOf(both), dataOf(await root('GET', 'sys/auth/approle/tune')))
  assert.equal((await root('POST', 'sys/mounts/auth/approle/tune', { description: 'n' })).status, 204)
  assert.equal(dataOf(await root('GET', 'sys/auth/approle'))['description'], 'n')
  // Terraform's provider reads an auth method here.
  assert.equal(dataOf(await root('GET', 'sys/mounts/auth/approle'))['type'], 'approle')
  assert.equal((await root('DELETE', 'sys/mounts/auth/approle')).status, 405)
  assert.equal((await root('DELETE', 'sys/auth/approle/')).status, 204)
  assert.equal((await root('DELETE', 'sys/auth/approle')).status, 204)
  assert.equal((await root('GET', 'sys/auth/approle')).status, 400)
})

test('VAULT-2: what cannot be an auth method is refused', async (t) => {
  const { root } = await openAuth(t, 'approle')
  for (const [path, body] of [
    ['sys/auth/approle', { type: 'approle' }],
    ['sys/auth/approle/x', { type: 'approle' }],
    ['sys/auth/token', { type: 'approle' }],
    ['sys/auth/x', { type: 'kv' }],
    ['sys/auth/x', { type: 'toString' }],
    ['sys/auth/x', {}],
    ['sys/auth/x', { type: 'approle', config: { token_type: 'magic' } }],
    ['sys/auth/x', { type: 'approle', config: { default_lease_ttl: '2h', max_lease_ttl: '1h' } }],
    ['sys/auth/approle/tune', { listing_visibility: 'loud' }],
    ['sys/auth/none/tune', { description: 'x' }],
    ['sys/mounts/auth/x', { type: 'approle' }],
    ['sys/mounts/auth/x', { type: 'kv' }],
    ['sys/mounts/auth', { type: 'kv' }],
    ['sys/mounts/x', { type: 'approle' }],
  ] as const)
    assert.equal((await root('POST', path, body)).status, 400, `${path} ${JSON.stringify(body)}`)
  assert.equal((await root('DELETE', 'sys/auth/token')).status, 400)
})

test('VAULT-2: two mounts of one method know nothing of each other', async (t) => {
  const { root, anybody } = await openAuth(t, 'approle')
  await root('POST', 'sys/auth/team/apps', { type: 'approle' })
  for (const mount of ['approle', 'team/apps'])
    await root('POST', `auth/${mount}/role/r`, { role_id: 'same' })
  const secretId = dataOf(await root('POST', 'auth/team/apps/role/r/secret-id'))['secret_id']
  const login = (mount: string) =>
    anybody('POST', `auth/${mount}/login`, { role_id: 'same', secret_id: secretId })
  assert.equal((await login('approle')).status, 400)
  const reply = await login('team/apps')
  assert.equal(reply.status, 200)
  const self = dataOf(await root('POST', 'auth/token/lookup', { token: authOf(reply)['client_token'] }))
  assert.equal(self['display_name'], 'team-apps')
})

test('IDENT-3: enabling an auth method needs sudo', async (t) => {
  const { root, callWith } = await openAuth(t, 'approle')
  for (const [rules, status] of [
    ['"update"', 403],
    ['"update", "sudo"', 204],
  ] as const) {
    await root('PUT', 'sys/policies/acl/p', { policy: `path "sys/auth/*" { capabilities = [${rules}] }` })
    const call = callWith(authOf(await root('POST', 'auth/token/create', { policies: ['p'] })))
    assert.equal((await call('POST', 'sys/auth/new', { type: 'approle' })).status, status)
  }
})

test('VAULT-2: capabilities of another token, by itself and by accessor', async (t) => {
  const { root } = await openAuth(t, 'approle')
  await root('PUT', 'sys/policies/acl/p', {
    policy: 'path "secret/data/*" { capabilities = ["read", "list"] }',
  })
  const auth = authOf(await root('POST', 'auth/token/create', { policies: ['p'] }))
  const paths = ['secret/data/a', 'sys/mounts']
  const expected = { 'secret/data/a': ['list', 'read'], 'sys/mounts': ['deny'] }
  assert.deepEqual(
    dataOf(await root('POST', 'sys/capabilities', { token: auth['client_token'], paths })),
    expected,
  )
  assert.deepEqual(
    dataOf(await root('POST', 'sys/capabilities-accessor', { accessor: auth['accessor'], paths })),
    expected,
  )
  assert.equal((await root('POST', 'sys/capabilities', { token: 'nobody', paths })).status, 400)
  assert.equal((await root('POST', 'sys/capabilities', { paths })).status, 400)
})

test('VAULT-2: the token method is tuned, and its limits are those of new tokens', async (t) => {
  const { root } = await openAuth(t, 'approle')
  const settings = { default_lease_ttl: '1h', max_lease_ttl: '2h', description: 'tuned' }
  assert.equal((await root('POST', 'sys/auth/token/tune', settings)).status, 204)
  const tuned = dataOf(await root('GET', 'sys/auth/token/tune'))
  assert.deepEqual([tuned['default_lease_ttl'], tuned['max_lease_ttl']], [3600, 7200])
  assert.equal(dataOf(await root('GET', 'sys/auth/token'))['description'], 'tuned')
  const made = authOf(await root('POST', 'auth/token/create', { policies: ['default'] }))
  assert.equal(made['lease_duration'], 3600)
  const long = authOf(await root('POST', 'auth/token/create', { policies: ['default'], ttl: '9h' }))
  assert.equal(long['lease_duration'], 7200)
  // The other mounts that are always there have nothing to tune.
  assert.equal((await root('POST', 'sys/mounts/cubbyhole/tune', settings)).status, 400)
})
