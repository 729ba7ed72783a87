import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import {
  apiHost,
  ask,
  openProxy,
  openTls,
  openUpstream,
  talkInside,
  until,
} from '../../test/support/egress.ts'

const mark = '[redacted by Keyward]'

/** A sandbox that was lent one value, before a server that answers as the test wants. */
async function setup(t: Parameters<typeof openUpstream>[0], handle: RequestListener) {
  const upstream = await openUpstream(t, handle)
  const world = await openProxy(t)
  const way = await world.channel({ host: apiHost, port: 443, ...upstream })
  const { placeholder, value } = world.lend()
  const headers = { Authorization: `Bearer ${placeholder}` }
  return { ...world, way, value, headers }
}

const keyOf = (request: IncomingMessage): string => request.headers.authorization?.slice(7) ?? ''

test('LEND-2: an echo is taken out of headers, their encodings and the status line, and repeated headers stay repeated', async (t) => {
  const { way, headers, value } = await setup(t, (request, response) => {
    const key = keyOf(request)
    response.writeHead(200, `Fine ${key}`, [
      ['Location', `https://x.test/?key=${encodeURIComponent(key)}`],
      ['Set-Cookie', `a=${Buffer.from(key).toString('base64')}`],
      ['Set-Cookie', 'b=2'],
      ['X-Hex', Buffer.from(key).toString('hex')],
      ['Alt-Svc', 'h3=":443"'],
      ['Connection', 'X-Hop'],
      ['X-Hop', 'not for the client'],
    ])
    response.end()
  })
  const answer = await ask(way, { headers })
  assert.equal(answer.statusText, `Fine ${mark}`)
  assert.equal(answer.headers.location, `https://x.test/?key=${mark}`)
  assert.equal(answer.headers['set-cookie']?.length, 2)
  assert.ok(answer.headers['set-cookie']?.[0]?.startsWith(`a=${mark}`))
  assert.equal(answer.headers['x-hex'], mark)
  assert.equal(answer.headers['alt-svc'], undefined)
  assert.equal(answer.headers['x-hop'], undefined)
  assert.ok(!JSON.stringify(answer).includes(value))
})

test('LEND-2: an echo in a compressed answer is taken out', async (t) => {
  const codings: Record<string, (text: string) => Buffer> = {
    gzip: gzipSync,
    deflate: deflateSync,
    'Deflate ': deflateRawSync,
    br: brotliCompressSync,
    zstd: zstdCompressSync,
    'gzip, br': (text) => brotliCompressSync(gzipSync(text)),
  }
  const { way, headers } = await setup(t, (request, response) => {
    const coding = request.headers['x-coding']?.toString() ?? ''
    response.setHeader('Content-Encoding', coding.trim())
    response.end(
      codings[coding]?.(`key: ${keyOf(request)}.`) ?? codings[`${coding} `]?.(`key: ${keyOf(request)}.`),
    )
  })
  for (const coding of ['gzip', 'deflate', 'Deflate', 'br', 'zstd', 'gzip, br']) {
    const answer = await ask(way, { headers: { ...headers, 'X-Coding': coding } })
    assert.equal(answer.body, `key: ${mark}.`, coding)
    assert.equal(answer.headers['content-encoding'], undefined)
  }
})

test('LEND-2: an answer that cannot be looked through is refused', async (t) => {
  const { way, headers, recorded } = await setup(t, (_request, response) => {
    response.setHeader('Content-Encoding', 'x-own')
    response.end('?')
  })
  const answer = await ask(way, { headers })
  assert.equal(answer.status, 502)
  assert.match(answer.body, /compressed in a way/)
  assert.equal((await recorded(1))[0]?.outcome, 'failed')
})

