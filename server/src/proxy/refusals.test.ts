import assert from 'node:assert/strict'
import { test } from 'node:test'
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
} from '../../test/support/egress.ts'
import { addressRefusal } from './address.ts'
import {
  hostHeaderMatches,
  isAmbiguousPath,
  parseAddress,
  parseAuthority,
  ruleAdmits,
} from './destination.ts'

const openShared = shareProxy()

const rule = { host: apiHost, port: 443 }

test('SAND-1: a host or port that is not listed is refused before any name is looked up', async (t) => {
  const { channel, gate, recorded } = await openShared(t)
  const { socketPath } = await channel(rule)
  for (const target of [
    'other.example.test:443',
    `${apiHost}:8443`,
    `x.${apiHost}:443`,
    'api.example.test.evil.test:443',
  ]) {
    await assert.rejects(
      openTunnel(socketPath, target),
      /^Error: 403 egress\.denied: .* not on this sandbox's allow list/,
    )
  }
  assert.deepEqual(gate.lookups, [])
  const records = await recorded(4)
  assert.ok(
    records.every(
      ({ outcome, method, status }) => outcome === 'denied' && method === 'CONNECT' && status === 403,
    ),
  )
})

test('POL-1: a listed host that policy refuses is refused before any name is looked up', async (t) => {
  const { channel, gate } = await openShared(t)
  gate.denied.add(apiHost)
  const { socketPath } = await channel(rule)
  await assert.rejects(openTunnel(socketPath, `${apiHost}:443`), /403 egress\.denied: policy of this test/)
  assert.deepEqual(gate.lookups, [])
})

test('SAND-1: an IP address is refused unless it is listed, and a private one also then', async (t) => {
  const { channel } = await openShared(t)
  const { socketPath } = await channel(rule, { host: '10.0.0.1', port: 443 }, { host: '::1', port: 443 })
  await assert.rejects(
    openTunnel(socketPath, '93.184.215.14:443'),
    /403 egress\.denied.*only where the list names it/,
  )
  await assert.rejects(openTunnel(socketPath, '10.0.0.1:443'), /403 egress\.denied.*\(private\)/)
  await assert.rejects(openTunnel(socketPath, '[::1]:443'), /403 egress\.denied.*\(loopback\)/)
})

test('SAND-1: a name that resolves to an address inside is refused, also when others of its addresses are public', async (t) => {
  const { channel, gate, recorded } = await openShared(t)
  const { socketPath } = await channel(rule)
  for (const addresses of [
    ['127.0.0.1'],
    ['169.254.169.254'],
    ['93.184.215.14', '10.1.2.3'],
    ['::ffff:127.0.0.1'],
    ['fd00::1'],
  ]) {
    gate.names.set(apiHost, addresses)
    await assert.rejects(
      openTunnel(socketPath, `${apiHost}:443`),
      /403 egress\.denied: api\.example\.test is at/,
    )
  }
  gate.names.delete(apiHost)
  await assert.rejects(openTunnel(socketPath, `${apiHost}:443`), /502 egress\.unreachable/)
  assert.equal((await recorded(6)).length, 6)
})

test('SAND-1: the address that was checked is the one connected to, however DNS answers later', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('the checked one'))
  const { channel, gate } = await openShared(t)
  const [address = '', port = ''] = upstream.address.split(':')
  gate.names.set(apiHost, [address])
  const way = await channel({ ...rule, port: Number(port), caPem: upstream.caPem, allowPrivate: true })
  const answer = await ask({ ...way, port: Number(port) })
  assert.equal(answer.body, 'the checked one')
  assert.deepEqual(gate.lookups, [apiHost])
})

test('addresses: what is not on the public Internet is told apart', () => {
  const inside = [
    '0.0.0.0',
    '10.255.255.255',
    '100.64.0.1',
    '127.8.8.8',
    '168.63.129.16',
    '169.254.169.254',
    '172.31.0.1',
    '192.0.2.1',
    '192.168.1.1',
    '198.19.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:8.8.8.8',
    '::ffff:127.0.0.1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    'fc00::1',
    'fe80::1',
    'fd00:ec2::254',
    'ff02::1',
    'not an address',
  ]
  for (const address of inside) assert.ok(addressRefusal(address), address)
  for (const address of [
    '8.8.8.8',
    '93.184.215.14',
    '172.32.0.1',
    '2606:4700::1111',
    '2a00:1450:4001::200e',
  ]) {
    assert.equal(addressRefusal(address), undefined, address)
  }
})

