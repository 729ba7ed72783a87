import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createDatabase, startPostgres } from '../../test/support/postgres.ts'
import { createTestClock, openWorld, temporaryFolder, type World } from '../../test/support/world.ts'
import { AppError, type Principal, Secret, silentLog, systemPrincipal } from '../core/index.ts'
import {
  type Agent,
  agentPrincipal,
  createIdentity,
  hashToken,
  type Identity,
  identityMigrations,
  randomToken,
} from '../identity/index.ts'
import { createPolicy, type Policy } from '../policy/index.ts'
import {
  type Claim,
  createLend,
  type LeaseRequest,
  type Lend,
  lendMigrations,
  type NewGrant,
} from './index.ts'

const system = systemPrincipal('test')
const secretPath = 'secret/shop/payments'
const destinations = [{ host: 'api.example.com', port: 443 }]

type Setup = Awaited<ReturnType<typeof openWorld>> & {
  lend: Lend
  identity: Identity
  policy: Policy
  agent: Agent
  value: string
  vault: { sealed: boolean }
}

async function setup(
  t: TestContext,
  options: Parameters<typeof openWorld>[2] = {},
  name = 'builder',
): Promise<Setup> {
  const world = await openWorld(t, [...identityMigrations, ...lendMigrations], options)
  const identity = createIdentity({ ...world, log: silentLog })
  const policy = createPolicy(world)
  const value = randomToken('sk_test_', 24).reveal()
  const vault = { sealed: false }
  const kv = {
    async read(path: string) {
      if (vault.sealed) throw new AppError('vault.sealed')
      return path === secretPath ? { data: { value: new Secret(value) } } : undefined
    },
  }
  const lend = createLend({ ...world, log: silentLog, identity, policy, vault: { kv } })
  const { agent } = await world.store.write((tx) =>
    identity.registerAgent(tx, { name, description: '', owner: system }),
  )
  return { ...world, lend, identity, policy, agent, value, vault }
}

const give = ({ store, lend, agent }: Setup, more: Partial<NewGrant> = {}): Promise<{ grantId: string }> =>
  store.write((tx) =>
    lend.grant(tx, {
      agentId: agent.id,
      secretPath,
      destinations,
      maxTtlSeconds: 600,
      reason: 'pays invoices',
      by: system,
      ...more,
    }),
  )

const ask = ({ agent }: Setup, more: Partial<LeaseRequest> = {}): LeaseRequest => ({
  principal: agentPrincipal(agent),
  secretPath,
  field: 'value',
  purpose: 'pay an invoice',
  destinations,
  ttlSeconds: 300,
  ...more,
})

async function lent(world: Setup, more: Partial<LeaseRequest> = {}, grant: Partial<NewGrant> = {}) {
  await give(world, grant)
  const { lease, placeholder } = await world.lend.request(ask(world, more))
  const claim: Claim = {
    placeholder,
    agentId: world.agent.id,
    sandboxId: 'sbx_1',
    host: 'api.example.com',
    port: 443,
    method: 'POST',
    path: '/v1/charges?expand=all',
  }
  return { lease, placeholder, claim }
}

async function entries({ audit }: World, type: string) {
  return (await audit.page({ limit: 500, order: 'asc', type })).items
}

test('LEND-1: a granted secret is lent as a placeholder, intent first', async (t) => {
  const world = await setup(t)
  const { lease, placeholder } = await lent(world)
  assert.match(placeholder, /^kwp_[0-9A-Za-z]{32}$/)
  assert.equal(lease.state, 'active')
  assert.equal(lease.agentName, 'builder')
  assert.equal(Date.parse(lease.expiresAt) - Date.parse(lease.issuedAt), 300_000)
  const types = (await world.audit.page({ limit: 50, order: 'asc' })).items.map(
    (one) => `${one.type} ${one.outcome}`,
  )
  assert.deepEqual(types.slice(-3), ['lease.granted done', 'lease.requested intent', 'lease.issued done'])
  const [issued] = await entries(world, 'lease.issued')
  assert.match(
    JSON.stringify(issued?.detail),
    /agent-granted-lease.*"grantedBy":"system:test"|"grantedBy":"system:test".*agent-granted-lease/,
  )
})

