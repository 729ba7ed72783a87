import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dataOf, openAuth } from '../../../test/support/vault-auth.ts'

type Fields = Record<string, unknown>

/** Two mounts, by their accessors, and short ways to ask. */
async function setup(t: Parameters<typeof openAuth>[0]) {
  const world = await openAuth(t, 'userpass')
  const { root } = world
  await root('POST', 'sys/auth/approle', { type: 'approle' })
  const mounts = dataOf(await root('GET', 'sys/auth')) as Record<string, Fields>
  const accessor = (path: string): string => String(mounts[path]?.['accessor'])
  const write = (path: string, body: Fields) => root('POST', `identity/${path}`, body)
  const make = async (path: string, body: Fields): Promise<string> => {
    const reply = await write(path, body)
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    return String(dataOf(reply)['id'])
  }
  const read = async (path: string): Promise<Fields> => dataOf(await root('GET', `identity/${path}`))
  const refused = async (path: string, body: Fields, words: RegExp) => {
    const reply = await write(path, body)
    assert.equal(reply.status, 400, JSON.stringify([path, body, reply.body]))
    assert.match(String(reply.body['errors']), words)
  }
  return {
    ...world,
    write,
    make,
    read,
    refused,
    users: accessor('userpass/'),
    roles: accessor('approle/'),
  }
}

test('VAULT-2: an entity is written and found by id and by name, in any case of letters', async (t) => {
  const { root, make, read, write } = await setup(t)
  const id = await make('entity', { name: 'Mary', policies: 'B,a,b', metadata: { team: 'shop' } })
  const byName = await read('entity/name/mARY')
  assert.deepEqual(
    [byName['id'], byName['name'], byName['policies'], byName['metadata'], byName['disabled']],
    [id, 'Mary', ['a', 'b'], { team: 'shop' }, false],
  )
  assert.equal((await write('entity/name/mary', { metadata: ['a=b', 'c=d=e'] })).status, 204)
  assert.equal((await write('entity', { id, policies: [] })).status, 204)
  assert.deepEqual((await read(`entity/id/${id}`))['metadata'], { a: 'b', c: 'd=e' })
  assert.deepEqual((await read(`entity/id/${id}`))['policies'], [])
  assert.equal((await write(`entity/id/${id}`, { name: 'Maria' })).status, 204)
  assert.equal((await root('GET', 'identity/entity/name/Mary')).status, 404)
  assert.equal((await read('entity/name/Maria'))['id'], id)
  const unnamed = await make('entity', {})
  assert.equal((await read(`entity/id/${unnamed}`))['name'], `entity_${unnamed.slice(0, 8)}`)
  const ids = dataOf(await root('LIST', 'identity/entity/id'))
  assert.deepEqual(ids['keys'], [id, unnamed].sort())
  assert.deepEqual((ids['key_info'] as Fields)[id], { name: 'Maria' })
  assert.equal((dataOf(await root('LIST', 'identity/entity/name'))['keys'] as string[]).length, 2)
  assert.equal((await root('DELETE', 'identity/entity/name/maria')).status, 204)
  assert.equal((await root('DELETE', 'identity/entity/name/maria')).status, 204)
})

test('VAULT-2: what an entity cannot be is refused', async (t) => {
  const { root, make, refused, anybody } = await setup(t)
  const id = await make('entity', { name: 'mary' })
  await make('entity', { name: 'tom' })
  const long = 'x'.repeat(513)
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v']))
  await refused('entity', { policies: ['root'] }, /policies cannot contain root/)
  await refused('entity', { policies: ['response-wrapping'] }, /cannot contain response-wrapping/)
  await refused(`entity/id/${id}`, { name: 'TOM' }, /entity name is already in use/)
  await refused('entity/id/none', { name: 'x' }, /entity not found from id/)
  await refused('entity', { name: long }, /a name has 1 to 512 characters/)
  await refused('entity', { name: 'a\nb' }, /a name has/)
  await refused('entity', { metadata: many }, /at most 64 keys/)
  await refused('entity', { metadata: { ['k'.repeat(129)]: 'v' } }, /a key of metadata has 1 to 128 bytes/)
  await refused('entity', { metadata: { k: long } }, /a value of metadata has at most 512 bytes/)
  await refused('entity', { metadata: 'shop' }, /expected key=value/)
  await refused('entity', { disabled: 'perhaps' }, /"disabled": it must be true or false/)
  assert.equal((await root('LIST', 'identity/entity/id')).status, 200)
  assert.equal((await anybody('GET', `identity/entity/id/${id}`)).status, 403)
  assert.equal((await root('POST', 'sys/mounts/identity', { type: 'kv' })).status, 400)
  assert.equal((await root('DELETE', 'sys/mounts/identity')).status, 400)
})

