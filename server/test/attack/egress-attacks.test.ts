// Attacks on the way out: what a command in a sandbox could send to the proxy's socket, against the real child process.
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { createAuthority } from '../../src/proxy/x509.ts'
import { cleanUp } from '../support/clean-up.ts'
import {
  apiHost,
  ask,
  openProxy,
  openTls,
  openTunnel,
  openUpstream,
  shareProxy,
  talk,
  talkInside,
  until,
} from '../support/egress.ts'

const openShared = shareProxy()

const rule = { host: apiHost, port: 443 }

/** A TLS server that answers 200 to every head and keeps every byte that it was sent. */
async function openWiretap(
  t: TestContext,
): Promise<{ at: { address: string; caPem: string }; heard(): string }> {
  const authority = createAuthority({ now: () => new Date(), name: 'Upstream of a test' })
  const { certificatePem, keyPem } = authority.leafFor(apiHost)
  let heard = ''
  const sockets = new Set<Socket>()
  const server = createTlsServer({ cert: certificatePem, key: keyPem }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1')
      heard += text
      for (const _ of text.matchAll(/\r\n\r\n/g))
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return { at: { address: `127.0.0.1:${port}`, caPem: authority.certificatePem }, heard: () => heard }
}

test('SAND-2: a name or address that only resembles the listed one is neither connected to nor looked up', async (t) => {
  const { channel, gate } = await openShared(t)
  const { socketPath } = await channel(rule)
  const names = [
    'other.example.test',
    `c2VjcmV0.${apiHost}`,
    `${apiHost}.evil.test`,
    `evil-${apiHost}`,
    'api.example.test%00.evil.test',
    'api.example.test\0.evil.test',
    `user@${apiHost}`,
    `${apiHost}@evil.test`,
    `${apiHost}#.evil.test`,
    `${apiHost}/.evil.test`,
    `${apiHost}..`,
    'xn--pi-6kc.example.test',
    'аpi.example.test',
    'api。example。test',
    'api%2eexample%2etest',
    '*.example.test',
    `[${apiHost}]`,
    '',
    '127.0.0.1',
    '127.1',
    '127.000.000.001',
    '0177.0.0.1',
    '0x7f.0.0.1',
    '0x7f000001',
    '2130706433',
    '0',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:0:0:1]',
    '[64:ff9b::7f00:1]',
    '169.254.169.254',
    '2852039166',
    '[fd00:ec2::254]',
    '①②⑦.0.0.1',
  ]
  for (const name of names) {
    const answer = await talk(
      socketPath,
      `CONNECT ${Buffer.from(name).toString('latin1')}:443 HTTP/1.1\r\nHost: x\r\n\r\n`,
    )
    assert.doesNotMatch(answer, /^HTTP\/1\.1 2/, name)
  }
  for (const port of ['80', '22', '53', '8443', '0', '65536', '443:443', '+443', '443x', '-1', '']) {
    const answer = await talk(socketPath, `CONNECT ${apiHost}:${port} HTTP/1.1\r\nHost: x\r\n\r\n`)
    assert.doesNotMatch(answer, /^HTTP\/1\.1 2/, port)
  }
  assert.deepEqual(gate.lookups, [])
})

test('SAND-2: an address inside is refused in every notation, also where the list names that very notation', async (t) => {
  const { channel, gate } = await openShared(t)
  for (const host of [
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    'localhost',
    'metadata.google.internal',
  ]) {
    gate.names.set(host, [host.startsWith('meta') ? '169.254.169.254' : '127.0.0.1'])
    const { socketPath } = await channel({ host, port: 443 })
    await assert.rejects(openTunnel(socketPath, `${host}:443`), /403 egress\.denied.*is at/, host)
  }
})

test('SAND-2: a DNS server that changes its answers leads nowhere else', async (t) => {
  let touched = 0
  const inside = createServer((socket) => {
    touched++
    socket.destroy()
  })
  const upstream = await openUpstream(t, (_request, response) => response.end('the checked one'))
  const port = Number(upstream.address.split(':')[1])
  await new Promise<void>((resolve) => inside.listen(port, '127.0.0.2', resolve))
  const dns = await openDns(['127.0.0.1', '127.0.0.2'])
  cleanUp(t, () => {
    inside.close()
    dns.close()
  })
  const { channel, gate } = await openShared(t)
  const resolver = new Resolver()
  resolver.setServers([dns.address])
  gate.resolveName = (host) => resolver.resolve4(host)
  const way = await channel({ host: apiHost, port, caPem: upstream.caPem, allowPrivate: true })
  assert.equal((await ask({ ...way, port })).body, 'the checked one')
  assert.equal(dns.questions(), 1, 'one question for one tunnel')
  const strict = await channel({ host: apiHost, port })
  await assert.rejects(openTunnel(strict.socketPath, `${apiHost}:${port}`), /403 egress\.denied.*loopback/)
  assert.equal(touched, 0)
})

