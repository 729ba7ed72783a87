import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { apiHost, openProxy, relayTo, talkInside, until } from '../../test/support/egress.ts'
import {
  accept,
  acceptFor,
  askForWebSocket,
  openWebSocketServer,
  type Peer,
  peerOn,
} from '../../test/support/websocket.ts'
import { opcodes } from './websocket-frames.ts'

const run = promisify(execFile)
const rule = { host: apiHost, port: 443 }
const mark = '[redacted by Keyward]'

/** A sandbox before a server that opens every WebSocket, or answers as the test wants. */
async function setup(t: TestContext, limits: Parameters<typeof openProxy>[1] = {}, answer = accept) {
  const requests: IncomingMessage[] = []
  const servers: Peer[] = []
  const upstream = await openWebSocketServer(t, (request, socket) => {
    requests.push(request)
    answer(request, socket)
    servers.push(peerOn(socket, false))
  })
  const world = await openProxy(t, limits)
  const way = await world.channel({ ...rule, ...upstream })
  const connect = async (more: Parameters<typeof askForWebSocket>[1] = {}) => {
    const { head, peer, key } = await askForWebSocket(way, more)
    assert.match(head, /^HTTP\/1\.1 101 /)
    const server = servers.at(-1)
    assert.ok(server)
    return { client: peer, server, head, key }
  }
  return { ...world, way, requests, connect }
}

test('LEND-2: a WebSocket has two handshakes, and a placeholder in its header or query is exchanged', async (t) => {
  const { connect, requests, lend, recorded } = await setup(t)
  const { placeholder, value } = lend()
  const headers = `Authorization: Bearer ${placeholder}\r\nSec-WebSocket-Protocol: chat, other\r\nSec-WebSocket-Extensions: permessage-deflate\r\n`
  const { client, server, head, key } = await connect({ path: `/live?key=${placeholder}`, headers })
  const [request] = requests
  assert.equal(request?.headers.authorization, `Bearer ${value}`)
  assert.equal(request?.url, `/live?key=${encodeURIComponent(value)}`)
  assert.equal(request?.headers['sec-websocket-protocol'], 'chat, other')
  assert.equal(request?.headers['sec-websocket-extensions'], undefined, 'nothing that would hide a value')
  assert.notEqual(request?.headers['sec-websocket-key'], key)
  const accepted = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  assert.ok(head.includes(`Sec-WebSocket-Accept: ${accepted}\r\n`))
  client.send(opcodes.text, 'hello')
  assert.equal((await server.next())?.payload.toString(), 'hello')
  server.send(opcodes.binary, Buffer.from([1, 2, 3]))
  assert.deepEqual((await client.next())?.payload, Buffer.from([1, 2, 3]))
  client.send(opcodes.ping, 'there?')
  assert.deepEqual(await server.next(), { opcode: opcodes.ping, payload: Buffer.from('there?') })
  client.send(opcodes.close, Buffer.from([3, 232]))
  assert.equal((await server.next())?.opcode, opcodes.close)
  server.send(opcodes.close, Buffer.from([3, 232]))
  assert.equal((await client.next())?.opcode, opcodes.close)
  assert.equal(await client.next(), undefined)
  const records = await recorded(2)
  assert.deepEqual(
    records.map(({ method, path, status, outcome, reason, bytesOut, bytesIn }) => ({
      ...{ method, path, status, outcome, reason, bytesOut, bytesIn },
    })),
    [
      { ...wsRecord, reason: 'The WebSocket was opened.', bytesOut: 0, bytesIn: 0 },
      { ...wsRecord, reason: null, bytesOut: 5, bytesIn: 3 },
    ],
  )
})
const wsRecord = { method: 'GET', path: '/live', status: 101, outcome: 'allowed' }

