import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { apiHost, ask, openProxy, openTunnel, openUpstream } from '../../test/support/egress.ts'
import { readClientHello } from './client-hello.ts'

const rule = { host: apiHost, port: 443, tls: 'pass-through' as const }
const unseen = 'It was passed through without being looked into.'

test('SAND-2: a pinned host is passed through unopened, counted and recorded as not looked into', async (t) => {
  const upstream = await openUpstream(t, (request, response) =>
    response.end(`got ${request.headers['x-key']}`),
  )
  const { channel, lend, gate, recorded } = await openProxy(t)
  const asked: boolean[] = []
  gate.admit = async ({ passThrough }) => {
    asked.push(passThrough)
    return { allow: true, reason: '' }
  }
  const { placeholder } = lend()
  const way = await channel({ ...rule, address: upstream.address })
  const answer = await ask({ ...way, caPem: upstream.caPem }, { headers: { 'X-Key': placeholder } })
  assert.equal(
    answer.body,
    `got ${placeholder}`,
    'nothing is exchanged, and the server’s own certificate is seen',
  )
  const [record] = await recorded(1)
  assert.deepEqual(
    [record?.method, record?.path, record?.outcome, record?.reason, record?.leaseIds],
    ['CONNECT', '', 'allowed', unseen, []],
  )
  assert.ok((record?.bytesOut ?? 0) > 300 && (record?.bytesIn ?? 0) > 300)
  assert.deepEqual([asked, gate.claims.length], [[true], 0])
})

test('SAND-2: a greeting that names another host, or none, or is no TLS, is not passed through', async (t) => {
  let reached = 0
  const upstream = await openUpstream(t, (_request, response) => response.end(`${reached++}`))
  const { channel, recorded } = await openProxy(t)
  const way = await channel({ ...rule, address: upstream.address })
  for (const serverName of ['other.example.test', ''])
    await assert.rejects(ask({ ...way, caPem: upstream.caPem, serverName }))
  const plain = await openTunnel(way.socketPath, `${apiHost}:443`)
  plain.on('error', () => {})
  plain.write('GET / HTTP/1.1\r\n\r\n')
  await once(plain.resume(), 'close')
  const records = await recorded(3)
  assert.ok(records.every(({ outcome }) => outcome === 'misused'))
  assert.equal(reached, 0)
})

test('SAND-2: what another rule looks into is not passed through, and policy is asked before', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const { channel, gate } = await openProxy(t)
  const both = await channel({ ...rule, ...upstream }, { host: apiHost, port: 443, ...upstream })
  assert.equal((await ask(both)).body, 'reached', 'by the sandbox’s own authority')
  gate.admit = async ({ passThrough }) => ({ allow: !passThrough, reason: 'not this one' })
  const only = await channel({ ...rule, ...upstream })
  await assert.rejects(ask(only), /403 egress\.denied: not this one/)
})

/** A greeting by hand: extensions as given. */
function greeting(...extensions: Buffer[]): Buffer {
  const fixed = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), Buffer.from([0, 0, 2, 0x13, 1, 1, 0])])
  const all = Buffer.concat(extensions)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(all.length)
  const body = Buffer.concat([fixed, length, all])
  return Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body])
}
const inRecords = (message: Buffer, size: number): Buffer =>
  Buffer.concat(
    Array.from({ length: Math.ceil(message.length / size) }, (_, i) => {
      const part = message.subarray(i * size, (i + 1) * size)
      return Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part])
    }),
  )
const named = (...names: string[]): Buffer => {
  const list = Buffer.concat(
    names.map((name) => Buffer.concat([Buffer.from([0, 0, name.length]), Buffer.from(name)])),
  )
  const body = Buffer.concat([Buffer.from([list.length >> 8, list.length & 255]), list])
  return Buffer.concat([Buffer.from([0, 0, body.length >> 8, body.length & 255]), body])
}

test('SAND-2: the name of a greeting is read in one record or many, and twice is never', () => {
  const whole = greeting(named('Api.Example.test'))
  for (const size of [1, 7, 1000]) {
    const bytes = inRecords(whole, size)
    const hello = readClientHello(bytes)
    assert.deepEqual(hello, { serverName: 'api.example.test', isEncrypted: false })
    assert.equal(readClientHello(bytes.subarray(0, -1)), 'more')
  }
  assert.equal(
    Object(readClientHello(inRecords(greeting(named('a.test', 'b.test')), 99))).serverName,
    undefined,
  )
  assert.equal(
    Object(readClientHello(inRecords(greeting(named('a.test'), named('b.test')), 99))).serverName,
    undefined,
  )
  const hidden = greeting(named('a.test'), Buffer.from([0xfe, 0x0d, 0, 1, 0]))
  assert.equal(Object(readClientHello(inRecords(hidden, 99))).isEncrypted, true)
  assert.equal(readClientHello(Buffer.from('GET / HTTP/1.1')), undefined)
  assert.equal(readClientHello(inRecords(greeting(Buffer.from([0, 0, 255, 255, 0])), 99)), undefined)
  assert.equal(readClientHello(Buffer.from([22, 3, 1, 0, 0])), undefined)
})