test('LEND-2: the value comes only for the lent use, and its entry is stored first', async (t) => {
  const world = await setup(t)
  const { lease, claim } = await lent(world)
  const { leaseId, value } = await world.lend.use(claim)
  assert.equal(value.reveal(), world.value)
  assert.equal(leaseId, lease.id)
  const [used] = await entries(world, 'lease.used')
  assert.equal(used?.outcome, 'intent')
  assert.equal(used?.target, `lease:${lease.id}`)
  assert.doesNotMatch(JSON.stringify(used), /expand=all/, 'a query may carry anything')
  assert.equal((await world.lend.read(lease.id))?.uses, 1)
})

test('LEND-2: neither value nor placeholder is stored, audited or published', async (t) => {
  const world = await setup(t)
  const { claim, placeholder } = await lent(world)
  await world.lend.use(claim)
  let stored = ''
  for (const table of ['leases', 'lend_grants', 'audit_entries', 'outbox']) {
    stored += JSON.stringify(await world.store.all({ text: `select * from ${table}`, values: [] }))
  }
  stored += JSON.stringify(await world.bus.since(0, 100))
  assert.ok(stored.includes(hashToken(placeholder)))
  assert.ok(!stored.includes(placeholder))
  assert.ok(!stored.includes(world.value))
})

test('LEND-1: without a grant that covers it, a request is denied and recorded', async (t) => {
  const world = await setup(t)
  const denied = (more: Partial<LeaseRequest>) =>
    assert.rejects(world.lend.request(ask(world, more)), { code: 'policy.denied', status: 403 })
  await denied({})
  await give(world, {
    destinations: [{ host: 'api.example.com', port: 443, methods: ['GET'], pathPrefix: '/v1' }],
  })
  await denied({ destinations: [{ host: 'evil.example', port: 443, methods: ['GET'], pathPrefix: '/v1' }] })
  await denied({
    destinations: [{ host: 'api.example.com', port: 8443, methods: ['GET'], pathPrefix: '/v1' }],
  })
  await denied({ destinations: [{ host: 'api.example.com', port: 443, pathPrefix: '/v1' }] })
  await denied({
    destinations: [{ host: 'api.example.com', port: 443, methods: ['GET', 'POST'], pathPrefix: '/v1' }],
  })
  await denied({ destinations: [{ host: 'api.example.com', port: 443, methods: ['GET'] }] })
  await denied({
    destinations: [{ host: 'api.example.com', port: 443, methods: ['GET'], pathPrefix: '/v1beta' }],
  })
  const fits = [{ host: 'API.example.com.', port: 443, methods: ['GET'], pathPrefix: '/v1/charges' }]
  await denied({ destinations: fits, ttlSeconds: 601 })
  await denied({ destinations: fits, secretPath: 'secret/shop/other' })
  await world.lend.request(ask(world, { destinations: fits }))
  assert.equal((await entries(world, 'lease.requested')).length, 10)
  const refusals = await entries(world, 'lease.denied')
  assert.equal(refusals.length, 9)
  assert.match(
    JSON.stringify(refusals[0]?.detail),
    /no live grant covers secret\/shop\/payments for api\.example\.com:443/,
  )
})

test('LEND-1: a refusal is recorded although the transaction around it rolls back', async (t) => {
  const world = await setup(t)
  const { store, lend } = world
  await assert.rejects(
    store.write((tx) => lend.issue(tx, ask(world))),
    { code: 'policy.denied' },
  )
  await lend.settled()
  assert.equal((await entries(world, 'lease.requested')).length, 0)
  assert.equal((await entries(world, 'lease.denied')).length, 1)
})

