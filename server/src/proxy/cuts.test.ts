import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { apiHost, ask, openProxy, openTls, openUpstream, until } from '../../test/support/egress.ts'
import { ask2, openHttp2Server, openSession } from '../../test/support/http2.ts'

const rule = { host: apiHost, port: 443 }

/** A sandbox before a server whose answers begin and do not end. */
async function openStreams(t: Parameters<typeof openUpstream>[0]) {
  const open = new Map<string, ServerResponse>()
  const upstream = await openUpstream(t, (request, response) => {
    open.set(request.url ?? '', response)
    if (request.url?.startsWith('/silent')) return
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.write('data: begun\n\n')
  })
  const world = await openProxy(t)
  const way = await world.channel({ ...rule, ...upstream })
  const send = async (path: string, placeholder?: string): Promise<Socket> => {
    const tls = await openTls(way)
    const key = placeholder === undefined ? '' : `X-Key: ${placeholder}\r\n`
    tls.write(`GET ${path} HTTP/1.1\r\nHost: ${apiHost}\r\n${key}\r\n`)
    return tls
  }
  const begin = async (path: string, placeholder?: string): Promise<Socket> => {
    const tls = await send(path, placeholder)
    await until(() => open.has(path))
    return tls
  }
  return { ...world, way, send, begin, open }
}

test('LEND-1: the end of a lease cuts the answers that use it, and no others, with its reason on record', async (t) => {
  const { proxy, begin, open, lend, recorded } = await openStreams(t)
  const { placeholder } = lend()
  const used = await begin('/used', placeholder)
  const free = await begin('/free')
  await Promise.all([once(used, 'data'), once(free, 'data')])
  const ended = once(used.resume(), 'close')
  proxy.cut({ leaseId: 'lease_1' }, 'Its lease was revoked.')
  await ended
  await until(() => open.get('/used')?.destroyed === true)
  open.get('/free')?.end('data: and goes on\n\n')
  const [more] = await once(free, 'data')
  assert.match(String(more), /and goes on/)
  free.destroy()
  const [record] = await recorded(2)
  assert.deepEqual(
    [record?.path, record?.outcome, record?.reason],
    ['/used', 'denied', 'Its lease was revoked.'],
  )
})

test('LEND-1: a request that waits for its answer is told that its lease ended', async (t) => {
  const { proxy, begin, lend, recorded } = await openStreams(t)
  const waiting = await begin('/silent', lend().placeholder)
  proxy.cut({ leaseId: 'lease_1' }, 'Its lease was revoked.')
  const [answer] = await once(waiting, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 403 .*lease\.ended.*Its lease was revoked/s)
  assert.equal((await recorded(1))[0]?.status, 403)
})

test('LEND-1: what outlives the time of its lease is cut', async (t) => {
  const { send, lend, gate, recorded } = await openStreams(t)
  const { placeholder, value } = lend()
  gate.leases.set(placeholder, { value, host: apiHost, expiresAt: new Date(Date.now() + 500) })
  const used = await send('/used', placeholder)
  await once(used.resume(), 'close')
  assert.match((await recorded(1))[0]?.reason ?? '', /time of its lease was over/)
})

test('LEND-1: a value that is on its way when its lease ends is not sent', async (t) => {
  const { proxy, way, gate, lend, open } = await openStreams(t)
  const { placeholder } = lend()
  const { resolve } = gate
  gate.resolve = (claim) => {
    proxy.cut({ leaseId: 'lease_1' }, 'Its lease was revoked.')
    return resolve(claim)
  }
  const answer = await ask(way, { headers: { 'X-Key': placeholder } })
  assert.deepEqual([answer.status, JSON.parse(answer.body).code], [403, 'lease.ended'])
  assert.equal(open.size, 0)
})

test('SAND-2: everything of a quarantined agent is cut, and nothing of another one', async (t) => {
  const { proxy, begin, recorded } = await openStreams(t)
  const stream = await begin('/free')
  proxy.cut({ agentId: 'agt_2' }, 'The agent was quarantined.')
  proxy.cut({ agentId: 'agt_1' }, 'It was quarantined too.')
  await once(stream.resume(), 'close')
  assert.equal((await recorded(1))[0]?.reason, 'It was quarantined too.')
})

test('LEND-1: an upload whose lease ended is given up, though the client does not come to hear of it', async (t) => {
  const { proxy, send, open, lend } = await openStreams(t)
  const tls = await send('/silent')
  const head = `POST /silent/upload HTTP/1.1\r\nHost: ${apiHost}\r\nTransfer-Encoding: chunked\r\n`
  tls.write(`${head}X-Key: ${lend().placeholder}\r\n\r\n3\r\nabc\r\n`)
  await until(() => open.has('/silent') && open.has('/silent/upload'))
  proxy.cut({ leaseId: 'lease_1' }, 'Its lease was revoked.')
  await until(() => open.get('/silent/upload')?.destroyed === true)
  assert.equal(open.get('/silent')?.destroyed, false)
  tls.destroy()
})

test('SAND-2: a value that is on its way to a quarantined agent is not sent', async (t) => {
  const { proxy, gate, begin, send, lend, open, recorded } = await openStreams(t)
  const tls = await send('/silent')
  await until(() => open.has('/silent'))
  open.get('/silent')?.end()
  await once(tls, 'data')
  const { resolve } = gate
  gate.resolve = (claim) => {
    proxy.cut({ agentId: 'agt_1' }, 'The agent was quarantined.')
    return resolve(claim)
  }
  const head = `GET /used HTTP/1.1\r\nHost: ${apiHost}\r\n`
  tls.write(`${head}X-Key: ${lend().placeholder}\r\n\r\n`)
  await once(tls.resume(), 'close')
  const [, record] = await recorded(2)
  assert.deepEqual([record?.path, record?.reason], ['/used', 'The agent was quarantined.'])
  const later = await begin('/free')
  later.destroy()
  assert.equal(open.has('/used'), false)
})

test('LEND-1: a request of HTTP/2 that waits for its connection is not sent when its lease has ended', async (t) => {
  const heard: string[] = []
  const upstream = await openHttp2Server(t, (stream, headers) => {
    heard.push(headers[':path'] ?? '')
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  const held = Promise.withResolvers<Socket>()
  const before = createServer((socket) => held.resolve(socket))
  await new Promise<void>((resolve) => before.listen(0, '127.0.0.1', resolve))
  const { proxy, channel, lend } = await openProxy(t)
  const { port } = before.address() as AddressInfo
  const way = await channel({ ...rule, ...upstream, address: `127.0.0.1:${port}` })
  const session = await openSession(t, way)
  const used = ask2(session, { ':path': '/used', 'x-key': lend().placeholder })
  const waiting = await held.promise
  before.close()
  const free = ask2(session, { ':path': '/free' })
  proxy.cut({ leaseId: 'lease_1' }, 'Its lease was revoked.')
  assert.equal((await used).headers[':status'], 403)
  const behind = connect(Number(upstream.address.split(':')[1]), '127.0.0.1')
  for (const socket of [waiting, behind]) socket.on('error', () => socket.destroy())
  waiting.pipe(behind).pipe(waiting)
  assert.equal((await free).headers[':status'], 200)
  assert.deepEqual(heard, ['/free'])
})
