import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { newCertificate } from '../../../test/support/certificate.ts'
import { Secret, silentLog, systemClock } from '../../core/index.ts'
import type { Vault, VaultRequest } from '../../vault/index.ts'
import { acceptList } from './accept-list.ts'
import { createVaultFront } from './vault-front.ts'

const admits: Vault['admits'] = async () => true

/** More than the buffers of a connection hold. */
const largeBytes = 16 * 1024 * 1024

/** Answers each request with what it heard. */
function createEcho() {
  const heard: string[] = []
  const handle: Vault['handle'] = async ({ method, path, query, token, body, wrapTtl }: VaultRequest) => {
    const entry = JSON.stringify([method, path, query, token?.reveal(), body?.reveal(), wrapTtl])
    heard.push(entry)
    if (path === 'empty') return { status: 204, body: undefined }
    if (path === 'raw')
      return {
        status: 200,
        body: undefined,
        raw: { contentType: 'text/x', bytes: Buffer.from([255, 0, 13, 10]) },
      }
    if (path === 'large') return { status: 200, body: new Secret('ü'.repeat(largeBytes / 2)) }
    return { status: 200, body: new Secret(`${entry}\n`) }
  }
  return { heard, handle }
}

function frontOf(handle: Vault['handle']) {
  const knowsHost = (host: string): boolean => host !== 'elsewhere'
  const front = createVaultFront({ vault: { handle, admits }, log: silentLog, clock: systemClock, knowsHost })
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/v1/')) front.handler(request, response)
    else response.end('not the dialect')
  })
  return { front, server }
}

/** A connection without a network: what is pushed in is heard at once, so a test needs no time to pass. */
class Line extends Duplex {
  sent = ''
  override _read(): void {}
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.sent += chunk.toString('latin1')
    done()
  }
  setTimeout(): this {
    return this
  }
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function talk(fast: boolean, pieces: readonly Buffer[]) {
  const { heard, handle } = createEcho()
  const { front, server } = frontOf(handle)
  if (fast) front.attach(server)
  else server.on('connection', acceptList)
  const line = new Line()
  server.emit('connection', line)
  for (const piece of pieces) {
    if (!line.destroyed) line.push(Buffer.from(piece))
    await turns(3)
  }
  await turns(8)
  const { sent } = line
  line.destroy()
  // Node's server hears a later request without a body before an earlier one with a body; it answers in order.
  return { heard: heard.sort(), answers: answersIn(sent) }
}

/** Without the date, and without what Node's server says about a connection that it closes. */
const answersIn = (sent: string): string[] =>
  sent
    .replaceAll(/^Date: [^\r]+$/gm, 'Date: some')
    .split(/(?=HTTP\/1\.1 \d{3} )/)
    .filter(Boolean)

const host = 'Host: 127.0.0.1:8200\r\n'
const token = 'X-Vault-Token: kwt.one\r\n'
const get = `GET /v1/secret/data/a HTTP/1.1\r\n${host}${token}\r\n`
const put = `PUT /v1/secret/data/b HTTP/1.1\r\n${host}Authorization: Bearer kwt.two\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"x":"ä"}`
const putAscii = put.replace('{"x":"ä"}', '{"x":"a"}')
const list = `LIST /v1/secret/metadata HTTP/1.1\r\n${host}${token}X-Vault-Wrap-TTL: 60s\r\n\r\n`
const patch = `PATCH /v1/secret/data/b HTTP/1.1\r\n${host}Content-Type: application/merge-patch+json\r\nContent-Length: 2\r\n\r\n{}`
const chunked = `POST /v1/c HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`

