import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { authOf, dataOf, openAuth } from '../../../test/support/vault-auth.ts'

type Fields = Record<string, unknown>
const generated = (): string => `test-${randomBytes(12).toString('hex')}`

/** Mary and Tom can sign in with a password; each of the policies lets one secret be read. */
async function setup(t: Parameters<typeof openAuth>[0]) {
  const world = await openAuth(t, 'userpass')
  const { root, anybody, callWith } = world
  const password = generated()
  for (const name of ['mary', 'tom']) await root('POST', `auth/userpass/users/${name}`, { password })
  for (const name of ['a', 'b', 'c']) {
    await root('POST', `secret/data/${name}`, { data: { value: name } })
    await root('PUT', `sys/policies/acl/${name}`, {
      policy: `path "secret/data/${name}" { capabilities = ["read"] }`,
    })
  }
  const mounts = dataOf(await root('GET', 'sys/auth'))
  const accessor = String((mounts['userpass/'] as Fields)['accessor'])
  const login = async (name = 'mary') => {
    const reply = await anybody('POST', `auth/userpass/login/${name}`, { password })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    const auth = authOf(reply)
    const call = callWith(auth)
    /** Which of the three secrets the token may read now. */
    const reads = async (): Promise<string> => {
      const replies = await Promise.all(['a', 'b', 'c'].map((path) => call('GET', `secret/data/${path}`)))
      return replies.map(({ status }, i) => (status === 200 ? 'abc'[i] : '')).join('')
    }
    return { auth, call, reads, id: String(auth['entity_id']) }
  }
  const make = async (path: string, body: Fields): Promise<string> => {
    const reply = await root('POST', `identity/${path}`, body)
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    return String(dataOf(reply)['id'])
  }
  return { ...world, password, accessor, login, make }
}

test('VAULT-2: who signs in again is the same entity, and its tokens name it', async (t) => {
  const { login, root, accessor } = await setup(t)
  const first = await login()
  const again = await login('MARY')
  assert.match(first.id, /^[0-9a-f-]{36}$/)
  assert.equal(again.id, first.id)
  assert.notEqual((await login('tom')).id, first.id)
  const self = dataOf(await first.call('GET', 'auth/token/lookup-self'))
  assert.equal(self['entity_id'], first.id)
  assert.equal('identity_policies' in self, false)
  const entity = dataOf(await root('GET', `identity/entity/id/${first.id}`))
  const [alias] = entity['aliases'] as Fields[]
  assert.deepEqual(
    [alias?.['name'], alias?.['mount_accessor'], alias?.['mount_path'], alias?.['mount_type']],
    ['mary', accessor, 'auth/userpass/', 'userpass'],
  )
  assert.deepEqual([alias?.['metadata'], alias?.['canonical_id']], [{ username: 'mary' }, first.id])
  // The policy `default` lets everybody see who they are, and nobody else.
  assert.equal((await first.call('GET', `identity/entity/id/${first.id}`)).status, 200)
  assert.equal((await first.call('GET', `identity/entity/id/${(await login('tom')).id}`)).status, 403)
})

test('VAULT-2: AppRole: the role id is the alias, and a child token belongs to the same entity', async (t) => {
  const { root, anybody, callWith } = await openAuth(t, 'approle')
  await root('PUT', 'sys/policies/acl/parent', {
    policy: 'path "auth/token/create*" { capabilities = ["update", "sudo"] }',
  })
  await root('POST', 'auth/approle/role/shop', { token_policies: 'parent' })
  const roleId = dataOf(await root('GET', 'auth/approle/role/shop/role-id'))['role_id']
  const enter = async () => {
    const secretId = dataOf(await root('POST', 'auth/approle/role/shop/secret-id'))['secret_id']
    return authOf(await anybody('POST', 'auth/approle/login', { role_id: roleId, secret_id: secretId }))
  }
  const auth = await enter()
  assert.equal((await enter())['entity_id'], auth['entity_id'])
  const entity = dataOf(await root('GET', `identity/entity/id/${auth['entity_id']}`))
  assert.equal((entity['aliases'] as Fields[])[0]?.['name'], roleId)
  const child = authOf(await callWith(auth)('POST', 'auth/token/create', {}))
  assert.equal(child['entity_id'], auth['entity_id'])
  assert.equal(authOf(await callWith(auth)('POST', 'auth/token/create-orphan', {}))['entity_id'], '')
})

