import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { type Injection, injectionText } from '@keyward/contract'
import { ask, entries, give, lent, openLendWorld } from '../../test/support/lend-world.ts'
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

test('LEND-2: a placeholder looks like a kind of key in length, letters and checksum, and is known by its last part', async (t) => {
  const world = await openLendWorld(t)
  const injection = { kind: 'bearer', like: 'github-personal-access-token' } as const
  const { placeholder, claim, lease } = await lent(world, {}, { injection })
  assert.match(placeholder, /^ghp_[0-9A-Za-z]{36}$/)
  assert.deepEqual(lease.injection, { ...injection, prefix: 'ghp_' })
  const seen = { ...claim, placeholder: placeholder.slice('ghp_'.length) }
  assert.equal((await world.lend.use(seen)).prefix, 'ghp_')
  const other = await lent(world, {}, { injection })
  assert.notEqual(other.placeholder, placeholder)
  await assert.rejects(world.lend.use({ ...seen, host: 'evil.example' }), { code: 'egress.denied' })
  assert.equal((await entries(world, 'lease.misused')).length, 1)
})

test('LEND-2: a kind of key that no placeholder can look like is refused when it is granted', async (t) => {
  const world = await openLendWorld(t)
  for (const like of ['no-such-rule', 'stripe <nothing>', 'key-<hex 32>', 'ab-<an 8>'])
    await assert.rejects(
      give(world, { injection: { kind: 'bearer', like } }),
      { code: 'request.invalid' },
      like,
    )
  await assert.rejects(give(world, { injection: { kind: 'bearer', like: 'npm_<an 36>', prefix: 'ghp_' } }), {
    code: 'request.invalid',
    detail: /not both/,
  })
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
