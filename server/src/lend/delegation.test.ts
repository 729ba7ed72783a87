import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Destination, Injection } from '@keyward/contract'
import { entries, type LendWorld, lent, openLendWorld, system } from '../../test/support/lend-world.ts'
import type { Agent } from '../identity/index.ts'
import { agentPrincipal } from '../identity/index.ts'
import type { Claim, Lend, NewGrant } from './index.ts'

type Delegation = Parameters<Lend['delegate']>[0]
const host = 'api.example.com'
const wide: Destination[] = [{ host, port: 443 }]

/** A lease that may be passed on, a second agent of the same owner, and what passes the lease on to it. */
async function opened(t: TestContext, grant: Partial<NewGrant> = {}, uses?: number) {
  const world = await openLendWorld(t)
  const register = async (name: string, owner = system): Promise<Agent> =>
    (await world.store.write((tx) => world.identity.registerAgent(tx, { name, description: '', owner })))
      .agent
  const helper = await register('helper')
  const whole = await lent(
    world,
    { uses, ...(grant.destinations ? { destinations: grant.destinations } : {}) },
    {
      delegable: true,
      maxLeases: 1,
      ...grant,
    },
  )
  const pass = (more: Partial<Delegation> = {}) =>
    world.lend.delegate({
      principal: agentPrincipal(world.agent),
      leaseId: whole.lease.id,
      toAgentId: helper.id,
      purpose: 'look up refunds',
      ttlSeconds: 60,
      delegable: false,
      ...more,
    })
  return { world, helper, register, whole, pass }
}

const claimOf = ({ claim }: { claim: Claim }, agent: Agent, placeholder: string): Claim => ({
  ...claim,
  agentId: agent.id,
  placeholder,
})

const stateOf = async ({ lend }: LendWorld, leaseId: string) => (await lend.read(leaseId))?.state

test('LEND-4: a part of a lease works for the other agent alone, and shows what it is a part of', async (t) => {
  const { world, helper, whole, pass } = await opened(t)
  const { lease, placeholder } = await pass()
  assert.deepEqual(
    [lease.parentId, lease.depth, lease.delegable, lease.agentName],
    [whole.lease.id, 1, false, 'helper'],
  )
  assert.equal((await world.lend.use(claimOf(whole, helper, placeholder))).value.reveal(), world.value)
  await assert.rejects(world.lend.use({ ...whole.claim, placeholder }), { code: 'policy.denied' })
  const [told] = await entries(world, 'lease.delegated')
  assert.deepEqual([told?.actor, told?.target], [`agent:${world.agent.id}`, `lease:${lease.id}`])
  assert.equal((await world.lend.read(whole.lease.id))?.uses, 1, 'a use of the part is one of the whole')
})

test('LEND-4: no part is wider, longer or more than the whole; what is not certain is refused and recorded', async (t) => {
  const places: Destination[] = [
    { host, port: 443, methods: ['GET', 'POST'], pathPrefix: '/v1' },
    { host, port: 443, pathPattern: '/v2/*/refunds' },
    { host, port: 443, pathPattern: '/v3/**' },
  ]
  const { world, pass } = await opened(t, {
    destinations: places,
    budget: { uses: 5, usesPerMinute: 4, bytes: 1000 },
  })
  const refused: Destination[] = [
    { host: 'other.example.com', port: 443, methods: ['GET'], pathPrefix: '/v1' },
    { host, port: 8443, methods: ['GET'], pathPrefix: '/v1' },
    { host, port: 443, methods: ['DELETE'], pathPrefix: '/v1' },
    { host, port: 443, pathPrefix: '/v1' },
    { host, port: 443, methods: ['GET'] },
    { host, port: 443, methods: ['GET'], pathPrefix: '/v10' },
    { host, port: 443, methods: ['GET'], pathPattern: '/*/v1' },
    { host, port: 443, pathPattern: '/v2/**' },
    { host, port: 443, pathPattern: '/v2/*/*' },
    { host, port: 443, pathPattern: '/v2//refunds' },
    { host, port: 443, pathPrefix: '/v2/ch_1/refunds' },
    { host, port: 443, pathPattern: '/v3' },
    { host, port: 443, pathPrefix: '/v3' },
  ]
  for (const place of refused)
    await assert.rejects(pass({ destinations: [place] }), { code: 'lease.too_wide' }, JSON.stringify(place))
  const within: Destination[] = [
    { host: 'API.example.com', port: 443, methods: ['GET'], pathPrefix: '/v1/charges' },
    { host, port: 443, methods: ['GET'], pathPattern: '/v1/*/refunds' },
    { host, port: 443, pathPattern: '/v2/ch_1/refunds' },
    { host, port: 443, methods: ['GET'], pathPattern: '/v3/a/**' },
  ]
  for (const place of within) await pass({ destinations: [place] })
  for (const budget of [{ uses: 6 }, { usesPerMinute: 5 }, { bytes: 1001 }])
    await assert.rejects(pass({ budget }), { code: 'lease.too_wide', detail: /the lease has/ })
  const { lease } = await pass({ budget: { uses: 2 }, ttlSeconds: 3600 })
  assert.deepEqual(
    [
      lease.usesLeft,
      lease.usesPerMinute,
      lease.bytesLeft,
      Date.parse(lease.expiresAt) - Date.parse(lease.issuedAt),
    ],
    [2, 4, 1000, 300_000],
  )
  assert.equal((await entries(world, 'lease.denied')).length, refused.length + 3)
})

