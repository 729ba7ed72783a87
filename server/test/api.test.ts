// What the contract promises, held against the real server.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { api, type Code, codes, type LiveEvent, liveEvent, type Operation } from '@keyward/contract'
import { codeOf, type Reply, type RunningServer, startServer } from './support/server.ts'
import { oneKeyProject, openFindings, pendingApproval } from './support/steps.ts'

const operations = Object.values(api).flatMap((noun): Operation[] => Object.values(noun))

const addressOf = ({ path }: Operation): string => `/api/v1${path.replace(/\{\w+\}/g, 'unknown')}`

function assertProblem(
  reply: Reply,
  what: string,
): asserts reply is Reply & { body: { code: Code; detail?: string } } {
  assert.match(reply.type, /^application\/problem\+json/, what)
  const { code, status, title, type } = reply.body as {
    code: Code
    status: number
    title: string
    type: string
  }
  assert.ok(Object.hasOwn(codes, code), `${what}: ${code}`)
  assert.deepEqual(
    [status, title, type],
    [reply.status, codes[code].message, `urn:keyward:error:${code}`],
    what,
  )
  assert.equal(reply.status, codes[code].status, what)
}

test('API-1: names are used once: of operations, of addresses, and within an operation', () => {
  const names = operations.map(({ name }) => name)
  assert.deepEqual(names, [...new Set(names)])
  const addresses = operations.map(({ method, path }) => `${method} ${path.replace(/\{\w+\}/g, '{}')}`)
  assert.deepEqual(addresses, [...new Set(addresses)])
  for (const { name, path, params, query, body, fails } of operations) {
    const fields = [params, query, body].flatMap((shape) => Object.keys(shape))
    assert.deepEqual(fields, [...new Set(fields)], `${name}: a name stands in two places`)
    const placed = [...path.matchAll(/\{(\w+)\}/g)].map(([, param]) => param)
    assert.deepEqual(placed, Object.keys(params), `${name}: its path and its params differ`)
    for (const code of fails) assert.ok(Object.hasOwn(codes, code), `${name}: ${code}`)
  }
})

test('API-1: every operation is served, knows its caller, and refuses what it does not know', async (t) => {
  const server = await startServer(t)
  for (const operation of operations) {
    const { name, method, access } = operation
    const path = addressOf(operation)
    const strange =
      method === 'GET'
        ? await server.ask(method, `${path}?surprise=1`)
        : await server.ask(method, path, { body: { surprise: 1 } })
    assertProblem(strange, name)
    assert.equal(strange.body.code, 'request.invalid', `${name}: ${JSON.stringify(strange.body)}`)
    assert.match(strange.body.detail ?? '', /surprise/, name)
    if (access === 'public') continue
    const nobody = await server.ask(method, path, { token: null })
    assertProblem(nobody, name)
    assert.equal(nobody.body.code, 'session.required', name)
  }
})

/** For agents, or for people who are signed in: the token that asks here is refused before anything is looked for. */
const notForTokens = ['leases.delegate', 'rollout.set_phase', 'rollout.observe', 'runs.resolve']

test('API-1: what an operation does not find, it says with the code that it announces', async (t) => {
  const server = await startServer(t)
  for (const operation of operations.filter(({ params }) => Object.keys(params).length > 0)) {
    const body = {
      reason: 'a test of the API',
      digest: '0'.repeat(64),
      value: 'a test of the API',
      signingRequest: 'a test of the API',
      agent: 'nobody',
      purpose: 'a test of the API',
      roles: ['auditor'],
      groups: ['testers'],
      code: '000000',
      clientData: 'AAAA',
      attestation: 'AAAA',
      phase: 'read-only',
      observed: true,
      args: {},
      effect: 'done',
      image: null,
    }
    const given = Object.fromEntries(Object.entries(body).filter(([name]) => name in operation.body))
    const { name, method } = operation
    const reply = await server.ask(
      method,
      addressOf(operation),
      Object.keys(operation.body).length > 0 ? { body: given } : {},
    )
    if (!operation.fails.some((code) => code.endsWith('.not_found'))) {
      // What is made where nothing was, or is gone already, is no failure; nothing else may leave it out.
      assert.ok(method === 'PUT' || method === 'DELETE', `${name} does not say what it answers for nothing`)
      continue
    }
    assertProblem(reply, name)
    if (notForTokens.includes(name) && reply.body.code === 'policy.denied') continue
    assert.match(reply.body.code, /^\w+\.not_found$/, name)
    assert.ok(operation.fails.includes(reply.body.code), `${name} does not announce ${reply.body.code}`)
  }
})

