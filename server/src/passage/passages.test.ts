import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { ask, entries, give, openLendWorld } from '../../test/support/lend-world.ts'
import { AppError, type Principal, silentLog } from '../core/index.ts'
import { createPassages, passageMigrations } from './index.ts'
import type { NewPassage } from './passages.ts'

const person: Principal = { kind: 'person', id: 'per_1', name: 'Ada', roles: ['owner'] }
const reference = 'keyward://secret/shop/payments#value'

/** Passages over a real store and real lending; the proxy keeps a list of what is open, and fails when it is told to. */
async function openPassageWorld(t: TestContext) {
  const world = await openLendWorld(t, {}, 'builder', passageMigrations)
  const proxy = { open: new Set<string>(), failing: false }
  const disk = { full: false }
  const passages = createPassages({
    ...world,
    store: {
      all: (query) => world.store.all(query),
      get: (query) => world.store.get(query),
      write: (work) =>
        disk.full ? Promise.reject(new AppError('store.unavailable', 'a test')) : world.store.write(work),
    },
    log: silentLog,
    proxy: {
      async open({ sandboxId }) {
        if (proxy.failing) throw new AppError('egress.unavailable', 'a test')
        proxy.open.add(sandboxId)
        return { socketPath: '/nowhere/egress.sock', caPem: '' }
      },
      async close(sandboxId) {
        proxy.open.delete(sandboxId)
      },
    },
  })
  const open = (more: Partial<NewPassage> = {}) =>
    passages.open({
      principal: person,
      agentId: world.agent.id,
      command: 'node',
      references: [reference],
      reach: [],
      ...more,
    })
  const active = async () => (await world.lend.page({ limit: 100, state: 'active' })).items
  return { ...world, world, proxy, disk, passages, open, active }
}

const code = (wanted: string) => (error: unknown) => error instanceof AppError && error.code === wanted

test('LEND-1: a passage that nobody keeps ends with its leases, and one that is kept has them renewed', async (t) => {
  const { passages, open, active, clock, proxy, world } = await openPassageWorld(t)
  await give(world, { maxTtlSeconds: 60 })
  const stop = await passages.start()
  const { passage } = await open()
  const [first] = await active()
  for (let i = 0; i < 12; i++) {
    clock.advance(10_000)
    await passages.keep(passage.id, person)
  }
  const [renewed] = await active()
  assert.equal(renewed?.id, first?.id)
  assert.ok(Date.parse(renewed?.expiresAt ?? '') > Date.parse(first?.expiresAt ?? '') + 60_000)
  assert.ok((await entries(world, 'lease.renewed')).length >= 2)

  await eventually(async () => {
    clock.advance(10_000)
    return (await passages.read(passage.id))?.state === 'ended'
  }, 'the passage to end')
  assert.deepEqual(await active(), [])
  await eventually(async () => proxy.open.size === 0, 'its socket to be removed')
  await assert.rejects(passages.keep(passage.id, person), code('passage.ended'))
  await stop()
})

test('LEND-1: nothing is renewed that its grant does not allow any more', async (t) => {
  const { passages, open, active, clock, lend, world } = await openPassageWorld(t)
  const { grantId } = await give(world, { maxTtlSeconds: 60 })
  const { passage } = await open()
  await world.store.write((tx) => lend.endGrant(tx, grantId, 'a test', person))
  clock.advance(50_000)
  await passages.keep(passage.id, person)
  clock.advance(20_000)
  assert.deepEqual(await active(), [])
  assert.deepEqual(await entries(world, 'lease.renewed'), [])
})

test('LEND-2: what a person says about where a secret may go is a grant for this command alone', async (t) => {
  const { passages, open, lend, world } = await openPassageWorld(t)
  const to = [{ host: 'api.example.com', port: 443 }]
  const { passage, placeholders } = await open({ agentId: undefined, to, injection: { kind: 'bearer' } })
  assert.match(placeholders[reference] ?? '', /^kwp_/)
  const { items } = await lend.grants({ limit: 10 })
  assert.deepEqual(
    items.map(({ agentId, runId, injection, madeBy }) => [agentId, runId, injection, madeBy]),
    [[passage.agentId, passage.id, { kind: 'bearer' }, 'person:per_1']],
  )
  assert.notEqual(passage.agentId, world.agent.id)
  const again = await open({ agentId: undefined, to })
  assert.equal(again.passage.agentId, passage.agentId, 'the same agent for all of their commands')
  await passages.close(passage.id, person)
  const stateOf = async ({ id }: { id: string }) =>
    (await lend.grants({ limit: 10 })).items.find(({ runId }) => runId === id)?.state
  assert.deepEqual([await stateOf(passage), await stateOf(again.passage)], ['ended', 'live'])
})