test('LEND-4: a part stands where the whole stands, or in one place of any', async (t) => {
  const bearer: Injection = { kind: 'bearer' }
  const header: Injection = { kind: 'header', name: 'X-Api-Key' }
  const aws: Injection = { kind: 'aws', accessKeyIdField: 'id', regions: ['eu-west-1', 'us-east-1'] }
  const tries: [Injection | undefined, Injection, boolean][] = [
    [undefined, bearer, true],
    [undefined, aws, false],
    [bearer, bearer, true],
    [bearer, header, false],
    [bearer, { kind: 'anywhere' }, false],
    [aws, { ...aws, regions: ['eu-west-1'], services: ['s3'] }, true],
    [aws, { ...aws, regions: undefined }, false],
    [aws, { ...aws, regions: ['ap-south-1'] }, false],
    [aws, { ...aws, accessKeyIdField: 'other' }, false],
  ]
  for (const [whole, part, within] of tries) {
    const { pass } = await opened(t, { injection: whole })
    const outcome = await pass({ injection: part }).then(
      () => true,
      (error: { code: string }) => error.code,
    )
    assert.equal(outcome, within || 'lease.too_wide', JSON.stringify([whole, part]))
  }
})

test('LEND-4: all parts together get no more than the whole has: uses, uses of a minute and bytes', async (t) => {
  const { world, helper, whole, pass } = await opened(t, {
    budget: { uses: 3, usesPerMinute: 2, bytes: 100 },
  })
  const { lend, clock, store } = world
  const [one, two] = [await pass(), await pass()]
  const use = ({ placeholder }: { placeholder: string }) => lend.use(claimOf(whole, helper, placeholder))
  await use(one)
  await use(two)
  await assert.rejects(use(one), { code: 'lease.over_budget', detail: new RegExp(whole.lease.id) })
  clock.advance(60_000 - 1)
  const { budgets, leaseId } = await lend.use(whole.claim).catch(async () => {
    clock.advance(1)
    return use(await pass())
  })
  assert.deepEqual(
    budgets,
    [whole.lease.id, leaseId].map((id) => ({ leaseId: id, bytesLeft: 100 })),
  )
  const metered = await lend.metered([leaseId])
  assert.deepEqual(metered.sort(), [leaseId, whole.lease.id].sort())
  await store.write((tx) => lend.spend(tx, metered, 100))
  assert.equal((await lend.read(whole.lease.id))?.bytesLeft, 0)
  // The third use was the last of the whole: it has ended, and what was passed on with it.
  assert.equal(await stateOf(world, whole.lease.id), 'used_up')
  for (const { lease } of [one, two]) assert.equal(await stateOf(world, lease.id), 'revoked')
})

