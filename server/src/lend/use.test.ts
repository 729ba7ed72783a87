import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { type Injection, injectionText } from '@keyward/contract'
import { ask, entries, give, lent, openLendWorld, system } from '../../test/support/lend-world.ts'
import { createDatabase, startPostgres } from '../../test/support/postgres.ts'
import { createTestClock, temporaryFolder } from '../../test/support/world.ts'
import { hashToken } from '../identity/index.ts'
import type { Claim } from './index.ts'

test('LEND-2: the value comes only for the lent use, and its entry is stored first', async (t) => {
  const world = await openLendWorld(t)
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
  const world = await openLendWorld(t)
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
    const world = await openLendWorld(t)
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

test('LEND-2: what a task could be lent is known for redaction while its leases live, without a use', async (t) => {
  const world = await openLendWorld(t)
  const { lend, store } = world
  const task = { runId: 'run_1', taskId: 'pay' }
  const { lease } = await lent(world, task, task)
  const known = async (taskId: string) =>
    (await lend.valuesForTask('run_1', taskId)).map((value) => value.reveal())
  assert.deepEqual(await known('pay'), [world.value])
  assert.deepEqual(await known('other'), [])
  assert.equal((await lend.read(lease.id))?.uses, 0)
  await store.write((tx) => lend.endForTask(tx, 'run_1', 'pay', 'done'))
  assert.deepEqual(await known('pay'), [])
  await lent(world, task, task)
  world.vault.sealed = true
  await assert.rejects(lend.valuesForTask('run_1', 'pay'), { code: 'vault.sealed' })
})

const injections: { injection: Injection; right: string[][]; wrong: string[][] }[] = [
  { injection: { kind: 'anywhere' }, right: [[], ['body'], ['path', 'bearer']], wrong: [] },
  {
    injection: { kind: 'bearer' },
    right: [['bearer']],
    wrong: [[], ['body:/note'], ['bearer', 'body:/note'], ['basic:password'], ['header:authorization']],
  },
  {
    injection: { kind: 'basic', part: 'password' },
    right: [['basic:password']],
    wrong: [['basic:username'], ['bearer']],
  },
  {
    injection: { kind: 'header', name: 'X-Api-Key' },
    right: [['header:x-api-key']],
    wrong: [['header:x-api-key', 'header:referer'], ['query:X-Api-Key'], ['bearer']],
  },
  {
    injection: { kind: 'header', name: 'Authorization' },
    right: [['bearer'], ['header:authorization']],
    wrong: [['basic:password']],
  },
  {
    injection: { kind: 'query', name: 'key' },
    right: [['query:key']],
    wrong: [['query:q'], ['path'], ['query:?']],
  },
  {
    injection: { kind: 'cookie', name: 'sid' },
    right: [['cookie:sid']],
    wrong: [['cookie:other'], ['header:cookie']],
  },
  {
    injection: { kind: 'body', pointer: '/auth/key' },
    right: [['body:/auth/key']],
    wrong: [['body'], ['body:/auth'], ['body:/auth/key', 'body:/note']],
  },
]

for (const { injection, right, wrong } of injections) {
  test(`LEND-2: a secret lent ${injectionText(injection)} is exchanged there alone, and a try elsewhere is an alert`, async (t) => {
    const world = await openLendWorld(t)
    const { lease, claim } = await lent(world, {}, { injection })
    assert.deepEqual(lease.injection, injection)
    for (const places of wrong) {
      await assert.rejects(world.lend.use({ ...claim, places }), { code: 'egress.denied' }, places.join())
      assert.equal((await world.bus.since(0, 500)).at(-1)?.type, 'lease.misused')
    }
    assert.equal((await entries(world, 'lease.misused')).length, wrong.length)
    assert.equal((await world.lend.read(lease.id))?.uses, 0)
    for (const places of right) await world.lend.use({ ...claim, places })
    assert.equal((await world.lend.read(lease.id))?.uses, right.length)
  })
}

test('LEND-2: of an AWS secret key only what signs for one day, region and service is lent', async (t) => {
  const world = await openLendWorld(t)
  world.vault.fields = {
    value: 'test-secret-access-key',
    access_key_id: 'AKIDTEST',
    session: 'test-session-token',
  }
  const injection: Injection = {
    kind: 'aws',
    accessKeyIdField: 'access_key_id',
    sessionTokenField: 'session',
    regions: ['us-east-1'],
    services: ['s3'],
  }
  const { claim, placeholder } = await lent(world, {}, { injection })
  assert.match(placeholder, /^AKIAKEYW[A-Z2-7]{12}$/)
  const date = world.clock.now().toISOString().slice(0, 10).replaceAll('-', '')
  const right = { ...claim, places: ['aws'], signing: { date, region: 'us-east-1', service: 's3' } }
  const { value, aws } = await world.lend.use(right)
  const parts = [date, 'us-east-1', 's3', 'aws4_request']
  const key = parts.reduce<Buffer>(
    (parent, part) => createHmac('sha256', parent).update(part).digest(),
    Buffer.from('AWS4test-secret-access-key'),
  )
  assert.deepEqual(
    [value.reveal(), aws?.accessKeyId, aws?.sessionToken?.reveal()],
    [key.toString('hex'), 'AKIDTEST', 'test-session-token'],
  )
  const wrong: Partial<Claim>[] = [
    { places: ['header:authorization'] },
    { signing: undefined },
    { signing: { ...right.signing, region: 'eu-west-1' } },
    { signing: { ...right.signing, service: 'iam' } },
    { signing: { ...right.signing, date: '20991231' } },
    { signing: { ...right.signing, date: '20150830' } },
  ]
  for (const change of wrong)
    await assert.rejects(
      world.lend.use({ ...right, ...change }),
      { code: 'egress.denied' },
      JSON.stringify(change),
    )
  assert.equal((await entries(world, 'lease.misused')).length, wrong.length)
  world.vault.fields = { value: 'test-secret-access-key' }
  await assert.rejects(world.lend.use(right), { code: 'secret.not_found' })
})

test('LEND-1: the uses of a minute are counted, and one too many is told when to come again', async (t) => {
  const world = await openLendWorld(t)
  const { lend, clock } = world
  const { claim, lease } = await lent(world, {}, { budget: { usesPerMinute: 2 } })
  assert.equal(lease.usesPerMinute, 2)
  await lend.use(claim)
  clock.advance(20_000)
  await lend.use(claim)
  await assert.rejects(lend.use(claim), {
    code: 'lease.over_budget',
    status: 429,
    detail: /possible in 40 s/,
  })
  clock.advance(39_999)
  await assert.rejects(lend.use(claim), { code: 'lease.over_budget' })
  clock.advance(1)
  await lend.use(claim)
  await lend.use(claim)
  await assert.rejects(lend.use(claim), { code: 'lease.over_budget', detail: /possible in 60 s/ })
  const many = await Promise.allSettled(Array.from({ length: 4 }, () => lend.use(claim)))
  assert.ok(many.every(({ status }) => status === 'rejected'))
  assert.equal((await lend.read(lease.id))?.uses, 4)
  assert.equal((await entries(world, 'lease.denied')).length, 7)
  assert.equal((await entries(world, 'lease.misused')).length, 0)
})

test('LEND-1: a grant caps the uses of each lease, whatever the agent asks for', async (t) => {
  const world = await openLendWorld(t)
  const capped = (uses?: number) => lent(world, { uses }, { budget: { uses: 3 }, maxLeases: 1 })
  assert.deepEqual([(await capped()).lease.usesLeft, (await capped(9)).lease.usesLeft], [3, 3])
  assert.equal((await capped(2)).lease.usesLeft, 2)
})

test('LEND-1: bytes are spent when they are known, and a lease without any left gives nothing', async (t) => {
  const world = await openLendWorld(t)
  const { lend, store } = world
  const { claim, lease } = await lent(world, {}, { budget: { bytes: 1000 }, maxLeases: 1 })
  const { lease: other } = await lent(world, {}, { maxLeases: 1 })
  assert.deepEqual(await lend.metered([]), [])
  assert.deepEqual(await lend.metered([lease.id, other.id]), [lease.id])
  const spend = (bytes: number) => store.write((tx) => lend.spend(tx, [lease.id, other.id], bytes))
  assert.equal((await lend.use(claim)).bytesLeft, 1000)
  await spend(600)
  assert.equal((await lend.use(claim)).bytesLeft, 400)
  await spend(600)
  assert.equal((await lend.read(lease.id))?.bytesLeft, 0)
  assert.equal((await lend.read(other.id))?.bytesLeft, null)
  await assert.rejects(lend.use(claim), { code: 'lease.over_budget', detail: /are spent/ })
})

test('LEND-1: a path may be given by a pattern, and a refusal says what is allowed instead', async (t) => {
  const world = await openLendWorld(t)
  const destinations = [
    { host: 'api.example.com', port: 443, methods: ['POST'], pathPattern: '/v1/*/refunds' },
    { host: 'api.example.com', port: 443, methods: ['GET'], pathPattern: '/v1/**' },
    { host: 'files.example.com', port: 8443 },
  ]
  const { claim } = await lent(world, { destinations }, { destinations })
  const refused = (change: Partial<Claim>, detail: RegExp) =>
    assert.rejects(world.lend.use({ ...claim, ...change }), { code: 'egress.denied', detail })
  for (const path of ['/v1/ch_1/refunds', '/v1/ch_1/refunds?limit=1'])
    await world.lend.use({ ...claim, path })
  for (const path of ['/v1/a', '/v1/a/b/c']) await world.lend.use({ ...claim, method: 'GET', path })
  await world.lend.use({ ...claim, host: 'files.example.com', port: 8443 })
  for (const path of [
    '/v1/refunds',
    '/v1//refunds',
    '/v1/a/b/refunds',
    '/v1/%2e%2e/refunds',
    '/v1/a/refunds/',
  ])
    await refused({ path }, /only paths like \/v1\/\*\/refunds\.$/)
  await refused({ method: 'GET', path: '/v1' }, /only paths like \/v1\/\*\*\.$/)
  await refused({ method: 'DELETE' }, /only POST there; only GET there\.$/)
  await refused({ host: 'files.example.com' }, /only port 8443 of files\.example\.com\.$/)
  await refused({ host: 'evil.example' }, /only api\.example\.com; only files\.example\.com\.$/)
})

test('LEND-1: a lease is never wider than the pattern of its grant', async (t) => {
  const world = await openLendWorld(t)
  const place = { host: 'api.example.com', port: 443 }
  await give(world, { destinations: [{ ...place, pathPattern: '/v1/*' }] })
  for (const wider of [place, { ...place, pathPrefix: '/v1' }, { ...place, pathPattern: '/v1/**' }])
    await assert.rejects(world.lend.request(ask(world, { destinations: [wider] })), { code: 'policy.denied' })
  await world.lend.request(
    ask(world, { destinations: [{ ...place, methods: ['GET'], pathPattern: '/v1/*' }] }),
  )
})

test('LEND-2: a placeholder begins as its tool expects, and is known by the rest', async (t) => {
  const world = await openLendWorld(t)
  const injection = { kind: 'bearer', prefix: 'ghp_' } as const
  const { placeholder, claim } = await lent(world, {}, { injection })
  assert.match(placeholder, /^ghp_kwp_[0-9A-Za-z]{32}$/)
  const seen = { ...claim, placeholder: placeholder.slice('ghp_'.length) }
  assert.equal((await world.lend.use(seen)).prefix, 'ghp_')
})

test('LEND-1: a revoked lease gives nothing; revoking it again changes nothing', async (t) => {
  const world = await openLendWorld(t)
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
  const world = await openLendWorld(t)
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

test('LEND-1: a clock that jumps ahead ends a lease; one that goes back does not lengthen it', async (t) => {
  const world = await openLendWorld(t)
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
  const world = await openLendWorld(t)
  const { lend } = world
  const { lease, claim } = await lent(world, { uses: 3 })
  const answers = await Promise.allSettled(Array.from({ length: 8 }, () => lend.use(claim)))
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 3)
  const after = await lend.read(lease.id)
  assert.deepEqual([after?.state, after?.uses, after?.usesLeft], ['used_up', 3, 0])
  assert.equal(after?.endReason, 'its last use was made')
  assert.equal((await entries(world, 'lease.used')).length, 3)
})

test('LEND-1: a use that finds the vault sealed is recorded as failed', async (t) => {
  const world = await openLendWorld(t)
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
  const world = await openLendWorld(t)
  const { store, lend, identity, agent } = world
  const { claim } = await lent(world)
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'quarantined', system, 'acts oddly'))
  await assert.rejects(lend.use(claim), { code: 'agent.inactive' })
  await assert.rejects(lend.request(ask(world)), { code: 'agent.inactive' })
  assert.equal(await store.write((tx) => lend.endForAgent(tx, agent.id, 'quarantined', system)), 1)
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'active', system, 'cleared'))
  await assert.rejects(lend.use(claim), { code: 'lease.ended' })
})

