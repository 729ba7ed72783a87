import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'
import { Secret } from '../../core/index.ts'
import { sql } from '../../store/index.ts'

type Fields = Record<string, unknown>

async function setup(t: Parameters<typeof openUnsealedVault>[0]) {
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  await root('PUT', 'sys/policies/acl/maker', {
    policy:
      'path "auth/token/create" { capabilities = ["update"] } path "secret/*" { capabilities = ["read"] } path "auth/token/lookup-self" { capabilities = ["read"] }',
  })
  const create = async (fields: Fields, as = root) => {
    const reply = await as('POST', 'auth/token/create', fields)
    const auth = (reply.body['auth'] ?? {}) as Fields
    const token = String(auth['client_token'])
    return { status: reply.status, body: reply.body, auth, token, call: callerOf(world.vault, token) }
  }
  const works = async (token: string): Promise<boolean> =>
    (await world.vault.principalOf(token)) !== undefined
  return { ...world, root, create, works }
}

test('VAULT-2: revoking a token takes its children along, but not an orphan', async (t) => {
  const { root, create, works } = await setup(t)
  const parent = await create({ policies: ['maker'] })
  const child = await create({ policies: ['maker'] }, parent.call)
  const grandchild = await create({ policies: ['default'] }, child.call)
  const orphan = await create({ policies: ['default'], no_parent: true })
  await root('POST', 'auth/token/revoke', { token: parent.token })
  assert.deepEqual(await Promise.all([parent, child, grandchild, orphan].map(({ token }) => works(token))), [
    false,
    false,
    false,
    true,
  ])
})

test('VAULT-2: revoke-orphan leaves the children as orphans', async (t) => {
  const { root, create, works } = await setup(t)
  const parent = await create({ policies: ['maker'] })
  const child = await create({ policies: ['maker'] }, parent.call)
  assert.equal(await works(child.token), true)
  await root('POST', 'auth/token/revoke-orphan', { token: parent.token })
  assert.deepEqual([await works(parent.token), await works(child.token)], [false, true])
})

test('VAULT-2: a token ends on time, and its children no later', async (t) => {
  const { clock, create, works, vault, audit } = await setup(t)
  const parent = await create({ policies: ['maker'], ttl: '1h' })
  const child = await create({ policies: ['maker'], ttl: '10h' }, parent.call)
  clock.advance(3_599_000)
  assert.deepEqual([await works(parent.token), await works(child.token)], [true, true])
  clock.advance(1000)
  assert.deepEqual([await works(parent.token), await works(child.token)], [false, false])
  await vault.expireTokens()
  const { items } = await audit.page({ limit: 10, order: 'desc', type: 'token.revoked' })
  assert.deepEqual(
    items.map(({ actor }) => actor),
    ['system:expiry', 'system:expiry'],
  )
})

test('VAULT-2: renewing prolongs up to the greatest age', async (t) => {
  const { root, clock, create, works } = await setup(t)
  const limited = await create({ policies: ['default'], ttl: 3600, explicit_max_ttl: '90m' })
  clock.advance(3_000_000)
  const renewed = await limited.call('POST', 'auth/token/renew-self', { increment: '1h' })
  assert.equal((renewed.body['auth'] as Fields)['lease_duration'], 2400)
  assert.equal((renewed.body['auth'] as Fields)['client_token'], limited.token)
  clock.advance(2_399_000)
  assert.equal(await works(limited.token), true)
  clock.advance(1000)
  assert.equal(await works(limited.token), false)
  const fixed = await create({ policies: ['default'], ttl: '1h', renewable: false })
  assert.equal((await root('POST', 'auth/token/renew', { token: fixed.token })).status, 400)
})

test('VAULT-2: a periodic token lives as long as it is renewed', async (t) => {
  const { clock, create, works } = await setup(t)
  const periodic = await create({ policies: ['default'], period: '1h' })
  for (let hour = 0; hour < 800; hour += 50) {
    clock.advance(3_500_000)
    assert.equal((await periodic.call('PUT', 'auth/token/renew-self')).status, 200)
  }
  clock.advance(3_600_000)
  assert.equal(await works(periodic.token), false)
})

test('VAULT-2: a token with counted uses ends with the last', async (t) => {
  const { create } = await setup(t)
  const counted = await create({ policies: ['default'], num_uses: 2 })
  const first = await counted.call('GET', 'auth/token/lookup-self')
  assert.equal((first.body['data'] as Fields)['num_uses'], 1)
  assert.equal((await counted.call('GET', 'auth/token/lookup-self')).status, 200)
  assert.equal((await counted.call('GET', 'auth/token/lookup-self')).status, 403)
})

test('VAULT-2: used at once, a token with counted uses is used that often and no more', async (t) => {
  const { create } = await setup(t)
  const counted = await create({ policies: ['default'], num_uses: 3 })
  const calls = Array.from({ length: 8 }, () => counted.call('GET', 'auth/token/lookup-self'))
  const statuses = (await Promise.all(calls)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 200).length, 3)
})