test('LEND-4: what was passed on ends with the whole, however that ends, and each end has its receipt', async (t) => {
  const ends: Record<string, (world: LendWorld, leaseId: string) => Promise<unknown>> = {
    revoked: ({ store, lend }, id) => store.write((tx) => lend.revoke(tx, id, 'not needed', system)),
    quarantined: ({ store, lend, agent }) =>
      store.write((tx) => lend.endForAgent(tx, agent.id, 'it misbehaves')),
    expired: async ({ clock, lend }) => {
      clock.advance(300_000)
      await lend.expireDue()
    },
  }
  for (const [name, end] of Object.entries(ends)) {
    const { world, register, helper, whole, pass } = await opened(t)
    const child = await pass({ delegable: true, ttlSeconds: 3600 })
    const third = await register('third')
    const grandchild = await world.lend.delegate({
      principal: agentPrincipal(helper),
      leaseId: child.lease.id,
      toAgentId: third.id,
      purpose: 'a part of a part',
      ttlSeconds: 3600,
      delegable: false,
    })
    assert.equal(grandchild.lease.depth, 2)
    await end(world, whole.lease.id)
    for (const { lease } of [child, grandchild])
      assert.notEqual(await stateOf(world, lease.id), 'active', name)
    await assert.rejects(world.lend.use(claimOf(whole, third, grandchild.placeholder)), {
      code: 'lease.ended',
    })
    assert.equal(await world.lend.proveDue(), 3)
    assert.equal((await world.lend.read(grandchild.lease.id))?.receipt?.state, 'proved', name)
  }
})

test('LEND-4: who may pass what on, and to whom: the holder, what was granted so, agents of the same owner', async (t) => {
  const { world, helper, register, whole, pass } = await opened(t)
  const { store, identity, agent } = world
  const stranger = await register('stranger', { kind: 'person', id: 'eve', name: 'Eve', roles: [] })
  await assert.rejects(pass({ toAgentId: stranger.id }), { code: 'policy.denied' })
  await assert.rejects(pass({ toAgentId: agent.id }), { code: 'policy.denied' })
  await assert.rejects(pass({ toAgentId: 'agt_none' }), { code: 'agent.not_found' })
  await assert.rejects(pass({ principal: agentPrincipal(helper) }), { code: 'lease.not_found' })
  await assert.rejects(pass({ leaseId: 'lea_none' }), { code: 'lease.not_found' })
  await assert.rejects(pass({ principal: { ...agentPrincipal(agent), scopes: [] } }), {
    code: 'policy.denied',
  })
  const ada = { kind: 'person', id: 'ada', name: 'Ada', roles: ['owner'] } as const
  await assert.rejects(pass({ principal: ada }), { code: 'policy.denied' })
  const plain = await lent(world, {}, { delegable: false, destinations: wide })
  const { lease } = await pass()
  assert.equal(lease.delegable, false)
  const passOn = (leaseId: string, by: Agent) =>
    pass({ leaseId, principal: agentPrincipal(by), toAgentId: by === helper ? agent.id : helper.id })
  await assert.rejects(passOn(lease.id, helper), { code: 'policy.denied' }, 'a part that was not given so')
  assert.equal(plain.lease.delegable, false)
  await assert.rejects(passOn(plain.lease.id, agent), { code: 'policy.denied' })
  await store.write((tx) => identity.setAgentState(tx, helper.id, 'quarantined', system, 'it misbehaves'))
  await assert.rejects(pass(), { code: 'agent.inactive' })
  await store.write((tx) => world.lend.revoke(tx, whole.lease.id, 'over', system))
  await assert.rejects(pass(), { code: 'lease.ended' })
})

test('LEND-4: a lease is passed on three times at most, one from the other', async (t) => {
  const { world, helper, whole, pass } = await opened(t)
  let { lease } = await pass({ delegable: true })
  const turns = [helper, world.agent, helper]
  const next = (by: Agent) =>
    pass({
      leaseId: lease.id,
      principal: agentPrincipal(by),
      toAgentId: by === helper ? world.agent.id : helper.id,
      delegable: true,
    })
  for (const by of turns.slice(0, 2)) lease = (await next(by)).lease
  assert.equal(lease.depth, 3)
  await assert.rejects(next(helper), { code: 'lease.too_wide', detail: /more than 3 times/ })
  assert.equal(whole.lease.depth, 0)
})
