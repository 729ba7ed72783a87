import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { keepSealed } from '../../test/support/sealed-bytes.ts'
import { openWorld, type World } from '../../test/support/world.ts'
import { silentLog, systemPrincipal } from '../core/index.ts'
import { sql } from '../store/index.ts'
import {
  agentView,
  createIdentity,
  hashToken,
  type Identity,
  identityMigrations,
  randomToken,
} from './index.ts'

const system = systemPrincipal('test')

async function setup(t: TestContext): Promise<World & { identity: Identity }> {
  const world = await openWorld(t, identityMigrations)
  const identity = createIdentity({ ...world, log: silentLog, sealed: keepSealed() })
  return { ...world, identity }
}

async function signIn({ store, identity }: { store: World['store']; identity: Identity }) {
  const { owner, code } = await store.write(async (tx) => {
    const owner = await identity.bootstrapOwner(tx)
    return { owner, code: await identity.createSignInCode(tx, owner.id) }
  })
  return { owner, code, ...(await identity.exchange(code.reveal(), 'bearer')) }
}

const register = (
  { store, identity }: { store: World['store']; identity: Identity },
  name = 'builder',
  more = {},
) => store.write((tx) => identity.registerAgent(tx, { name, description: '', owner: system, ...more }))

const auditTypes = async ({ audit }: World): Promise<string[]> =>
  (await audit.page({ limit: 100, order: 'asc' })).items.map((entry) => `${entry.type} ${entry.outcome}`)

test('IDENT-1: the owner is made once', async (t) => {
  const { store, identity } = await setup(t)
  const first = await store.write((tx) => identity.bootstrapOwner(tx))
  const again = await store.write((tx) => identity.bootstrapOwner(tx))
  assert.deepEqual(first, again)
  assert.deepEqual(first.roles, ['owner'])
  assert.equal(await identity.countPeople(), 1)
})

test('IDENT-1: a sign-in code gives a session that says who it is and since when', async (t) => {
  const world = await setup(t)
  const { owner, session, token } = await signIn(world)
  const principal = await world.identity.authenticate(token.reveal())
  assert.deepEqual(principal, {
    kind: 'person',
    id: owner.id,
    name: 'owner',
    roles: ['owner'],
    signedInAt: world.clock.now(),
  })
  assert.deepEqual(await world.identity.session(token.reveal()), session)
  assert.deepEqual(await auditTypes(world), [
    'person.created done',
    'session.link_created done',
    'session.started done',
  ])
})

