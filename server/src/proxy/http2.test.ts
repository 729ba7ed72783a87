import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import {
  apiHost,
  ask,
  bodyOf,
  openProxy,
  openUpstream,
  shareProxy,
  talkInside,
  until,
} from '../../test/support/egress.ts'
import {
  ask2,
  fields2,
  frame2,
  openHttp2Server,
  openRaw,
  openSession,
  requestFields,
  type StreamHandler,
} from '../../test/support/http2.ts'

const openShared = shareProxy()

const rule = { host: apiHost, port: 443 }
const mark = '[redacted by Keyward]'
const types = { data: 0, headers: 1, reset: 3 }
const flags = { endStream: 1, endHeaders: 4 }

async function setup(t: TestContext, handle: StreamHandler, limits: Parameters<typeof openProxy>[1] = {}) {
  const upstream = await openHttp2Server(t, handle)
  const world = await openProxy(t, limits)
  const way = await world.channel({ ...rule, ...upstream })
  return { ...world, way, session: await openSession(t, way) }
}

test('LEND-2: HTTP/2 passes on both sides, with the same exchange and redaction', async (t) => {
  const seen: Record<string, unknown>[] = []
  const { session, lend, recorded } = await setup(t, (stream, headers) => {
    seen.push(headers)
    stream.respond({
      ':status': 200,
      'x-echo': `${headers['x-key']}`,
      'content-length': 3 + String(headers['x-key']).length,
    })
    stream.end(`<${headers['x-key']}>\n`)
  })
  const { placeholder, value } = lend()
  const answer = await ask2(session, {
    ':path': `/v1?key=${placeholder}`,
    'x-key': placeholder,
    cookie: ['a=1', 'b=2'],
  })
  assert.equal(seen[0]?.['x-key'], value)
  assert.equal(seen[0]?.[':path'], `/v1?key=${encodeURIComponent(value)}`)
  assert.equal(seen[0]?.[':authority'], `${apiHost}:443`)
  assert.equal(seen[0]?.['cookie'], 'a=1; b=2')
  assert.deepEqual([answer.body, answer.headers['x-echo']], [`<${mark}>\n`, mark])
  const [record] = await recorded(1)
  assert.deepEqual(
    [record?.method, record?.path, record?.status, record?.outcome, record?.placeholders],
    ['GET', '/v1', 200, 'allowed', 1],
  )
})

test('LEND-2: bodies pass both ways at once, and many streams on one connection', async (t) => {
  const { session, recorded } = await setup(t, (stream) => {
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  })
  const body = 'x'.repeat(300_000)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => ask2(session, { ':method': 'POST', ':path': `/${i}` }, body)),
  )
  assert.ok(answers.every((answer) => answer.body === body))
  const records = await recorded(20)
  assert.ok(
    records.every(
      ({ bytesOut, bytesIn, outcome }) => bytesOut + bytesIn === 600_000 && outcome === 'allowed',
    ),
  )
})