type Schema = { [keyword: string]: unknown }
type Described = {
  operationId: string
  parameters: { name: string; in: string; required: boolean; schema: Schema }[]
  requestBody?: { content: { 'application/json': { schema: Schema } } }
  responses: Record<string, { description: string; content: Record<string, { schema?: Schema }> }>
}
type Document = {
  openapi: string
  info: { title: string; version: string }
  components: { securitySchemes: object }
  paths: Record<string, Record<string, Described>>
}

test('API-1: the OpenAPI document is one of 3.1 and describes every operation', async (t) => {
  const server = await startServer(t)
  const reply = await server.ask('GET', '/api/v1/openapi.json', { token: null })
  assert.equal(reply.status, 200)
  const document = reply.body as Document
  assert.match(document.openapi, /^3\.1\.\d+$/)
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  assert.deepEqual(document.info, { ...document.info, title: 'Keyward', version })
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  assert.deepEqual(
    described.map(({ operation }) => operation.operationId).sort(),
    operations.map(({ name }) => name).sort(),
  )
  for (const { path, method, operation } of described) {
    const { operationId, parameters, requestBody, responses } = operation
    const known = operations.find(({ name }) => name === operationId)
    assert.ok(known)
    assert.equal(`${method.toUpperCase()} ${path}`, `${known.method} /api/v1${known.path}`)
    const placed = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const inPath = parameters.filter((parameter) => parameter.in === 'path')
    assert.deepEqual(
      inPath.map(({ name, required }) => [name, required]),
      placed.map((name) => [name, true]),
    )
    for (const { schema, name } of parameters) assertSchema(schema, `${operationId} ${name}`)
    assert.equal(requestBody !== undefined, Object.keys(known.body).length > 0, operationId)
    if (requestBody) assertSchema(requestBody.content['application/json'].schema, operationId)
    assertSchema(responses['200']?.content['application/json']?.schema ?? {}, operationId)
    for (const code of known.fails) {
      const { description, content } = responses[codes[code].status] ?? { description: '', content: {} }
      assert.ok(description.includes(code), `${operationId} does not describe ${code}`)
      assert.ok('application/problem+json' in content, operationId)
    }
  }
})

/** JSON Schema 2020-12, as OpenAPI 3.1 has it: nothing of 3.0, no reference that leads nowhere. */
function assertSchema(schema: Schema, what: string): void {
  assert.ok(
    Object.keys(schema).some((key) =>
      ['type', 'anyOf', 'oneOf', 'allOf', '$ref', 'enum', 'const'].includes(key),
    ),
    what,
  )
  const text = JSON.stringify(schema)
  assert.ok(!text.includes('"nullable"'), what)
  for (const [, reference = ''] of text.matchAll(/"\$ref":"([^"]+)"/g)) {
    const found = reference
      .replace(/^#\/?/, '')
      .split('/')
      .filter(Boolean)
      .reduce<unknown>((at, key) => (at as Schema | undefined)?.[key], schema)
    assert.notEqual(found, undefined, `${what}: ${reference} leads nowhere`)
  }
}