test('LEND-1: a forbid written by an owner stops a lease that was granted', async (t) => {
  const world = await openLendWorld(t)
  const { lend, policy } = world
  const { claim } = await lent(world)
  const text =
    '@id("hold") forbid (principal, action == Action::"lease.use", resource) when { context.host like "*.example.com" };'
  policy.prepare([policy.compile({ name: 'hold.cedar', text })])()
  await assert.rejects(lend.use(claim), { code: 'policy.denied' })
  policy.prepare([])()
  await lend.use(claim)
})

test('LEND-1: a lease is what it was after a restart', async (t) => {
  const dataDir = temporaryFolder(t)
  const clock = createTestClock()
  const before = await openLendWorld(t, { dataDir, clock })
  const { claim } = await lent(before, { uses: 2 })
  await before.lend.use(claim)
  await before.close()
  const after = await openLendWorld(t, { dataDir, clock }, 'second')
  const { value } = await after.lend.use(claim)
  assert.equal(value.reveal(), after.value)
  await assert.rejects(after.lend.use(claim), { code: 'lease.ended' })
})

test('LEND-1: the uses of a minute, and the bytes, stay counted over a restart', async (t) => {
  const dataDir = temporaryFolder(t)
  const clock = createTestClock()
  const before = await openLendWorld(t, { dataDir, clock })
  const { claim, lease } = await lent(before, {}, { budget: { usesPerMinute: 2, bytes: 100 } })
  await before.lend.use(claim)
  await before.lend.use(claim)
  await before.store.write((tx) => before.lend.spend(tx, [lease.id], 40))
  await before.close()
  const after = await openLendWorld(t, { dataDir, clock }, 'second')
  clock.advance(59_999)
  await assert.rejects(after.lend.use(claim), { code: 'lease.over_budget', detail: /possible in 1 s/ })
  clock.advance(1)
  assert.equal((await after.lend.use(claim)).bytesLeft, 60)
})