test('LEND-1: a secret or field that is not there is not lent', async (t) => {
  const world = await setup(t)
  await give(world, { secretPath: 'secret/gone' })
  await assert.rejects(world.lend.request(ask(world, { secretPath: 'secret/gone' })), {
    code: 'secret.not_found',
  })
  await give(world)
  for (const field of ['other', 'toString', '__proto__']) {
    await assert.rejects(world.lend.request(ask(world, { field })), { code: 'secret.not_found' })
  }
})

test('LEND-1: an agent may not grant; a person with the role may', async (t) => {
  const world = await setup(t)
  const by = (principal: Principal) => give(world, { by: principal })
  await assert.rejects(by(agentPrincipal(world.agent)), { code: 'policy.denied' })
  await assert.rejects(by({ kind: 'person', id: 'p', name: 'p', roles: ['auditor'] }), {
    code: 'policy.denied',
  })
  await by({ kind: 'person', id: 'p', name: 'p', roles: ['operator'] })
  await assert.rejects(give(world, { agentId: 'agt_none' }), { code: 'agent.not_found' })
})

test('LEND-1: a grant ends by its time, its count, its task or by hand', async (t) => {
  const world = await setup(t)
  const { store, lend, clock } = world
  const works = async (more: Partial<LeaseRequest> = {}) => {
    try {
      await lend.request(ask(world, more))
      return true
    } catch (error) {
      assert.ok(error instanceof AppError && error.code === 'policy.denied')
      return false
    }
  }
  await give(world, { expiresAt: new Date(clock.now().getTime() + 1000) })
  assert.equal(await works(), true)
  clock.advance(1000)
  assert.equal(await works(), false)

  await give(world, { maxLeases: 1 })
  assert.equal(await works(), true)
  assert.equal(await works(), false)

  const { grantId } = await give(world)
  assert.equal(await works(), true)
  await store.write((tx) => lend.endGrant(tx, grantId, 'no longer', system))
  assert.equal(await works(), false)

  await give(world, { runId: 'run_1', taskId: 'pay' })
  assert.equal(await works({ runId: 'run_2', taskId: 'pay' }), false)
  assert.equal(await works(), false)
  assert.equal(await works({ runId: 'run_1', taskId: 'pay' }), true)
  assert.equal(await store.write((tx) => lend.endForTask(tx, 'run_1', 'pay', 'the task ended')), 1)
  assert.equal(await works({ runId: 'run_1', taskId: 'pay' }), false)
})

const refusals: { name: string; change: Partial<Claim>; code: string; event: string }[] = [
  { name: 'another agent', change: { agentId: 'agt_other' }, code: 'policy.denied', event: 'lease.misused' },
  {
    name: 'another task',
    change: { runId: 'run_2', taskId: 'pay' },
    code: 'policy.denied',
    event: 'lease.misused',
  },
  { name: 'another host', change: { host: 'evil.example' }, code: 'egress.denied', event: 'lease.misused' },
  {
    name: 'a host that only begins alike',
    change: { host: 'api.example.com.evil.example' },
    code: 'egress.denied',
    event: 'lease.misused',
  },
  { name: 'another port', change: { port: 8443 }, code: 'egress.denied', event: 'lease.misused' },
  { name: 'another method', change: { method: 'DELETE' }, code: 'egress.denied', event: 'lease.misused' },
  { name: 'another path', change: { path: '/v2/charges' }, code: 'egress.denied', event: 'lease.misused' },
  {
    name: 'a path that only begins alike',
    change: { path: '/v1beta' },
    code: 'egress.denied',
    event: 'lease.misused',
  },
  {
    name: 'a path that climbs out',
    change: { path: '/v1/../admin' },
    code: 'egress.denied',
    event: 'lease.misused',
  },
  {
    name: 'a path that climbs out, encoded',
    change: { path: '/v1/%2e%2e/admin' },
    code: 'egress.denied',
    event: 'lease.misused',
  },
  {
    name: 'a path with an encoded slash',
    change: { path: '/v1/..%2fadmin' },
    code: 'egress.denied',
    event: 'lease.misused',
  },
  {
    name: 'a path encoded twice',
    change: { path: '/v1/%252e%252e/admin' },
    code: 'egress.denied',
    event: 'lease.misused',
  },
  {
    name: 'a path with a backslash',
    change: { path: '/v1/..\\admin' },
    code: 'egress.denied',
    event: 'lease.misused',
  },
  {
    name: 'a path with parameters on its dots',
    change: { path: '/v1/..;/admin' },
    code: 'egress.denied',
    event: 'lease.misused',
  },
  {
    name: 'an unknown placeholder',
    change: { placeholder: 'kwp_unknown' },
    code: 'lease.not_found',
    event: 'lease.misused',
  },
]