test('API-1: pages follow one another without gaps, and a run starts once for one idempotency key', async (t) => {
  const server = await startServer(t)
  for (const name of ['a', 'b', 'c', 'd', 'e']) await server.call(api.agents.register, { name })
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = await server.call(api.agents.list, { limit: 2, ...(cursor ? { cursor } : {}) })
    assert.ok(page.items.length <= 2)
    seen.push(...page.items.map(({ name }) => name))
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  assert.deepEqual(seen.toSorted(), ['a', 'b', 'c', 'd', 'e'])

  const findingIds = (await openFindings(server, oneKeyProject(t).folder)).map(({ id }) => id)
  const start = () =>
    server.call(api.runs.start, { flow: 'leaked-key', input: { findingIds }, idempotencyKey: 'once' })
  const runs = await Promise.all([start(), start(), start()])
  assert.equal(new Set(runs.map(({ id }) => id)).size, 1)
  await pendingApproval(server, runs[0]?.id ?? '')
  const other = await server.ask('POST', '/api/v1/runs', {
    body: { flow: 'leaked-key', input: { findingIds: ['fnd_other'] }, idempotencyKey: 'once' },
  })
  assertProblem(other, 'the same key for something else')
  assert.equal(other.body.code, 'request.conflict')
})

/** Reads the live stream until `enough` of it has come. */
async function listen(
  server: RunningServer,
  lastEventId: string | undefined,
  enough: (events: LiveEvent[]) => boolean,
  meanwhile: () => Promise<unknown> = async () => undefined,
): Promise<LiveEvent[]> {
  const stop = new AbortController()
  const response = await fetch(`${server.address}/api/v1/events`, {
    headers: {
      authorization: `Bearer ${server.token}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    signal: stop.signal,
  })
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
  void meanwhile()
  const events: LiveEvent[] = []
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString('utf8')
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const [, id, data = ''] = /^id: (\d+)\ndata: (.*)$/.exec(block) ?? []
      if (id === undefined) continue
      const event = liveEvent.parse(JSON.parse(data))
      assert.equal(String(event.seq), id)
      events.push(event)
    }
    if (enough(events)) break
  }
  stop.abort()
  return events
}

test('BUS-1, UI-1: the live stream tells what happens, and what happened while the listener was away', async (t) => {
  const server = await startServer(t)
  const register = (name: string) => server.call(api.agents.register, { name })
  const isRegistered = ({ type }: LiveEvent): boolean => type === 'agent.registered'
  const live = await listen(
    server,
    undefined,
    (events) => events.some(isRegistered),
    () => register('first'),
  )
  const last = live.find(isRegistered)
  assert.ok(last)
  await register('second')
  await register('third')
  const missed = await listen(
    server,
    String(last.seq),
    (events) => events.filter(isRegistered).length === 3,
    () => register('fourth'),
  )
  assert.ok(
    missed.every(({ seq }) => seq > last.seq),
    'an event was told twice',
  )
  assert.deepEqual(
    missed.map(({ seq }) => seq),
    missed.map(({ seq }) => seq).toSorted((a, b) => a - b),
  )
  const { items } = await server.call(api.agents.list, {})
  const subjects = missed.filter(isRegistered).map(({ subject }) => subject)
  const wanted = ['second', 'third', 'fourth'].map(
    (name) => `agent:${items.find((agent) => agent.name === name)?.id}`,
  )
  assert.deepEqual(subjects, wanted)
})

test('OBS-1, API-1: health and metrics are told without a session, and nothing secret with them', async (t) => {
  const server = await startServer(t)
  const health = await server.ask('GET', '/healthz', { token: null })
  assert.deepEqual([health.status, (health.body as { state: string }).state], [200, 'ok'])
  const metrics = await server.ask('GET', '/metrics', { token: null })
  assert.match(metrics.type, /^text\/plain/)
  for (const line of String(metrics.body).trim().split('\n'))
    assert.match(line, /^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{[^}]*\})? -?[\d.e+]+)$/, line)
  const missing = await server.ask('POST', '/api/v1/openapi.json')
  assert.equal(codeOf(missing), 'request.not_found')
})