test('LEND-2: gRPC passes: a unary call and a stream, metadata exchanged, trailers with values taken out', async (t) => {
  const { session, lend } = await setup(t, (stream, headers) => {
    if (headers[':path'] === '/shop.Orders/Missing') {
      stream.respond(
        { ':status': 200, 'grpc-status': '5', 'grpc-message': String(headers['authorization']) },
        { endStream: true },
      )
      return
    }
    assert.equal(headers['te'], 'trailers')
    assert.equal(headers['grpc-accept-encoding'], undefined)
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': `for ${headers['authorization']}` }),
    )
    stream.on('data', (chunk) => stream.write(chunk))
    stream.on('end', () => stream.end())
  })
  const { placeholder, value } = lend()
  const call = {
    ...{ ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' },
    ...{ authorization: `Bearer ${placeholder}`, 'grpc-accept-encoding': 'gzip' },
  }
  const message = Buffer.from([0, 0, 0, 0, 3, 8, 150, 1])
  const unary = await ask2(session, { ...call, ':path': '/shop.Orders/Get' }, message)
  assert.equal(unary.body, message.toString())
  assert.deepEqual(unary.trailers['grpc-status'], '0')
  assert.equal(unary.trailers['grpc-message'], `for Bearer ${mark}`)
  const failed = await ask2(session, { ...call, ':path': '/shop.Orders/Missing' }, message)
  assert.equal(failed.endsWithHead, true, 'a status alone is not followed by a body')
  assert.equal(failed.headers['grpc-status'], '5')
  assert.ok(!JSON.stringify([unary, failed]).includes(value))
  const stream = session.request({ ...call, ':path': '/shop.Orders/Watch' })
  for (const text of ['one', 'two']) {
    stream.write(text)
    const [chunk] = await once(stream, 'data')
    assert.equal(String(chunk), text, 'each message passes before the next is sent')
  }
  stream.end()
  const [trailers] = await once(stream.resume(), 'trailers')
  assert.equal(trailers['grpc-status'], '0')
})

test('LEND-2: messages of gRPC that are compressed by themselves cannot be searched, and are refused', async (t) => {
  const { session } = await setup(t, (stream) => {
    stream.respond({ ':status': 200, 'grpc-encoding': 'gzip' })
    stream.end('?')
  })
  const answer = await ask2(session)
  assert.equal(answer.headers[':status'], 502)
})

test('a client of HTTP/2 reaches a server of HTTP/1.1, cookies joined and bodies framed anew', async (t) => {
  const seen: unknown[] = []
  const upstream = await openUpstream(
    t,
    async ({ method, url, headers, httpVersion, ...request }, response) => {
      const { cookie, host, te } = headers
      void request
      seen.push([
        httpVersion,
        method,
        url,
        cookie,
        host,
        headers['transfer-encoding'],
        headers['content-length'],
        te,
      ])
      response.setHeader('Keep-Alive', 'timeout=5')
      response.end('reached')
    },
  )
  const { channel } = await openShared(t)
  const way = await channel({ ...rule, ...upstream })
  const session = await openSession(t, way)
  for (const [headers, body] of [
    [{ ':path': '/a?b=c', cookie: ['a=1', 'b=2'] }, undefined],
    [{ ':method': 'POST', ':path': '/chunks' }, 'hello'],
    [{ ':method': 'POST', ':path': '/length', 'content-length': 5 }, 'hello'],
  ] as const) {
    const answer = await ask2(
      session,
      { ...headers, cookie: 'cookie' in headers ? [...headers.cookie] : [] },
      body,
    )
    assert.deepEqual([answer.headers[':status'], answer.body], [200, 'reached'])
    assert.equal(answer.headers['keep-alive'], undefined)
  }
  assert.deepEqual(seen, [
    ['1.1', 'GET', '/a?b=c', 'a=1; b=2', `${apiHost}:443`, undefined, undefined, undefined],
    ['1.1', 'POST', '/chunks', undefined, `${apiHost}:443`, 'chunked', undefined, undefined],
    ['1.1', 'POST', '/length', undefined, `${apiHost}:443`, undefined, '5', undefined],
  ])
})

test('LEND-2: trailers of HTTP/1.1 pass to who takes them, with values taken out and nothing about the message', async (t) => {
  const upstream = await openUpstream(t, (request, response) => {
    response.writeHead(200, { Trailer: 'X-Echo' })
    response.write('body')
    response.addTrailers([
      ['X-Echo', String(request.headers['x-key'])],
      ['Content-Type', 'text/x-own'],
      ['Set-Cookie', 'a=b'],
      ['X-Asked', String(request.headers['te'])],
    ])
    response.end()
  })
  const { channel, lend } = await openShared(t)
  const { placeholder, value } = lend()
  const way = await channel({ ...rule, ...upstream })
  const head = `GET / HTTP/1.1\r\nHost: ${apiHost}\r\nX-Key: ${placeholder}\r\nConnection: close\r\n`
  const taken = await talkInside(way, `${head}TE: trailers\r\n\r\n`)
  assert.match(taken, /0\r\nX-Echo: \[redacted by Keyward\]\r\nX-Asked: trailers\r\n\r\n$/)
  assert.ok(!taken.includes(value))
  assert.match(await talkInside(way, `${head}\r\n`), /0\r\n\r\n$/)
})

