import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authOf, dataOf } from '../../../test/support/vault-auth.ts'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'

type Fields = Record<string, unknown>

async function setup(t: Parameters<typeof openUnsealedVault>[0], role: Fields = {}) {
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  await root('PUT', 'sys/policies/acl/maker', {
    policy:
      'path "auth/token/create/*" { capabilities = ["update"] } path "auth/token/create" { capabilities = ["update"] }',
  })
  const made = await root('POST', 'auth/token/roles/app', role)
  assert.equal(made.status, 204, JSON.stringify(made.body))
  const makerToken = String(
    authOf(await root('POST', 'auth/token/create', { policies: ['maker'] }))['client_token'],
  )
  const maker = callerOf(world.vault, makerToken)
  const create = (fields: Fields = {}) => maker('POST', 'auth/token/create/app', fields)
  const callWith = (auth: Fields, remoteAddress?: string) => {
    const call = callerOf(world.vault, String(auth['client_token']))
    return (method: 'GET' | 'POST', path: string, body?: Fields) =>
      call(method, path, body, { remoteAddress })
  }
  return { ...world, root, maker, makerToken, create, callWith }
}

test('VAULT-2: a token role is written, read, changed in part, listed and deleted', async (t) => {
  const { root, create } = await setup(t, {
    allowed_policies: 'a,B',
    token_period: '1h',
    path_suffix: 'prod',
  })
  const view = dataOf(await root('GET', 'auth/token/roles/app'))
  assert.deepEqual(
    [
      view['name'],
      view['allowed_policies'],
      view['token_period'],
      view['period'],
      view['path_suffix'],
      view['token_type'],
    ],
    ['app', ['a', 'b'], 3600, 0, 'prod', 'default-service'],
  )
  await root('POST', 'auth/token/roles/app', { orphan: true })
  assert.deepEqual(dataOf(await root('GET', 'auth/token/roles/app')), { ...view, orphan: true })
  assert.deepEqual(dataOf(await root('LIST', 'auth/token/roles'))['keys'], ['app'])
  assert.equal((await root('DELETE', 'auth/token/roles/app')).status, 204)
  assert.equal((await root('GET', 'auth/token/roles/app')).status, 404)
  assert.deepEqual((await create()).body['errors'], ['unknown role app'])
  for (const body of [
    { token_type: 'magic' },
    { token_type: 'batch' },
    { token_type: 'batch', orphan: true, renewable: false, token_period: 60 },
    { token_bound_cidrs: 'nowhere' },
    { path_suffix: '../x' },
    { allowed_policies: 'response-wrapping' },
  ])
    assert.equal((await root('POST', 'auth/token/roles/new', body)).status, 400, JSON.stringify(body))
})

test('VAULT-2: a role lets its holder give policies that they do not have', async (t) => {
  const { create } = await setup(t, { allowed_policies: ['shop'], allowed_policies_glob: ['team-*'] })
  assert.deepEqual(authOf(await create())['policies'], ['default', 'shop'])
  assert.deepEqual(authOf(await create({ policies: ['team-a'] }))['policies'], ['default', 'team-a'])
  assert.deepEqual(authOf(await create({ no_default_policy: true }))['policies'], ['shop'])
  for (const policies of [['other'], ['shop', 'other'], ['root'], ['response-wrapping']])
    assert.equal((await create({ policies })).status, 400, policies.join())
})

test('VAULT-2: a role forbids policies that its holder has', async (t) => {
  const { create, root } = await setup(t, {
    disallowed_policies: 'maker',
    disallowed_policies_glob: 'team-*,def*',
  })
  assert.deepEqual((await create()).body['errors'], ['token policy "default" is disallowed by this role'])
  assert.equal((await create({ policies: ['maker'] })).status, 400)
  assert.equal((await create({ policies: ['team-a'] })).status, 400)
  assert.deepEqual(authOf(await create({ policies: ['other'] }))['policies'], ['other'])
  await root('POST', 'auth/token/roles/open', { allowed_policies: 'root' })
  assert.equal((await create({ policies: ['root'] })).status, 400)
})

test('VAULT-2: what a role says of its tokens holds: orphan, path, uses, period, address', async (t) => {
  const { root, create, makerToken, callWith, clock } = await setup(t, {
    allowed_policies: 'default',
    orphan: true,
    path_suffix: 'prod',
    token_num_uses: 3,
    token_period: 600,
    token_bound_cidrs: '10.0.0.0/8',
  })
  const auth = authOf(await create({ num_uses: 9, ttl: '9h' }))
  assert.deepEqual([auth['orphan'], auth['num_uses'], auth['lease_duration']], [true, 3, 600])
  const call = callWith(auth, '10.0.0.1')
  assert.equal((await callWith(auth, '11.0.0.1')('GET', 'auth/token/lookup-self')).status, 403)
  const self = dataOf(await call('GET', 'auth/token/lookup-self'))
  assert.deepEqual([self['path'], self['role'], self['period']], ['auth/token/create/app/prod', 'app', 600])
  await root('POST', 'auth/token/revoke', { token: makerToken })
  await root('POST', 'auth/token/roles/app', { token_period: 900 })
  clock.advance(300_000)
  assert.equal(authOf(await call('POST', 'auth/token/renew-self'))['lease_duration'], 900)
  await root('DELETE', 'auth/token/roles/app')
  const refused = await call('POST', 'auth/token/renew-self')
  assert.deepEqual(refused.body['errors'], ['original token role "app" could not be found, not renewing'])
})

