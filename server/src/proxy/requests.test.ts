import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiHost, ask, bodyOf, openUpstream, shareProxy, talkInside } from '../../test/support/egress.ts'
import { formedPlaceholder } from '../core/index.ts'

const openShared = shareProxy()

test('LEND-2: the destination sees the value, the sandbox sees neither it nor an echo of it', async (t) => {
  const seen: string[] = []
  const upstream = await openUpstream(t, (request, response) => {
    seen.push(request.headers.authorization ?? '')
    response.setHeader('X-Echo', request.headers.authorization ?? '')
    response.end(`you sent ${request.headers.authorization}`)
  })
  const { channel, lend, recorded } = await openShared(t)
  const { placeholder, value } = lend()
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const answer = await ask(way, { headers: { Authorization: `Bearer ${placeholder}` }, path: `/v1?q=1` })
  assert.deepEqual(seen, [`Bearer ${value}`])
  assert.equal(answer.status, 200)
  assert.equal(answer.body, 'you sent Bearer [redacted by Keyward]')
  assert.equal(answer.headers['x-echo'], 'Bearer [redacted by Keyward]')
  const [record] = await recorded(1)
  assert.deepEqual(
    { ...record, bytesIn: 0 },
    {
      sandboxId: way.sandboxId,
      agentId: 'agt_1',
      runId: 'run_1',
      taskId: 'task_1',
      host: apiHost,
      port: 443,
      method: 'GET',
      path: '/v1',
      status: 200,
      outcome: 'allowed',
      reason: null,
      leaseIds: ['lease_1'],
      placeholders: 1,
      bytesOut: 0,
      bytesIn: 0,
      redactions: 2,
    },
  )
})

test('LEND-2: a placeholder is exchanged in Basic credentials, the query and textual bodies, each in its own encoding', async (t) => {
  type Seen = { url: string; authorization: string | undefined; body: string }
  const seen: Seen[] = []
  const upstream = await openUpstream(t, async (request, response) => {
    seen.push({
      url: request.url ?? '',
      authorization: request.headers.authorization,
      body: await bodyOf(request),
    })
    response.end()
  })
  const { channel, lend } = await openShared(t)
  const { placeholder, value } = lend()
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const basic = `Basic ${Buffer.from(`me:${placeholder}`).toString('base64')}`
  await ask(way, { path: `/a?key=${placeholder}`, headers: { Authorization: basic } })
  const json = { 'Content-Type': 'application/json' }
  await ask(way, { method: 'POST', headers: json, body: JSON.stringify({ key: placeholder, ü: 'ü' }) })
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
  await ask(way, { method: 'POST', headers: form, body: `a=1&key=${placeholder}` })
  const [query, inJson, inForm] = seen
  assert.equal(new URL(query?.url ?? '', 'https://x').searchParams.get('key'), value)
  assert.equal(Buffer.from(query?.authorization?.slice(6) ?? '', 'base64').toString(), `me:${value}`)
  assert.deepEqual(JSON.parse(inJson?.body ?? ''), { key: value, ü: 'ü' })
  assert.equal(new URLSearchParams(inForm?.body).get('key'), value)
})

test('LEND-2: each place of a request is told to the server, and a prefix is exchanged with its placeholder', async (t) => {
  const seen: string[] = []
  const upstream = await openUpstream(t, async (request, response) => {
    seen.push(
      `${request.headers['authorization']} ${request.headers['content-length']} ${await bodyOf(request)}`,
    )
    response.end()
  })
  const { channel, lend, gate } = await openShared(t)
  const { placeholder, value } = lend()
  gate.leases.set(placeholder, { value, host: apiHost, prefix: 'sk_test_' })
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const headers = { Authorization: `Bearer sk_test_${placeholder}`, 'Content-Type': 'application/json' }
  const body = JSON.stringify({ a: `sk_test_${placeholder}`, b: [placeholder] })
  assert.equal((await ask(way, { method: 'POST', headers, body })).status, 200)
  const sent = JSON.stringify({ a: value, b: [value] })
  assert.deepEqual(seen, [`Bearer ${value} ${Buffer.byteLength(sent)} ${sent}`])
  assert.deepEqual(gate.claims[0]?.places, ['bearer', 'body:/a', 'body:/b/0'])
})

