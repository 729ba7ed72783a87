// Requests that must be refused, and the server that must live on: tokens, forgery, sizes, shapes, addresses, TLS.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { api, codes } from '@keyward/contract'
import { createAuthority } from '../src/proxy/index.ts'
import {
  codeOf,
  keywardCommand,
  newRootToken,
  type Reply,
  type RunningServer,
  scratchFolder,
  startServer,
} from './support/server.ts'

/** A refusal as RFC 9457 has it, with a code that clients know. */
function isProblem(reply: Reply, status: number, code: string, what: string): void {
  assert.deepEqual([reply.status, codeOf(reply)], [status, code], what)
  assert.match(reply.type, /^application\/problem\+json/, what)
  const body = reply.body as { type: string; title: string; instance: string }
  assert.equal(body.type, `urn:keyward:error:${code}`)
  assert.equal(body.title, codes[code as keyof typeof codes].message)
  assert.match(body.instance, /^urn:keyward:request:/)
}

/** Sends bytes as they are and reads until the server closes. */
function talk(server: RunningServer, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(server.address)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    let text = ''
    socket.setTimeout(120_000, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.once('close', () => resolve(text))
  })
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)

test('IDENT-3: without a valid token nothing is answered, on the API nor on /v1', async (t) => {
  const server = await startServer(t)
  for (const path of [
    '/findings',
    '/runs',
    '/approvals',
    '/audit',
    '/agents',
    '/secrets',
    '/status',
    '/policies',
  ]) {
    const none = await server.ask('GET', `/api/v1${path}`, { token: null })
    isProblem(none, 401, 'session.required', path)
    assert.equal(none.headers.get('www-authenticate'), 'Bearer')
    isProblem(await server.ask('GET', `/api/v1${path}`, { token: 'wrong' }), 401, 'session.required', path)
  }
  isProblem(await server.ask('GET', '/api/v1/events', { token: null }), 401, 'session.required', 'events')
  for (const token of ['', 'wrong', newRootToken()]) {
    const { status, body } = await server.ask('GET', '/v1/secret/data/shop', {
      token: null,
      headers: { 'x-vault-token': token },
    })
    assert.equal(status, 403)
    assert.deepEqual(body, { errors: ['permission denied'] })
  }
  const code = await server.ask('POST', '/api/v1/session/exchange', {
    token: null,
    body: { code: 'not-a-code-of-this-server' },
  })
  isProblem(code, 401, 'session.code_invalid', 'a sign-in code')
  const local = { token: 'not-the-token-of-the-file', kind: 'bearer' }
  const refused = await server.ask('POST', '/api/v1/session/local', { token: null, body: local })
  isProblem(refused, 401, 'session.code_invalid', 'a local token')
  assert.equal((await server.ask('GET', '/healthz', { token: null })).status, 200)
})

