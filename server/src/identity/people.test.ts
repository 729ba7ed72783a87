import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { keepSealed } from '../../test/support/sealed-bytes.ts'
import { openWorld } from '../../test/support/world.ts'
import { type Principal, silentLog } from '../core/index.ts'
import { createIdentity, identityMigrations, personView } from './index.ts'

async function setup(t: TestContext) {
  const world = await openWorld(t, identityMigrations)
  const identity = createIdentity({ ...world, log: silentLog, sealed: keepSealed() })
  const owner = await world.store.write((tx) => identity.bootstrapOwner(tx))
  const by: Principal = { kind: 'person', id: owner.id, name: owner.name, roles: owner.roles }
  const make = (name: string, roles: Principal['roles'], groups: string[] = []) => {
    world.clock.advance(1000)
    return world.store.write((tx) => identity.createPerson(tx, { name, roles, groups, by }))
  }
  return { ...world, identity, owner, by, make }
}

test('IDENT-1: more people have accounts, with roles and groups, each name once', async (t) => {
  const { identity, owner, by, make, audit } = await setup(t)
  const mary = await make('mary', ['approver'], ['buyers'])
  await assert.rejects(make('mary', ['auditor']), { code: 'request.conflict' })
  const { items, next } = await identity.people({ limit: 10 })
  assert.deepEqual([items.map(({ name }) => name), next], [['mary', 'owner'], null])
  const first = await identity.people({ limit: 1 })
  assert.deepEqual((await identity.people({ limit: 1, cursor: first.next ?? '' })).items, [owner])
  assert.deepEqual(personView(mary), {
    id: mary.id,
    name: 'mary',
    roles: ['approver'],
    groups: ['buyers'],
    disabled: false,
    createdAt: mary.createdAt.toISOString(),
  })
  const made = (await audit.page({ limit: 10, order: 'desc', type: 'person.created' })).items[0]
  assert.deepEqual(
    [made?.actor, made?.detail],
    [`person:${by.id}`, { name: 'mary', roles: ['approver'], groups: ['buyers'] }],
  )
})

test('IDENT-1: a role that is taken away is gone from sessions that are open', async (t) => {
  const { identity, store, by, make, audit } = await setup(t)
  const mary = await make('mary', ['approver'])
  const code = await store.write((tx) => identity.createSignInCode(tx, mary.id, by))
  const token = (await identity.exchange(code.reveal(), 'bearer')).token.reveal()
  assert.deepEqual((await identity.authenticate(token))?.roles, ['approver'])
  await store.write((tx) => identity.setRoles(tx, mary.id, ['auditor'], by))
  assert.deepEqual((await identity.authenticate(token))?.roles, ['auditor'])
  await store.write((tx) => identity.setGroups(tx, mary.id, ['release'], by))
  assert.deepEqual((await identity.person(mary.id))?.groups, ['release'])
  const types = (await audit.page({ limit: 50, order: 'asc' })).items.map(({ type }) => type)
  assert.ok(types.includes('person.roles_changed') && types.includes('person.groups_changed'))
})

test('IDENT-1: the last owner stays one, and who is unknown cannot be changed', async (t) => {
  const { identity, store, owner, by, make } = await setup(t)
  const { id } = await make('mary', ['approver'])
  await assert.rejects(
    store.write((tx) => identity.setRoles(tx, owner.id, ['auditor'], by)),
    { code: 'person.last_owner' },
  )
  await store.write((tx) => identity.setRoles(tx, id, ['owner'], by))
  assert.deepEqual((await store.write((tx) => identity.setRoles(tx, owner.id, ['auditor'], by))).roles, [
    'auditor',
  ])
  for (const change of [
    () => store.write((tx) => identity.setRoles(tx, 'psn_none', ['owner'], by)),
    () => store.write((tx) => identity.setGroups(tx, 'psn_none', [], by)),
    () => store.write((tx) => identity.disablePerson(tx, 'psn_none', by, 'nobody')),
  ]) {
    await assert.rejects(change(), { code: 'person.not_found' })
  }
})

test('IDENT-1: a closed account has no sessions and gets no new ones', async (t) => {
  const { identity, store, by, make } = await setup(t)
  const mary = await make('mary', ['approver'])
  const code = await store.write((tx) => identity.createSignInCode(tx, mary.id, by))
  const token = (await identity.exchange(code.reveal(), 'bearer')).token.reveal()
  const closed = await store.write((tx) => identity.disablePerson(tx, mary.id, by, 'left'))
  assert.equal(closed.disabled, true)
  assert.equal(await identity.authenticate(token), undefined)
  await assert.rejects(
    store.write((tx) => identity.createSignInCode(tx, mary.id, by)),
    { code: 'session.required' },
  )
})