for (const { name, change, code, event } of refusals) {
  test(`LEND-2: a placeholder sent with ${name} gives nothing and is reported`, async (t) => {
    const world = await setup(t)
    const task = { runId: 'run_1', taskId: 'pay' }
    const narrow = [{ host: 'api.example.com', port: 443, methods: ['POST'], pathPrefix: '/v1' }]
    const { lease, claim } = await lent(world, { destinations: narrow, ...task })
    await assert.rejects(world.lend.use({ ...claim, ...task, ...change }), { code })
    const [entry] = await entries(world, event)
    assert.equal(entry?.outcome, 'denied')
    assert.equal((await world.bus.since(0, 100)).at(-1)?.type, event)
    assert.equal((await world.lend.read(lease.id))?.uses, 0)
    const { value } = await world.lend.use({ ...claim, ...task })
    assert.equal(value.reveal(), world.value, 'the rightful use goes on')
  })
}

test('LEND-1: a revoked lease gives nothing; revoking it again changes nothing', async (t) => {
  const world = await setup(t)
  const { store, lend } = world
  const { lease, claim } = await lent(world)
  const revoke = () => store.write((tx) => lend.revoke(tx, lease.id, 'not needed', system))
  assert.equal((await revoke()).state, 'revoked')
  assert.equal((await revoke()).endReason, 'not needed')
  assert.equal((await entries(world, 'lease.revoked')).length, 1)
  await assert.rejects(lend.use(claim), { code: 'lease.ended', status: 410 })
  await assert.rejects(
    store.write((tx) => lend.revoke(tx, 'lea_none', 'why', system)),
    { code: 'lease.not_found' },
  )
})

test('LEND-1: a lease is over when its time is, whoever looks first', async (t) => {
  const world = await setup(t)
  const { lend, clock } = world
  const { lease, claim } = await lent(world)
  clock.advance(299_999)
  await lend.use(claim)
  clock.advance(1)
  assert.equal((await lend.read(lease.id))?.state, 'expired')
  assert.deepEqual((await lend.page({ limit: 10, state: 'active' })).items, [])
  assert.equal((await lend.page({ limit: 10, state: 'expired' })).items.length, 1)
  assert.equal((await lend.countActive()).size, 0)
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  assert.equal((await entries(world, 'lease.expired')).length, 1)
  assert.equal((await lend.expireDue()).expired, 0)
})

test('LEND-1: what is due is marked and recorded, and the next time is known', async (t) => {
  const world = await setup(t)
  const { lend, clock } = world
  await give(world)
  for (const ttlSeconds of [10, 20, 30]) await lend.request(ask(world, { ttlSeconds }))
  clock.advance(20_000)
  const { expired, nextAt } = await lend.expireDue()
  assert.equal(expired, 2)
  assert.equal(nextAt?.getTime(), clock.now().getTime() + 10_000)
  assert.equal((await entries(world, 'lease.expired')).length, 2)
  clock.advance(10_000)
  assert.deepEqual(await lend.expireDue(), { expired: 1, nextAt: undefined })
})