test('destinations: only host:port is read as one', () => {
  assert.deepEqual(parseAuthority('API.Example.test.:443'), rule)
  assert.deepEqual(parseAuthority('[::1]:443'), { host: '::1', port: 443 })
  for (const text of [
    '',
    'x',
    'x:0',
    'x:65536',
    'a@x:443',
    'x:443/',
    'x :443',
    '[x]:443',
    'x:443:443',
    '-x:1',
    `${'x'.repeat(254)}:1`,
  ]) {
    assert.equal(parseAuthority(text), undefined, text)
  }
  assert.ok(hostHeaderMatches('api.example.test', rule))
  assert.ok(hostHeaderMatches('api.example.test:443', rule))
  assert.ok(hostHeaderMatches('api.example.test:8443', { host: apiHost, port: 8443 }))
  assert.ok(!hostHeaderMatches('api.example.test', { host: apiHost, port: 8443 }))
  assert.ok(!hostHeaderMatches('api.example.test:80', rule))
  assert.ok(!hostHeaderMatches('', rule))
  assert.deepEqual(parseAddress('127.0.0.1', 1), { address: '127.0.0.1', port: 1 })
  assert.deepEqual(parseAddress('[::1]:2', 1), { address: '::1', port: 2 })
  assert.equal(parseAddress('example.test:2', 1), undefined)
})

test('rules: methods and path prefixes narrow a host, and a prefix ends at a segment', () => {
  const narrow = { ...rule, methods: ['GET'], pathPrefix: '/v1' }
  assert.ok(ruleAdmits(narrow, 'GET', '/v1'))
  assert.ok(ruleAdmits(narrow, 'GET', '/v1/x'))
  assert.ok(!ruleAdmits(narrow, 'GET', '/v10'))
  assert.ok(!ruleAdmits(narrow, 'POST', '/v1'))
  assert.ok(ruleAdmits({ ...narrow, pathPrefix: '/v1/' }, 'GET', '/v1/x'))
  for (const path of [
    '',
    'x',
    '/a/../b',
    '/a/%2e%2E/b',
    '/a/..;/b',
    '/a\\b',
    '/a%2f..%2Fb',
    '/a%5Cb',
    '/./a',
    '/a/..',
    '/%00',
    '*',
  ]) {
    assert.ok(isAmbiguousPath(path), path)
  }
  for (const path of ['/', '/a.b/..c', '/a/...', '/a%20b', '/@scope%2fname'])
    assert.ok(!isAmbiguousPath(path), path)
})

test('LEND-2: a path pattern narrows a rule segment by segment', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end())
  const { channel } = await openShared(t)
  const rule = { host: apiHost, port: 443, ...upstream }
  const way = await channel(
    { ...rule, methods: ['GET'], pathPattern: '/v1/*/refunds' },
    { ...rule, methods: ['POST'], pathPattern: '/repos/a.b/**' },
  )
  const status = async (method: string, path: string) => (await ask(way, { method, path })).status
  assert.equal(await status('GET', '/v1/ch_1/refunds?x=/'), 200)
  for (const path of ['/v1/refunds', '/v1//refunds', '/v1/a/b/refunds', '/v1/a/refunds/x', '/v2/a/refunds'])
    assert.equal(await status('GET', path), 403, path)
  assert.equal(await status('POST', '/repos/a.b/c/d'), 200)
  for (const path of ['/repos/a.b', '/repos/a.bc/d', '/repos/aXb/c'])
    assert.equal(await status('POST', path), 403, path)
})