const whole: readonly [string, string][] = [
  ['a read', get],
  ['a write', putAscii],
  ['a list', list],
  ['a list by GET', `GET /v1/secret/metadata/?list=true HTTP/1.1\r\n${host}\r\n`],
  ['a patch', patch],
  ['a patch of an unknown kind', patch.replace('merge-patch+', '')],
  ['several in one packet', get + putAscii + list + get + patch],
  ['no content', `DELETE /v1/empty HTTP/1.1\r\n${host}\r\n`],
  ['an answer that is no JSON', `GET /v1/raw HTTP/1.1\r\n${host}\r\n${get}`],
  [
    'a body that is no JSON',
    `POST /v1/pki/ocsp HTTP/1.1\r\n${host}Content-Type: application/ocsp-request\r\nContent-Length: 2\r\n\r\n\0x${get}`,
  ],
  ['a snapshot', `POST /v1/sys/storage/raft/snapshot HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\n\0x${get}`],
  ['an encoded path', `GET /v1/secret/data/a%20b//c?version=2&x=%26 HTTP/1.1\r\n${host}\r\n`],
  ['a parent folder', `GET /v1/a/../b HTTP/1.1\r\n${host}\r\n`],
  ['a namespace', `GET /v1/a HTTP/1.1\r\n${host}X-Vault-Namespace: team\r\n\r\n`],
  ['a body in chunks, and what follows', chunked + get],
  ['a HEAD', `HEAD /v1/a HTTP/1.1\r\n${host}\r\n${get}`],
  ['another path', `GET /elsewhere HTTP/1.1\r\n${host}\r\n${get}`],
  ['HTTP/1.0', `GET /v1/a HTTP/1.0\r\n${host}\r\n`],
  ['an end after the answer', `GET /v1/a HTTP/1.1\r\n${host}Connection: close\r\n\r\n${get}`],
  ['no Host', `GET /v1/a HTTP/1.1\r\n${token}\r\n`],
  ['two tokens', `GET /v1/a HTTP/1.1\r\n${host}${token}${token}\r\n`],
  ['two lengths', `PUT /v1/a HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}${get}`],
  ['a length twice', `PUT /v1/a HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}${get}`],
  ['a signed length', `PUT /v1/a HTTP/1.1\r\n${host}Content-Length: +2\r\n\r\n{}${get}`],
  ['a length in hexadecimal', `PUT /v1/a HTTP/1.1\r\n${host}Content-Length: 0x2\r\n\r\n{}${get}`],
  [
    'a length and chunks',
    `PUT /v1/a HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${get}`,
  ],
  ['an odd coding', `PUT /v1/a HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n${get}`],
  ['a space before the colon', `PUT /v1/a HTTP/1.1\r\n${host}Content-Length : 2\r\n\r\n{}${get}`],
  ['a folded line', `PUT /v1/a HTTP/1.1\r\n${host}A: b\r\n Content-Length: 5\r\n\r\n${get}`],
  ['a bare line feed', `GET /v1/a HTTP/1.1\n${host}\n${get}`],
  ['a bare line feed within', `GET /v1/a HTTP/1.1\r\nA: b\nContent-Length: 5\r\n${host}\r\n${get}`],
  ['a bare carriage return', `GET /v1/a HTTP/1.1\r\nA: b\rContent-Length: 5\r\n${host}\r\n${get}`],
  ['a NUL', `GET /v1/a HTTP/1.1\r\nA: \0\r\n${host}\r\n${get}`],
  ['a name without a value', `GET /v1/a HTTP/1.1\r\nA:\r\n${host}\r\n${get}`],
  ['a line without a name', `GET /v1/a HTTP/1.1\r\n: b\r\n${host}\r\n${get}`],
  ['an upgrade', `GET /v1/a HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n${get}`],
  [
    'an expectation',
    `PUT /v1/a HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}${get}`,
  ],
  ['an empty line before the request', `\r\n${get}`],
  ['a space too many', `GET  /v1/a HTTP/1.1\r\n${host}\r\n`],
  ['an absolute address', `GET http://127.0.0.1/v1/a HTTP/1.1\r\n${host}\r\n`],
  ['a LINK', `LINK /v1/a HTTP/1.1\r\n${host}\r\n`],
  ['a head of 9 KB', `GET /v1/a HTTP/1.1\r\n${host}A: ${'b'.repeat(9000)}\r\n\r\n${get}`],
  ['a head of 20 KB', `GET /v1/a HTTP/1.1\r\n${host}A: ${'b'.repeat(20_000)}\r\n\r\n${get}`],
  [
    'a body of 70 KB',
    `PUT /v1/a HTTP/1.1\r\n${host}Content-Length: 70000\r\n\r\n${'x'.repeat(70_000)}${get}`,
  ],
]

for (const [what, text] of whole)
  test(`VAULT-2: the fast lane answers as the complete server does: ${what}`, async () => {
    const bytes = [Buffer.from(text, 'utf8')]
    assert.deepEqual(await talk(true, bytes), await talk(false, bytes))
  })

test('VAULT-2: a body that is no JSON reaches the vault as a field, with every byte', async () => {
  const type = 'Content-Type: application/ocsp-request\r\n'
  const head = `POST /v1/pki/ocsp HTTP/1.1\r\n${host}${type}Content-Length: 3\r\n\r\n`
  const { heard } = await talk(true, [Buffer.concat([Buffer.from(head), Buffer.from([255, 0, 200])])])
  assert.deepEqual(JSON.parse(heard[0] ?? '')[4], '{"ocsp_request":"/wDI"}')
})

