import assert from 'node:assert/strict'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { createAnswerReader } from './answer-reader.ts'
import { requestHeaders } from './headers.ts'

const isToHead = false
const mostHeadBytes = 4096
const mostRestMs = 60_000

type Answer = {
  readonly status: number
  readonly words: string
  readonly headers: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

/** What we read of the bytes when they come in such pieces; undefined when they are refused, or no whole answer. */
function ours(text: string, size = text.length): Answer | undefined {
  const reader = createAnswerReader({ isToHead, mostHeadBytes, mostRestMs })
  const bytes = Buffer.from(text, 'latin1')
  const body: Buffer[] = []
  try {
    for (let at = 0; at < bytes.length && !reader.isOver; at += size)
      body.push(...reader.push(bytes.subarray(at, at + size)).parts)
  } catch {
    return undefined
  }
  const { head, isOver, rawTrailers } = reader
  if (!head || !(isOver || head.framing.kind === 'close')) return undefined
  return {
    status: head.statusCode,
    words: head.statusMessage,
    headers: head.rawHeaders,
    body: Buffer.concat(body).toString('latin1'),
    trailers: rawTrailers,
  }
}

/** What Node's own client, with its strict parser, reads of the same. */
async function nodes(text: string): Promise<Answer | undefined> {
  const [near, far] = duplexPair() as [Duplex, Duplex]
  far.resume()
  far.on('error', () => undefined)
  const asked = httpRequest({ createConnection: () => near, headers: { Host: 'x.test' } })
  asked.on('error', () => undefined)
  const answered = new Promise<IncomingMessage | undefined>((resolve) => {
    asked.once('response', resolve)
    asked.once('close', () => resolve(undefined))
    asked.once('upgrade', () => resolve(undefined))
  })
  asked.end()
  far.end(text, 'latin1')
  const answer = await answered
  if (!answer) return undefined
  const body: Buffer[] = []
  try {
    for await (const chunk of answer) body.push(chunk)
  } catch {
    return undefined
  } finally {
    near.destroy()
  }
  return {
    status: answer.statusCode ?? 0,
    words: answer.statusMessage ?? '',
    headers: answer.rawHeaders,
    body: Buffer.concat(body).toString('latin1'),
    trailers: answer.rawTrailers,
  }
}

const plain: Record<string, string> = {
  'a length': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc',
  'no reason': 'HTTP/1.1 204\r\n\r\n',
  'no space either': 'HTTP/1.1 204 \r\n\r\n',
  chunks: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n',
  trailers: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: b\r\nETag: "c"\r\n\r\n',
  'until the end': 'HTTP/1.0 200 OK\r\nX-A:  b \r\n\r\nall of it',
  hints: 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
  latin1: 'HTTP/1.1 200 Gr\xfc\xdfe\r\nX-A: \xe4\tb\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n',
  more: 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb',
}

const head = 'HTTP/1.1 200 OK\r\n'
const chunked = `${head}Transfer-Encoding: chunked\r\n`
const refused: Record<string, string> = {
  'a length and chunks': `${chunked}Content-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  'two lengths': `${head}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  'a list of lengths': `${head}Content-Length: 3, 3\r\n\r\nabc`,
  'a signed length': `${head}Content-Length: +3\r\n\r\nabc`,
  'a coding inside of chunks': `${head}Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  'two codings': `${chunked}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  'chunks in HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  'space before the colon': `${head}Content-Length : 3\r\n\r\nabc`,
  'a folded line': `${head}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n`,
  'a bare line feed': 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n',
  'a bare line feed in a field': `${head}X-A: b\nX-C: d\r\nContent-Length: 0\r\n\r\n`,
  'a bare carriage return': `${head}X-A: b\rX-C: d\r\nContent-Length: 0\r\n\r\n`,
  NUL: `${head}X-A: b\0c\r\nContent-Length: 0\r\n\r\n`,
  'no name': `${head}: b\r\nContent-Length: 0\r\n\r\n`,
  'no colon': `${head}X-A\r\nContent-Length: 0\r\n\r\n`,
  'another version': 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
  'another protocol': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  'no status': 'HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n',
  'a size that is none': `${chunked}\r\n0x3\r\nabc\r\n0\r\n\r\n`,
  'a chunk that is longer than it says': `${chunked}\r\n2\r\nabc\r\n0\r\n\r\n`,
  'a chunk line that ends in a line feed': `${chunked}\r\n3\nabc\r\n0\r\n\r\n`,
  'trailers that are none': `${chunked}\r\n0\r\nX A: b\r\n\r\n`,
  'a head that is too long': `${head}X-A: ${'a'.repeat(mostHeadBytes)}\r\n\r\n`,
  'hints without end': 'HTTP/1.1 100 Continue\r\nX-A: aaaaaaaaaa\r\n\r\n'.repeat(200),
  'a trailer that is too long': `${chunked}\r\n0\r\nX-A: ${'a'.repeat(mostHeadBytes + 4)}\r\n\r\n`,
  'a chunk line that is too long': `${chunked}\r\n3;${'a'.repeat(5000)}\r\nabc\r\n0\r\n\r\n`,
}

test('SAND-2: an answer is read as Node reads it, in whatever pieces it comes', async () => {
  for (const [name, text] of Object.entries(plain)) {
    const read = ours(text)
    assert.deepEqual(read, await nodes(text), name)
    assert.ok(read, name)
    for (const size of [1, 2, 3, 7]) assert.deepEqual(ours(text, size), read, `${name}, by ${size}`)
  }
})

test('SAND-2: a line of nothing but blanks is read in one pass', () => {
  // Of so many, a pass for each of them would take longer than any test may.
  const blanks = ' '.repeat(1_000_000)
  const reader = createAnswerReader({ isToHead, mostHeadBytes: 2 * blanks.length, mostRestMs })
  assert.throws(() => reader.push(Buffer.from(`${head}X-A:${blanks}\0\r\n\r\n`)), {
    code: 'HPE_INVALID_HEADER_TOKEN',
  })
  const listed = ['Connection', `x-a${blanks}x-b, X-C ,`, 'X-C', 'd', 'X-E', 'f']
  const asked = requestHeaders(listed, { method: 'GET', framing: { kind: 'none' }, wholeOnly: false })
  assert.deepEqual(asked, ['X-E', 'f', 'Accept-Encoding', 'identity'])
})

test('SAND-2: an answer that could be read in two ways is none', () => {
  for (const [name, text] of Object.entries(refused))
    for (const size of [text.length, 1]) assert.equal(ours(text, size), undefined, name)
})

test('SAND-2: nothing is taken for an answer that Node’s strict parser refuses, or reads in another way', async () => {
  const { below, bytes } = createDraws('answers')
  const texts = Object.values({ ...plain, ...refused }).filter(({ length }) => length < 400)
  const pieces = ['\r\n', '\n', '\r', ' ', ':', '\0', '\t', '0', ';', ',', 'Content-Length: 1\r\n']
  let taken = 0
  for (let i = 0; i < 600; i++) {
    const text = texts[below(texts.length)] ?? ''
    const at = below(text.length)
    const piece = below(4) === 0 ? bytes(1).toString('latin1') : (pieces[below(pieces.length)] ?? '')
    const altered = text.slice(0, at) + piece + text.slice(at + below(3))
    const read = ours(altered)
    if (!read) continue
    taken++
    assert.deepEqual(read, await nodes(altered), JSON.stringify(altered))
  }
  assert.ok(taken > 50, `${taken}`)
})

test('a connection rests as long as the other side says, and serves nothing after an answer that says so', () => {
  const restOf = (lines: string, version = '1.1'): number | undefined => {
    const reader = createAnswerReader({ isToHead, mostHeadBytes, mostRestMs })
    reader.push(Buffer.from(`HTTP/${version} 200 OK\r\n${lines}\r\n`))
    return reader.head?.restMs
  }
  assert.equal(restOf('Content-Length: 0\r\n'), mostRestMs)
  assert.equal(restOf('Content-Length: 0\r\nKeep-Alive: timeout=5, max=9\r\n'), 4000)
  assert.equal(restOf('Content-Length: 0\r\nKeep-Alive: timeout=1\r\n'), 0)
  assert.equal(restOf('Content-Length: 0\r\nConnection: X, Close\r\n'), 0)
  assert.equal(restOf('Content-Length: 0\r\n', '1.0'), 0)
  assert.equal(restOf(''), 0)
})