test('IDENT-1: a sign-in code works once, also when two use it at the same time', async (t) => {
  const { store, identity } = await setup(t)
  const code = await store.write(async (tx) =>
    identity.createSignInCode(tx, (await identity.bootstrapOwner(tx)).id),
  )
  const answers = await Promise.allSettled([
    identity.exchange(code.reveal(), 'cookie'),
    identity.exchange(code.reveal(), 'cookie'),
  ])
  assert.deepEqual(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await assert.rejects(identity.exchange(code.reveal(), 'cookie'), { code: 'session.code_invalid' })
})

test('IDENT-1: a wrong or expired code is refused, and the refusal is recorded without the code', async (t) => {
  const world = await setup(t)
  const { store, identity, clock, audit } = world
  const code = await store.write(async (tx) =>
    identity.createSignInCode(tx, (await identity.bootstrapOwner(tx)).id),
  )
  const wrong = randomToken('kwc_', 32).reveal()
  await assert.rejects(identity.exchange(wrong, 'cookie'), { code: 'session.code_invalid', status: 401 })
  clock.advance(10 * 60_000)
  await assert.rejects(identity.exchange(code.reveal(), 'cookie'), { code: 'session.code_invalid' })
  const { items } = await audit.page({ limit: 10, order: 'asc', type: 'session.refused' })
  assert.deepEqual(
    items.map(({ detail }) => detail),
    [{ reason: 'code unknown' }, { reason: 'code expired' }],
  )
  assert.doesNotMatch(JSON.stringify(items), new RegExp(`${wrong}|${code.reveal()}`))
})

test('IDENT-1: a code from the future is refused when the clock went back', async (t) => {
  const { store, identity, clock } = await setup(t)
  const code = await store.write(async (tx) =>
    identity.createSignInCode(tx, (await identity.bootstrapOwner(tx)).id),
  )
  clock.set(new Date(clock.now().getTime() - 3600_000))
  await assert.rejects(identity.exchange(code.reveal(), 'cookie'), { code: 'session.code_invalid' })
})

test('IDENT-1: a flood of wrong codes fills no log and locks nobody out', async (t) => {
  const { store, identity, clock, audit } = await setup(t)
  const code = await store.write(async (tx) =>
    identity.createSignInCode(tx, (await identity.bootstrapOwner(tx)).id),
  )
  const guess = () =>
    assert.rejects(identity.exchange('kwc_wrong', 'cookie'), { code: 'session.code_invalid' })
  for (let i = 0; i < 50; i++) await guess()
  await identity.exchange(code.reveal(), 'cookie')
  clock.advance(60_000)
  await guess()
  const { items } = await audit.page({ limit: 100, order: 'asc', type: 'session.refused' })
  assert.equal(items.length, 21)
  assert.deepEqual(items.at(-1)?.detail, { reason: 'code unknown', alsoRefused: 30 })
})

test('IDENT-1: a session ends by its end, its expiry or its owner being disabled; at once, though cached', async (t) => {
  const world = await setup(t)
  const { store, identity, clock } = world
  const who = async (token: string) => (await identity.authenticate(token))?.kind

  const first = (await signIn(world)).token.reveal()
  assert.equal(await who(first), 'person')
  assert.equal(await identity.endSession(first), true)
  assert.equal(await who(first), undefined)
  assert.equal(await identity.endSession(first), false)

  const second = (await signIn(world)).token.reveal()
  assert.equal(await who(second), 'person')
  clock.advance(7 * 24 * 3600_000)
  assert.equal(await who(second), undefined)

  const third = await signIn(world)
  assert.equal(await who(third.token.reveal()), 'person')
  const disable = () =>
    store.write((tx) => identity.disablePerson(tx, third.owner.id, system, 'left the company'))
  await assert.rejects(disable(), { code: 'person.last_owner' })
  await store.write((tx) => identity.createPerson(tx, { name: 'mary', roles: ['owner'], by: system }))
  await disable()
  assert.equal(await who(third.token.reveal()), undefined)
  assert.equal(await identity.countPeople(), 1)
  await assert.rejects(
    store.write((tx) => identity.createSignInCode(tx, third.owner.id)),
    { code: 'session.required' },
  )
})

test('IDENT-1: all sessions of a person end together', async (t) => {
  const world = await setup(t)
  const first = await signIn(world)
  const second = await signIn(world)
  assert.equal(await world.store.write((tx) => world.identity.endSessionsOf(tx, first.owner.id, system)), 2)
  for (const { token } of [first, second]) {
    assert.equal(await world.identity.authenticate(token.reveal()), undefined)
  }
})

test('IDENT-1: a session that a rolled-back transaction ended goes on', async (t) => {
  const world = await setup(t)
  const { owner, token } = await signIn(world)
  const failing = world.store.write(async (tx) => {
    await world.identity.endSessionsOf(tx, owner.id, system)
    throw new Error('rolled back')
  })
  await assert.rejects(failing, /rolled back/)
  assert.equal((await world.identity.authenticate(token.reveal()))?.id, owner.id)
})

test('IDENT-1: two accounts cannot share a name', async (t) => {
  const { store, identity } = await setup(t)
  const create = () =>
    store.write((tx) => identity.createPerson(tx, { name: 'ada', roles: ['approver'], by: system }))
  await create()
  await assert.rejects(create(), { code: 'request.conflict' })
})

test('IDENT-2: an agent is known by its key, with its scopes', async (t) => {
  const world = await setup(t)
  const { agent, apiKey } = await register(world, 'builder', { scopes: ['leases', 'logs.write'] })
  assert.match(apiKey.reveal(), /^kwa_[0-9A-Za-z]{43}$/)
  assert.deepEqual(await world.identity.authenticate(apiKey.reveal()), {
    kind: 'agent',
    id: agent.id,
    name: 'builder',
    roles: [],
    scopes: ['leases', 'logs.write'],
  })
})

test('IDENT-2: a quarantined agent is refused at once, by name, and comes back when activated', async (t) => {
  const world = await setup(t)
  const { store, identity, audit } = world
  const { agent, apiKey } = await register(world)
  await identity.authenticate(apiKey.reveal())
  const quarantined = await store.write((tx) =>
    identity.setAgentState(tx, agent.id, 'quarantined', system, 'acts oddly'),
  )
  assert.equal(quarantined.state, 'quarantined')
  await assert.rejects(identity.authenticate(apiKey.reveal()), { code: 'agent.inactive', status: 403 })
  const { items } = await audit.page({ limit: 10, order: 'asc', type: 'agent.refused' })
  assert.deepEqual(items[0]?.actor, `agent:${agent.id}`)
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'active', system, 'looked into'))
  assert.equal((await identity.authenticate(apiKey.reveal()))?.id, agent.id)
})

