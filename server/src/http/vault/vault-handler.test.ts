import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { openUnsealedVault, serveVault } from '../../../test/support/vault-server.ts'

async function setup(t: Parameters<typeof openUnsealedVault>[0]) {
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  return (path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> =>
    fetch(`${url}/v1/${path}`, { ...init, headers: { 'X-Vault-Token': rootToken, ...init.headers } })
}

test('VAULT-2: an answer is JSON that no cache keeps', async (t) => {
  const call = await setup(t)
  const answer = await call('sys/seal-status')
  assert.equal(answer.headers.get('content-type'), 'application/json')
  assert.equal(answer.headers.get('cache-control'), 'no-store')
})

test('VAULT-2: a list by GET, a bearer token, doubled slashes and encoded paths', async (t) => {
  const call = await setup(t)
  assert.equal((await call('secret/data//a%20b', { method: 'PUT', body: '{"data":{"x":1}}' })).status, 200)
  const listed = (await (await call('secret/metadata/?list=true')).json()) as { data: { keys: string[] } }
  assert.deepEqual(listed.data.keys, ['a b'])
  const { headers } = new Request('http://x', { headers: { Authorization: 'Bearer nobody' } })
  const refused = await call('secret/data/a', {
    headers: { 'X-Vault-Token': '', ...Object.fromEntries(headers) },
  })
  assert.equal(refused.status, 403)
})

for (const [what, path, init, status] of [
  ['a namespace', 'secret/data/a', { headers: { 'X-Vault-Namespace': 'team' } }, 400],
  [
    'a wrapping token as a JWT',
    'secret/data/a',
    { headers: { 'X-Vault-Wrap-TTL': '60s', 'X-Vault-Wrap-Format': 'jwt' } },
    400,
  ],
  ['a patch of an unknown kind', 'secret/data/a', { method: 'PATCH', body: '{}' }, 415],
  ['a parent folder in the path', 'secret/data/%2e%2e%2fa', {}, 400],
  ['a control character in the path', 'secret/data/a%00', {}, 400],
  ['a broken escape in the path', 'secret/data/%zz', {}, 400],
  ['another method', 'secret/data/a', { method: 'OPTIONS' }, 405],
  ['a body that is no JSON', 'secret/data/a', { method: 'POST', body: '{' }, 400],
  ['a body past 32 MB', 'secret/data/a', { method: 'POST', body: 'x'.repeat(33 * 1024 * 1024) }, 413],
] as const)
  test(`VAULT-2: ${what} is refused in words`, async (t) => {
    const call = await setup(t)
    const answer = await call(path, init)
    assert.equal(answer.status, status)
    const { errors } = (await answer.json()) as { errors: string[] }
    assert.equal(errors.length, 1)
  })

test('VAULT-2: without a valid token no more than 64 KiB of a body is read, and the client is told', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url, port } = await serveVault(t, vault)
  const body = JSON.stringify({ data: { text: 'x'.repeat(100_000) } })
  const write = (token: string, path = 'secret/data/a') =>
    fetch(`${url}/v1/${path}`, { method: 'PUT', body, headers: { 'X-Vault-Token': token } })
  assert.equal((await write(rootToken)).status, 200)
  for (const path of ['secret/data/a', 'sys/storage/raft/snapshot', 'auth/approle/login']) {
    const refused = await write('kwt.nobody', path)
    assert.equal(refused.status, 403)
    assert.deepEqual(await refused.json(), { errors: ['permission denied'] })
  }
  // One that sends and sends, in pieces of unknown number.
  const socket = connect(port, '127.0.0.1')
  socket.write(
    'PUT /v1/sys/storage/raft/snapshot HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  const piece = `10000\r\n${'x'.repeat(65_536)}\r\n`
  let sent = 0
  let heard = ''
  socket.on('data', (chunk) => {
    heard += String(chunk)
  })
  await new Promise<void>((resolve) => {
    // What is written after the server's end fails before anything else is heard, again and again.
    const next = (error?: Error | null): void => {
      if (error || socket.destroyed) return
      sent++
      socket.write(piece, next)
    }
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    next()
  })
  assert.match(heard, /^HTTP\/1\.1 403 /)
  assert.ok(sent < 1000)
})

test('VAULT-2: who may not restore a snapshot sends none', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const call = (token: string, path: string, body: string): Promise<Response> =>
    fetch(`${url}/v1/${path}`, { method: 'POST', headers: { 'X-Vault-Token': token }, body })
  const made = await call(rootToken, 'auth/token/create', JSON.stringify({ policies: ['default'] }))
  const { auth } = (await made.json()) as { auth: { client_token: string } }
  const large = 'x'.repeat(100_000)
  for (const path of ['sys/storage/raft/snapshot', 'sys/storage/raft/snapshot-force?x=1']) {
    assert.equal((await call(auth.client_token, path, large)).status, 403, path)
    // Read to its end, and then refused for what it is.
    const { errors } = (await (await call(rootToken, path, large)).json()) as { errors: string[] }
    assert.match(errors[0] ?? '', /no compressed archive/, path)
  }
})
