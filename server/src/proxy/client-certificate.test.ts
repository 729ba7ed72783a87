import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { cleanUp } from '../../test/support/clean-up.ts'
import { newClientCertificate } from '../../test/support/client-certificate.ts'
import { apiHost, ask, newPlaceholder, openProxy, openTls, until } from '../../test/support/egress.ts'
import { ask2, openSession } from '../../test/support/http2.ts'
import { acceptFor } from '../../test/support/websocket.ts'
import { unreachable } from './upstream.ts'
import { createAuthority } from './x509.ts'

const shop = newClientCertificate('shop')
const bank = newClientCertificate('bank')

type Seen = { readonly name: string; readonly from: Socket; readonly headers: IncomingMessage['headers'] }

/** A server that asks for a certificate; `demands`: ends the handshake without one. */
async function openAsking(t: TestContext, demands: boolean) {
  const seen: Seen[] = []
  const open: ServerResponse[] = []
  const note = ({ socket, headers }: IncomingMessage): void => {
    const { subject } = (socket as TLSSocket).getPeerCertificate()
    seen.push({ name: String(subject?.CN ?? ''), from: socket, headers })
  }
  const { certificatePem, keyPem, authority } = ownCertificate()
  const ca = [shop.certificatePem, bank.certificatePem]
  const asks = { requestCert: true, rejectUnauthorized: demands, ca }
  const server = createServer({ cert: certificatePem, key: keyPem, ...asks }, (request, response) => {
    note(request)
    response.write(`you showed ${shop.keyPem}`)
    if (request.url === '/stream') open.push(response)
    else response.end()
  })
  server.on('upgrade', (request, socket) => {
    note(request)
    const answer = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket']
    socket.write([...answer, `Sec-WebSocket-Accept: ${acceptFor(request)}`, '', ''].join('\r\n'))
    socket.on('error', () => {})
    cleanUp(t, () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    server.close()
  })
  const world = await openProxy(t)
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const way = await world.channel({ host: apiHost, port: 443, address, caPem: authority })
  const lendCertificate = ({ certificatePem: chain, keyPem: value }: typeof shop): string => {
    const placeholder = newPlaceholder()
    world.gate.leases.set(placeholder, { value, host: apiHost, certificatePem: chain })
    return placeholder
  }
  return { ...world, way, seen, open, lendCertificate }
}

function ownCertificate() {
  const made = createAuthority({ now: () => new Date(), name: 'Upstream of a test' })
  return { ...made.leafFor(apiHost), authority: made.certificatePem }
}

const linesOf = (pem: string): string[] => pem.split('\n').filter((line) => /^[\w+/=]{16,}$/.test(line))

test('LEND-2: a connection is made with the certificate that is lent; its key and its placeholder go nowhere', async (t) => {
  const { way, seen, recorded, lendCertificate } = await openAsking(t, true)
  const answer = await ask(way, { headers: { 'Keyward-Lease': lendCertificate(shop) } })
  assert.equal(answer.status, 200)
  assert.deepEqual([seen.length, seen[0]?.name], [1, 'shop'])
  assert.equal(seen[0]?.headers['keyward-lease'], undefined)
  for (const line of linesOf(shop.keyPem)) assert.ok(!answer.body.includes(line))
  assert.match(answer.body, /redacted by Keyward/)
  const [record] = await recorded(1)
  assert.deepEqual([record?.outcome, record?.leaseIds, record?.placeholders], ['allowed', ['lease_1'], 1])
})

test('LEND-2: a request that names no lease shows no certificate, also after one that did', async (t) => {
  const { way, seen, lendCertificate } = await openAsking(t, true)
  await ask(way, { headers: { 'Keyward-Lease': lendCertificate(shop) } })
  const answer = await ask(way)
  assert.deepEqual([answer.status, JSON.parse(answer.body).code], [502, 'egress.unreachable'])
  assert.equal(seen.length, 1)
})

test('LEND-2: no connection with a certificate serves a second request, of either version of HTTP', async (t) => {
  const { way, seen, lendCertificate } = await openAsking(t, false)
  const [first, second] = [lendCertificate(shop), lendCertificate(bank)]
  const headers = [{ 'keyward-lease': first }, { 'keyward-lease': second }, {}, { 'keyward-lease': first }]
  const tls = await openTls(way)
  for (const [index, one] of headers.entries()) {
    const lines = Object.entries(one).map(([name, value]) => `${name}: ${value}\r\n`)
    tls.write(`GET / HTTP/1.1\r\nHost: ${apiHost}\r\n${lines.join('')}\r\n`)
    await until(() => seen.length > index)
  }
  const session = await openSession(t, way)
  for (const one of headers) assert.equal((await ask2(session, one)).headers[':status'], 200)
  assert.deepEqual(
    seen.map(({ name }) => name),
    ['shop', 'bank', '', 'shop', 'shop', 'bank', '', 'shop'],
  )
  assert.equal(new Set(seen.map(({ from }) => from)).size, 8)
  for (const { name, from } of seen) if (name !== '') await until(() => from.destroyed)
  tls.destroy()
})

test('LEND-1: the connection that was made with a certificate is cut with its lease', async (t) => {
  const { proxy, way, seen, open, lendCertificate, recorded } = await openAsking(t, true)
  const tls = await openTls(way)
  tls.write(`GET /stream HTTP/1.1\r\nHost: ${apiHost}\r\nKeyward-Lease: ${lendCertificate(shop)}\r\n\r\n`)
  await until(() => open.length === 1)
  proxy.cut({ leaseId: 'lease_1' }, 'Its lease was revoked.')
  await once(tls.resume(), 'close')
  await until(() => seen[0]?.from.destroyed === true)
  assert.equal((await recorded(1))[0]?.reason, 'Its lease was revoked.')
})

test('LEND-2: a WebSocket is opened with a certificate', async (t) => {
  const { way, seen, lendCertificate } = await openAsking(t, true)
  const tls = await openTls(way)
  const asked = ['GET /socket HTTP/1.1', `Host: ${apiHost}`, 'Connection: Upgrade', 'Upgrade: websocket']
  const key = ['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`]
  tls.write([...asked, ...key, `Keyward-Lease: ${lendCertificate(shop)}`, '', ''].join('\r\n'))
  const [answer] = await once(tls, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 101 /)
  assert.deepEqual([seen[0]?.name, seen[0]?.headers['keyward-lease']], ['shop', undefined])
  tls.destroy()
})

test('LEND-2: a destination of HTTP/2 is shown the certificate too, by one connection for each request', async (t) => {
  const { certificatePem, keyPem, authority: caPem } = ownCertificate()
  const asks = { requestCert: true, ca: [shop.certificatePem] }
  const server = createSecureServer({ cert: certificatePem, key: keyPem, ...asks })
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const socket = stream.session?.socket as TLSSocket | undefined
    const name = socket?.getPeerCertificate().subject?.CN
    stream.respond({ ':status': 200 })
    stream.end(`${name} ${headers['keyward-lease']}`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  const world = await openProxy(t)
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const way = await world.channel({ host: apiHost, port: 443, address, caPem })
  const placeholder = newPlaceholder()
  const lease = { value: shop.keyPem, host: apiHost, certificatePem: shop.certificatePem }
  world.gate.leases.set(placeholder, lease)
  const session = await openSession(t, way)
  for (let i = 0; i < 2; i++)
    assert.equal((await ask2(session, { 'keyward-lease': placeholder })).body, 'shop undefined')
  assert.equal(sessions.size, 2)
  await until(() => [...sessions].every(({ destroyed }) => destroyed))
})

test('LEND-2: the header names one lease of a certificate, or the request is refused', async (t) => {
  const { way, seen, lend, lendCertificate } = await openAsking(t, false)
  const [one, other] = [lendCertificate(shop), lendCertificate(bank)]
  const wrong = [
    { 'Keyward-Lease': 'none' },
    { 'Keyward-Lease': lend().placeholder },
    { 'Keyward-Lease': `${one} ${other}` },
    { 'X-Key': one },
  ]
  for (const headers of wrong) {
    const answer = await ask(way, { headers: headers as Record<string, string> })
    const { code, detail } = JSON.parse(answer.body)
    assert.deepEqual([answer.status, code], [400, 'request.invalid'])
    assert.match(detail, /Keyward-Lease takes one placeholder/)
  }
  assert.equal(seen.length, 0)
})

test('LEND-2: a destination that does not take a certificate is told from one whose own is not trusted', () => {
  const route = { authority: { host: apiHost, port: 443 } } as Parameters<typeof unreachable>[0]
  const wordsFor = (code: string): string => unreachable(route, Object.assign(new Error(), { code })).reason
  for (const code of [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE',
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
  ])
    assert.match(wordsFor(code), /asks for a client certificate/)
  assert.match(wordsFor('CERT_HAS_EXPIRED'), /shows a certificate that is not trusted/)
  assert.match(wordsFor('ECONNREFUSED'), /cannot be reached/)
})
