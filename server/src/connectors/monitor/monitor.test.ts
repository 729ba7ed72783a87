import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { cleanUp } from '../../../test/support/clean-up.ts'
import { openConnectorWorld, secretPath } from '../../../test/support/connector-world.ts'
import { monitor } from './monitor.ts'

/** A service whose answers the test sets; it keeps what it was asked. */
async function openService(t: TestContext) {
  const asked: { url: string; authorization: string | undefined }[] = []
  const parents: unknown[] = []
  const answers = { status: 200, text: '{"ok":true}' }
  const server = createServer((request, response) => {
    asked.push({ url: request.url ?? '', authorization: request.headers.authorization })
    parents.push(request.headers['traceparent'])
    response.writeHead(answers.status).end(answers.text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { asked, answers, parents, address: `http://127.0.0.1:${port}` }
}

async function open(t: TestContext, settings: Record<string, string | boolean> = {}) {
  const service = await openService(t)
  const world = await openConnectorWorld(t, [monitor])
  const token = randomBytes(12).toString('hex')
  world.secrets.set(secretPath, { token })
  const id = await world.connect({
    connector: 'monitor',
    settings: { address: service.address, ...settings },
  })
  return { ...world, ...service, token, id }
}

const once = { connection: 'main', windowSeconds: 0 }
const sampleOf = (...values: string[]) =>
  JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: values.map((value) => ({ metric: {}, value: [1, value] })) },
  })

test('CONN-1: a page is watched for its status and its words; what is not well fails with what was seen', async (t) => {
  const { execute, answers, asked, parents, traces } = await open(t)
  const health = (more = {}) => execute('monitor.health', { ...once, path: '/healthz', ...more })
  assert.deepEqual(await health({ contains: '"ok"' }), {
    checks: 1,
    failures: 0,
    last: '/healthz answered 200',
  })
  assert.deepEqual(asked, [{ url: '/healthz', authorization: undefined }])
  traces.sent = true
  await health()
  assert.deepEqual([parents[0], typeof parents[1]], [undefined, 'string'])
  await assert.rejects(health({ contains: 'down' }), {
    code: 'task.failed',
    detail: /1 of 1 looks.*answered 200/,
  })
  answers.status = 503
  await assert.rejects(health(), { code: 'task.failed', detail: /answered 503/ })
  assert.deepEqual(await health({ allowedFailures: 1 }), {
    checks: 1,
    failures: 1,
    last: '/healthz answered 503',
  })
  assert.equal(((await health({ status: 503 })) as { failures: number }).failures, 0)
  await assert.rejects(health({ path: 'http://elsewhere' }), { code: 'connector.refused' })
})

test('CONN-1: it is looked at again and again until the window is over, or it has failed too often', async (t) => {
  const { execute, answers, asked, clock } = await open(t)
  // The hand of the clock moves with each look that the service hears.
  const before = asked.push.bind(asked)
  asked.push = (...items) => {
    clock.advance(10_000)
    return before(...items)
  }
  const args = { connection: 'main', everySeconds: 0.05, windowSeconds: 30 }
  assert.equal(((await execute('monitor.health', args)) as { checks: number }).checks, 3)
  answers.status = 500
  await assert.rejects(execute('monitor.health', { ...args, windowSeconds: 3600, allowedFailures: 2 }), {
    detail: /^3 of 3 looks/,
  })
})

test('CONN-1: a metric is watched by a query of Prometheus, with the token of its connection', async (t) => {
  const { execute, answers, asked, token } = await open(t, { bearer: true })
  const query = (more: object) =>
    execute('monitor.query', { ...once, query: 'sum(rate(errors[5m]))', ...more })
  answers.text = sampleOf('0.5', '9')
  assert.deepEqual(await query({ below: 1 }), { checks: 1, failures: 0, last: 'the value is 0.5' })
  assert.deepEqual(asked, [
    { url: '/api/v1/query?query=sum%28rate%28errors%5B5m%5D%29%29', authorization: `Bearer ${token}` },
  ])
  await assert.rejects(query({ above: 1 }), { code: 'task.failed', detail: /the value is 0.5/ })
  answers.text = sampleOf()
  await assert.rejects(query({ below: 1 }), { detail: /no sample/ })
  answers.text = token
  await assert.rejects(query({ below: 1 }), (error: Error & { detail?: string }) => {
    assert.match(error.detail ?? '', /no answer of Prometheus/)
    return !error.detail?.includes(token)
  })
  await assert.rejects(query({}), { code: 'connector.refused' })
})

test('CONN-1: its health is what the service answers, and one that is not there is not well', async (t) => {
  const { connectors, id, answers, execute } = await open(t)
  assert.equal((await connectors.check(id)).health?.state, 'up')
  answers.status = 404
  assert.equal((await connectors.check(id)).health?.state, 'degraded')
  answers.status = 500
  assert.equal((await connectors.check(id)).health?.state, 'down')
  const controller = new AbortController()
  controller.abort()
  await assert.rejects(execute('monitor.health', once, { signal: controller.signal }))
})