test('LEND-2: a placeholder in a text message is exchanged, and in JSON as JSON writes it', async (t) => {
  const { connect, lend, gate } = await setup(t)
  const { placeholder, value } = lend()
  const { client, server } = await connect()
  client.send(opcodes.text, JSON.stringify({ auth: placeholder }))
  assert.deepEqual(JSON.parse((await server.next())?.payload.toString() ?? ''), { auth: value })
  client.send(opcodes.text, `key ${placeholder}`)
  assert.equal((await server.next())?.payload.toString(), `key ${value}`)
  assert.deepEqual(gate.claims[0]?.places, ['message'])
})

test('LEND-2: a message in fragments is put together before a placeholder in it is exchanged', async (t) => {
  const { connect, lend } = await setup(t)
  const { placeholder, value } = lend()
  const { client, server } = await connect()
  const [first = '', ...rest] = `key ${placeholder}`
  client.send(opcodes.text, first, false)
  for (const letter of rest) client.send(opcodes.continuation, letter, false)
  client.send(opcodes.ping, '')
  client.send(opcodes.continuation, '')
  assert.equal((await server.next())?.opcode, opcodes.ping, 'control frames pass between fragments')
  assert.equal((await server.next())?.payload.toString(), `key ${value}`)
})

test('LEND-2: values are taken out of what the server sends, in every frame', async (t) => {
  const { connect, lend } = await setup(t)
  const { placeholder, value } = lend()
  const { client, server } = await connect({ headers: `X-Key: ${placeholder}\r\n` })
  server.send(opcodes.text, `you sent ${value}.`)
  assert.equal((await client.next())?.payload.toString(), `you sent ${mark}.`)
  server.send(opcodes.binary, `<${Buffer.from(value).toString('base64')}>`)
  assert.match((await client.next())?.payload.toString() ?? '', /^<\[redacted by Keyward\].{0,3}>$/)
  server.send(opcodes.text, '', false)
  for (const letter of `<${value}>`) server.send(opcodes.continuation, letter, false)
  server.send(opcodes.continuation, '')
  assert.equal((await client.next())?.payload.toString(), `<${mark}>`)
  server.send(opcodes.ping, value)
  assert.deepEqual(await client.next(), { opcode: opcodes.ping, payload: Buffer.from(mark) })
  server.send(opcodes.close, Buffer.concat([Buffer.from([3, 232]), Buffer.from(`bad ${value}`)]))
  assert.equal((await client.next())?.payload.subarray(2).toString(), mark)
})

test('LEND-2: a placeholder where none is exchanged stops the connection before it has passed', async (t) => {
  const { connect, lend, recorded } = await setup(t, { exchangeBodyBytes: 1000 })
  const { placeholder } = lend()
  const sent: ((client: Peer) => void)[] = [
    (client) => client.send(opcodes.binary, placeholder),
    (client) => client.send(opcodes.text, `${'x'.repeat(1000)}${placeholder}`),
    (client) => {
      client.send(opcodes.binary, 'x'.repeat(2000), false)
      client.send(opcodes.continuation, placeholder.slice(0, 10), false)
      client.send(opcodes.continuation, placeholder.slice(10))
    },
    (client) => client.send(opcodes.ping, placeholder),
  ]
  for (const send of sent) {
    const { client, server } = await connect()
    send(client)
    const closed = await client.next()
    assert.equal(closed?.payload.readUInt16BE(0), 1008)
    for (let seen = await server.next(); seen; seen = await server.next())
      assert.ok(!seen.payload.includes(placeholder))
    client.socket.destroy()
  }
  const records = await recorded(8)
  assert.equal(records.filter(({ outcome }) => outcome === 'misused').length, 4)
})

test('LEND-2: a placeholder of another host in a message is misuse, and one of an ended lease is told', async (t) => {
  const { connect, lend, gate, recorded } = await setup(t)
  const other = lend('other.example.test')
  const ended = lend()
  gate.leases.set(ended.placeholder, { value: ended.value, host: apiHost, ended: true })
  for (const { placeholder } of [other, ended]) {
    const { client } = await connect()
    client.send(opcodes.text, placeholder)
    assert.equal((await client.next())?.payload.readUInt16BE(0), 1008)
    client.socket.destroy()
  }
  const records = await recorded(4)
  assert.equal(records.filter(({ outcome }) => outcome === 'misused').length, 1)
  assert.equal(records.filter(({ outcome }) => outcome === 'denied').length, 1)
})