test('VAULT-2: an alias is made, renamed, given to another entity and deleted', async (t) => {
  const { root, make, read, write, refused, users, roles } = await setup(t)
  const [mary, tom] = [await make('entity', { name: 'mary' }), await make('entity', { name: 'tom' })]
  const custom_metadata = { desk: '4' }
  const id = await make('entity-alias', {
    name: 'mary',
    mount_accessor: users,
    canonical_id: mary,
    custom_metadata,
  })
  const alias = await read(`entity-alias/id/${id}`)
  assert.deepEqual(
    [alias['name'], alias['canonical_id'], alias['mount_type'], alias['custom_metadata'], alias['local']],
    ['mary', mary, 'userpass', custom_metadata, false],
  )
  assert.equal((await write('entity-alias', { name: 'MARY', mount_accessor: users })).status, 200)
  assert.equal((await write(`entity-alias/id/${id}`, {})).status, 204)
  assert.equal((await write(`entity-alias/id/${id}`, { name: 'maria' })).status, 200)
  assert.equal((await write('entity-alias', { id, canonical_id: tom })).status, 200)
  assert.deepEqual((await read(`entity/id/${mary}`))['aliases'], [])
  const found = await write('lookup/entity', { alias_name: 'maria', alias_mount_accessor: users })
  assert.equal(dataOf(found)['id'], tom)
  assert.equal(dataOf(await write('lookup/entity', { alias_id: id }))['id'], tom)
  // Without an entity it gets one of its own.
  const own = dataOf(await write('entity-alias', { name: 'role-1', mount_accessor: roles }))
  assert.notEqual(own['canonical_id'], tom)
  const listed = dataOf(await root('LIST', 'identity/entity-alias/id'))
  assert.deepEqual(
    listed['keys'],
    (listed['keys'] as string[]).filter((key) => [id, own['id']].includes(key)),
  )
  assert.equal((listed['key_info'] as Record<string, Fields>)[id]?.['canonical_id'], tom)

  const other = await make('entity-alias', { name: 'x', mount_accessor: users, canonical_id: mary })
  await refused('entity-alias', { name: 'x' }, /'id' or 'mount_accessor' and 'name' must be provided/)
  await refused('entity-alias', { name: 'x', mount_accessor: 'none' }, /invalid mount accessor "none"/)
  await refused('entity-alias', { id: 'none' }, /invalid alias ID provided/)
  await refused(
    'entity-alias',
    { name: 'y', mount_accessor: users, canonical_id: 'none' },
    /invalid canonical ID/,
  )
  await refused(
    'entity-alias',
    { name: 'y', mount_accessor: users, canonical_id: tom },
    /Alias already exists for requested entity and mount accessor/,
  )
  await refused(`entity-alias/id/${other}`, { name: 'maria' }, /combination of mount accessor and name/)
  await refused(`entity-alias/id/${other}`, { canonical_id: tom }, /already has an alias for the given/)
  await refused(`entity-alias/id/${other}`, { canonical_id: 'none' }, /is not associated with an entity/)
  await refused(`entity-alias/id/${other}`, { mount_accessor: 'none' }, /invalid mount accessor/)
  await refused(
    `entity-alias/id/${other}`,
    { custom_metadata: { a: '' } },
    /custom_metadata validation failed/,
  )
  assert.equal((await root('DELETE', `identity/entity-alias/id/${id}`)).status, 204)
  assert.equal((await root('DELETE', `identity/entity-alias/id/${id}`)).status, 204)
  assert.equal((await root('GET', `identity/entity-alias/id/${id}`)).status, 404)
  const gone = await write('lookup/entity', { alias_name: 'maria', alias_mount_accessor: users })
  assert.equal(gone.status, 204)
})