test('LEND-1: a clock that jumps ahead ends a lease; one that goes back does not lengthen it', async (t) => {
  const world = await setup(t)
  const { lend, clock } = world
  const { claim } = await lent(world)
  const issuedAt = clock.now().getTime()
  clock.set(new Date(issuedAt - 61_000))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  clock.set(new Date(issuedAt + 200_000))
  await lend.use(claim)
  clock.set(new Date(issuedAt + 100_000))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  clock.set(new Date(issuedAt + 24 * 3600_000))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  clock.set(new Date(issuedAt + 200_000))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' }, 'what has expired stays so')
})

test('LEND-1: the last use is the last, also when many try at once', async (t) => {
  const world = await setup(t)
  const { lend } = world
  const { lease, claim } = await lent(world, { uses: 3 })
  const answers = await Promise.allSettled(Array.from({ length: 8 }, () => lend.use(claim)))
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 3)
  const after = await lend.read(lease.id)
  assert.deepEqual([after?.state, after?.uses, after?.usesLeft], ['used_up', 3, 0])
  assert.equal((await entries(world, 'lease.used')).length, 3)
})

test('LEND-1: a use that finds the vault sealed is recorded as failed', async (t) => {
  const world = await setup(t)
  const { claim } = await lent(world)
  world.vault.sealed = true
  await assert.rejects(world.lend.use(claim), { code: 'vault.sealed' })
  const used = await entries(world, 'lease.used')
  assert.deepEqual(
    used.map(({ outcome }) => outcome),
    ['intent', 'failed'],
  )
})

test('IDENT-2: a quarantined agent neither gets nor uses a lease', async (t) => {
  const world = await setup(t)
  const { store, lend, identity, agent } = world
  const { claim } = await lent(world)
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'quarantined', system, 'acts oddly'))
  await assert.rejects(lend.use(claim), { code: 'agent.inactive' })
  await assert.rejects(lend.request(ask(world)), { code: 'agent.inactive' })
  assert.equal(await store.write((tx) => lend.endForAgent(tx, agent.id, 'quarantined', system)), 1)
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'active', system, 'cleared'))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
})

test('LEND-1: the end of a task ends its leases in the same transaction, and only its own', async (t) => {
  const world = await setup(t)
  const { store, lend } = world
  const mine = await lent(world, { runId: 'run_1', taskId: 'pay' })
  const other = await lent(world, { runId: 'run_1', taskId: 'tell' })
  const rolledBack = store.write(async (tx) => {
    await lend.endForTask(tx, 'run_1', 'pay', 'done')
    throw new Error('rolled back')
  })
  await assert.rejects(rolledBack, /rolled back/)
  await lend.use(mine.claim)
  assert.equal(await store.write((tx) => lend.endForTask(tx, 'run_1', 'pay', 'done')), 1)
  await assert.rejects(lend.use(mine.claim), { code: 'lease.ended' })
  await lend.use(other.claim)
})

test('LEND-1: a forbid written by an owner stops a lease that was granted', async (t) => {
  const world = await setup(t)
  const { lend, policy } = world
  const { claim } = await lent(world)
  const text =
    '@id("hold") forbid (principal, action == Action::"lease.use", resource) when { context.host like "*.example.com" };'
  policy.prepare([policy.compile({ name: 'hold.cedar', text })])()
  await assert.rejects(lend.use(claim), { code: 'policy.denied' })
  policy.prepare([])()
  await lend.use(claim)
})

