import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { callerOf, openUnsealedVault, openVault } from '../../test/support/vault-server.ts'
import { AppError, Secret } from '../core/index.ts'

type Fields = Record<string, unknown>
const dataOf = (reply: { body: Fields }): Fields => (reply.body['data'] ?? {}) as Fields
const authOf = (reply: { body: Fields }): Fields => (reply.body['auth'] ?? {}) as Fields
const generated = (): string => `test-${randomBytes(12).toString('hex')}`

async function setup(
  t: Parameters<typeof openUnsealedVault>[0],
  options: Parameters<typeof openUnsealedVault>[1] = {},
) {
  const world = await openUnsealedVault(t, options)
  const root = callerOf(world.vault, world.rootToken)
  /** A caller with a new token that has these rules alone. */
  const withRules = async (rules: string, fields: Fields = {}) => {
    const name = `p-${randomBytes(4).toString('hex')}`
    assert.equal((await root('PUT', `sys/policies/acl/${name}`, { policy: rules })).status, 204)
    const made = authOf(await root('POST', 'auth/token/create', { policies: [name], ...fields }))
    const token = String(made['client_token'])
    return { token, auth: made, call: callerOf(world.vault, token) }
  }
  const entries = async (type: string) => (await world.audit.page({ limit: 100, order: 'desc', type })).items
  return { ...world, root, withRules, entries }
}

test('VAULT-2: KV 2 keeps versions, in the shapes that clients know', async (t) => {
  const { root } = await setup(t)
  assert.equal((await root('GET', 'secret/data/a')).status, 404)
  assert.deepEqual((await root('GET', 'secret/data/a')).body, { errors: [] })
  assert.equal(dataOf(await root('POST', 'secret/data/a', { data: { n: 1 } }))['version'], 1)
  assert.equal(
    dataOf(await root('PUT', 'secret/data/a', { data: { n: { deep: [true, null] } } }))['version'],
    2,
  )
  const got = await root('GET', 'secret/data/a')
  assert.deepEqual(dataOf(got)['data'], { n: { deep: [true, null] } })
  assert.deepEqual([got.body['lease_id'], got.body['lease_duration'], got.body['auth']], ['', 0, null])
  assert.deepEqual(dataOf(await root('GET', 'secret/data/a?version=1'))['data'], { n: 1 })
  assert.equal((await root('GET', 'secret/data/a?version=9')).status, 404)
  assert.equal((await root('GET', 'secret/data/a?version=x')).status, 400)
  assert.deepEqual(dataOf(await root('GET', 'secret/subkeys/a'))['subkeys'], { n: { deep: null } })
})

test('VAULT-2: KV 2 deletes, undeletes and destroys', async (t) => {
  const { root } = await setup(t)
  await root('POST', 'secret/data/a', { data: { n: 1 } })
  assert.equal((await root('DELETE', 'secret/data/a')).status, 204)
  const deleted = await root('GET', 'secret/data/a')
  assert.deepEqual([deleted.status, dataOf(deleted)['data']], [404, null])
  assert.equal((await root('POST', 'secret/undelete/a', { versions: [1] })).status, 204)
  assert.equal((await root('GET', 'secret/data/a')).status, 200)
  await root('POST', 'secret/delete/a', { versions: '1' })
  assert.equal((await root('GET', 'secret/data/a')).status, 404)
  await root('PUT', 'secret/destroy/a', { versions: ['1'] })
  await root('POST', 'secret/undelete/a', { versions: [1] })
  const destroyed = await root('GET', 'secret/data/a')
  assert.equal((dataOf(destroyed)['metadata'] as Fields)['destroyed'], true)
  assert.equal((await root('POST', 'secret/destroy/a', {})).status, 400)
  assert.equal((await root('DELETE', 'secret/metadata/a')).status, 204)
  assert.equal((await root('LIST', 'secret/metadata')).status, 404)
})