/** Small and repeatable: https://en.wikipedia.org/wiki/Xorshift */
function createDice(seed: number) {
  let state = seed
  return (sides: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % sides
  }
}

const odd = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  ':',
  '\0',
  '\x7f',
  'ÿ',
  '?',
  '%',
  '0',
  ',',
  'Content-Length: 1\r\n',
  '{}',
]

/** The text with some bytes taken out, doubled, changed or put in. */
function mutated(text: string, dice: (sides: number) => number): string {
  let changed = text
  for (let change = dice(3); change >= 0; change--) {
    const at = dice(changed.length)
    const length = dice(4) === 0 ? dice(24) : 1
    const [before, after] = [changed.slice(0, at), changed.slice(at)]
    const inserted = odd[dice(odd.length)] ?? ''
    changed = [
      before + after.slice(length),
      before + after.slice(0, length) + after,
      before + inserted + after,
      before + inserted + after.slice(length),
    ][dice(4)] as string
  }
  return changed
}

function split(bytes: Buffer, dice: (sides: number) => number): Buffer[] {
  if (dice(2) === 0) return [bytes]
  const at = dice(bytes.length)
  return [bytes.subarray(0, at), bytes.subarray(at)].filter((piece) => piece.length > 0)
}

/** What Node's server says before it closes the connection. */
const nodesRefusal = 'HTTP/1.1 400 Bad Request\r\nConnection: close'

test('VAULT-2: whatever the bytes, both readers hear the same requests', async () => {
  const dice = createDice(20_261_121)
  const texts = [get, putAscii, list, patch, chunked, get + putAscii + get, chunked + list + patch]
  for (let round = 0; round < 1500; round++) {
    const text = mutated(texts[dice(texts.length)] ?? get, dice) + (dice(2) === 0 ? get : '')
    const pieces = split(Buffer.from(text, 'latin1'), dice)
    const [lane, complete] = [await talk(true, pieces), await talk(false, pieces)]
    const shown = JSON.stringify(pieces.map((piece) => piece.toString('latin1')))
    // Node's server drops what it has in work when a later request of the same packet is broken; the lane answers it first.
    const broken = [...lane.answers, ...complete.answers].some((answer) => answer.startsWith(nodesRefusal))
    if (!broken) assert.deepEqual(lane, complete, shown)
    else {
      for (const entry of complete.heard) assert.ok(lane.heard.includes(entry), shown)
      assert.ok(lane.answers.length >= complete.answers.length, shown)
    }
  }
})

test('VAULT-2: a body that comes after its head is waited for in the lane', async () => {
  const at = putAscii.length - 4
  const pieces = [putAscii.slice(0, at), putAscii.slice(at) + get].map((text) => Buffer.from(text))
  const lane = await talk(true, pieces)
  assert.equal(lane.heard.length, 2)
  assert.deepEqual(lane, await talk(false, pieces))
})

test('VAULT-2: a body that comes byte by byte is read by the complete server', async () => {
  const at = putAscii.length - 9
  const pieces = [putAscii.slice(0, at), ...putAscii.slice(at), get].map((text) => Buffer.from(text))
  const lane = await talk(true, pieces)
  assert.equal(lane.heard.length, 2)
  assert.deepEqual(lane, await talk(false, pieces))
})

test('VAULT-2: who sends requests faster than they are answered is read no further than that', async () => {
  const { heard, handle } = createEcho()
  const { front, server } = frontOf(handle)
  front.attach(server)
  const line = new Line()
  server.emit('connection', line)
  const packet = Buffer.from(get.repeat(Math.ceil((64 * 1024) / get.length)))
  for (let sent = 0; sent < 40; sent++) line.push(packet)
  await turns(100)
  const taken = 40 * packet.length - line.readableLength
  assert.ok(heard.length > 60, 'it goes on')
  assert.ok(taken - heard.length * get.length <= 3 * packet.length, `${taken} bytes were read`)
  line.destroy()
})

test('VAULT-2: who sent ahead goes on to the complete server', async () => {
  const ahead = Buffer.from(get.repeat(Math.ceil((80 * 1024) / get.length)))
  const pieces = [Buffer.from(get), ahead, Buffer.from(`${chunked}${get}`)]
  const { heard } = await talkLong(pieces)
  assert.equal(heard.length, ahead.length / get.length + 3)
})