test('LEND-2: a method, path or form of path beside the rule is refused inside the tunnel', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const { channel, recorded } = await openShared(t)
  const way = await channel({ ...rule, ...upstream, methods: ['GET'], pathPrefix: '/v1' })
  assert.equal((await ask(way, { path: '/v1/x' })).body, 'reached')
  assert.equal((await ask(way, { path: '/v2/x' })).status, 403)
  assert.equal((await ask(way, { path: '/v1/x', method: 'POST' })).status, 403)
  assert.equal((await ask(way, { path: '/v1/../v2' })).status, 400)
  assert.equal((await ask(way, { path: `https://${apiHost}/v1/x` })).status, 400)
  const records = await recorded(5)
  assert.deepEqual(
    records.map(({ outcome }) => outcome),
    ['allowed', 'denied', 'denied', 'denied', 'denied'],
  )
})

test('SAND-1: plain HTTP, and anything else than CONNECT, is told what to do', async (t) => {
  const { channel, recorded } = await openShared(t)
  const { socketPath } = await channel(rule)
  const asks = [
    `GET http://${apiHost}/ HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`,
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  ]
  for (const text of asks) {
    const said = await talk(socketPath, text)
    assert.match(said, /^HTTP\/1\.1 405 .*Allow: CONNECT.*HTTPS_PROXY/s)
  }
  assert.match(
    await talk(socketPath, `CONNECT ${apiHost} HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`),
    /^HTTP\/1\.1 400 /,
  )
  assert.match(await talk(socketPath, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /)
  assert.equal((await recorded(4)).filter(({ outcome }) => outcome === 'denied').length, 4)
})

test('SAND-1: a TLS server name or Host header other than the tunnel’s is refused and recorded as misuse', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const { channel, recorded } = await openShared(t)
  const way = await channel({ ...rule, ...upstream })
  const answer = await ask({ ...way, serverName: 'other.example.test' })
  assert.equal(answer.status, 421)
  const nameless = await ask({ ...way, serverName: '' })
  assert.equal(nameless.status, 421)
  for (const host of ['other.example.test', `${apiHost}:8443`, `${apiHost}.`.repeat(2)]) {
    assert.equal((await ask(way, { headers: { Host: host } })).status, 421)
  }
  const doubled = `GET / HTTP/1.1\r\nHost: ${apiHost}\r\nHost: other.example.test\r\n\r\n`
  assert.match(await talkInside(way, doubled), /^HTTP\/1\.1 4(?:00|21) /)
  const records = await recorded(6)
  assert.ok(records.slice(0, 5).every(({ outcome, status }) => outcome === 'misused' && status === 421))
})

test('LEND-2: a request that two servers could read differently is refused', async (t) => {
  let reached = 0
  const upstream = await openUpstream(t, (_request, response) => {
    reached++
    response.end('reached')
  })
  const { channel } = await openShared(t)
  const way = await channel({ ...rule, ...upstream })
  const host = `Host: ${apiHost}\r\n`
  const smuggled = [
    `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip\r\n\r\nhello`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X-A: b\r\n c\r\n\r\n`,
    `GET / HTTP/1.1\n${host}\n`,
    `GET / HTTP/1.1\r\n${host}X-A: b\0c\r\n\r\n`,
    'GET / HTTP/1.1\r\n\r\n',
    `GET / HTTP/9.9\r\n${host}\r\n`,
  ]
  for (const text of smuggled) {
    assert.match(await talkInside(way, text), /^HTTP\/1\.1 4\d\d /, JSON.stringify(text))
  }
  assert.match(await talkInside(way, `CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n`), /^HTTP\/1\.1 405 /)
  assert.equal(reached, 0)
})

test('an upgrade to another protocol than WebSocket is refused in clear words', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const { channel } = await openShared(t)
  const way = await channel({ ...rule, ...upstream })
  const answer = await talkInside(
    way,
    `GET / HTTP/1.1\r\nHost: ${apiHost}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
  )
  assert.match(answer, /^HTTP\/1\.1 501 .*egress\.unsupported.*plain HTTPS/s)
})