const bytes = (...values: number[]): Buffer => Buffer.from(values)
const masked = [0, 0, 0, 0]

test('LEND-2: frames that two readers could read differently stop the connection', async (t) => {
  const { connect, recorded } = await setup(t)
  const wrong: Record<string, Buffer> = {
    'not masked': bytes(0x81, 1, 65),
    'a reserved bit': bytes(0xc1, 0x81, ...masked, 65),
    'a reserved opcode': bytes(0x83, 0x80, ...masked),
    'a reserved control opcode': bytes(0x8b, 0x80, ...masked),
    'a fragmented ping': bytes(0x09, 0x80, ...masked),
    'a long ping': Buffer.concat([bytes(0x89, 0xfe, 0, 126, ...masked), Buffer.alloc(126)]),
    'a length in two bytes too many': bytes(0x81, 0xfe, 0, 1, ...masked, 65),
    'a length in six bytes too many': bytes(0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, ...masked, 65),
    'a length beyond reason': bytes(0x81, 0xff, 0xff, 255, 255, 255, 255, 255, 255, 255, ...masked),
    'a continuation of nothing': bytes(0x80, 0x80, ...masked),
    'a message in a message': bytes(0x01, 0x80, ...masked, 0x81, 0x80, ...masked),
    'text that is not UTF-8': bytes(0x81, 0x81, ...masked, 0xff),
    'half a close code': bytes(0x88, 0x81, ...masked, 3),
    'a reserved close code': bytes(0x88, 0x82, ...masked, 3, 237),
  }
  for (const [name, frame] of Object.entries(wrong)) {
    const { client } = await connect()
    client.sendRaw(frame)
    assert.equal((await client.next())?.payload.readUInt16BE(0), 1002, name)
    client.socket.destroy()
  }
  const records = await recorded(2 * Object.keys(wrong).length)
  assert.equal(records.filter(({ outcome }) => outcome === 'denied').length, Object.keys(wrong).length)
})

test('a server that masks, or reserves bits, fails the connection', async (t) => {
  const { connect, recorded } = await setup(t)
  for (const frame of [bytes(0x81, 0x81, ...masked, 65), bytes(0xc1, 1, 65)]) {
    const { client, server } = await connect()
    server.sendRaw(frame)
    assert.equal((await client.next())?.payload.readUInt16BE(0), 1002)
    client.socket.destroy()
  }
  const records = await recorded(4)
  assert.equal(records.filter(({ outcome }) => outcome === 'failed').length, 2)
})