test('VAULT-2: a token for certain addresses makes no token for others', async (t) => {
  const { create, callWith } = await setup(t, { allowed_policies: 'maker', token_bound_cidrs: '10.0.0.0/8' })
  const bound = callWith(authOf(await create()), '10.0.0.1')
  const child = authOf(await bound('POST', 'auth/token/create', {}))
  assert.equal((await callWith(child, '10.9.9.9')('POST', 'auth/token/create', {})).status, 200)
  assert.equal((await callWith(child, '11.0.0.1')('POST', 'auth/token/create', {})).status, 403)
})

test('VAULT-2: a role bounds the greatest age, and may forbid renewing', async (t) => {
  const { create, callWith } = await setup(t, { token_explicit_max_ttl: '10m', renewable: false })
  const auth = authOf(await create({ policies: ['default'], explicit_max_ttl: '1h' }))
  assert.deepEqual([auth['lease_duration'], auth['renewable']], [600, false])
  assert.equal((await callWith(auth)('POST', 'auth/token/renew-self')).status, 400)
})

test('VAULT-2: a batch token is stored nowhere, works, and ends with its parent and on time', async (t) => {
  const { root, maker, makerToken, store, callWith, clock } = await setup(t)
  const count = async (): Promise<number> =>
    (await store.all({ text: 'select id from vault_tokens', values: [] })).length
  const before = await count()
  const auth = authOf(await maker('POST', 'auth/token/create', { type: 'batch', ttl: '1h' }))
  assert.equal(await count(), before)
  assert.deepEqual(
    [auth['token_type'], auth['accessor'], auth['renewable'], auth['lease_duration']],
    ['batch', '', false, 3600],
  )
  const call = callWith(auth)
  assert.equal(dataOf(await call('GET', 'auth/token/lookup-self'))['type'], 'batch')
  for (const [method, path, body] of [
    ['POST', 'auth/token/renew-self', {}],
    ['POST', 'auth/token/revoke-self', {}],
    ['POST', 'auth/token/create', {}],
    ['POST', 'cubbyhole/a', { k: 'v' }],
    ['GET', 'cubbyhole/a', undefined],
  ] as const)
    assert.equal((await call(method, path, body)).status, 400, path)
  const orphan = authOf(
    await root('POST', 'auth/token/create', {
      type: 'batch',
      no_parent: true,
      policies: 'default',
      ttl: '2h',
    }),
  )
  await root('POST', 'auth/token/revoke', { token: makerToken })
  assert.equal((await call('GET', 'auth/token/lookup-self')).status, 403)
  assert.equal((await callWith(orphan)('GET', 'auth/token/lookup-self')).status, 200)
  clock.advance(7_200_000)
  assert.equal((await callWith(orphan)('GET', 'auth/token/lookup-self')).status, 403)
})

test('VAULT-2: a batch token cannot be altered, counted, periodic, chosen or root', async (t) => {
  const { root, callWith } = await setup(t)
  const auth = authOf(await root('POST', 'auth/token/create', { type: 'batch', policies: 'default' }))
  const token = String(auth['client_token'])
  const last = token.at(-2) === 'A' ? 'B' : 'A'
  for (const altered of [
    `${token.slice(0, -2)}${last}${token.slice(-1)}`,
    token.slice(0, 40),
    'kwb.',
    'kwb.x',
  ])
    assert.equal((await callWith({ client_token: altered })('GET', 'auth/token/lookup-self')).status, 403)
  for (const body of [
    { num_uses: 2 },
    { period: '1h' },
    { explicit_max_ttl: '1h' },
    { id: 'chosen' },
    { policies: ['root'] },
  ])
    assert.equal(
      (await root('POST', 'auth/token/create', { type: 'batch', policies: 'default', ...body })).status,
      400,
      JSON.stringify(body),
    )
  assert.equal((await root('POST', 'auth/token/revoke', { token })).status, 400)
  assert.equal((await root('POST', 'auth/token/create', { type: 'magic' })).status, 400)
})

test('VAULT-2: tidying removes tokens whose time has passed', async (t) => {
  const { root, clock, store } = await setup(t)
  const count = async (): Promise<number> =>
    (await store.all({ text: 'select id from vault_tokens', values: [] })).length
  const before = await count()
  for (let i = 0; i < 3; i++) await root('POST', 'auth/token/create', { policies: 'default', ttl: '10s' })
  clock.set(new Date(clock.now().getTime() + 10_000))
  const tidied = await root('POST', 'auth/token/tidy')
  assert.equal(tidied.status, 202)
  assert.equal(await count(), before)
})