test('LEND-2: each refusal leaves nothing open', async (t) => {
  const { passages, open, active, identity, proxy, world } = await openPassageWorld(t)
  const agent = ask(world).principal
  const reach = [{ host: 'api.example.com', port: 443 }]
  await assert.rejects(open(), code('policy.denied'))
  await assert.rejects(open({ principal: agent, reach }), code('policy.denied'))
  await assert.rejects(open({ principal: agent, agentId: 'agt_other' }), code('policy.denied'))
  await assert.rejects(open({ agentId: 'agt_gone' }), code('agent.not_found'))
  await assert.rejects(
    open({ references: ['keyward://secret/shop/gone#value'], to: reach }),
    code('secret.not_found'),
  )
  await assert.rejects(open({ references: ['keyward://secret'] }), code('reference.invalid'))
  const reader: Principal = { kind: 'person', id: 'per_2', name: 'Bo', roles: ['auditor'] }
  await assert.rejects(open({ principal: reader, to: reach }), code('policy.denied'))
  await assert.rejects(passages.close('pas_gone', person), code('passage.not_found'))
  const { passage } = await open({ to: reach })
  await assert.rejects(passages.keep(passage.id, reader), code('policy.denied'))
  await passages.close(passage.id, person)
  proxy.failing = true
  await assert.rejects(open({ to: reach }), code('egress.unavailable'))
  assert.deepEqual([await active(), [...proxy.open]], [[], []])
  await world.store.write((tx) => identity.setAgentState(tx, world.agent.id, 'quarantined', person, 'a test'))
  await assert.rejects(open({ to: reach }), code('agent.inactive'))
})

test('LEND-2: a login has a port of its own, one of a kind, and SSH its hosts', async (t) => {
  const { passages, open, active, world } = await openPassageWorld(t)
  const to = [{ host: 'db.example.com', port: 5432 }]
  const other = 'keyward://secret/shop/payments#other'
  world.vault.fields = { ...world.vault.fields, other: world.value, username: 'shop' }
  const injection = {
    ...{ kind: 'postgres' as const, databases: ['shop', 'reports'], tls: 'verify' as const },
    ...{ usernameField: 'username', cleartext: false },
  }
  const { logins, passage, ssh: none } = await open({ to, injection })
  assert.equal(none, null)
  const login = {
    kind: 'postgres',
    reference,
    user: 'keyward',
    database: 'shop',
    to: ['db.example.com:5432'],
  }
  assert.deepEqual(logins, [login])
  await passages.close(passage.id, person)
  await assert.rejects(open({ to, injection, references: [reference, other] }), code('request.invalid'))
  const hostKeys = [`ssh-ed25519 ${'A'.repeat(68)}`]
  const ssh = { kind: 'ssh' as const, users: ['git'], hostKeys }
  const keyed = await open({ to: [{ host: 'git.example.com', port: 22 }], injection: ssh })
  const hosts = [{ host: 'git.example.com', port: 22, users: ['git'], hostKeys }]
  assert.deepEqual(keyed.ssh, { agent: 'ssh-agent.keyward.invalid:22', hosts })
  await passages.close(keyed.passage.id, person)
  assert.deepEqual(await active(), [])
})

test('LEND-2: quarantine ends the passages of that agent, and a start those of the server before', async (t) => {
  const { passages, open, active, identity, proxy, world } = await openPassageWorld(t)
  const to = [{ host: 'api.example.com', port: 443 }]
  await open({ to })
  const stop = await passages.start()
  assert.deepEqual(await active(), [], 'what was open before the start')
  const mine = await open({ to })
  const other = await open({ to, agentId: undefined })
  await world.store.write((tx) => identity.setAgentState(tx, world.agent.id, 'quarantined', person, 'a test'))
  await eventually(async () => (await passages.read(mine.passage.id))?.state === 'ended', 'its end')
  assert.deepEqual(
    (await active()).map(({ runId }) => runId),
    [other.passage.id],
  )
  await stop()
  assert.deepEqual([await active(), [...proxy.open]], [[], []])
})

test('LEND-1: what could not be ended when it was due has no way out, and is ended as soon as that can be written', async (t) => {
  const { open, active, clock, proxy, disk, passages } = await openPassageWorld(t)
  const to = [{ host: 'api.example.com', port: 443 }]
  const stop = await passages.start()
  const { passage } = await open({ to })
  disk.full = true
  await assert.rejects(passages.close(passage.id, person), code('store.unavailable'))
  assert.deepEqual([...proxy.open], [])
  assert.equal((await active()).length, 1)
  disk.full = false
  await eventually(async () => {
    clock.advance(10_000)
    return (await passages.read(passage.id))?.state === 'ended'
  }, 'the passage to end')
  assert.deepEqual(await active(), [])
  await stop()
})
