import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { Secret, silentLog } from '../../src/core/index.ts'
import { createDialect } from '../../src/http/vault/dialect.ts'
import { createRequestFraming } from '../../src/http/vault/request-framing.ts'
import type { Fuzzed } from './fuzzed.ts'

/** A connection without a network. */
class Line extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _: string, done: () => void): void {
    done()
  }
  setTimeout(): this {
    return this
  }
}

type Heard = { method: string; url: string; headers: string[]; body: string }

/** What Node's own parser makes of the bytes. */
async function heardBy(bytes: Buffer): Promise<Heard[]> {
  const heard: Heard[] = []
  const server = createServer({ requireHostHeader: false }, (request: IncomingMessage, response) => {
    const entry = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.rawHeaders,
      body: '',
    }
    heard.push(entry)
    request.setEncoding('latin1').on('data', (text: string) => {
      entry.body += text
    })
    request.on('error', () => undefined)
    response.end()
  })
  server.on('clientError', (_, socket) => socket.destroy())
  server.on('upgrade', (_, socket) => socket.destroy())
  server.on('connect', (_, socket) => socket.destroy())
  const line = new Line()
  line.on('error', () => undefined)
  server.emit('connection', line)
  line.push(bytes)
  line.push(null)
  for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve))
  line.destroy()
  return heard
}

function rewritten(bytes: Buffer, cuts: readonly number[]): { bytes: Buffer; sure: boolean } {
  const framing = createRequestFraming()
  const copy = Buffer.from(bytes)
  const places = [0, ...cuts.map((cut) => cut % (copy.length + 1)).sort((a, b) => a - b), copy.length]
  for (let i = 1; i < places.length; i++) framing.rewrite(copy.subarray(places[i - 1], places[i]))
  return { bytes: copy, sure: framing.isSure() }
}

/** Text that looks like requests, for bodies. */
const bait = fc.constantFrom(
  'LIST /v1/a HTTP/1.1\r\n\r\n',
  'LINK /v1/a HTTP/1.1\r\n\r\n',
  '\r\n\r\nLIST ',
  '0\r\n\r\nLIST /x HTTP/1.1\r\n\r\n',
  'LIS',
  'LISTLIST',
  '\n\nLIST / HTTP/1.1\n\n',
)
const bodyText = fc
  .array(fc.oneof(bait, fc.string({ maxLength: 12 })), { maxLength: 4 })
  .map((parts) => parts.join(''))
const path = fc.constantFrom('/v1/secret/a', '/v1/sys/health?list=true', '/', '*')
const oddField = fc.constantFrom(
  'X-A: b',
  'x-list: LIST / HTTP/1.1',
  'Connection: keep-alive',
  'Connection: close',
  'Content-Length : 3',
  'content-length: 0',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding:  chunked',
  'Upgrade: h2c',
  'Expect: 100-continue',
  ' folded',
  'X-B: a\n c: d',
)

const chunkedBody = (text: string, extension: string): string => {
  const bytes = Buffer.from(text, 'latin1')
  const first = bytes.subarray(0, Math.ceil(bytes.length / 2))
  const second = bytes.subarray(first.length)
  return [first, second]
    .filter((part) => part.length > 0)
    .map((part) => `${part.length.toString(16)}${extension}\r\n${part.toString('latin1')}\r\n`)
    .concat('0\r\n\r\n')
    .join('')
}

const message = (methods: readonly string[]): fc.Arbitrary<string> =>
  fc
    .record({
      method: fc.constantFrom(...methods),
      url: path,
      body: bodyText.map((text) => text.replace(/[^\x20-\x7e\r\n]/g, '?')),
      framing: fc.constantFrom<Framing[]>('none', 'length', 'chunked', 'extended', 'both', 'short'),
      odd: fc.oneof({ weight: 4, arbitrary: fc.constant('') }, { weight: 1, arbitrary: oddField }),
    })
    .map(({ method, url, body, framing, odd }) => {
      const { fields, sent } = framed(body, framing)
      const all = ['Host: localhost', ...(odd === '' ? [] : [odd]), ...fields]
      return `${method} ${url} HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n${sent}`
    })

type Framing = 'none' | 'length' | 'chunked' | 'extended' | 'both' | 'short'

/** A body with the fields that announce it, rightly or not. */
function framed(body: string, framing: Framing): { fields: string[]; sent: string } {
  const length = Buffer.byteLength(body, 'latin1')
  const chunked = 'Transfer-Encoding: chunked'
  switch (framing) {
    case 'none':
      return { fields: [], sent: '' }
    case 'length':
      return { fields: [`Content-Length: ${length}`], sent: body }
    case 'short':
      return { fields: [`Content-Length: ${Math.max(0, length - 3)}`], sent: body }
    case 'chunked':
      return { fields: [chunked], sent: chunkedBody(body, '') }
    case 'extended':
      return { fields: [chunked], sent: chunkedBody(body, ';a=b') }
    case 'both':
      return { fields: [`Content-Length: ${length}`, chunked], sent: chunkedBody(body, '') }
  }
}