test('LEND-2: a request ends where the bytes of its lease do, on its way out and on its way back', async (t) => {
  const reached: string[] = []
  const upstream = await openUpstream(t, async (request, response) => {
    reached.push(`${request.method} ${(await bodyOf(request).catch(() => 'cut')).length}`)
    if (request.url === '/long') response.write('x'.repeat(2000))
    else response.end('short')
  })
  const { channel, lend, gate, recorded } = await openShared(t)
  const { placeholder, value } = lend()
  gate.leases.set(placeholder, { value, host: apiHost, bytesLeft: 1000 })
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const key = { 'X-Key': placeholder }
  assert.equal((await ask(way, { method: 'POST', headers: key, body: 'x'.repeat(900) })).status, 200)
  const text = { ...key, 'Content-Type': 'text/plain' }
  const tooLong = await ask(way, { method: 'POST', headers: text, body: 'x'.repeat(1001) })
  assert.deepEqual([tooLong.status, JSON.parse(tooLong.body).code], [429, 'lease.over_budget'])
  await assert.rejects(ask(way, { headers: key, path: '/long' }))
  const records = await recorded(3)
  assert.deepEqual(
    records.map(({ outcome }) => outcome),
    ['allowed', 'denied', 'denied'],
  )
  assert.match(records[2]?.reason ?? '', /bytes that the lease was given are spent/)
  assert.deepEqual(reached, ['POST 900', 'GET 0'])
})

test('LEND-2: a streamed body ends where the bytes of its lease do', async (t) => {
  const upstream = await openUpstream(t, async (request, response) => {
    await bodyOf(request).catch(() => 'cut')
    response.end()
  })
  const { channel, lend, gate, recorded } = await openShared(t)
  const { placeholder, value } = lend()
  gate.leases.set(placeholder, { value, host: apiHost, bytesLeft: 1000 })
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const headers = { 'X-Key': placeholder, 'Content-Type': 'application/octet-stream' }
  const answer = await ask(way, { method: 'PUT', headers, body: 'x'.repeat(1001) })
  assert.deepEqual([answer.status, JSON.parse(answer.body).code], [429, 'lease.over_budget'])
  assert.equal((await recorded(1))[0]?.outcome, 'denied')
})

test('LEND-2: a request with two Authorization headers is refused before anything is asked for', async (t) => {
  let reached = 0
  const upstream = await openUpstream(t, (_request, response) => {
    reached++
    response.end()
  })
  const { channel, lend, gate } = await openShared(t)
  const { placeholder } = lend()
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const twice = `Authorization: Bearer ${placeholder}\r\nauthorization: Bearer other\r\n`
  const answer = await talkInside(way, `GET / HTTP/1.1\r\nHost: ${apiHost}\r\n${twice}\r\n`)
  assert.match(answer, /^HTTP\/1\.1 400 /)
  assert.deepEqual([reached, gate.claims.length], [0, 0])
})

test('LEND-2: a placeholder that looks like a key is exchanged with its prefix, and is misuse elsewhere', async (t) => {
  const seen: string[] = []
  const upstream = await openUpstream(t, ({ headers }, response) => {
    seen.push(headers.authorization ?? '')
    response.end()
  })
  const { channel, lend, gate, recorded } = await openShared(t)
  const { value } = lend()
  const placeholder = formedPlaceholder(36)
  gate.leases.set(placeholder, { value, host: apiHost, prefix: 'ghp_' })
  const other = { host: 'other.example.test', port: 443, ...upstream }
  const way = await channel({ host: apiHost, port: 443, ...upstream }, other)
  const headers = { Authorization: `Bearer ghp_${placeholder}` }
  assert.equal((await ask(way, { headers })).status, 200)
  assert.equal((await ask({ ...way, host: other.host }, { headers })).status, 403)
  assert.deepEqual(seen, [`Bearer ${value}`])
  assert.equal((await recorded(2))[1]?.outcome, 'misused')
})

test('LEND-2: a placeholder lent for another host is not forwarded and is recorded as misuse', async (t) => {
  let reached = 0
  const upstream = await openUpstream(t, (_request, response) => {
    reached++
    response.end()
  })
  const { channel, lend, recorded } = await openShared(t)
  const { placeholder, value } = lend('other.example.test')
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const answer = await ask(way, { path: `/x/${placeholder}?y=1`, headers: { 'X-Key': placeholder } })
  assert.equal(answer.status, 403)
  assert.equal(JSON.parse(answer.body).code, 'egress.denied')
  assert.equal(reached, 0)
  const [record] = await recorded(1)
  assert.equal(record?.outcome, 'misused')
  assert.equal(record?.path, `/x/${placeholder}`)
  assert.doesNotMatch(JSON.stringify(record), new RegExp(value.slice(0, 12)))
})

