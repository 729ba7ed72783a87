import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { acceptList, methodOf } from './accept-list.ts'
import { createRequestFraming } from './request-framing.ts'

type Heard = { method: string; url: string; body: string }

/** A server that answers each request and tells what it heard, and a raw connection to it. */
async function setup(t: TestContext) {
  const heard: Heard[] = []
  const server = createServer(async (request: IncomingMessage, response) => {
    const entry = { method: methodOf(request), url: request.url ?? '', body: '' }
    heard.push(entry)
    for await (const chunk of request) entry.body += String(chunk)
    response.end('ok')
  })
  server.on('connection', acceptList)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  /** Sends the pieces one after the other, as separate packets, and waits for as many answers. */
  async function send(pieces: readonly string[], answers: number): Promise<string> {
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    let received = ''
    const done = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        received += String(chunk)
        if ((received.match(/HTTP\/1\.1 /g) ?? []).length >= answers) resolve()
      })
      socket.on('close', () => resolve())
    })
    for (const piece of pieces) {
      await new Promise<void>((resolve) => socket.write(piece, () => resolve()))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await done
    socket.destroy()
    return received
  }
  return { heard, send }
}

const head = 'Host: x\r\n'
const methods = (heard: readonly Heard[]): string[] => heard.map(({ method }) => method)

test('VAULT-2: LIST arrives, on one connection after and before other methods', async (t) => {
  const { heard, send } = await setup(t)
  const get = `GET /a HTTP/1.1\r\n${head}\r\n`
  const list = `LIST /b HTTP/1.1\r\n${head}\r\n`
  await send([get, list, get, list, list], 5)
  assert.deepEqual(methods(heard), ['GET', 'LIST', 'GET', 'LIST', 'LIST'])
})

test('VAULT-2: pipelined requests in one packet are told apart, and bodies stay as they are', async (t) => {
  const { heard, send } = await setup(t)
  const body = 'LIST / HTTP/1.1\r\n\r\nLIST '
  const put = `PUT /a HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`
  const chunked = `POST /c HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n5\r\nLIST \r\n4\r\nLIST\r\n0\r\n\r\n`
  const list = `LIST /b HTTP/1.1\r\n${head}\r\n`
  await send([put + list + chunked + list], 4)
  assert.deepEqual(heard, [
    { method: 'PUT', url: '/a', body },
    { method: 'LIST', url: '/b', body: '' },
    { method: 'POST', url: '/c', body: 'LIST LIST' },
    { method: 'LIST', url: '/b', body: '' },
  ])
})

test('VAULT-2: a LIST with a body, and what follows it', async (t) => {
  const { heard, send } = await setup(t)
  await send([`LIST /b HTTP/1.1\r\n${head}content-length: 2\r\n\r\n{}LIST /c HTTP/1.1\r\n${head}\r\n`], 2)
  assert.deepEqual(methods(heard), ['LIST', 'LIST'])
})

test('VAULT-2: wherever the bytes are split, the same requests arrive', () => {
  const stream =
    `LIST /a HTTP/1.1\r\n${head}\r\n` +
    `PUT /b HTTP/1.1\r\n${head}Content-Length: 9\r\n\r\nLIST LIST` +
    `POST /c HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n5\r\nLIST \r\n0\r\n\r\n` +
    `LIST /d HTTP/1.1\r\n${head}\r\n`
  const expected = stream.replace('LIST /a', 'LINK /a').replace('LIST /d', 'LINK /d')
  for (let first = 0; first <= stream.length; first++)
    for (const step of [1, 2, 3, 7, stream.length]) {
      const framing = createRequestFraming()
      const pieces = [stream.slice(0, first)]
      for (let at = first; at < stream.length; at += step) pieces.push(stream.slice(at, at + step))
      const out = pieces.map((piece) => {
        const bytes = Buffer.from(piece, 'latin1')
        framing.rewrite(bytes)
        return bytes.toString('latin1')
      })
      assert.equal(out.join(''), expected)
    }
})

test('VAULT-2: a LINK of the client does not pass for a LIST, nor does LISK', async (t) => {
  const { heard, send } = await setup(t)
  for (const method of ['LINK', 'LISK'])
    assert.match(await send([`${method} /a HTTP/1.1\r\n${head}\r\n`], 1), /^HTTP\/1\.1 400/)
  assert.deepEqual(heard, [])
})

for (const [what, fields] of [
  ['two lengths', 'Content-Length: 0\r\nContent-Length: 40\r\n'],
  ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n'],
  ['an odd transfer coding', 'Transfer-Encoding: gzip, chunked\r\n'],
  ['a length that is none', 'Content-Length: +4\r\n'],
  ['a space before the colon', 'Content-Length : 4\r\n'],
  ['a folded line', 'A: b\r\n c\r\n'],
  ['a bare line feed', 'A: b\nContent-Length: 4\r\n'],
  ['another protocol', 'Upgrade: websocket\r\n'],
] as const)
  test(`VAULT-2: after ${what} nothing on the connection is rewritten any more`, () => {
    const framing = createRequestFraming()
    const bytes = Buffer.from(`POST /a HTTP/1.1\r\n${head}${fields}\r\nLIST / HTTP/1.1\r\n\r\n`)
    const before = Buffer.from(bytes)
    framing.rewrite(bytes)
    assert.deepEqual(bytes, before)
    assert.equal(framing.isSure(), false)
  })

test('VAULT-2: a head without end is not collected for ever', () => {
  const framing = createRequestFraming()
  framing.rewrite(Buffer.from('GET / HTTP/1.1\r\n'))
  for (let i = 0; i < 100; i++) framing.rewrite(Buffer.alloc(1024, 'a'))
  assert.equal(framing.isSure(), false)
})