/** Answers the nth question with the nth address, then with the last (RFC 1035; A records without caching). */
async function openDns(addresses: readonly string[]) {
  const server = createSocket('udp4')
  let questions = 0
  server.on('message', (query, from) => {
    const address = addresses[Math.min(questions, addresses.length - 1)] ?? ''
    questions++
    const question = query.subarray(12, query.indexOf(0, 12) + 5)
    const head = Buffer.from([...query.subarray(0, 2), 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0])
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)])
    server.send(Buffer.concat([head, question, record]), from.port, from.address)
  })
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${server.address().port}`,
    questions: () => questions,
    close: () => server.close(),
  }
}

const host = `Host: ${apiHost}\r\n`
const second = `GET /smuggled HTTP/1.1\r\n${host}\r\n`
/** Requests that two servers could cut at different places, each with a second one hidden in it. */
const smuggling: Record<string, string> = {
  'CL and TE': `POST / HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${second}`,
  'TE and CL': `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: ${second.length + 5}\r\n\r\n0\r\n\r\n${second}`,
  'two lengths': `POST / HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: ${second.length}\r\n\r\n${second}`,
  'a list of lengths': `POST / HTTP/1.1\r\n${host}Content-Length: 0, ${second.length}\r\n\r\n${second}`,
  'a signed length': `POST / HTTP/1.1\r\n${host}Content-Length: +0\r\n\r\n${second}`,
  'a negative length': `POST / HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n${second}`,
  'a hexadecimal length': `POST / HTTP/1.1\r\n${host}Content-Length: 0x0\r\n\r\n${second}`,
  'TE unknown': `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n${second}`,
  'TE before a colon': `POST / HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${second}`,
  'TE not last': `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${second}`,
  'TE twice': `POST / HTTP/1.1\r\n${host}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n${second}`,
  'TE with a vertical tab': `POST / HTTP/1.1\r\n${host}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${second}`,
  'TE on a folded line': `POST / HTTP/1.1\r\n${host}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${second}`,
  'a bare LF': `POST / HTTP/1.1\n${host}Content-Length: 0\n\n${second}`,
  'a bare CR': `POST / HTTP/1.1\r\n${host}X-A: b\rContent-Length: 5\r\n\r\n${second}`,
  'NUL in a header': `POST / HTTP/1.1\r\n${host}X-A: \0\r\nContent-Length: 0\r\n\r\n${second}`,
  'a chunk size that overflows': `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n${second}`,
  'a chunk that is longer than it says': `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\n${second}`,
  'a chunk extension with LF': `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n${second}`,
  'the preface of HTTP/2': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${second}`,
  h2c: `GET / HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n${second}`,
  'HTTP/0.9': `GET /smuggled\r\n\r\n`,
  'two Hosts': `GET /smuggled HTTP/1.1\r\n${host}Host: other.example.test\r\n\r\n`,
  'no Host': 'GET /smuggled HTTP/1.1\r\n\r\n',
  'another Host': 'GET /smuggled HTTP/1.1\r\nHost: other.example.test\r\n\r\n',
  'a Host with a user': `GET /smuggled HTTP/1.1\r\nHost: ${apiHost}@other.example.test\r\n\r\n`,
  'absolute form': `GET https://other.example.test/smuggled HTTP/1.1\r\n${host}\r\n`,
  'a nested CONNECT': `CONNECT other.example.test:443 HTTP/1.1\r\nHost: other.example.test:443\r\n\r\n${second}`,
}

test('LEND-2: no request is smuggled past what was judged', async (t) => {
  const upstream = await openWiretap(t)
  const { channel } = await openShared(t)
  const way = await channel({ ...rule, ...upstream.at })
  for (const [name, text] of Object.entries(smuggling)) {
    const answer = await talkInside(way, text)
    assert.doesNotMatch(answer, /^HTTP\/1\.1 2/, `${name}: ${answer}`)
    assert.doesNotMatch(upstream.heard(), /(^|\n)[A-Z]+ \/smuggled/, name)
    assert.doesNotMatch(upstream.heard(), /other\.example\.test/, name)
  }
})

