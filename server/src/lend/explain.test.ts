import assert from 'node:assert/strict'
import { test } from 'node:test'
import { give, type LendWorld, lent, openLendWorld, system } from '../../test/support/lend-world.ts'

const place = { host: 'api.example.com', port: 443 }
const narrow = { ...place, methods: ['POST'], pathPattern: '/v1/*/refunds' }

const ask = ({ lend, agent }: LendWorld, url: string, method = 'POST') =>
  lend.explain({ agentId: agent.id, url, method })

/** The words of what does not hold. */
const missing = async (world: LendWorld, url: string, method?: string): Promise<string[]> =>
  (await ask(world, url, method)).checks
    .filter(({ holds }) => !holds)
    .map(({ what, text }) => `${what}: ${text}`)

test('LEND-2: without a lease or grant that allows it, what is missing is named', async (t) => {
  const world = await openLendWorld(t)
  const url = 'https://api.example.com/v1/ch_1/refunds?expand=all'
  assert.deepEqual(await missing(world, url), ['lease: No live lease or grant of the agent allows it.'])
  const { grantId } = await give(world, { destinations: [narrow] })
  assert.deepEqual(await missing(world, url), [
    `lease: No live lease allows it; the grant ${grantId} does: ask for a lease.`,
  ])
  const { lease } = await lent(world, { destinations: [narrow] }, { destinations: [narrow] })
  const explanation = await ask(world, url)
  assert.equal(explanation.allowed, true)
  assert.deepEqual(explanation.path, '/v1/ch_1/refunds', 'a query may carry anything')
  assert.equal(explanation.checks.at(-1)?.text, `The lease ${lease.id} pays for it.`)
  assert.deepEqual(
    explanation.candidates.map(({ kind, admits }) => [kind, admits]),
    [
      ['lease', true],
      ['grant', true],
      ['grant', true],
    ],
  )
  assert.equal((await world.lend.read(lease.id))?.uses, 0, 'nothing is counted')
})

test('LEND-2: each candidate says what it allows instead', async (t) => {
  const world = await openLendWorld(t)
  await lent(world, { destinations: [narrow] }, { destinations: [narrow], maxLeases: 1 })
  const first = async (url: string, method?: string) => (await ask(world, url, method)).candidates[0]?.text
  assert.equal(await first('https://api.example.com/v1/a/refunds', 'GET'), 'It allows only POST there.')
  assert.equal(await first('https://api.example.com/v2'), 'It allows only paths like /v1/*/refunds.')
  assert.equal(await first('https://api.example.com:8443/'), 'It allows only port 443 of api.example.com.')
  assert.equal(await first('https://evil.example/'), 'It allows only api.example.com.')
})

test('LEND-2: what no rule could let out is said of the address itself', async (t) => {
  const world = await openLendWorld(t)
  await lent(world)
  const address = async (url: string): Promise<string | undefined> =>
    (await missing(world, url)).find((text) => text.startsWith('address: '))
  assert.match((await address('http://api.example.com/')) ?? '', /Only HTTPS leaves a sandbox, not http\./)
  assert.match((await address('https://user:pass@api.example.com/')) ?? '', /with a user in it/)
  assert.match((await address('api.example.com')) ?? '', /no address/)
  assert.match((await address('')) ?? '', /no address/)
  assert.equal(await address('https://API.example.com./x'), undefined)
  const literal = await ask(world, 'https://[::1]:8443/')
  assert.deepEqual([literal.host, literal.port], ['::1', 8443])
  assert.match(literal.checks[0]?.text ?? '', /the task must list this very address/)
})

test('LEND-2: a quarantined agent, a spent budget and a written policy are told', async (t) => {
  const world = await openLendWorld(t)
  const url = 'https://api.example.com/'
  const { claim } = await lent(world, {}, { budget: { usesPerMinute: 1 }, maxLeases: 1 })
  await world.lend.use({ ...claim, path: '/' })
  assert.match((await ask(world, url)).candidates[0]?.text ?? '', /may be used 1 times a minute/)
  world.clock.advance(60_000)
  assert.deepEqual(await missing(world, url), [])
  const hold = (action: string): string =>
    `@id("hold") forbid (principal, action == Action::"${action}", resource) when { context.host like "*.example.com" };`
  for (const action of ['egress.connect', 'lease.use']) {
    world.policy.prepare([world.policy.compile({ name: 'hold.cedar', text: hold(action) })])()
    const [what] = await missing(world, url)
    assert.match(what ?? '', action === 'lease.use' ? /^lease: / : /^policy: .*hold/)
  }
  world.policy.prepare([])()
  const { store, identity, agent } = world
  await store.write((tx) => identity.setAgentState(tx, agent.id, 'quarantined', system, 'acts oddly'))
  assert.deepEqual(await missing(world, url), ['agent: builder is quarantined.'])
  await assert.rejects(world.lend.explain({ agentId: 'agt_none', url, method: 'GET' }), {
    code: 'agent.not_found',
  })
})