async function talkLong(pieces: readonly Buffer[]) {
  const { heard, handle } = createEcho()
  const { front, server } = frontOf(handle)
  front.attach(server)
  const line = new Line()
  server.emit('connection', line)
  for (const piece of pieces) line.push(piece)
  for (let rounds = 0; rounds < 100 && !heard.some((entry) => entry.includes('"c"')); rounds++)
    await turns(100)
  await turns(10)
  line.destroy()
  return { heard }
}

async function listening(t: TestContext, server: Server, close: () => void): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    close()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** All that comes until `enough`, or until the other end closes. */
function heardFrom(socket: Socket, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8')
      if (enough(text)) resolve(text)
    })
    socket.on('close', () => resolve(text))
  })
}

const times = (count: number) => (text: string) => text.split('HTTP/1.1 ').length > count

test('VAULT-2: over a network: one request after the other, an end by the client, and all at once', async (t) => {
  const { heard, handle } = createEcho()
  const { front, server } = frontOf(handle)
  const lane = front.attach(server)
  const port = await listening(t, server, lane.closeAll)
  const socket = connect(port, '127.0.0.1')
  for (const text of [get, putAscii, list]) {
    socket.write(text)
    await heardFrom(socket, times(1))
  }
  socket.end(get.repeat(20))
  const text = await heardFrom(socket, () => false)
  assert.equal(text.split('HTTP/1.1 200 OK').length - 1, 20, 'answers that are owed come also after the end')
  assert.equal(heard.length, 23)
})

test('VAULT-2: who does not read the answers is not read either', async (t) => {
  const { heard, handle } = createEcho()
  const { front, server } = frontOf(handle)
  const lane = front.attach(server)
  const port = await listening(t, server, lane.closeAll)
  const socket = connect(port, '127.0.0.1')
  socket.pause()
  socket.write(get.replace('secret/data/a', 'large').repeat(3))
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  while (heard.length === 0) await turns(1)
  await turns(50)
  assert.equal(heard.length, 1)
  let bytes = 0
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      bytes += chunk.length
      if (bytes > 3 * largeBytes) resolve()
    })
    socket.resume()
  })
  assert.equal(heard.length, 3)
})

test('VAULT-2: a server that closes ends the connections of the lane, also idle ones', async (t) => {
  const { front, server } = frontOf(createEcho().handle)
  const lane = front.attach(server)
  const port = await listening(t, server, lane.closeAll)
  const socket = connect(port, '127.0.0.1')
  socket.write(get)
  await heardFrom(socket, times(1))
  const closed = new Promise((resolve) => server.close(resolve))
  lane.closeAll()
  await closed
})

test('VAULT-2: a connection that says nothing is told so and ended; one that was answered is ended without words', async () => {
  for (const [pieces, words] of [
    [[], 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'],
    [[get], undefined],
    [[get, putAscii.slice(0, -2)], 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'],
  ] as const) {
    const { front, server } = frontOf(createEcho().handle)
    front.attach(server)
    const line = new Line()
    server.emit('connection', line)
    for (const piece of pieces) {
      line.push(piece)
      await turns(3)
    }
    line.sent = ''
    line.emit('timeout')
    assert.equal(line.sent || undefined, words)
    assert.ok(line.destroyed)
  }
})

test('VAULT-2: over TLS the lane and the method LIST work as without', async (t) => {
  const { key, cert, ca } = newCertificate('localhost')
  const { heard, handle } = createEcho()
  const knowsHost = (): boolean => true
  const front = createVaultFront({ vault: { handle, admits }, log: silentLog, clock: systemClock, knowsHost })
  const server = createTlsServer({ key, cert }, front.handler) as unknown as Server
  const lane = front.attach(server)
  const port = await listening(t, server, lane.closeAll)
  const slow = list.replace('LIST', 'HEAD').replace('X-Vault-Wrap-TTL: 60s\r\n', '') + list
  for (const text of [list, slow]) {
    const socket = tlsConnect({ port, host: '127.0.0.1', servername: 'localhost', ca })
    socket.write(text)
    await heardFrom(socket, times(text === slow ? 2 : 1))
    socket.destroy()
  }
  assert.deepEqual(
    heard.map((entry) => (JSON.parse(entry) as string[])[0]),
    ['LIST', 'HEAD', 'LIST'],
  )
})