test('IDENT-2: a key expires, and a rotated key lives on for the overlap only', async (t) => {
  const world = await setup(t)
  const { store, identity, clock } = world
  const soon = new Date(clock.now().getTime() + 1000)
  const short = await register(world, 'short', { keyExpiresAt: soon })
  assert.ok(await identity.authenticate(short.apiKey.reveal()))
  clock.advance(1000)
  assert.equal(await identity.authenticate(short.apiKey.reveal()), undefined)

  const { agent, apiKey } = await register(world, 'long', { scopes: ['runs'] })
  const next = await store.write((tx) => identity.rotateAgentKey(tx, agent.id, system, 60))
  assert.ok(await identity.authenticate(apiKey.reveal()))
  clock.advance(60_000)
  assert.equal(await identity.authenticate(apiKey.reveal()), undefined)
  const principal = await identity.authenticate(next.reveal())
  assert.ok(principal?.kind === 'agent')
  assert.deepEqual(principal.scopes, ['runs'])
})

test('IDENT-2: a name is taken once, and an unknown agent is said to be unknown', async (t) => {
  const world = await setup(t)
  await register(world)
  await assert.rejects(register(world), { code: 'agent.exists', status: 409 })
  const { store, identity } = world
  await assert.rejects(
    store.write((tx) => identity.setAgentState(tx, 'agt_none', 'quarantined', system, 'because')),
    { code: 'agent.not_found' },
  )
  await assert.rejects(
    store.write((tx) => identity.rotateAgentKey(tx, 'agt_none', system, 0)),
    { code: 'agent.not_found' },
  )
  assert.equal(await identity.agent('agt_none'), undefined)
})

test('IDENT-2: agents are listed newest first, page by page, with their last use', async (t) => {
  const world = await setup(t)
  const { identity, clock } = world
  const keys = []
  for (const name of ['one', 'two', 'three']) {
    keys.push((await register(world, name)).apiKey)
    clock.advance(1)
  }
  await identity.authenticate(keys[0]?.reveal() ?? '')
  await identity.settled()
  const first = await identity.agents({ limit: 2 })
  const second = await identity.agents({ limit: 2, cursor: first.next ?? undefined })
  assert.deepEqual(
    [...first.items, ...second.items].map(({ name, lastUsedAt }) => [name, lastUsedAt?.getTime() ?? null]),
    [
      ['three', null],
      ['two', null],
      ['one', clock.now().getTime()],
    ],
  )
  assert.equal(second.next, null)
  assert.equal(await identity.countAgents(), 3)
  const [one] = second.items
  assert.equal(one && agentView(one, 4).activeLeases, 4)
})

test('IDENT-3: a token of no known kind belongs to nobody', async (t) => {
  const { identity } = await setup(t)
  for (const token of ['', 'kws_', 'kwa_x', 'hvs.abc', randomToken('kws_', 43).reveal()]) {
    assert.equal(await identity.authenticate(token), undefined)
  }
})

test('IDENT-3: no token is stored, only its hash', async (t) => {
  const world = await setup(t)
  const { token, code } = await signIn(world)
  const { apiKey } = await register(world)
  const tables = ['people', 'sign_in_codes', 'sessions', 'agents', 'agent_keys', 'audit_entries']
  let stored = ''
  for (const table of tables) {
    stored += JSON.stringify(await world.store.all({ text: `select * from ${table}`, values: [] }))
  }
  for (const secret of [token, code, apiKey]) {
    assert.ok(!stored.includes(secret.reveal()))
    assert.ok(stored.includes(hashToken(secret.reveal())))
  }
  assert.equal((await world.store.get<{ n: number }>(sql`select count(*) as n from sessions`))?.n, 1)
})

test('a random token is of the asked length and alphabet, and never the same', () => {
  const tokens = Array.from({ length: 200 }, () => randomToken('kwp_', 32).reveal())
  for (const token of tokens) assert.match(token, /^kwp_[0-9A-Za-z]{32}$/)
  assert.equal(new Set(tokens).size, 200)
})
