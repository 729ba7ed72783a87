import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  entries,
  type LendWorld,
  ask as leaseOf,
  openLendWorld,
  system,
} from '../../test/support/lend-world.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import { type Principal, Secret } from '../core/index.ts'
import { agentPrincipal, randomToken } from '../identity/index.ts'

const destinations = [
  { host: 'api.example.com', port: 443 },
  { host: 'files.example.com', port: 443, methods: ['GET'] },
]
const ada: Principal = { kind: 'person', id: 'ada', name: 'Ada', roles: ['operator'] }
const auditor: Principal = { kind: 'person', id: 'eve', name: 'Eve', roles: ['auditor'] }
const limits = { maxTtlSeconds: 300, expiresInSeconds: 3600 }

/** The vault of this world keeps what is written to any path. */
async function opened(t: TestContext, options: Parameters<typeof openLendWorld>[1] = {}, name = 'builder') {
  const world = await openLendWorld(t, options, name)
  const { kv } = world
  const stored = new Map<string, Record<string, Secret>>()
  const { read } = kv
  kv.read = async (path) => {
    const data = stored.get(path)
    return data ? { data } : read(path)
  }
  Object.assign(kv, {
    write: async (_tx: unknown, path: string, data: Record<string, Secret>) => void stored.set(path, data),
  })
  return { world, stored }
}

const question = ({ store, lend, agent }: LendWorld, more: object = {}) =>
  store.write((tx) =>
    lend.asks.create(tx, {
      principal: agentPrincipal(agent),
      name: 'stripe',
      field: 'value',
      destinations,
      injection: { kind: 'bearer' },
      reason: 'Refund order 17',
      expiresInSeconds: 600,
      ...more,
    }),
  )

const answer = ({ store, lend }: LendWorld, askId: string, more: object = {}, by: Principal = ada) =>
  store.write((tx) => lend.asks.answer(tx, askId, { ...limits, value: newValue(), ...more }, by))

const newValue = (): Secret => new Secret(randomToken('test_', 24).reveal())

test('LEND-4: what an agent lacks is asked for, entered by a person, stored, granted and lent; the value is told nobody', async (t) => {
  const { world, stored } = await opened(t)
  const value = newValue()
  const asked = await question(world)
  assert.deepEqual(
    [asked.state, asked.reference, asked.secretPath],
    ['open', null, 'secret/agents/builder/stripe'],
  )
  assert.equal(await world.lend.asks.countOpen(), 1)
  const answered = await answer(world, asked.id, { value })
  assert.deepEqual(
    [answered.state, answered.closedBy, answered.reference],
    ['answered', 'person:ada', 'keyward://secret/agents/builder/stripe#value'],
  )
  assert.equal(stored.get(asked.secretPath)?.['value'], value)
  const lease = { secretPath: asked.secretPath, destinations: [{ host: 'api.example.com', port: 443 }] }
  const { placeholder } = await world.lend.request(leaseOf(world, lease))
  const claim = {
    placeholder,
    agentId: world.agent.id,
    sandboxId: 'sbx_1',
    port: 443,
    method: 'POST',
    path: '/',
  }
  const used = await world.lend.use({ ...claim, host: 'api.example.com', places: ['bearer'] })
  assert.equal(used.value.reveal(), value.reveal())
  const types = (await world.audit.page({ limit: 50, order: 'asc' })).items.map(({ type }) => type)
  assert.deepEqual(
    types.filter((type) => /^(ask|secret|lease\.granted)/.test(type)),
    ['ask.opened', 'lease.granted', 'secret.written', 'ask.answered'],
  )
  for (const table of ['audit_entries', 'lend_asks', 'lend_grants']) {
    const rows = await world.store.all({ text: `select * from ${table}`, values: [] })
    assert.ok(!JSON.stringify(rows).includes(value.reveal()), table)
  }
})