test('VAULT-2: groups hold groups and no circles', async (t) => {
  const { root, make, read, write, refused } = await setup(t)
  const mary = await make('entity', { name: 'mary' })
  const inner = await make('group', { name: 'inner', member_entity_ids: [mary], policies: 'b,A' })
  const middle = await make('group', { name: 'middle', member_group_ids: [inner] })
  const outer = await make('group', { name: 'outer', member_group_ids: [middle], metadata: { floor: '2' } })
  const group = await read(`group/id/${inner}`)
  assert.deepEqual(
    [group['name'], group['type'], group['policies'], group['member_entity_ids'], group['parent_group_ids']],
    ['inner', 'internal', ['a', 'b'], [mary], [middle]],
  )
  assert.deepEqual((await read('group/name/OUTER'))['metadata'], { floor: '2' })
  assert.deepEqual((await read(`entity/id/${mary}`))['inherited_group_ids'], [middle, outer])
  for (const [path, member] of [
    [`group/id/${inner}`, outer],
    [`group/id/${inner}`, inner],
    [`group/id/${middle}`, outer],
  ])
    await refused(String(path), { member_group_ids: [member] }, /cycle detected/)
  await refused('group', { type: 'open' }, /invalid group type "open"/)
  await refused(`group/id/${inner}`, { type: 'external' }, /group type cannot be changed/)
  await refused('group', { policies: 'root' }, /policies cannot contain root/)
  await refused('group', { member_entity_ids: ['none'] }, /invalid entity ID "none"/)
  await refused('group', { member_group_ids: ['none'] }, /invalid member group ID "none"/)
  await refused(`group/id/${inner}`, { name: 'Outer' }, /group name is already in use/)
  await refused('group/id/none', { name: 'x' }, /invalid group ID/)
  await refused(
    'group',
    { type: 'external', member_entity_ids: [mary] },
    /member entities can't be set manually for external groups/,
  )
  await refused(
    'group',
    { type: 'external', member_group_ids: [inner] },
    /member groups can't be set for external groups/,
  )
  const names = dataOf(await root('LIST', 'identity/group/name'))['keys'] as string[]
  assert.deepEqual(names.toSorted(), ['inner', 'middle', 'outer'])
  const info = dataOf(await root('LIST', 'identity/group/id'))['key_info'] as Fields
  assert.deepEqual(info[inner], { name: 'inner', num_member_entities: 1, num_parent_groups: 1 })
  assert.equal(dataOf(await write('lookup/group', { name: 'middle' }))['id'], middle)
  await root('DELETE', `identity/group/id/${middle}`)
  assert.equal((await read(`group/id/${inner}`))['parent_group_ids'], null)
  assert.equal((await read(`group/id/${outer}`))['member_group_ids'], null)
  await root('DELETE', `identity/entity/id/${mary}`)
  assert.deepEqual((await read(`group/id/${inner}`))['member_entity_ids'], [])
})

test('VAULT-2: an external group has one name at a mount', async (t) => {
  const { root, make, read, write, refused, users, roles } = await setup(t)
  const group = await make('group', { name: 'ops', type: 'external' })
  const inner = await make('group', { name: 'inner' })
  const id = await make('group-alias', { name: 'idp-ops', mount_accessor: users, canonical_id: group })
  const alias = (await read(`group/id/${group}`))['alias'] as Fields
  assert.deepEqual([alias['id'], alias['name'], alias['mount_path']], [id, 'idp-ops', 'auth/userpass/'])
  assert.equal((await read(`group-alias/id/${id}`))['canonical_id'], group)
  assert.equal((await write(`group-alias/id/${id}`, { name: 'ops', mount_accessor: roles })).status, 200)
  const found = await write('lookup/group', { alias_name: 'ops', alias_mount_accessor: roles })
  assert.equal(dataOf(found)['id'], group)
  assert.equal(
    (await write('lookup/group', { alias_name: 'idp-ops', alias_mount_accessor: users })).status,
    204,
  )
  const own = dataOf(await write('group-alias', { name: 'others', mount_accessor: users }))
  assert.equal((await read(`group/id/${own['canonical_id']}`))['type'], 'external')
  const moved = { name: 'others', mount_accessor: users, canonical_id: group }
  assert.equal((await write(`group-alias/id/${own['id']}`, moved)).status, 200)
  assert.deepEqual((await read(`group/id/${own['canonical_id']}`))['alias'], {})
  assert.deepEqual(dataOf(await root('LIST', 'identity/group-alias/id'))['keys'], [own['id']])

  const usual = { name: 'x', mount_accessor: users }
  await refused('group-alias', { mount_accessor: users }, /missing alias name/)
  await refused('group-alias', { name: 'x' }, /missing mount_accessor/)
  await refused('group-alias', { ...usual, mount_accessor: 'none' }, /invalid mount accessor "none"/)
  await refused('group-alias', { ...usual, canonical_id: 'none' }, /invalid group ID given in 'canonical_id'/)
  await refused('group-alias', { ...usual, canonical_id: inner }, /alias can't be set on an internal group/)
  await refused('group-alias/id/none', usual, /invalid group alias ID/)
  await refused('group-alias', { ...usual, name: 'others' }, /group alias name is already in use/)
  assert.equal((await root('DELETE', `identity/group-alias/id/${own['id']}`)).status, 204)
  assert.equal((await root('GET', `identity/group-alias/id/${own['id']}`)).status, 404)
  assert.equal((await root('LIST', 'identity/group-alias/id')).status, 404)
})

test('VAULT-2: a lookup asks by one thing', async (t) => {
  const { make, write, refused } = await setup(t)
  const id = await make('entity', { name: 'mary' })
  assert.equal(dataOf(await write('lookup/entity', { id }))['name'], 'mary')
  for (const kind of ['entity', 'group']) {
    await refused(`lookup/${kind}`, {}, /query parameter not supplied/)
    await refused(`lookup/${kind}`, { id, name: 'mary' }, /query parameter conflict/)
    await refused(`lookup/${kind}`, { alias_name: 'a' }, /both 'alias_name' and 'alias_mount_accessor'/)
    await refused(`lookup/${kind}`, { alias_name: 'a', id }, /query parameter conflict/)
    assert.equal((await write(`lookup/${kind}`, { name: 'nobody' })).status, 204)
  }
})