test('LEND-1: an ended lease and an unknown placeholder are refused, and nothing is forwarded', async (t) => {
  let reached = 0
  const upstream = await openUpstream(t, (_request, response) => {
    reached++
    response.end()
  })
  const { channel, gate, lend, recorded } = await openShared(t)
  const ended = lend()
  gate.leases.set(ended.placeholder, { value: ended.value, host: apiHost, ended: true })
  const unknown = `kwp_${'0'.repeat(32)}`
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  for (const [placeholder, code] of [
    [ended.placeholder, 'lease.ended'],
    [unknown, 'lease.not_found'],
  ] as const) {
    const answer = await ask(way, { headers: { Authorization: `Bearer ${placeholder}` } })
    assert.equal(answer.status, 403)
    assert.equal(JSON.parse(answer.body).code, code)
  }
  assert.equal(reached, 0)
  const records = await recorded(2)
  assert.deepEqual(
    records.map(({ outcome }) => outcome),
    ['denied', 'misused'],
  )
})

test('LEND-2: a placeholder in a streamed body stops the request', async (t) => {
  const bodies: string[] = []
  const upstream = await openUpstream(t, async (request, response) => {
    bodies.push(await bodyOf(request).catch(() => 'broken off'))
    response.end()
  })
  const { channel, lend, recorded, gate } = await openShared(t)
  const { placeholder } = lend()
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const headers = { 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' }
  const answer = await ask(way, { method: 'POST', headers, body: `${'x'.repeat(100_000)}${placeholder}` })
  assert.equal(answer.status, 400)
  const [record] = await recorded(1)
  assert.equal(record?.outcome, 'misused')
  assert.equal(gate.claims.length, 0)
  assert.ok(!bodies.some((body) => body.includes(placeholder)))
})

test('a body passes unchanged in either framing, and without one', async (t) => {
  const seen: (readonly [string, string])[] = []
  const upstream = await openUpstream(t, async (request, response) => {
    const framing = request.headers['transfer-encoding'] ?? request.headers['content-length'] ?? 'none'
    seen.push([framing, await bodyOf(request)])
    response.end()
  })
  const { channel } = await openShared(t)
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const body = 'x'.repeat(200_000)
  await ask(way, { method: 'PUT', body, headers: { 'Content-Length': '200000' } })
  await ask(way, { method: 'PUT', body, headers: { 'Transfer-Encoding': 'chunked' } })
  await ask(way, { method: 'POST', headers: { 'Content-Length': '0' } })
  await ask(way, { method: 'DELETE' })
  await ask(way, {
    method: 'PUT',
    body: 'asked first',
    headers: { Expect: '100-continue', 'Content-Length': '11' },
  })
  assert.deepEqual(seen, [
    ['200000', body],
    ['chunked', body],
    ['0', ''],
    ['none', ''],
    ['11', 'asked first'],
  ])
})

test('LEND-2: compressed answers are not asked for, nor pieces of one once something was lent', async (t) => {
  const seen: (string | undefined)[][] = []
  const upstream = await openUpstream(t, ({ headers }, response) => {
    seen.push([headers['accept-encoding'], headers.range, headers['proxy-authorization']])
    response.end()
  })
  const { channel, lend } = await openShared(t)
  const { placeholder } = lend()
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  const headers = { 'Accept-Encoding': 'gzip', Range: 'bytes=0-9', 'Proxy-Authorization': 'Basic eA==' }
  await ask(way, { headers })
  await ask(way, { headers: { ...headers, Authorization: `Bearer ${placeholder}` } })
  await ask(way, { headers })
  assert.deepEqual(seen, [
    ['identity', 'bytes=0-9', undefined],
    ['identity', undefined, undefined],
    ['identity', undefined, undefined],
  ])
})

test('a value that would break a header is not lent', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const { channel, gate, lend } = await openShared(t)
  const way = await channel({ host: apiHost, port: 443, ...upstream })
  for (const value of ['first line\r\nX-Injected: yes', 'short']) {
    const { placeholder } = lend()
    gate.leases.set(placeholder, { value, host: apiHost })
    const answer = await ask(way, { headers: { Authorization: placeholder } })
    assert.equal(answer.status, 400)
    assert.ok(!answer.body.includes('X-Injected'))
  }
})