test('a head or body that is too long is refused', async (t) => {
  const upstream = await openUpstream(t, (request, response) => {
    request.resume()
    request.on('end', () => response.end('reached'))
    request.on('error', () => {})
  })
  const { channel, recorded } = await openProxy(t, { requestBodyBytes: 1000 })
  const way = await channel({ ...rule, ...upstream })
  const long = `GET / HTTP/1.1\r\nHost: ${apiHost}\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`
  assert.match(await talkInside(way, long), /^HTTP\/1\.1 431 /)
  const declared = `POST / HTTP/1.1\r\nHost: ${apiHost}\r\nContent-Length: 1001\r\n\r\n`
  assert.match(await talkInside(way, declared), /^HTTP\/1\.1 413 /)
  const chunk = `3e9\r\n${'x'.repeat(1001)}\r\n`
  const chunked = `POST / HTTP/1.1\r\nHost: ${apiHost}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`
  assert.match(await talkInside(way, chunked), /^HTTP\/1\.1 413 /)
  assert.equal((await recorded(3)).filter(({ outcome }) => outcome === 'denied').length, 3)
})

test('LEND-2: a destination whose certificate is not trusted, or for another name, gets nothing', async (t) => {
  let reached = 0
  const count = (): void => {
    reached++
  }
  const unknown = await openUpstream(t, count)
  const misnamed = await openUpstream(t, count, 'other.example.test')
  const { channel, lend, recorded } = await openShared(t)
  const { placeholder } = lend()
  const untrusted = await channel({ ...rule, address: unknown.address })
  const wrongName = await channel({ ...rule, ...misnamed })
  const gone = await channel({ ...rule, address: '127.0.0.1:1' })
  const headers = { Authorization: `Bearer ${placeholder}` }
  for (const way of [untrusted, wrongName]) {
    const answer = await ask(way, { headers })
    assert.equal(answer.status, 502)
    assert.match(answer.body, /certificate that is not trusted/)
  }
  assert.match((await ask(gone, { headers })).body, /cannot be reached \(ECONNREFUSED\)/)
  assert.equal(reached, 0)
  assert.ok((await recorded(3)).every(({ outcome }) => outcome === 'failed'))
})

test('bytes that are not TLS, or a client that does not trust the CA, end the tunnel and are recorded', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const { channel, recorded } = await openShared(t)
  const way = await channel({ ...rule, ...upstream })
  const socket = await openTunnel(way.socketPath, `${apiHost}:443`)
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\n\r\n')
  await new Promise((resolve) => socket.once('close', resolve).resume())
  await assert.rejects(openTls({ ...way, caPem: upstream.caPem }))
  const records = await recorded(2)
  assert.ok(records.every(({ reason }) => reason?.startsWith('TLS handshake failed')))
})

test('GOV-1: while requests cannot be recorded nothing more is let through, and then what was missed is recorded first', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const { channel, gate, proxy, recorded } = await openProxy(t)
  const way = await channel({ ...rule, ...upstream })
  let tried = 0
  const { record } = gate
  gate.record = (entry) => {
    tried++
    return record(entry)
  }
  gate.failing = true
  assert.equal((await ask(way, { path: '/first' })).status, 200)
  await assert.rejects(ask(way, { path: '/second' }), /503 audit\.unavailable/)
  assert.equal(proxy.health().state, 'failing')
  // The first one, that one again, and the refusal, which is told before it is recorded.
  await until(() => tried === 3)
  gate.failing = false
  assert.equal((await ask(way, { path: '/third' })).status, 200)
  const records = await recorded(3)
  assert.deepEqual(
    records.map(({ path }) => path),
    ['/first', '', '/third'],
  )
  assert.equal(proxy.health().state, 'ok')
})

test('SAND-2: a sandbox that is refused again and again loses its way out, and cannot fill the audit log', async (t) => {
  const { channel, recorded, gate } = await openProxy(t, { refusals: 20 })
  const { socketPath } = await channel(rule)
  let ended = 0
  for (let i = 0; i < 40; i++)
    await openTunnel(socketPath, `other-${i}.example.test:443`).catch((error: Error) => {
      if (!/403 egress\.denied/.test(error.message)) ended++
    })
  const records = await recorded(20)
  assert.match(records[19]?.reason ?? '', /refusal 20: this sandbox's way out is closed/)
  assert.ok(ended >= 19, `${ended} were not answered`)
  await assert.rejects(openTunnel(socketPath, `${apiHost}:443`))
  assert.ok(gate.records.length <= 21, `${gate.records.length} entries`)
})