const stream = (methods: readonly string[]): fc.Arbitrary<Buffer> =>
  fc
    .tuple(
      fc.array(message(methods), { minLength: 1, maxLength: 4 }),
      fc.array(fc.record({ at: fc.nat(600), put: fc.constantFrom('\r', '\n', ' ', 'L', ':', '0', '') }), {
        maxLength: 2,
      }),
    )
    .map(([messages, edits]) => {
      const text = edits.reduce((whole, { at, put }) => {
        const place = at % (whole.length + 1)
        return whole.slice(0, place) + put + whole.slice(place + (put === '' ? 1 : 0))
      }, messages.join(''))
      return Buffer.from(text, 'latin1')
    })

const withoutMethods = (heard: readonly Heard[]): unknown =>
  heard.map(({ url, headers, body }) => ({ url, headers, body }))

export const requestProperties: readonly Fuzzed[] = [
  {
    name: 'framing: what Node hears up to the first LIST, it hears as if nothing had looked at it',
    property: fc.asyncProperty(
      stream(['GET', 'POST', 'PUT', 'DELETE']),
      fc.array(fc.nat(2000), { maxLength: 6 }),
      async (bytes, cuts) => {
        const seen = rewritten(bytes, cuts)
        const [heard, after] = await Promise.all([heardBy(bytes), heardBy(seen.bytes)])
        // An edit of the stream may have made a request of what was a body. Node stops at a LIST, and the rewriter makes
        // nothing of what was a LINK from the beginning.
        const link = heard.findIndex(({ method }) => method === 'LINK')
        const before = link < 0 ? heard : heard.slice(0, link)
        assert.deepEqual(after.slice(0, before.length), before)
        if (after.length > before.length) assert.equal(after[before.length]?.method, 'LINK')
      },
    ),
  },
  {
    name: 'framing: whatever is rewritten, Node hears the same places, fields and bodies',
    property: fc.asyncProperty(
      stream(['GET', 'LIST', 'LINK', 'POST']),
      fc.array(fc.nat(2000), { maxLength: 6 }),
      async (bytes, cuts) => {
        // LIST is none of Node's methods, so the comparison has LINK in all the places that are rewritten or not.
        const seen = rewritten(bytes, cuts)
        const whole = rewritten(bytes, [])
        assert.deepEqual(seen.bytes, whole.bytes, 'however the bytes arrive')
        const after = await heardBy(seen.bytes)
        for (let i = 0; i < bytes.length; i++) {
          if (bytes[i] === seen.bytes[i]) continue
          const word = bytes.subarray(Math.max(0, i - 3), i + 4).toString('latin1')
          assert.match(word, /LI[SN]/, 'only letters of these methods are changed')
        }
        const plain = Buffer.from(bytes.toString('latin1').replace(/^LIST /, 'LINK '), 'latin1')
        if (seen.sure && !bytes.subarray(1).includes('LIST') && !bytes.includes('LINK'))
          assert.deepEqual(withoutMethods(after), withoutMethods(await heardBy(plain)))
      },
    ),
  },
  {
    name: 'paths: what is asked of the vault has no dots, doubled slashes or control characters in it, or is refused',
    property: fc.asyncProperty(
      fc.oneof(
        fc.webPath(),
        fc
          .string({ unit: 'binary' })
          .map((text) => `/${encodeURIComponent(text.replace(/[\ud800-\udfff]/g, ''))}`),
        fc
          .array(
            fc.constantFrom(
              'a',
              '/',
              '.',
              '..',
              '%2e',
              '%2E%2e',
              '%2f',
              '%5c',
              '%00',
              '%',
              '%c0%ae',
              '+',
              '//',
              '%252e',
              '?list=true',
            ),
          )
          .map((parts) => `/${parts.join('')}`),
      ),
      async (url) => {
        let asked = ''
        const ask = createDialect({
          log: silentLog,
          vault: {
            async handle({ path: wanted }) {
              asked = wanted
              return { status: 200, body: new Secret('{}') }
            },
          },
        })
        const { status } = await ask({
          method: 'GET',
          url: `/v1${url}`,
          headers: {},
          body: undefined,
          remoteAddress: undefined,
        })
        assert.ok([200, 400].includes(status))
        // A list of nothing is the only path that is a slash; no rule and no route is there.
        if (asked !== '/') assert.doesNotMatch(asked, /(?:^|\/)\.{1,2}(?:\/|$)|\/\/|^\/|\p{Cc}/u)
      },
    ),
  },
]