test('LEND-2: a place that policy lets through unopened is said to be one', async (t) => {
  const world = await openLendWorld(t)
  const policyText = async (url: string): Promise<string> =>
    (await ask(world, url)).checks.find(({ what }) => what === 'policy')?.text ?? ''
  assert.doesNotMatch(await policyText('https://pinned.example.com/'), /unopened/)
  const text =
    '@id("pinned") permit (principal is Agent, action == Action::"egress.pass_through", resource == Destination::"pinned.example.com:443");'
  world.policy.prepare([world.policy.compile({ name: 'pinned.cedar', text })])()
  assert.match(await policyText('https://pinned.example.com/'), /passed through unopened/)
  assert.doesNotMatch(await policyText('https://api.example.com/'), /unopened/)
  assert.doesNotMatch(await policyText('ssh://git@pinned.example.com:443/'), /unopened/)
})

test('LEND-1: grants are listed newest first, page by page, each with its state', async (t) => {
  const world = await openLendWorld(t)
  const { lend, store, clock, agent } = world
  const made: string[] = []
  for (const more of [{ maxLeases: 1 }, { expiresAt: new Date(clock.now().getTime() + 1000) }, {}, {}]) {
    made.unshift((await give(world, more)).grantId)
    clock.advance(1)
  }
  const [live = '', ended = '', , used = ''] = made
  await store.write((tx) => lend.endGrant(tx, ended, 'not needed', system))
  const spent = await lend.readGrant(used)
  assert.deepEqual([spent?.state, spent?.leasesLeft], ['live', 1])
  clock.advance(2000)
  const first = await lend.grants({ limit: 3, agentId: agent.id })
  assert.deepEqual(
    first.items.map(({ id, state }) => [id, state]),
    [
      [live, 'live'],
      [ended, 'ended'],
      [made[2], 'expired'],
    ],
  )
  const rest = await lend.grants({ limit: 3, cursor: first.next ?? '' })
  assert.deepEqual([rest.items.map(({ id }) => id), rest.next], [[used], null])
  assert.equal((await lend.readGrant(ended))?.endReason, 'not needed')
  assert.deepEqual((await lend.grants({ limit: 3, agentId: 'agt_other' })).items, [])
  assert.equal(await lend.readGrant('grt_none'), undefined)
})

test('LEND-2: logins of databases and SSH are explained by what speaks there, as the relay would judge them', async (t) => {
  const world = await openLendWorld(t)
  const at = (host: string, port: number) => ({ destinations: [{ host, port }] })
  const database = at('db.example.com', 5432)
  const postgres = {
    kind: 'postgres',
    databases: ['shop'],
    tls: 'verify',
    usernameField: 'username',
    cleartext: false,
  } as const
  await lent(world, database, { ...database, injection: { ...postgres, databases: ['shop'] } })
  const explain = (url: string) => world.lend.explain({ agentId: world.agent.id, url, method: 'GET' })
  const words = async (url: string) => {
    const { allowed, checks, candidates } = await explain(url)
    return `${allowed} ${[...checks, ...candidates].map(({ text }) => text).join(' ')}`
  }
  assert.match(await words('postgres://keyward@db.example.com/shop'), /^true .*by PostgreSQL/)
  assert.match(await words('postgresql://db.example.com:5432'), /^true /)
  assert.match(await words('postgres://db.example.com/other'), /^false .*login of PostgreSQL for shop/)
  assert.match(await words('redis://db.example.com:5432'), /^false .*not for redis/)
  assert.match(await words('https://db.example.com:5432/'), /^false .*not for HTTPS/)
  assert.match(await words('ssh://db.example.com'), /^false .*only port 5432/)
  assert.match(await words('postgres://keyward:word@db.example.com/shop'), /^false .*with a user in it/)
  assert.match(await words('ftp://db.example.com/'), /^false .*not ftp/)
  assert.equal((await explain('ssh://git@example.com/')).port, 22)
})