test('VAULT-2: KV 2 checks and sets, and drops versions past the number kept', async (t) => {
  const { root } = await setup(t)
  const write = (n: number, cas?: number) =>
    root('POST', 'secret/data/a', { data: { n }, ...(cas === undefined ? {} : { options: { cas } }) })
  assert.equal((await write(1, 1)).status, 400)
  assert.equal((await write(1, 0)).status, 200)
  assert.equal((await write(2, 0)).status, 400)
  await root('POST', 'secret/config', { cas_required: true, max_versions: 2 })
  assert.deepEqual((await write(2)).body['errors'], ['check-and-set parameter required for this call'])
  for (const n of [2, 3, 4]) assert.equal((await write(n, n - 1)).status, 200)
  const metadata = dataOf(await root('GET', 'secret/metadata/a'))
  assert.deepEqual(Object.keys(metadata['versions'] as Fields), ['3', '4'])
  assert.deepEqual([metadata['oldest_version'], metadata['current_version']], [3, 4])
  assert.equal((await root('GET', 'secret/data/a?version=2')).status, 404)
})

test('VAULT-2: of two writers with the same check-and-set one wins', async (t) => {
  const { root } = await setup(t)
  const writes = Array.from({ length: 8 }, (_, n) =>
    root('POST', 'secret/data/a', { data: { n }, options: { cas: 0 } }),
  )
  const statuses = (await Promise.all(writes)).map(({ status }) => status)
  assert.deepEqual(statuses.filter((status) => status === 200).length, 1)
})

test('VAULT-2: versions written at once are numbered without gaps', async (t) => {
  const { root } = await setup(t)
  const replies = await Promise.all(
    Array.from({ length: 10 }, (_, n) => root('POST', 'secret/data/a', { data: { n } })),
  )
  assert.deepEqual(
    replies.map((reply) => Number(dataOf(reply)['version'])).sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  )
})

test('VAULT-2: a merge patch changes what it names', async (t) => {
  const { root } = await setup(t)
  assert.equal((await root('PATCH', 'secret/data/a', { data: { b: 1 } })).status, 404)
  await root('POST', 'secret/data/a', { data: { keep: 1, drop: 2, deep: { x: 1, y: 2 } } })
  await root('PATCH', 'secret/data/a', {
    data: { drop: null, deep: { y: null, z: 3 }, ['__proto__']: { evil: 1 } },
  })
  assert.deepEqual(dataOf(await root('GET', 'secret/data/a'))['data'], {
    keep: 1,
    deep: { x: 1, z: 3 },
    ['__proto__']: { evil: 1 },
  })
  assert.equal(Object.keys(Object.prototype).length, 0)
})

test('VAULT-2: a version with an end of its own is gone after it', async (t) => {
  const { root, clock } = await setup(t)
  await root('POST', 'secret/metadata/a', { delete_version_after: '1h', custom_metadata: { owner: 'shop' } })
  await root('POST', 'secret/data/a', { data: { n: 1 } })
  assert.equal((await root('GET', 'secret/data/a')).status, 200)
  clock.advance(3_600_000)
  assert.equal((await root('GET', 'secret/data/a')).status, 404)
})

test('VAULT-2: bad bodies are refused without being quoted', async (t) => {
  const { vault, rootToken, root } = await setup(t)
  const marker = generated()
  for (const body of [`{"data":{"a":"${marker}"`, `["${marker}"]`, `"${marker}"`]) {
    const answer = await vault.handle({
      method: 'POST',
      path: 'secret/data/a',
      query: {},
      token: new Secret(rootToken),
      body: new Secret(body),
    })
    assert.equal(answer.status, 400)
    assert.doesNotMatch(answer.body?.reveal() ?? '', new RegExp(marker))
  }
  for (const body of [{}, { data: 'text' }, { data: [1] }])
    assert.equal((await root('POST', 'secret/data/a', body)).status, 400)
  assert.equal((await root('POST', 'secret/data/a/', { data: {} })).status, 400)
})

test('VAULT-2: a body of null says nothing, as bao write -f sends it', async (t) => {
  const { vault, rootToken } = await setup(t)
  const answer = await vault.handle({
    method: 'PUT',
    path: 'auth/token/create',
    query: {},
    token: new Secret(rootToken),
    body: new Secret('null'),
  })
  assert.equal(answer.status, 200)
})

test('IDENT-3: no token, a wrong one and a revoked one are refused and audited', async (t) => {
  const { vault, withRules, root, entries } = await setup(t)
  assert.equal((await callerOf(vault)('GET', 'secret/data/a')).status, 403)
  assert.equal((await callerOf(vault, generated())('GET', 'secret/data/a')).status, 403)
  const { token, call } = await withRules('path "secret/*" { capabilities = ["read"] }')
  assert.equal((await call('GET', 'secret/data/a')).status, 404)
  await root('POST', 'auth/token/revoke', { token })
  assert.equal((await call('GET', 'secret/data/a')).status, 403)
  const denied = (await entries('vault.request')).filter((entry) => entry.outcome === 'denied')
  assert.equal(denied.length, 3)
})