test('LEND-4: who answers may narrow the places, and never widen them', async (t) => {
  const { world, stored } = await opened(t)
  const { id, secretPath } = await question(world)
  for (const wider of [
    [{ host: 'evil.example.com', port: 443 }],
    [{ host: 'files.example.com', port: 443 }],
    [...destinations, { host: 'api.example.com', port: 8443 }],
  ])
    await assert.rejects(answer(world, id, { destinations: wider }), { code: 'request.invalid' })
  assert.equal(stored.size, 0, 'nothing is stored then')
  const narrow = [{ host: 'api.example.com', port: 443, methods: ['GET'], pathPrefix: '/v1' }]
  const { grantId } = await answer(world, id, { destinations: narrow })
  assert.deepEqual((await world.lend.readGrant(grantId ?? ''))?.destinations, narrow)
  await assert.rejects(world.lend.request(leaseOf(world, { secretPath, destinations })), {
    code: 'policy.denied',
  })
})

test('LEND-4: denied, withdrawn, expired and answered are four ends, and each is the last', async (t) => {
  const { world } = await opened(t)
  const { store, lend, clock } = world
  const close = (askId: string, state: 'denied' | 'withdrawn') =>
    store.write((tx) => lend.asks.close(tx, askId, state, 'Use the other key', ada))
  const [denied, withdrawn, answered] = [await question(world), await question(world), await question(world)]
  assert.deepEqual((await close(denied.id, 'denied')).closeReason, 'Use the other key')
  await close(withdrawn.id, 'withdrawn')
  await answer(world, answered.id)
  const expired = await question(world)
  clock.advance(600_000)
  assert.equal((await lend.asks.read(expired.id))?.state, 'expired')
  assert.deepEqual((await lend.asks.page({ limit: 9, state: 'open' })).items, [])
  await assert.rejects(answer(world, expired.id), { code: 'ask.closed', detail: /is expired/ })
  await lend.asks.expireDue()
  assert.equal((await entries(world, 'ask.expired')).length, 1)
  for (const [{ id }, state] of [
    [denied, 'denied'],
    [withdrawn, 'withdrawn'],
    [answered, 'answered'],
    [expired, 'expired'],
  ] as const) {
    assert.deepEqual(
      (await lend.asks.page({ limit: 9, state })).items.map((one) => one.id),
      [id],
    )
    await assert.rejects(answer(world, id), { code: 'ask.closed' })
    await assert.rejects(close(id, 'denied'), { code: 'ask.closed' })
  }
  await assert.rejects(answer(world, 'ask_none'), { code: 'ask.not_found' })
  await assert.rejects(close('ask_none', 'denied'), { code: 'ask.not_found' })
})

test('LEND-4: an agent has five questions open at most, and none while it is quarantined', async (t) => {
  const { world } = await opened(t)
  const { store, lend, identity, agent } = world
  const asked = await Promise.all(Array.from({ length: 5 }, () => question(world)))
  await assert.rejects(question(world), { code: 'ask.too_many', status: 429 })
  await store.write((tx) => lend.asks.close(tx, asked[0]?.id ?? '', 'withdrawn', 'not needed', system))
  await question(world)
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'quarantined', system, 'it misbehaves'))
  await assert.rejects(question(world), { code: 'agent.inactive' })
  await assert.rejects(answer(world, asked[1]?.id ?? ''), { code: 'agent.inactive' })
})

test('LEND-4: who may not grant cannot answer; a name that two hosts could have is refused', async (t) => {
  const { world } = await opened(t)
  const { id } = await question(world)
  for (const by of [auditor, agentPrincipal(world.agent)])
    await assert.rejects(answer(world, id, {}, by), { code: 'policy.denied' })
  assert.equal((await world.lend.asks.read(id))?.state, 'open')
  await assert.rejects(question(world, { destinations: [{ host: 'a,b', port: 443 }] }), {
    code: 'request.invalid',
  })
})

test('LEND-4: a question outlives the server, and another field of the same secret stays', async (t) => {
  const dataDir = temporaryFolder(t)
  const first = await opened(t, { dataDir })
  const { id, secretPath } = await question(first.world, { field: 'webhook' })
  await first.world.close()
  const { world, stored } = await opened(t, { dataDir, clock: first.world.clock }, 'second')
  const { agent } = first.world
  stored.set(secretPath, { value: newValue() })
  const answered = await answer({ ...world, agent }, id)
  assert.equal(answered.reference, 'keyward://secret/agents/builder/stripe#webhook')
  assert.deepEqual(Object.keys(stored.get(secretPath) ?? {}), ['value', 'webhook'])
})