test('LEND-2: a second request on a connection is judged like the first', async (t) => {
  const upstream = await openWiretap(t)
  const { channel } = await openShared(t)
  const way = await channel({ ...rule, ...upstream.at, methods: ['GET'], pathPrefix: '/open' })
  const answer = await talkInside(way, `GET /open HTTP/1.1\r\n${host}\r\n${second}`)
  assert.match(answer, /^HTTP\/1\.1 200 .*HTTP\/1\.1 403 /s)
  assert.doesNotMatch(upstream.heard(), /smuggled/)
})

test('LEND-2: Connection strips no header that the proxy answers for', async (t) => {
  const upstream = await openWiretap(t)
  const { channel, lend } = await openShared(t)
  const way = await channel({ ...rule, ...upstream.at })
  const { value, placeholder } = lend()
  const stripping = 'Connection: close, Host, Content-Length, Accept-Encoding, Transfer-Encoding\r\n'
  await talkInside(
    way,
    `POST / HTTP/1.1\r\n${host}X-Key: ${placeholder}\r\n${stripping}Content-Length: 2\r\n\r\nhi`,
  )
  const heard = upstream.heard()
  assert.ok(heard.includes(value))
  for (const header of [`Host: ${apiHost}`, 'Content-Length: 2', 'Accept-Encoding: identity'])
    assert.equal(heard.split(`\r\n${header}\r\n`).length, 2, header)
  assert.doesNotMatch(heard, /Transfer-Encoding/i)
})

test('LEND-2: no other program of the sandbox is the way round: plain HTTP and bytes that are not TLS end', async (t) => {
  const upstream = await openWiretap(t)
  const { channel } = await openShared(t)
  const { socketPath } = await channel({ ...rule, ...upstream.at })
  for (const text of [
    `GET http://${apiHost}/ HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`,
    `CONNECT ${apiHost}:443 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`,
    `CONNECT ${apiHost}:443 HTTP/1.1\r\nHost: x\r\n\r\nSSH-2.0-OpenSSH_9.2\r\n`,
    '\x05\x01\x00',
    'PROXY TCP4 1.2.3.4 1.2.3.4 1 443\r\n',
  ])
    await talk(socketPath, text)
  assert.equal(upstream.heard(), '')
})

test('SAND-2: ten thousand idle connections and slow heads of one sandbox leave the others their way', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('served'))
  const { channel } = await openProxy(t, { handshakeSeconds: 1 })
  const [greedy, other] = [await channel({ ...rule, ...upstream }), await channel({ ...rule, ...upstream })]
  const idle = new Set<Socket>()
  for (let batch = 0; batch < 20; batch++) {
    const attempts = Array.from({ length: 500 }, async () => {
      const socket = connect(greedy.socketPath)
      idle.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => idle.delete(socket))
      await once(socket, 'connect').catch(() => undefined)
      // A head that never ends; what is answered is not read.
      socket.write('CONNECT')
    })
    await Promise.all(attempts)
    if (batch % 5 === 0) assert.equal((await ask(other)).body, 'served')
  }
  assert.equal((await ask(other)).body, 'served')
  await until(async () => (await ask(greedy).catch(() => undefined))?.body === 'served')
  for (const socket of idle) socket.destroy()
})

test('LEND-2: a proxy that is killed in the middle of a request lets nothing out and nothing in', async (t) => {
  let begun = 0
  let closed = 0
  const upstream = await openUpstream(t, (request, response) => {
    begun++
    response.once('close', () => closed++)
    response.write(`${request.headers['x-key']} `)
  })
  const { proxy, channel, lend } = await openProxy(t)
  const way = await channel({ ...rule, ...upstream })
  const { value, placeholder } = lend()
  const tls = await openTls(way)
  let heard = ''
  tls.on('data', (chunk) => {
    heard += chunk
  })
  tls.on('error', () => {})
  const ended = once(tls, 'close')
  tls.write(`GET / HTTP/1.1\r\n${host}X-Key: ${placeholder}\r\n\r\n`)
  await until(() => begun === 1)
  process.kill(proxy.health().pid ?? 0, 'SIGKILL')
  await ended
  await until(() => closed === 1)
  assert.ok(!heard.includes(value))
  assert.equal(begun, 1, 'it is not sent again by itself')
})
