// Granting a secret, and asking why a request would be refused, with the real command and server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, type WayOut } from '@keyward/contract'
import { codeOf, keywardCommand, scratchFolder, startServer } from './support/server.ts'

test('LEND-1, CLI-1: a person grants, the agent borrows within it, and each refusal is explained', async (t) => {
  const server = await startServer(t)
  const home = scratchFolder(t, 'home')
  const env = { KEYWARD_ADDRESS: server.address, KEYWARD_DATA: server.dataDir }
  const run = (...args: string[]) => keywardCommand(home, args, { env })
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args, '--json')
    assert.ok(code <= 1, `${args.join(' ')}: ${stderr}`)
    return { code, ...JSON.parse(stdout) }
  }
  await json('login', '--local')
  const { agent, apiKey } = await server.call(api.agents.register, { name: 'shop-bot' })
  await server.ask('PUT', '/v1/secret/data/shop/stripe', {
    body: { data: { value: 'test-value-for-egress' } },
  })
  const url = 'https://api.example.com/v1/ch_1/refunds'
  const explain = () => json('egress', 'explain', url, '--agent', 'shop-bot', '--method', 'post')

  const before = await explain()
  assert.deepEqual([before.code, before.allowed], [1, false])
  const to = ['--to', 'POST api.example.com/v1/*/refunds', '--to', 'api.example.com:8443/files']
  const limits = [
    '--uses',
    '2',
    '--per-minute',
    '1',
    '--bytes',
    '5000',
    '--ttl',
    '60',
    '--leases',
    '1',
    '--for',
    '3600',
  ]
  const as = ['--as', 'header:X-Api-Key', '--reason', 'Refunds']
  const grant = await json(
    'egress',
    'grant',
    'secret/shop/stripe',
    '--agent',
    'shop-bot',
    ...to,
    ...limits,
    ...as,
  )
  assert.deepEqual(grant.destinations, [
    { host: 'api.example.com', port: 443, methods: ['POST'], pathPattern: '/v1/*/refunds' },
    { host: 'api.example.com', port: 8443, pathPrefix: '/files' },
  ])
  assert.deepEqual(grant.budget, { uses: 2, usesPerMinute: 1, bytes: 5000 })
  assert.deepEqual(
    [grant.injection, grant.state, grant.agentId],
    [{ kind: 'header', name: 'X-Api-Key' }, 'live', agent.id],
  )
  const granted = await explain()
  assert.match(granted.checks.at(-1).text, /the grant grt_\w+ does: ask for a lease/)

  const destinations = [{ host: 'api.example.com', methods: ['POST'], pathPattern: '/v1/*/refunds' }]
  const asked = { secretPath: 'secret/shop/stripe', purpose: 'to refund', destinations, ttlSeconds: 60 }
  const wider = { ...asked, destinations: [{ host: 'api.example.com' }] }
  const request = (body: unknown) => server.ask('POST', '/api/v1/leases', { token: apiKey, body })
  assert.equal(codeOf(await request(wider)), 'policy.denied')
  const { lease } = (await request(asked)).body as unknown as {
    lease: { usesLeft: number; bytesLeft: number }
  }
  assert.deepEqual([lease.usesLeft, lease.bytesLeft], [2, 5000])
  assert.equal((await explain()).code, 0)
  const reach = await json('egress', 'reach', 'shop-bot')
  assert.deepEqual(
    reach.ways.map((way: WayOut) => [way.kind, way.destination.port, way.open, way.usesLeft]),
    [['lease', 443, true, 2]],
    'a grant that is used up leads nowhere',
  )
  assert.match(
    (await run('egress', 'reach', agent.id)).stdout,
    /yes +lease lea_\w+ +secret\/shop\/stripe#value/,
  )
  const words = await run('egress', 'explain', url, '--agent', agent.id)
  assert.deepEqual([words.code, words.stderr], [1, ''])
  assert.match(words.stdout, /^Refused: GET api\.example\.com\/v1\/ch_1\/refunds\n✓ address: /)
  assert.match(words.stdout, /It allows only POST there\./)

  const table = await run('egress', 'grants', '--agent', 'shop-bot')
  assert.match(table.stdout, /used_up +agt_\w+ +secret\/shop\/stripe#value +POST api\.example\.com/)
  const ended = await json('egress', 'end', grant.id, '--reason', 'The trial is over')
  assert.deepEqual([ended.state, ended.endReason], ['ended', 'The trial is over'])

  await t.test('LEND-1: no agent grants, and what is not there is said', async () => {
    const body = { agentId: agent.id, secretPath: 'secret/shop/stripe', destinations, reason: 'for myself' }
    const own = await server.ask('POST', '/api/v1/grants', { token: apiKey, body })
    assert.deepEqual([own.status, codeOf(own)], [403, 'policy.denied'])
    for (const [method, path, more] of [
      ['GET', '/grants', {}],
      ['POST', `/grants/${grant.id}/end`, { body: { reason: 'for myself' } }],
      ['POST', '/egress/explain', { body: { agentId: agent.id, url } }],
      ['GET', `/egress/reach?agentId=${agent.id}`, {}],
      ['GET', '/egress/requests', {}],
    ] as const)
      assert.equal((await server.ask(method, `/api/v1${path}`, { token: apiKey, ...more })).status, 403, path)
    const nobody = await server.ask('POST', '/api/v1/grants', { body: { ...body, agentId: 'agt_none' } })
    assert.equal(codeOf(nobody), 'agent.not_found')
    const gone = await server.ask('POST', '/api/v1/grants/grt_none/end', { body: { reason: 'not there' } })
    assert.equal(codeOf(gone), 'grant.not_found')
    for (const wrong of [
      { ...body, injection: { kind: 'elsewhere' } },
      { ...body, injection: { kind: 'oauth-client', tokenUrl: 'http://plain.example/', clientId: 'c' } },
      { ...body, budget: { uses: 0 } },
      { ...body, destinations: [{ host: 'api.example.com', pathPattern: '/a/**/b' }] },
      { ...body, destinations: [{ host: 'two hosts' }] },
    ])
      assert.equal(codeOf(await server.ask('POST', '/api/v1/grants', { body: wrong })), 'request.invalid')
  })

  await t.test('CLI-1: a place or injection that cannot be is refused before anything is asked', async () => {
    for (const [flag, value] of [
      ['--to', 'https://api.example.com'],
      ['--as', 'pocket'],
      ['--as', 'header:'],
      ['--as', '{'],
      ['--uses', '0'],
    ] as const) {
      const { code } = await run(
        'egress',
        'grant',
        'secret/a',
        '--agent',
        'x',
        '--to',
        'h',
        '--reason',
        'why',
        flag,
        value,
      )
      assert.equal(code, 2, `${flag} ${value}`)
    }
  })
})