test('LEND-1: the whole life of leases on PostgreSQL', async (t) => {
  const databaseUrl = await createDatabase(await startPostgres(t))
  const world = await openLendWorld(t, { databaseUrl })
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

  const limits = { budget: { bytes: 10, usesPerMinute: 1 }, maxLeases: 1 }
  const limited = await lent(world, {}, { ...limits, injection: { kind: 'bearer' } })
  const { id } = limited.lease
  await lend.use(limited.claim)
  await assert.rejects(lend.use(limited.claim), { code: 'lease.over_budget', detail: /in 60 s/ })
  assert.deepEqual(await lend.metered([id, lease.id]), [id])
  for (const left of [6, 2, 0]) {
    await store.write((tx) => lend.spend(tx, [id, lease.id], 4))
    assert.equal((await lend.read(id))?.bytesLeft, left)
  }
  const url = 'https://api.example.com/'
  const { candidates } = await lend.explain({ agentId: agent.id, url, method: 'GET' })
  assert.match(candidates.find((one) => one.id === id)?.text ?? '', /bytes .* are spent/)
  const [granted] = (await lend.grants({ limit: 1, agentId: agent.id })).items
  assert.deepEqual([granted?.state, granted?.leasesLeft, granted?.budget], ['used_up', 0, limits.budget])

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