test('VAULT-2: policies of the entity, of its groups and of the groups above count as soon as they are written', async (t) => {
  const { login, root, make } = await setup(t)
  const mary = await login()
  const tom = await login('tom')
  assert.equal(await mary.reads(), '')
  await root('POST', `identity/entity/id/${mary.id}`, { policies: ['A', 'a'] })
  assert.equal(await mary.reads(), 'a')
  const inner = await make('group', { name: 'inner', policies: 'b', member_entity_ids: [mary.id] })
  assert.equal(await mary.reads(), 'ab')
  const outer = await make('group', { name: 'outer', policies: 'c', member_group_ids: inner })
  assert.equal(await mary.reads(), 'abc')
  assert.equal(await tom.reads(), '')

  const self = dataOf(await mary.call('GET', 'auth/token/lookup-self'))
  assert.deepEqual([self['policies'], self['identity_policies']], [['default'], ['a', 'b', 'c']])
  assert.deepEqual(self['external_namespace_policies'], {})
  const looked = await root('POST', 'auth/token/lookup', { token: mary.auth['client_token'] })
  assert.deepEqual(dataOf(looked)['identity_policies'], ['a', 'b', 'c'])
  const { auth } = await login()
  assert.deepEqual(
    [auth['policies'], auth['token_policies'], auth['identity_policies']],
    [['a', 'b', 'c', 'default'], ['default'], ['a', 'b', 'c']],
  )
  const capabilities = await root('POST', 'sys/capabilities', {
    token: mary.auth['client_token'],
    paths: ['secret/data/c'],
  })
  assert.deepEqual(dataOf(capabilities)['capabilities'], ['read'])

  const entity = dataOf(await root('GET', `identity/entity/name/${String(await nameOf(root, mary.id))}`))
  assert.deepEqual(
    [entity['direct_group_ids'], entity['inherited_group_ids'], entity['group_ids']],
    [[inner], [outer], [inner, outer]],
  )
  await root('POST', `identity/group/id/${inner}`, { member_entity_ids: [] })
  assert.equal(await mary.reads(), 'a')
  await root('POST', 'identity/group/name/inner', { member_entity_ids: [mary.id, tom.id] })
  assert.equal(await tom.reads(), 'bc')
  await root('DELETE', `identity/group/id/${outer}`)
  assert.equal(await mary.reads(), 'ab')
  await root('DELETE', 'identity/group/name/inner')
  assert.equal(await mary.reads(), 'a')
  assert.equal(await tom.reads(), '')
})

const nameOf = async (root: Awaited<ReturnType<typeof setup>>['root'], id: string) =>
  dataOf(await root('GET', `identity/entity/id/${id}`))['name']

test('VAULT-2: tokens of a disabled entity are refused until it is enabled, and it cannot sign in', async (t) => {
  const { login, root, anybody, password, audit } = await setup(t)
  const mary = await login()
  await root('POST', `identity/entity/id/${mary.id}`, { disabled: true })
  const words = 'permission denied'
  const refused = { status: 403, body: { errors: [words] } }
  const refusedAtDoor = { status: 403, body: { errors: [`1 error occurred:\n\t* ${words}\n\n`] } }
  assert.deepEqual(await mary.call('GET', 'auth/token/lookup-self'), refused)
  assert.deepEqual(await anybody('POST', 'auth/userpass/login/mary', { password }), refusedAtDoor)
  const entries = await audit.page({ limit: 3, order: 'desc' })
  assert.equal(entries.items[0]?.outcome, 'denied')
  const capabilities = await root('POST', 'sys/capabilities', {
    token: mary.auth['client_token'],
    paths: ['auth/token/lookup-self'],
  })
  assert.deepEqual(dataOf(capabilities)['capabilities'], ['deny'])
  await root('POST', `identity/entity/id/${mary.id}`, { disabled: false })
  assert.equal((await mary.call('GET', 'auth/token/lookup-self')).status, 200)
})

test('VAULT-2: tokens of a deleted entity end with it; the next login makes another', async (t) => {
  const { login, root } = await setup(t)
  const [mary, tom] = [await login(), await login('tom')]
  assert.equal((await root('DELETE', `identity/entity/id/${mary.id}`)).status, 204)
  assert.equal((await mary.call('GET', 'auth/token/lookup-self')).status, 403)
  assert.notEqual((await login()).id, mary.id)
  assert.equal((await root('POST', 'identity/entity/batch-delete', { entity_ids: [tom.id] })).status, 204)
  assert.equal((await tom.call('GET', 'auth/token/lookup-self')).status, 403)
  assert.equal((await root('GET', `identity/entity/id/${tom.id}`)).status, 404)
  assert.equal((await root('POST', 'identity/entity/batch-delete', {})).status, 400)
})