test('LEND-2: a handshake that is malformed on either side opens nothing', async (t) => {
  const answers: Record<string, (request: IncomingMessage) => string> = {
    '/no-accept': () => '',
    '/wrong-accept': () => `Sec-WebSocket-Accept: ${randomBytes(20).toString('base64')}\r\n`,
    '/extension': (request) =>
      `Sec-WebSocket-Accept: ${acceptFor(request)}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n`,
    '/protocol': (request) =>
      `Sec-WebSocket-Accept: ${acceptFor(request)}\r\nSec-WebSocket-Protocol: own\r\n`,
  }
  const { way, requests, recorded } = await setup(t, {}, (request, socket) => {
    const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
    socket.write(`${head}${answers[request.url ?? '']?.(request)}\r\n`)
  })
  for (const path of Object.keys(answers)) {
    const { head } = await askForWebSocket(way, { path })
    assert.match(head, /^HTTP\/1\.1 502 /, path)
  }
  assert.equal(requests.length, 4)
  const malformed = [
    { key: 'short' },
    { headers: 'Sec-WebSocket-Version: 13\r\n' },
    { headers: `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` },
    { headers: 'Content-Length: 5\r\n' },
  ]
  for (const more of malformed) {
    const { head } = await askForWebSocket(way, more)
    assert.match(head, /^HTTP\/1\.1 400 /, JSON.stringify(more))
  }
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
  const posted = await talkInside(way, `POST / HTTP/1.1\r\nHost: ${apiHost}\r\n${upgrade}\r\n`)
  assert.match(posted, /^HTTP\/1\.1 400 /)
  const h2c = await talkInside(
    way,
    `GET / HTTP/1.1\r\nHost: ${apiHost}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
  )
  assert.match(h2c, /^HTTP\/1\.1 501 .*egress\.unsupported.*only WebSocket/s)
  assert.equal(requests.length, 4)
  await recorded(10)
})

test('an answer other than 101 passes like any other', async (t) => {
  const { way, recorded } = await setup(t, {}, (_request, socket) => {
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsorr')
  })
  const { head } = await askForWebSocket(way)
  assert.match(head, /^HTTP\/1\.1 401 Unauthorized/)
  assert.equal((await recorded(1))[0]?.status, 401)
})

test('SAND-2: a WebSocket is judged like a request: path, host and method', async (t) => {
  const upstream = await openWebSocketServer(t, accept)
  const { channel } = await openProxy(t)
  const way = await channel({ ...rule, ...upstream, pathPrefix: '/live' })
  assert.match((await askForWebSocket(way, { path: '/other' })).head, /^HTTP\/1\.1 403 /)
  assert.match((await askForWebSocket(way, { path: '/live/1' })).head, /^HTTP\/1\.1 101 /)
})

test('LEND-1: the end of a lease, of its bytes or of the sandbox ends the WebSocket on both sides', async (t) => {
  const { connect, lend, gate, proxy, recorded, way } = await setup(t)
  const revoked = lend()
  const first = await connect({ headers: `X-Key: ${revoked.placeholder}\r\n` })
  await until(() => proxy.openNow().websocket === 1)
  proxy.cut({ leaseId: 'lease_1' }, 'Its lease was revoked.')
  assert.equal((await first.client.next())?.payload.subarray(2).toString(), 'Its lease was revoked.')
  assert.equal((await first.server.next())?.opcode, opcodes.close)
  first.client.socket.destroy()
  await until(() => gate.records.some(({ reason }) => reason === 'Its lease was revoked.'))
  const spent = lend()
  const { resolve } = gate
  gate.resolve = async (claim) => ({
    ...(await resolve(claim)),
    leaseId: 'lease_2',
    budgets: [{ leaseId: 'lease_2', bytesLeft: 100 }],
  })
  const second = await connect({ headers: `X-Key: ${spent.placeholder}\r\n` })
  second.server.send(opcodes.binary, Buffer.alloc(101))
  assert.match((await second.client.next())?.payload.toString() ?? '', /bytes that the lease was given/)
  second.client.socket.destroy()
  const third = await connect()
  const closed = once(third.client.socket.resume(), 'close')
  await proxy.close(way.sandboxId)
  await closed
  assert.equal((await recorded(6)).length, 6)
  assert.equal(proxy.openNow().websocket, 0)
})

test('LEND-2: the WebSocket of Node passes by its environment', async (t) => {
  const { way, lend, requests, dataDir } = await setup(t, {}, (request, socket) => {
    accept(request, socket)
    const peer = peerOn(socket, false)
    void peer.next().then((message) => peer.send(opcodes.text, `got ${message?.payload}`))
  })
  const { placeholder } = lend()
  const ca = join(dataDir, 'ca.pem')
  writeFileSync(ca, way.caPem)
  const env = { HTTPS_PROXY: await relayTo(t, way.socketPath), NODE_EXTRA_CA_CERTS: ca }
  const program = `const socket = new WebSocket('wss://${apiHost}/node')
    socket.onopen = () => socket.send(process.argv[1])
    socket.onmessage = ({ data }) => { console.log(data); process.exit() }`
  const { stdout } = await run(process.execPath, ['--use-env-proxy', '--eval', program, placeholder], { env })
  assert.equal(stdout.trim(), `got ${mark}`)
  assert.equal(requests[0]?.url, '/node')
})