test('SAND-1: a host other than the tunnel’s is refused in HTTP/2 too, and so is a path that is not listed', async (t) => {
  let reached = 0
  const upstream = await openHttp2Server(t, (stream) => {
    reached++
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  const { channel, recorded } = await openShared(t)
  const way = await channel({ ...rule, ...upstream, pathPrefix: '/v1' })
  const session = await openSession(t, way)
  const other = await ask2(session, { ':authority': 'other.example.test', ':path': '/v1' })
  assert.equal(other.headers[':status'], 421)
  assert.equal((await ask2(session, { ':path': '/v2' })).headers[':status'], 403)
  assert.equal((await ask2(session, { ':path': '/v1/../v2' })).headers[':status'], 400)
  assert.equal((await ask2(session, { ':path': '/v1' })).headers[':status'], 200)
  assert.equal(reached, 1)
  assert.equal((await recorded(4))[0]?.outcome, 'misused')
})

test('LEND-2: what would be another request in HTTP/1.1 is refused in HTTP/2', async (t) => {
  const bodies: string[] = []
  const heads1: string[] = []
  const upstream = await openUpstream(t, async (request, response) => {
    heads1.push(JSON.stringify(request.rawHeaders))
    bodies.push(`${request.method} ${request.url} ${await bodyOf(request).catch(() => 'cut')}`)
    response.end('reached')
  })
  const { channel } = await openShared(t)
  const way = await channel({ ...rule, ...upstream })
  const smuggled = 'x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x'
  const unfit: Record<string, [string, string][]> = {
    'CR LF in a value': requestFields(['x-a', smuggled]),
    'LF in a value': requestFields(['x-a', 'a\nb: c']),
    'NUL in a value': requestFields(['x-a', 'a\0b']),
    'CR LF in a name': requestFields(['x-a: b\r\nx-c', 'd']),
    'a colon in a name': requestFields(['x-a:', 'd']),
    'a capital letter in a name': requestFields(['X-A', 'd']),
    'a blank in a name': requestFields(['x a', 'd']),
  }
  const heads: Record<string, [string, string][]> = {
    'CR LF in the path': [...requestFields().slice(0, 3), [':path', '/ HTTP/1.1\r\nHost: x\r\n\r\n']],
    'a blank in the path': [...requestFields().slice(0, 3), [':path', '/a HTTP/1.1']],
    'CR LF in the method': [[':method', `GET / HTTP/1.1\r\nHost: x\r\n\r\nGET`], ...requestFields().slice(1)],
    'a blank in the method': [[':method', 'GET /'], ...requestFields().slice(1)],
    'transfer-encoding': requestFields(['transfer-encoding', 'chunked']),
    connection: requestFields(['connection', 'close']),
    upgrade: requestFields(['upgrade', 'h2c']),
    'te that is not trailers': requestFields(['te', 'gzip']),
    'two lengths': requestFields(['content-length', '1'], ['content-length', '5']),
    'a length that is none': requestFields(['content-length', '+5']),
    'another Host': requestFields(['host', 'other.example.test']),
    'two paths': [...requestFields(), [':path', '/other']],
    'a late pseudo header': [...requestFields().slice(0, 3), ['x-a', 'b'], [':path', '/']],
    'an unknown pseudo header': [[':own', 'x'], ...requestFields()],
    'no path': requestFields().slice(0, 3),
    'another scheme': [[':method', 'GET'], [':scheme', 'http'], ...requestFields().slice(2)],
    CONNECT: [
      [':method', 'CONNECT'],
      [':authority', apiHost],
    ],
    'extended CONNECT': [[':method', 'CONNECT'], [':protocol', 'websocket'], ...requestFields().slice(1)],
  }
  const send = async (fields: [string, string][], body = 'hello'): Promise<void> => {
    const client = await openRaw(way)
    client.send(
      frame2(types.headers, flags.endHeaders, 1, fields2(fields)),
      frame2(types.data, flags.endStream, 1, Buffer.from(body)),
    )
    await until(() => client.seen.some((seen) => /^[13]:1$|^7:0$/.test(seen)) || client.socket.destroyed)
    client.socket.destroy()
  }
  // The parser leaves such a field out, and what goes on is written anew.
  for (const fields of Object.values(unfit)) await send(fields)
  assert.deepEqual([...new Set(bodies)], ['POST / hello'])
  assert.equal(new Set(heads1).size, 1, 'nothing of these fields')
  assert.ok(!heads1[0]?.toLowerCase().includes('x-'))
  const reached = bodies.length
  for (const [name, fields] of Object.entries(heads)) {
    await send(fields)
    assert.equal(bodies.length, reached, name)
  }
  const lengths: Record<string, [length: string, body: string]> = {
    'more than its length': ['2', 'he\r\nGET /smuggled HTTP/1.1\r\n\r\n'],
    'less than its length': ['500', 'hello'],
    'nothing where a length was promised': ['5', ''],
  }
  for (const [name, [length, body]] of Object.entries(lengths)) {
    await send(requestFields(['content-length', length]), body)
    const seen = bodies.slice(reached)
    assert.ok(!seen.some((text) => /smuggled/.test(text) || text.endsWith(' hello')), `${name}: ${seen}`)
  }
})

test('SAND-2: a connection whose requests are broken off again and again is ended', async (t) => {
  const { way } = await setup(t, (stream) => stream.respond({ ':status': 200 }))
  const client = await openRaw(way)
  const head = fields2(requestFields())
  const cancel = Buffer.from([0, 0, 0, 8])
  for (let id = 1; id < 6000 && !client.socket.destroyed; id += 2) {
    client.send(frame2(types.headers, flags.endHeaders, id, head), frame2(types.reset, 0, id, cancel))
    if (id % 200 === 1) await new Promise((resolve) => setImmediate(resolve))
  }
  // A farewell (GOAWAY) may be lost with what was still on its way.
  await client.closed
})

test('SAND-2: no more streams at once than the limit, and a head that is too long is refused', async (t) => {
  const { way, session } = await setup(t, () => {}, { streams: 3 })
  assert.equal(session.remoteSettings.maxConcurrentStreams, 3)
  assert.equal(session.remoteSettings.enableConnectProtocol, false)
  const client = await openRaw(way)
  const head = fields2(requestFields())
  for (const id of [1, 3, 5, 7, 9]) client.send(frame2(types.headers, flags.endHeaders, id, head))
  await until(() => client.seen.includes(`${types.reset}:9`) || client.socket.destroyed)
  const long = await openRaw(way)
  const fields = requestFields(
    ...Array.from({ length: 10 }, (_, i): [string, string] => [`x-${i}`, 'x'.repeat(4000)]),
  )
  const bytes = fields2(fields)
  long.send(
    frame2(types.headers, 0, 1, bytes.subarray(0, 16_000)),
    frame2(9, 0, 1, bytes.subarray(16_000, 32_000)),
    frame2(9, flags.endHeaders, 1, bytes.subarray(32_000)),
  )
  await until(() => long.seen.some((seen) => /^[13]:1$|^7:0$/.test(seen)) || long.socket.destroyed)
  for (const { socket } of [client, long]) socket.destroy()
})

test('LEND-1: the end of a lease cuts its stream and no other one, and a client that leaves is noted', async (t) => {
  const { session, lend, gate, proxy, recorded, way } = await setup(t, (stream) => {
    stream.respond({ ':status': 200 })
    stream.write('begun')
  })
  const { placeholder } = lend()
  const used = session.request({ ':path': '/used', 'x-key': placeholder })
  const free = session.request({ ':path': '/free' })
  const ended = new Promise((resolve) => used.on('error', () => {}).once('close', resolve))
  await Promise.all([once(used, 'data'), once(free, 'data')])
  proxy.cut({ leaseId: 'lease_1' }, 'Its lease was revoked.')
  await ended
  assert.equal(free.closed, false)
  free.close(8)
  const records = await recorded(2)
  assert.deepEqual(
    records.map(({ path, outcome, reason }) => [path, outcome, reason]),
    [
      ['/used', 'denied', 'Its lease was revoked.'],
      ['/free', 'failed', 'The client left before the end of the answer.'],
    ],
  )
  const { resolve } = gate
  gate.resolve = async (claim) => ({ ...(await resolve(claim)), leaseId: 'lease_2' })
  const raw = await openRaw(way)
  const fields = requestFields(['x-key', placeholder])
  raw.send(frame2(types.headers, flags.endHeaders | flags.endStream, 1, fields2(fields)))
  await until(() => raw.seen.includes(`${types.data}:1`))
  proxy.cut({ leaseId: 'lease_2' }, 'Its lease was revoked.')
  await until(() => raw.seen.includes(`${types.reset}:1`))
  assert.deepEqual(raw.ended, [], 'a cut answer does not look like a whole one')
  raw.socket.destroy()
})

test('a body that the client breaks off is not passed off as whole', async (t) => {
  const upstream = await openUpstream(t, async (request, response) => {
    const body = await bodyOf(request).catch(() => undefined)
    bodies.push(body)
    response.end()
  })
  const bodies: (string | undefined)[] = []
  const { channel, recorded } = await openShared(t)
  const way = await channel({ ...rule, ...upstream })
  const client = await openRaw(way)
  client.send(
    frame2(types.headers, flags.endHeaders, 1, fields2(requestFields())),
    frame2(types.data, 0, 1, Buffer.from('half of it')),
    frame2(types.reset, 0, 1, Buffer.from([0, 0, 0, 8])),
  )
  assert.equal((await recorded(1))[0]?.outcome, 'failed')
  client.socket.destroy()
  assert.ok(!bodies.includes('half of it'))
})

test('an answer that the destination breaks off is not passed off as whole', async (t) => {
  const { session, recorded } = await setup(t, (stream, headers) => {
    stream.respond({ ':status': 200 })
    stream.write('part')
    setImmediate(() => {
      if (headers[':path'] === '/stream') stream.destroy(new Error('of the test'))
      else stream.session?.destroy()
    })
  })
  for (const path of ['/stream', '/session']) await assert.rejects(ask2(session, { ':path': path }))
  const records = await recorded(2)
  assert.ok(records.every(({ outcome }) => outcome === 'failed'))
})

test('what happened on streams is recorded before a channel is closed', async (t) => {
  const { session, proxy, way, gate } = await setup(t, (stream) => {
    stream.respond({ ':status': 200 })
    stream.write('begun')
  })
  const open = Array.from({ length: 5 }, () => session.request().on('error', () => {}))
  await Promise.all(open.map((stream) => once(stream, 'data')))
  await proxy.close(way.sandboxId)
  assert.equal(gate.records.length, 5)
})

test('a client that does not ask for HTTP/2 gets HTTP/1.1, from a server of HTTP/1.1', async (t) => {
  const upstream = await openUpstream(t, ({ httpVersion }, response) => response.end(httpVersion))
  const { channel } = await openShared(t)
  assert.equal((await ask(await channel({ ...rule, ...upstream }))).body, '1.1')
})