test('VAULT-2: a policy with a template is filled for each token, and follows what it is filled with', async (t) => {
  const { login, root, callWith } = await setup(t)
  await root('PUT', 'sys/policies/acl/own', {
    policy:
      'path "secret/data/of/{{identity.entity.name}}/*" { capabilities = ["create", "update", "read"] }\n' +
      'path "secret/data/team/{{identity.entity.metadata.team}}" { capabilities = ["create", "update"] }',
  })
  const mary = await login()
  const write = (path: string) => mary.call('POST', `secret/data/${path}`, { data: {} })
  await root('POST', `identity/entity/id/${mary.id}`, { name: 'mary', policies: 'own' })
  assert.equal((await write('of/mary/x')).status, 200)
  assert.equal((await write('of/tom/x')).status, 403)
  assert.equal((await write('team/shop')).status, 403)
  await root('POST', 'identity/entity/name/mary', { metadata: { team: 'shop' } })
  assert.equal((await write('team/shop')).status, 200)
  await root('POST', 'identity/entity/name/mary', { name: 'mary', metadata: { team: '*' } })
  assert.equal((await write('team/other')).status, 403)
  const acl = dataOf(await mary.call('GET', 'sys/internal/ui/resultant-acl'))
  assert.ok('secret/data/of/mary/' in (acl['glob_paths'] as Fields))
  // A token that belongs to nobody gets nothing of it.
  const nobodys = callWith(authOf(await root('POST', 'auth/token/create', { policies: ['own'] })))
  assert.equal((await nobodys('POST', 'secret/data/of/mary/x', { data: {} })).status, 403)
})

test('VAULT-2: two entities become one: aliases, groups and live tokens move', async (t) => {
  const { login, root, make } = await setup(t)
  const [mary, tom] = [await login(), await login('tom')]
  await make('group', { name: 'buyers', policies: 'b', member_entity_ids: [tom.id] })
  const merge = (body: Fields) => root('POST', 'identity/entity/merge', body)
  const into = { to_entity_id: mary.id, from_entity_ids: [tom.id] }
  const clash = await merge(into)
  assert.equal(clash.status, 400)
  assert.match(String(clash.body['errors']), /aliases with the same mount accessor/)
  const [kept] = dataOf(await root('GET', `identity/entity/id/${tom.id}`))['aliases'] as Fields[]
  assert.equal((await merge({ ...into, conflicting_alias_ids_to_keep: [kept?.['id']] })).status, 204)
  const entity = dataOf(await root('GET', `identity/entity/id/${tom.id}`))
  assert.deepEqual([entity['id'], entity['merged_entity_ids']], [mary.id, [tom.id]])
  assert.deepEqual(
    (entity['aliases'] as Fields[]).map((alias) => [alias['name'], alias['merged_from_canonical_ids']]),
    [['tom', [tom.id]]],
  )
  assert.equal(await tom.reads(), 'b')
  assert.equal(await mary.reads(), 'b')
  await root('POST', `identity/entity/id/${mary.id}`, { policies: 'c' })
  assert.equal(await tom.reads(), 'bc')
  assert.equal((await login('tom')).id, mary.id)
  assert.notEqual((await login()).id, mary.id)
  for (const [body, words] of [
    [{}, /missing entity id to merge to/],
    [{ to_entity_id: mary.id }, /missing entity ids to merge from/],
    [{ to_entity_id: 'x', from_entity_ids: [mary.id] }, /entity id to merge to is invalid/],
    [{ to_entity_id: mary.id, from_entity_ids: ['x'] }, /entity id to merge from is invalid/],
    [{ to_entity_id: mary.id, from_entity_ids: [mary.id] }, /should not be present in from_entity_ids/],
  ] as const) {
    const { status, body: answer } = await merge(body)
    assert.equal(status, 400)
    assert.match(String(answer['errors']), words)
  }
})

test('VAULT-2: what an entity is survives the restart of the vault', async (t) => {
  const { login, vault, root, make } = await setup(t)
  const mary = await login()
  await make('group', { name: 'g', policies: 'a', member_entity_ids: [mary.id] })
  vault.close()
  await vault.unsealByItself()
  assert.equal(await mary.reads(), 'a')
  assert.equal((await login()).id, mary.id)
  await root('DELETE', 'identity/group/name/g')
  assert.equal(await mary.reads(), '')
})

test('VAULT-2: many first logins at once make one entity', async (t) => {
  const { login, root } = await setup(t)
  const logins = await Promise.all(Array.from({ length: 6 }, () => login()))
  assert.equal(new Set(logins.map(({ id }) => id)).size, 1)
  assert.equal((dataOf(await root('LIST', 'identity/entity/id'))['keys'] as string[]).length, 1)
})

test('VAULT-2: a token role lets its holder name the entity of a token', async (t) => {
  const { root } = await setup(t)
  await root('POST', 'auth/token/roles/job', { allowed_entity_aliases: 'job-*,Night', orphan: true })
  assert.deepEqual(dataOf(await root('GET', 'auth/token/roles/job'))['allowed_entity_aliases'], [
    'job-*',
    'night',
  ])
  const create = (path: string, alias: string) =>
    root('POST', `auth/token/create${path}`, { entity_alias: alias, policies: ['default'] })
  const first = authOf(await create('/job', 'job-1'))
  assert.match(String(first['entity_id']), /^[0-9a-f-]{36}$/)
  assert.equal(authOf(await create('/job', 'JOB-1'))['entity_id'], first['entity_id'])
  assert.deepEqual((await create('/job', 'other')).body['errors'], ["invalid 'entity_alias' value"])
  assert.deepEqual((await create('', 'job-1')).body['errors'], [
    "'entity_alias' is only allowed in combination with token role",
  ])
})