test('IDENT-3: policies decide, create apart from update, and a change of them holds at once', async (t) => {
  const { root, withRules } = await setup(t)
  const creator = await withRules('path "secret/data/*" { capabilities = ["create"] }')
  assert.equal((await creator.call('POST', 'secret/data/a', { data: { n: 1 } })).status, 200)
  assert.equal((await creator.call('POST', 'secret/data/a', { data: { n: 2 } })).status, 403)
  assert.equal((await creator.call('GET', 'secret/data/a')).status, 403)
  const [, policy] = creator.auth['policies'] as string[]
  await root('PUT', `sys/policies/acl/${policy}`, {
    policy: 'path "secret/data/*" { capabilities = ["read"] }',
  })
  assert.equal((await creator.call('GET', 'secret/data/a')).status, 200)
  await root('DELETE', `sys/policies/acl/${policy}`)
  assert.equal((await creator.call('GET', 'secret/data/a')).status, 403)
})

test('IDENT-3: a rule above the ACL can refuse what the ACL allows, and never the reverse', async (t) => {
  const { vault, root } = await setup(t, {
    ceiling: (_, path) => ({ allow: !path.includes('prod'), reason: 'production is closed' }),
  })
  assert.equal((await root('POST', 'secret/data/dev', { data: {} })).status, 200)
  const refused = await root('POST', 'secret/data/prod', { data: {} })
  assert.deepEqual(
    [refused.status, refused.body['errors']],
    [403, ['1 error occurred:\n\t* permission denied: production is closed\n\n']],
  )
  assert.equal((await callerOf(vault, generated())('GET', 'secret/data/dev')).status, 403)
})

test('IDENT-3: a rule above the ACL sees the secret itself, however its mount is named and whichever way it is asked for', async (t) => {
  const asked: string[] = []
  const { root } = await setup(t, {
    ceiling: (_principal, _path, _operation, secretPath) => {
      asked.push(secretPath)
      return undefined
    },
  })
  await root('POST', 'sys/mounts/team/shop', { type: 'kv', options: { version: '2' } })
  await root('POST', 'sys/mounts/plain', { type: 'kv', options: { version: '1' } })
  asked.length = 0
  await root('POST', 'team/shop/data/prod/key', { data: { a: '1' } })
  await root('GET', 'team/shop/data/prod/key')
  await root('GET', 'team/shop/subkeys/prod/key')
  await root('GET', 'team/shop/metadata/prod/key')
  await root('LIST', 'team/shop/metadata/prod')
  await root('POST', 'plain/data/key', { a: '1' })
  await root('GET', 'sys/mounts')
  assert.deepEqual(asked, [
    ...Array.from({ length: 4 }, () => 'team/shop/prod/key'),
    'team/shop/prod/',
    'plain/data/key',
    'sys/mounts',
  ])
})

test('GOV-1: a flood of requests without a token does not fill the log, and is counted in it', async (t) => {
  const { vault, audit, clock } = await setup(t)
  const flood = callerOf(vault, generated())
  const before = audit.health().seq
  for (let i = 0; i < 150; i++) assert.equal((await flood('GET', `secret/data/${i}`)).status, 403)
  assert.equal(audit.health().seq - before, 100)
  clock.advance(60_000)
  await flood('GET', 'secret/data/last')
  const { items } = await audit.page({ limit: 1, order: 'desc' })
  assert.deepEqual(items[0]?.target, 'path:secret/data/last')
  assert.match(JSON.stringify(items[0]?.detail), /"alsoRefused":50/)
})

test('GOV-1: nor does a flood of what is answered before anybody has proved who they are', async (t) => {
  const told = () => ({
    type: 'told',
    paths: [{ pattern: 'way', open: async () => async () => ({ data: { url: 'x' }, note: { role: 'a' } }) }],
    wipe: async () => undefined,
  })
  const { vault, audit, clock, root } = await setup(t, { engines: { told: async () => told } })
  await root('POST', 'sys/mounts/told', { type: 'told' })
  const ask = (wrapTtl?: string) =>
    vault.handle({ method: 'POST', path: 'told/way', query: {}, token: undefined, body: undefined, wrapTtl })
  const before = audit.health().seq
  for (let i = 0; i < 150; i++) assert.equal((await ask()).status, 200)
  assert.equal(audit.health().seq - before, 100)
  clock.advance(60_000)
  // Nor is a token stored for them.
  const wrapped = await ask('60s')
  assert.doesNotMatch(wrapped.body?.reveal() ?? '', /kwt\./)
  const { items } = await audit.page({ limit: 1, order: 'desc' })
  assert.deepEqual(items[0]?.detail, { operation: 'update', note: { role: 'a' }, alsoAnswered: 50 })
})