test('API-1: malformed and huge requests are refused as problems, and the server lives on', async (t) => {
  const server = await startServer(t)
  const body = (text: string | object, headers = {}) =>
    server.ask('POST', '/api/v1/agents', { body: text, headers })
  isProblem(await body('{"name":'), 400, 'request.invalid', 'cut JSON')
  isProblem(await body('[]'), 400, 'request.invalid', 'an array')
  isProblem(await body('null'), 400, 'request.invalid', 'null')
  isProblem(await body('"text"'), 400, 'request.invalid', 'a text')
  isProblem(await body('{"name":"a","name2":1}'), 400, 'request.invalid', 'an unknown field')
  isProblem(await body('{"name":"a","__proto__":{"roles":["owner"]}}'), 400, 'request.invalid', 'a prototype')
  isProblem(await body({ name: 'UPPER' }), 400, 'request.invalid', 'a wrong value')
  isProblem(await body({ name: 'a'.repeat(2 * 1024 * 1024) }), 413, 'request.too_large', 'a huge body')
  isProblem(await body('name=a', { 'content-type': 'text/plain' }), 400, 'request.invalid', 'another type')
  isProblem(await body(`${'['.repeat(100_000)}`), 400, 'request.invalid', 'deep nesting')
  for (const path of [
    '/runs?limit=0',
    '/runs?limit=501',
    '/runs?limit=x',
    '/runs?unknown=1',
    '/runs?state=Lost',
  ])
    isProblem(await server.ask('GET', `/api/v1${path}`), 400, 'request.invalid', path)
  isProblem(await server.ask('GET', '/api/v1/nothing'), 404, 'request.not_found', 'no operation')
  isProblem(await server.ask('PATCH', '/api/v1/runs'), 404, 'request.not_found', 'no method')
  isProblem(await server.ask('GET', `/api/v1/runs/${'a'.repeat(500)}`), 404, 'request.not_found', 'a huge id')
  isProblem(await server.ask('GET', '/api/v1/runs/%ff'), 400, 'request.invalid', 'a path that is no UTF-8')
  isProblem(await server.ask('GET', '/api/v1/runs/..%2f..%2fetc'), 404, 'run.not_found', 'a path that climbs')

  const head = 'POST /api/v1/agents HTTP/1.1\r\nHost: 127.0.0.1\r\n'
  const auth = `Authorization: Bearer ${server.token}\r\nContent-Type: application/json\r\nConnection: close\r\n`
  const raw: [string, string, number][] = [
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['a huge header', `${head}X-Long: ${'a'.repeat(64 * 1024)}\r\n\r\n`, 431],
    ['a huge address', `GET /api/v1/${'a'.repeat(64 * 1024)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`, 431],
    ['two lengths', `${head}${auth}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400],
    [
      'length and chunks',
      `${head}${auth}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ['a chunk without a size', `${head}${auth}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`, 400],
    [
      'chunks',
      `${head}${auth}Transfer-Encoding: chunked\r\n\r\n8\r\n{"name":\r\n6\r\n"ab"} \r\n0\r\n\r\n`,
      200,
    ],
    ['no host', 'GET /api/v1/status HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
  ]
  for (const [what, bytes, status] of raw) assert.equal(statusOf(await talk(server, bytes)), status, what)
  assert.equal((await server.call(api.agents.list, {})).items.length, 1)
  assert.equal((await server.ask('GET', '/healthz')).status, 200)
})

test('VAULT-2: the same on /v1, in its own words', async (t) => {
  const server = await startServer(t)
  const headers = { 'x-vault-token': server.token }
  const write = (body: string) => server.ask('PUT', '/v1/secret/data/shop', { token: null, headers, body })
  for (const body of ['{"data":', '[]', '"text"', '{}', '{"data":7}']) {
    const { status, body: answer } = await write(body)
    assert.equal(status, 400, body)
    assert.ok(Array.isArray((answer as { errors: unknown }).errors), body)
  }
  const huge = await write(`{"data":{"value":"${'a'.repeat(33 * 1024 * 1024)}"}}`)
  assert.equal(huge.status, 413)
  const climbing = await server.ask('GET', '/v1/secret/data/..%2f..%2fsys%2fseal', { token: null, headers })
  assert.equal(climbing.status, 400)
  assert.equal((await write('{"data":{"value":"fine"}}')).status, 200)
})

test('OPS-4: a change asked for with the cookie alone is refused; other origins and hosts are', async (t) => {
  const server = await startServer(t)
  const code = /#code=(\S+)/.exec(server.output())?.[1] ?? ''
  const signedIn = await server.ask('POST', '/api/v1/session/exchange', { token: null, body: { code } })
  assert.equal((signedIn.body as { token: string | null }).token, null, 'a browser gets no token to read')
  const set = signedIn.headers.get('set-cookie') ?? ''
  assert.match(set, /HttpOnly; SameSite=Strict/)
  const cookie = set.split(';')[0] ?? ''
  const again = await server.ask('POST', '/api/v1/session/exchange', { token: null, body: { code } })
  isProblem(again, 401, 'session.code_invalid', 'a code works once')

  const register = (name: string, headers: Record<string, string>) =>
    server.ask('POST', '/api/v1/agents', { token: null, headers: { cookie, ...headers }, body: { name } })
  isProblem(await register('a', {}), 403, 'policy.denied', 'without the header')
  const foreign = { 'x-keyward-csrf': '1', origin: 'https://elsewhere.example' }
  isProblem(await register('b', foreign), 403, 'policy.denied', 'from another origin')
  assert.equal((await register('c', { 'x-keyward-csrf': '1', origin: server.address })).status, 200)
  assert.equal((await server.ask('GET', '/api/v1/session', { token: null, headers: { cookie } })).status, 200)

  for (const host of [
    'rebound.example',
    '127.0.0.1.rebound.example',
    'localhost.rebound.example:80',
    '0.0.0.0',
  ])
    for (const path of ['/api/v1/status', '/v1/sys/health', '/', '/healthz', '/metrics']) {
      const answer = await talk(server, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      assert.equal(statusOf(answer), 403, `${host}${path}`)
    }
  for (const host of ['127.0.0.1', 'localhost:8200', '[::1]']) {
    const answer = await talk(server, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    assert.equal(statusOf(answer), 200, host)
  }
})

function certificate(t: TestContext): { args: string[]; caPem: string } {
  const folder = scratchFolder(t, 'tls')
  const authority = createAuthority({ now: () => new Date(), name: 'Test' })
  const { certificatePem, keyPem } = authority.leafFor('keyward.example.test')
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  writeFileSync(files.cert, certificatePem)
  writeFileSync(files.key, keyPem)
  return { args: ['--tls-cert', files.cert, '--tls-key', files.key], caPem: authority.certificatePem }
}

test('OPS-4: TLS 1.3 is spoken, TLS 1.2 is refused', async (t) => {
  const { args, caPem } = certificate(t)
  const token = newRootToken()
  const server = await startServer(t, { token, args: ['--dev', `--dev-root-token-id=${token}`, ...args] })
  assert.match(server.address, /^https:/)
  const port = Number(new URL(server.address).port)
  const hands = (version: 'TLSv1.2' | 'TLSv1.3'): Promise<string | null> =>
    new Promise((resolve, reject) => {
      const place = { host: '127.0.0.1', port, servername: 'keyward.example.test', ca: caPem }
      const socket = tlsConnect({ ...place, minVersion: version, maxVersion: version }, () => {
        resolve(socket.getProtocol())
        socket.destroy()
      })
      socket.once('error', reject)
    })
  assert.equal(await hands('TLSv1.3'), 'TLSv1.3')
  await assert.rejects(hands('TLSv1.2'), /protocol version|alert/i)
})

test('OPS-4: beyond loopback the server does not start without TLS', async (t) => {
  const data = scratchFolder(t)
  const start = (listen: string, ...more: string[]) =>
    keywardCommand(data, ['server', '--dev', '--listen', listen, '--data', join(data, 'data'), ...more])
  for (const listen of ['0.0.0.0:0', '[::]:0']) {
    const { code, stderr } = await start(listen)
    assert.equal(code, 2, stderr)
    assert.match(stderr, /not loopback, so it needs TLS/)
  }
  const half = await start('127.0.0.1:0', '--tls-cert', '/nowhere.pem')
  assert.deepEqual([half.code, /go together/.test(half.stderr)], [2, true])
})