test('LEND-1: leases are listed newest first, by agent and page by page', async (t) => {
  const world = await setup(t)
  const { lend, clock, agent } = world
  await give(world)
  const ids = []
  for (let i = 0; i < 5; i++) {
    ids.unshift((await lend.request(ask(world))).lease.id)
    clock.advance(1)
  }
  const first = await lend.page({ limit: 3, agentId: agent.id })
  const second = await lend.page({ limit: 3, cursor: first.next ?? undefined })
  assert.deepEqual(
    [...first.items, ...second.items].map(({ id }) => id),
    ids,
  )
  assert.equal(second.next, null)
  assert.deepEqual((await lend.page({ limit: 3, agentId: 'agt_other' })).items, [])
  assert.equal((await lend.countActive([agent.id])).get(agent.id), 5)
  assert.equal((await lend.countActive([])).size, 0)
})

test('LEND-1: a destination that could mean several hosts is refused', async (t) => {
  const world = await setup(t)
  for (const host of ['*.example.com', 'a b', 'user@host', 'host/path', '']) {
    await assert.rejects(give(world, { destinations: [{ host, port: 443 }] }), { code: 'request.invalid' })
  }
  for (const pathPrefix of ['/a/../b', '/a%2fb', '/a//b']) {
    await assert.rejects(give(world, { destinations: [{ host: 'h.example', port: 443, pathPrefix }] }), {
      code: 'request.invalid',
    })
  }
})

test('LEND-1: a lease is what it was after a restart', async (t) => {
  const dataDir = temporaryFolder(t)
  const clock = createTestClock()
  const before = await setup(t, { dataDir, clock })
  const { claim } = await lent(before, { uses: 2 })
  await before.lend.use(claim)
  await before.close()
  const after = await setup(t, { dataDir, clock }, 'second')
  const { value } = await after.lend.use(claim)
  assert.equal(value.reveal(), after.value)
  await assert.rejects(after.lend.use(claim), { code: 'lease.ended' })
})

test('LEND-1: the whole life of leases on PostgreSQL', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const world = await setup(t, { databaseUrl })
  const { store, lend, identity, agent, clock } = world
  const task = { runId: 'run_1', taskId: 'pay' }
  const { lease, claim } = await lent(world, { uses: 2, ...task }, { ...task, maxLeases: 1 })
  await assert.rejects(lend.request(ask(world, task)), { code: 'policy.denied' })
  await assert.rejects(lend.use({ ...claim, host: 'evil.example' }), { code: 'egress.denied' })
  assert.equal((await lend.use(claim)).value.reveal(), world.value)
  assert.deepEqual(await lend.countActive([agent.id]), new Map([[agent.id, 1]]))
  assert.equal(await store.write((tx) => lend.endForTask(tx, 'run_1', 'pay', 'done')), 1)
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
  const [listed] = (await lend.page({ limit: 10, agentId: agent.id, state: 'revoked' })).items
  assert.deepEqual([listed?.id, listed?.uses, listed?.usesLeft], [lease.id, 1, 1])

  const next = await lent(world, { ttlSeconds: 5, uses: 1 })
  assert.equal((await lend.expireDue()).nextAt?.getTime(), clock.now().getTime() + 5000)
  await lend.use(next.claim)
  assert.equal((await lend.read(next.lease.id))?.state, 'used_up')
  await lend.request(ask(world, { ttlSeconds: 5 }))
  clock.advance(5000)
  assert.deepEqual(await lend.expireDue(), { expired: 1, nextAt: undefined })

  const owner = await store.write((tx) => identity.bootstrapOwner(tx))
  const code = await store.write((tx) => identity.createSignInCode(tx, owner.id))
  const { token } = await identity.exchange(code.reveal(), 'bearer')
  assert.equal((await identity.authenticate(token.reveal()))?.id, owner.id)
  await identity.settled()
  assert.equal(await identity.endSession(token.reveal()), true)
  assert.equal(await identity.countPeople(), 1)
  const key = await store.write((tx) => identity.rotateAgentKey(tx, agent.id, system, 0))
  assert.equal((await identity.authenticate(key.reveal()))?.id, agent.id)
  await identity.settled()
  assert.equal((await identity.agents({ limit: 5 })).items[0]?.lastUsedAt?.getTime(), clock.now().getTime())
})