test('GOV-1: every request leaves one entry, with who, where and no value', async (t) => {
  const { audit, root } = await setup(t)
  const before = audit.health().seq
  const value = generated()
  await root('POST', 'secret/data/shop/key', { data: { value } })
  await root('GET', 'secret/data/shop/key')
  await root('LIST', 'secret/metadata/shop')
  await root('GET', 'secret/data/none')
  const { items } = await audit.page({ limit: 10, order: 'desc' })
  const latest = items.slice(0, audit.health().seq - before).reverse()
  assert.deepEqual(
    latest.map(({ type, outcome, target }) => [type, outcome, target]),
    [
      ['secret.written', 'done', 'secret:secret/shop/key'],
      ['secret.read', 'done', 'secret:secret/shop/key'],
      ['secret.listed', 'done', 'secret:secret/shop'],
      ['secret.read', 'failed', 'secret:secret/none'],
    ].map((row) => (row[0] === 'secret.listed' ? [...row.slice(0, 2), 'secret:secret/shop/'] : row)),
  )
  assert.match(latest[0]?.actor ?? '', /^token:tok_/)
  assert.doesNotMatch(JSON.stringify(items), new RegExp(value))
})

test('GOV-1: when the entry cannot be written, nothing is given out and nothing changes', async (t) => {
  const { vault, audit, root, rootToken } = await setup(t)
  await root('POST', 'secret/data/a', { data: { n: 1 } })
  const { record, recordNow, recordRead } = audit
  const fail = (): Promise<void> => Promise.reject(new AppError('audit.unavailable'))
  Object.assign(audit, { record: fail, recordNow: fail, recordRead: fail })
  for (const reply of [
    await root('GET', 'secret/data/a'),
    await root('POST', 'secret/data/a', { data: { n: 2 } }),
    await callerOf(vault, generated())('GET', 'secret/data/a'),
  ]) {
    assert.equal(reply.status, 503)
    assert.equal(reply.body['data'], undefined)
  }
  Object.assign(audit, { record, recordNow, recordRead })
  assert.deepEqual(dataOf(await callerOf(vault, rootToken)('GET', 'secret/data/a'))['data'], { n: 1 })
})

test('VAULT-2: the cubbyhole belongs to one token and ends with it', async (t) => {
  const { root, withRules, store } = await setup(t)
  const one = await withRules('path "x" { capabilities = ["read"] }')
  await one.call('POST', 'cubbyhole/a', { k: 'v' })
  assert.deepEqual(dataOf(await one.call('GET', 'cubbyhole/a')), { k: 'v' })
  assert.equal((await root('GET', 'cubbyhole/a')).status, 404)
  const count = async (): Promise<number> =>
    (await store.all({ text: 'select id from vault_entries', values: [] })).length
  const before = await count()
  await root('POST', 'auth/token/revoke-accessor', { accessor: one.auth['accessor'] })
  assert.ok((await count()) < before)
})

test('VAULT-2: mounts come and go with what they hold', async (t) => {
  const { root, store } = await setup(t)
  const count = async (): Promise<number> =>
    (await store.all({ text: 'select id from vault_entries', values: [] })).length
  const before = await count()
  await root('POST', 'sys/mounts/team/kv', { type: 'kv', options: { version: '2' } })
  await root('POST', 'team/kv/data/a/b', { data: { n: 1 } })
  for (const path of ['team', 'team/kv', 'team/kv/x', 'sys', 'secret/a'])
    assert.equal((await root('POST', `sys/mounts/${path}`, { type: 'kv' })).status, 400, path)
  assert.equal((await root('POST', 'sys/mounts/x', { type: 'magic' })).status, 400)
  assert.equal((await root('DELETE', 'sys/mounts/sys')).status, 400)
  assert.equal((await root('DELETE', 'sys/mounts/team/kv')).status, 204)
  assert.equal((await root('GET', 'team/kv/data/a/b')).status, 404)
  assert.equal(await count(), before)
})

