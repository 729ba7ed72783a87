import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { apiHost, openProxy, openTls, openUpstream, talkInside } from '../../test/support/egress.ts'
import { ask2, openSession } from '../../test/support/http2.ts'

const rule = { host: apiHost, port: 443 }

/** What a destination writes by hand, by the path that is asked for. */
const heads: Record<string, string> = {
  '/plain': 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  '/names': 'HTTP/1.1 200 OK\r\nconstructor: a\r\n__proto__: b\r\ntoString: c\r\nContent-Length: 0\r\n\r\n',
  '/settings': 'HTTP/1.1 200 OK\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 0\r\n\r\n',
  '/twice': 'HTTP/1.1 200 OK\r\nETag: "a"\r\nETag: "b"\r\nContent-Length: 0\r\n\r\n',
  '/status': 'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n',
  '/trailers':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nHTTP2-Settings: a\r\nconstructor: b\r\nETag: c\r\nETag: d\r\n\r\n',
}

async function setup(t: TestContext) {
  const upstream = await openUpstream(t, ({ url = '', socket }) => void socket.write(heads[url] ?? ''))
  const world = await openProxy(t)
  return { ...world, way: await world.channel({ ...rule, ...upstream }) }
}

test('SAND-2: no head or trailer of a destination’s ends the proxy, which other sandboxes use too', async (t) => {
  const { way } = await setup(t)
  const session = await openSession(t, way)
  for (const path of Object.keys(heads)) {
    // An answer that cannot be written may be broken off; the connection, and the proxy, go on.
    await ask2(session, { ':path': path }).catch(() => undefined)
    assert.equal((await ask2(session, { ':path': '/plain' })).headers[':status'], 200, path)
  }
  const named = await ask2(session, { ':path': '/names' })
  assert.equal(named.headers['constructor'], 'a')
})

test('SAND-2: nor does a status that HTTP/1.1 does not have', async (t) => {
  const { way } = await setup(t)
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${apiHost}\r\nConnection: close\r\n\r\n`
  assert.match(await talkInside(way, request('/status')), /^HTTP\/1\.1 502 /)
  assert.match(await talkInside(way, request('/plain')), /^HTTP\/1\.1 200 /)
})

test('SAND-2: what a destination sends unasked is not the answer to the next request', async (t) => {
  const sockets = new Set<unknown>()
  const upstream = await openUpstream(t, ({ url = '', socket }) => {
    sockets.add(socket)
    const body = `${url.slice(1)} `
    const answer = (text: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`
    socket.write(answer(body) + (url === '/two' ? answer('planted') : ''))
  })
  const { channel } = await openProxy(t)
  const way = await channel({ ...rule, ...upstream })
  const tls = await openTls(way)
  const said: string[] = []
  for (const path of ['/two', '/one', '/two', '/last']) {
    tls.write(`GET ${path} HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`)
    said.push(String((await once(tls, 'data'))[0]))
  }
  tls.destroy()
  assert.deepEqual(said.join().match(/two|one|last|planted/g), ['two', 'one', 'two', 'last'])
  assert.equal(sockets.size, 3)
})

test('SAND-2: a connection that is to become another one before its answers are there ends, with all of them on record', async (t) => {
  const { way, proxy, recorded } = await setup(t)
  const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: ${apiHost}\r\n${more}\r\n`
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
  const key = `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n`
  const others = [get('/live', upgrade + key), `CONNECT ${apiHost}:443 HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`]
  for (const other of others) assert.equal(await talkInside(way, get('/never') + get('/waits') + other), '')
  const reasons = (await recorded(6)).map(({ path, outcome }) => `${path} ${outcome}`)
  const each = [' denied', '/never failed', '/waits failed']
  assert.deepEqual(reasons.toSorted(), [...each, ...each].toSorted())
  assert.match(await talkInside(way, get('/plain', 'Connection: close\r\n')), /^HTTP\/1\.1 200 /)
  assert.equal(proxy.health().restarts, 0)
})