test('LEND-2: an echo cut into pieces is taken out, and so is one in a later answer on the same or another tunnel', async (t) => {
  let key = ''
  const { way, headers } = await setup(t, async (request, response) => {
    if (request.url === '/later') return response.end(`remembered ${key}`)
    key = keyOf(request)
    for (const letter of `<${key}>`) {
      response.write(letter)
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  })
  const answer = await ask(way, { headers })
  assert.equal(answer.body, `<${mark}>`)
  assert.equal((await ask(way, { path: '/later' })).body, `remembered ${mark}`)
})

test('LEND-2: a value lent while an answer is under way is taken out of the rest of it', async (t) => {
  let key = ''
  let tick = (): void => {}
  const { way, headers } = await setup(t, (request, response) => {
    if (request.url !== '/events') {
      key = keyOf(request)
      tick()
      response.end()
      return
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.write('data: begun\n\n')
    tick = () => response.end(`data: ${key}\n\n`)
  })
  const tls = await openTls(way)
  const asked = httpRequest({
    createConnection: () => tls,
    path: '/events',
    headers: { Host: apiHost },
  }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  answer.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await until(() => text === 'data: begun\n\n')
  await ask(way, { headers })
  await until(() => answer.readableEnded)
  assert.equal(text, `data: begun\n\ndata: ${mark}\n\n`)
})

test('a promised length is kept while nothing was lent; then it is that of what is sent, or dropped where that is not known', async (t) => {
  const { way, headers } = await setup(t, (request, response) => {
    const body = `key ${keyOf(request)}`
    response.setHeader('Content-Length', Buffer.byteLength(body))
    // A record of TLS of its own: the proxy has the head before it can have the body.
    if (request.url === '/pieces') response.flushHeaders()
    response.end(body)
  })
  assert.equal((await ask(way)).headers['content-length'], '4')
  const answer = await ask(way, { headers, path: '/pieces' })
  assert.equal(answer.headers['content-length'], undefined)
  assert.equal(answer.body, `key ${mark}`)
  const whole = await ask(way, { headers })
  assert.equal(whole.body, `key ${mark}`)
  assert.equal(whole.headers['content-length'], String(mark.length + 4))
})

test('every byte of an answer arrives as it was, with a secret to look for and without', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  const { way, headers } = await setup(t, (request, response) =>
    response.end(request.url === '/long' ? Buffer.concat(Array<Buffer>(50).fill(bytes)) : bytes),
  )
  for (const more of [{}, headers])
    for (const [path, times] of [
      ['/', 1],
      ['/long', 50],
    ] as const) {
      const tls = await openTls(way)
      const lines = Object.entries(more).map(([name, value]) => `${name}: ${value}\r\n`)
      tls.write(`GET ${path} HTTP/1.1\r\nHost: ${apiHost}\r\n${lines.join('')}Connection: close\r\n\r\n`)
      const said = await buffer(tls)
      assert.match(said.toString('latin1'), /^HTTP\/1\.1 200 /)
      assert.equal(said.subarray(-bytes.length).compare(bytes), 0, path)
      assert.ok(said.length > times * bytes.length)
    }
})

test('answers without a body, several requests on one connection and hints before the answer', async (t) => {
  const { way } = await setup(t, (request, response) => {
    if (request.url === '/head') return response.writeHead(200, { 'Content-Length': '5' }).end()
    if (request.url === '/none') return response.writeHead(204).end()
    if (request.url === '/same') return response.writeHead(304, { ETag: '"1"' }).end()
    response.writeEarlyHints({ link: '</x>; rel=preload' })
    response.end('last')
  })
  const line = (method: string, path: string, more = ''): string =>
    `${method} ${path} HTTP/1.1\r\nHost: ${apiHost}\r\n${more}\r\n`
  const said = await talkInside(
    way,
    line('HEAD', '/head') +
      line('GET', '/none') +
      line('GET', '/same') +
      line('GET', '/', 'Connection: close\r\n'),
  )
  const lines = said.match(/^HTTP\/1\.1 \d+/gm)
  assert.deepEqual(lines, ['HTTP/1.1 200', 'HTTP/1.1 204', 'HTTP/1.1 304', 'HTTP/1.1 200'])
  assert.match(said, /content-length: 5/i)
  assert.match(said, /last/)
})

test('a client that leaves ends the request upstream, and an answer that breaks off is not passed off as whole', async (t) => {
  let left = false
  const { way, recorded } = await setup(t, (request, response) => {
    if (request.url === '/broken') {
      response.writeHead(200, { 'Content-Length': '100' })
      response.write('part')
      setImmediate(() => response.socket?.destroy())
      return
    }
    response.write('begun')
    response.once('close', () => {
      left = true
    })
  })
  const tls = await openTls(way)
  tls.on('error', () => {})
  tls.write(`GET /waits HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`)
  await once(tls, 'data')
  tls.destroy()
  await until(() => left)
  await assert.rejects(ask(way, { path: '/broken' }))
  const records = await recorded(2)
  assert.deepEqual(
    records.map(({ outcome, path }) => [path, outcome]),
    [
      ['/waits', 'failed'],
      ['/broken', 'failed'],
    ],
  )
})

test('LEND-2: server-sent events pass one by one, each without an echo', async (t) => {
  const open: ServerResponse[] = []
  const upstream = await openUpstream(t, (request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.write(`data: you sent ${request.headers['x-key']}\n\n`)
    open.push(response)
  })
  const { channel, lend } = await openProxy(t)
  const { placeholder } = lend()
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const tls = await openTls(way)
  const asked = httpRequest({ createConnection: () => tls, headers: { Host: apiHost, 'X-Key': placeholder } })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const events = answer.setEncoding('utf8')[Symbol.asyncIterator]()
  let seen = ''
  const readTo = async (end: string): Promise<void> => {
    while (!seen.endsWith(end)) seen += (await events.next()).value ?? assert.fail('it ended')
  }
  await readTo('\n\n')
  assert.equal(seen, 'data: you sent [redacted by Keyward]\n\n')
  for (const number of ['1', '2', '3']) {
    open[0]?.write(`id: ${number}\n\n`)
    await readTo(`id: ${number}\n\n`)
  }
  open[0]?.end()
  assert.equal((await events.next()).done, true)
})

test('LEND-2: a redirect takes neither the value nor its placeholder to another host', async (t) => {
  const otherHost = 'other.example.test'
  let reached = 0
  const upstream = await openUpstream(t, (request, response) => {
    response.writeHead(302, { Location: `https://${otherHost}/?key=${request.headers['x-key']}` }).end()
  })
  const other = await openUpstream(t, (_request, response) => response.end(`${reached++}`), otherHost)
  const { channel, lend, recorded } = await openProxy(t)
  const { placeholder, value } = lend()
  const way = await channel(
    { host: apiHost, port: 443, ...upstream },
    { host: otherHost, port: 443, ...other },
  )
  const first = await ask(way, { headers: { 'X-Key': placeholder } })
  assert.equal(first.status, 302)
  assert.ok(!String(first.headers.location).includes(value))
  const followed = await ask({ ...way, host: otherHost }, { headers: { 'X-Key': placeholder } })
  assert.equal(followed.status, 403)
  assert.deepEqual([reached, (await recorded(2))[1]?.outcome], [0, 'misused'])
})