test('VAULT-2: unknown paths and operations are told apart', async (t) => {
  const { root, withRules } = await setup(t)
  assert.match(JSON.stringify((await root('GET', 'nope/x')).body), /no handler for route/)
  const unknown = await root('GET', 'sys/no-such-path')
  assert.deepEqual(unknown, {
    status: 404,
    body: { errors: ['1 error occurred:\n\t* unsupported path\n\n'] },
  })
  assert.equal((await root('GET', 'sys/policies/acl')).status, 405)
  assert.equal((await root('GET', 'secret/a')).status, 404)
  const { call } = await withRules('path "secret/*" { capabilities = ["read"] }')
  assert.equal((await call('GET', 'nope/x')).status, 403)
})

test('VAULT-2: a sudo path needs the capability', async (t) => {
  const { withRules } = await setup(t)
  const plain = await withRules('path "sys/seal" { capabilities = ["update"] }')
  assert.equal((await plain.call('PUT', 'sys/seal')).status, 403)
  const mighty = await withRules('path "sys/seal" { capabilities = ["update", "sudo"] }')
  assert.equal((await mighty.call('PUT', 'sys/seal')).status, 204)
  assert.equal((await mighty.call('GET', 'sys/mounts')).status, 503)
})

test('VAULT-1: health tells the state by its status', async (t) => {
  const { vault } = await openVault(t)
  const call = callerOf(vault)
  assert.equal((await call('GET', 'sys/health')).status, 501)
  assert.equal((await call('GET', 'sys/health?uninitcode=299')).status, 299)
  const made = await vault.initialise({ seal: 'shamir', shares: 1, threshold: 1 })
  assert.equal((await call('GET', 'sys/health')).status, 503)
  assert.equal((await call('GET', 'sys/health?sealedcode=200')).status, 200)
  for (const share of made.shares) await vault.unseal(share)
  assert.equal((await call('GET', 'sys/health')).status, 200)
  assert.equal((await call('POST', 'sys/init', { secret_shares: 1, secret_threshold: 1 })).status, 400)
  assert.equal((await call('PUT', 'sys/init', { pgp_keys: ['x'] })).status, 400)
})

test('IDENT-3: a vault token is a principal; root is an owner, and a counted one is nobody', async (t) => {
  const { vault, rootToken, withRules, root } = await setup(t)
  assert.deepEqual((await vault.principalOf(rootToken))?.roles, ['owner'])
  const { token } = await withRules('path "a" { capabilities = ["read"] }')
  const principal = await vault.principalOf(token)
  assert.deepEqual([principal?.kind, principal?.roles], ['token', []])
  const counted = await root('POST', 'auth/token/create', { policies: ['default'], num_uses: 2 })
  assert.equal(await vault.principalOf(String(authOf(counted)['client_token'])), undefined)
  assert.equal(await vault.principalOf(generated()), undefined)
  assert.equal(await vault.principalOf(''), undefined)
})

test('VAULT-2: Keyward writes and reads secrets in its own transaction', async (t) => {
  const { vault, store, root } = await setup(t)
  const value = generated()
  const { version } = await store.write((tx) =>
    vault.kv.write(tx, 'secret/shop/key', { value: new Secret(value) }),
  )
  assert.equal(version, 1)
  assert.deepEqual((dataOf(await root('GET', 'secret/data/shop/key'))['data'] as Fields)['value'], value)
  assert.equal((await vault.kv.read('secret/shop/key'))?.data['value']?.reveal(), value)
  assert.deepEqual(await vault.kv.list(''), ['secret/'])
  assert.deepEqual(await vault.kv.list('secret/'), ['shop/'])
  assert.deepEqual(await vault.kv.list('secret/shop'), ['key'])
  await root('POST', 'secret/data/other', { data: { count: 3 } })
  assert.equal((await vault.kv.read('secret/other'))?.data['count']?.reveal(), '3')
  await store.write((tx) => vault.kv.remove(tx, 'secret/shop/key'))
  assert.equal(await vault.kv.read('secret/shop/key'), undefined)
  await assert.rejects(vault.kv.read('nowhere/a'), { code: 'secret.not_found' })
  await assert.rejects(vault.kv.read('secret/folder/'), { code: 'request.invalid' })
})