test('VAULT-2: a child gets no more than its parent has', async (t) => {
  const { create, root } = await setup(t)
  const maker = await create({ policies: ['maker'] })
  assert.deepEqual((await create({}, maker.call)).auth['policies'], ['default', 'maker'])
  for (const fields of [
    { policies: ['root'] },
    { policies: ['other'] },
    { no_parent: true },
    { id: 'chosen' },
    { period: '1h' },
    { ttl: '-5' },
    { ttl: '5y' },
  ])
    assert.ok((await create(fields, maker.call)).status >= 400, JSON.stringify(fields))
  const counted = await create({ policies: ['maker'], num_uses: 5 })
  assert.equal((await create({}, counted.call)).status, 400)
  const unknown = await create({ policies: ['nobody-wrote-it'] })
  assert.deepEqual(unknown.body['warnings'], ['Policy "nobody-wrote-it" does not exist'])
  assert.deepEqual((await create({ policies: ['a'], no_default_policy: true })).auth['policies'], ['a'])
  assert.equal((await root('POST', 'auth/token/create', { id: 'chosen' })).status, 200)
  assert.equal((await root('POST', 'auth/token/create', { id: 'chosen' })).status, 400)
})

test('VAULT-2: lookups by token and by accessor, and what is wrong with them', async (t) => {
  const { create, root } = await setup(t)
  const made = await create({ policies: ['default'], meta: { team: 'shop' }, display_name: 'x y' })
  const byToken = (await root('POST', 'auth/token/lookup', { token: made.token })).body['data'] as Fields
  assert.deepEqual(
    [byToken['id'], byToken['display_name'], byToken['meta']],
    [made.token, 'token-x-y', { team: 'shop' }],
  )
  const accessor = made.auth['accessor']
  const byAccessor = (await root('POST', 'auth/token/lookup-accessor', { accessor })).body['data'] as Fields
  assert.equal(byAccessor['id'], '')
  assert.equal((await root('POST', 'auth/token/lookup', { token: 'nobody' })).status, 403)
  const own = (await root('POST', 'auth/token/lookup', {})).body['data'] as Fields
  assert.deepEqual(own['policies'], ['root'])
  const asked = (await root('GET', `auth/token/lookup?token=${made.token}`)).body['data'] as Fields
  assert.equal(asked['accessor'], accessor)
  assert.equal((await root('POST', 'auth/token/lookup-accessor', { accessor: 'x' })).status, 400)
  assert.equal((await root('POST', 'auth/token/revoke', { token: 'nobody' })).status, 204)
  assert.equal((await root('POST', 'auth/token/renew', { token: 'nobody' })).status, 400)
  assert.ok(
    ((await root('LIST', 'auth/token/accessors')).body['data'] as { keys: string[] }).keys.includes(
      String(accessor),
    ),
  )
})

test('VAULT-1: neither a token nor its accessor is readable in the store, and a longer life is not to be written there', async (t) => {
  const { create, store, vault, works } = await setup(t)
  const made = await create({ policies: ['default'], ttl: '1h' })
  const rows = await store.all<Record<string, unknown>>(sql`select * from vault_tokens`)
  const stored = Buffer.concat(
    rows.flatMap((row) => Object.values(row).filter((value) => value instanceof Uint8Array)),
  ).toString('latin1')
  for (const text of [made.token, String(made.auth['accessor']), 'default'])
    assert.equal(stored.includes(text), false)
  vault.close()
  await vault.unsealByItself()
  await store.write((tx) => tx.run(sql`update vault_tokens set expires_at = ${4e12}`))
  await assert.rejects(works(made.token), { code: 'vault.entry_corrupt' })
})

test('VAULT-2: who asks with one token again and again is refused as soon as it or what it may do has changed', async (t) => {
  const { root, create, clock, vault } = await setup(t)
  await root('POST', 'secret/data/a', { data: { n: 1 } })
  const asker = async (fields: Fields) => {
    const made = await create(fields)
    // The same object each time, as the requests of one connection have it.
    const presented = new Secret(made.token)
    const request = { method: 'GET', path: 'secret/data/a', query: {}, body: undefined } as const
    const ask = async (): Promise<number> => (await vault.handle({ ...request, token: presented })).status
    assert.deepEqual([await ask(), await ask()], [200, 200])
    return { ...made, ask }
  }
  const revoked = await asker({ policies: ['maker'] })
  const expired = await asker({ policies: ['maker'], ttl: '1h' })
  const narrowed = await asker({ policies: ['maker'], ttl: '9h' })
  await root('POST', 'auth/token/revoke', { token: revoked.token })
  assert.deepEqual([await revoked.ask(), await expired.ask(), await narrowed.ask()], [403, 200, 200])
  clock.advance(2 * 3_600_000)
  assert.deepEqual([await expired.ask(), await narrowed.ask()], [403, 200])
  await root('PUT', 'sys/policies/acl/maker', { policy: 'path "secret/b" { capabilities = ["read"] }' })
  assert.equal(await narrowed.ask(), 403)
})
