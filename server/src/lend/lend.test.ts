import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, entries, give, lent, openLendWorld, system } from '../../test/support/lend-world.ts'
import { AppError, type Principal } from '../core/index.ts'
import { agentPrincipal } from '../identity/index.ts'
import type { LeaseRequest } from './index.ts'

test('LEND-1: a granted secret is lent as a placeholder, intent first', async (t) => {
  const world = await openLendWorld(t)
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

test('LEND-1: without a grant that covers it, a request is denied and recorded', async (t) => {
  const world = await openLendWorld(t)
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
  const world = await openLendWorld(t)
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
  const world = await openLendWorld(t)
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
  const world = await openLendWorld(t)
  const by = (principal: Principal) => give(world, { by: principal })
  await assert.rejects(by(agentPrincipal(world.agent)), { code: 'policy.denied' })
  await assert.rejects(by({ kind: 'person', id: 'p', name: 'p', roles: ['auditor'] }), {
    code: 'policy.denied',
  })
  await by({ kind: 'person', id: 'p', name: 'p', roles: ['operator'] })
  await assert.rejects(give(world, { agentId: 'agt_none' }), { code: 'agent.not_found' })
})

test('LEND-1: a grant ends by its time, its count, its task or by hand', async (t) => {
  const world = await openLendWorld(t)
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

test('LEND-1: what is due is marked and recorded, and the next time is known', async (t) => {
  const world = await openLendWorld(t)
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

test('LEND-1: the end of a task ends its leases in the same transaction, and only its own', async (t) => {
  const world = await openLendWorld(t)
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

test('LEND-1: leases are listed newest first, by agent and page by page', async (t) => {
  const world = await openLendWorld(t)
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
  const world = await openLendWorld(t)
  for (const host of ['*.example.com', 'a b', 'user@host', 'host/path', '']) {
    await assert.rejects(give(world, { destinations: [{ host, port: 443 }] }), { code: 'request.invalid' })
  }
  for (const pathPrefix of ['/a/../b', '/a%2fb', '/a//b']) {
    await assert.rejects(give(world, { destinations: [{ host: 'h.example', port: 443, pathPrefix }] }), {
      code: 'request.invalid',
    })
  }
})
