import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { apiHost, ask, openProxy, openTls, openUpstream, until } from '../../test/support/egress.ts'
import { createPlaceholderScan } from './placeholders.ts'

const rule = { host: apiHost, port: 443 }
const part = Buffer.alloc(64 * 1024, 'words of a long body, ')
const bodyBytes = 48 * 1024 * 1024
/** Far more than the buffers of all sockets between the two ends hold, far less than the body. */
const buffersBytes = 24 * 1024 * 1024

type Sink = { write(chunk: Buffer): boolean; once(event: 'drain', hear: () => void): unknown }

/** Writes a long body as fast as it is taken, and tells how much was handed over. */
function pourInto(sink: Sink): { readonly bytes: number; readonly done: Promise<void> } {
  const progress = { bytes: 0, done: Promise.resolve() }
  const pour = async (): Promise<void> => {
    while (progress.bytes < bodyBytes) {
      progress.bytes += part.length
      if (!sink.write(part)) await new Promise<void>((resolve) => sink.once('drain', resolve))
    }
  }
  progress.done = pour()
  return progress
}

/** Until nothing has been taken for a while: when this is too early, the tests that wait for it are less strict, not wrong. */
async function standstill(of: { readonly bytes: number }): Promise<void> {
  let seen = -1
  let same = 0
  await until(() => {
    same = of.bytes === seen && of.bytes > 0 ? same + 1 : 0
    seen = of.bytes
    return same >= 30
  })
}

const digestOfBody = (): string => {
  const hash = createHash('sha256')
  for (let bytes = 0; bytes < bodyBytes; bytes += part.length) hash.update(part)
  return hash.digest('hex')
}

async function digestOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk)
  return hash.digest('hex')
}

test('LEND-2: a long answer is not taken faster than the client reads it, with a secret to look for', async (t) => {
  let poured: ReturnType<typeof pourInto> | undefined
  const upstream = await openUpstream(t, (request, response) => {
    if (request.url !== '/long') return response.end('short')
    poured = pourInto(response)
    void poured.done.then(() => response.end())
  })
  const { channel, lend } = await openProxy(t)
  const way = await channel({ ...rule, ...upstream })
  const headers = { Host: apiHost, 'X-Key': lend().placeholder }
  assert.equal((await ask(way, { headers })).body, 'short')
  const tls = await openTls(way)
  const asked = httpRequest({ createConnection: () => tls, path: '/long', headers })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  await until(() => poured !== undefined)
  await standstill(poured ?? assert.fail())
  assert.ok((poured?.bytes ?? 0) < buffersBytes, `${poured?.bytes} bytes lie between the two ends`)
  assert.equal(await digestOf(answer), digestOfBody())
})

test('LEND-2: a long body is not taken faster than the destination reads it', async (t) => {
  const requests: IncomingMessage[] = []
  const upstream = await openUpstream(t, (request) => void requests.push(request))
  const { channel, lend } = await openProxy(t)
  const way = await channel({ ...rule, ...upstream })
  const tls = await openTls(way)
  const headers = { Host: apiHost, 'X-Key': lend().placeholder, 'Content-Length': bodyBytes }
  const asked = httpRequest({ createConnection: () => tls, method: 'PUT', path: '/long', headers })
  const poured = pourInto(asked)
  void poured.done.then(() => asked.end())
  await until(() => requests.length === 1)
  await standstill(poured)
  assert.ok(poured.bytes < buffersBytes, `${poured.bytes} bytes lie between the two ends`)
  assert.equal(await digestOf(requests[0] ?? assert.fail()), digestOfBody())
  asked.on('error', () => {})
  tls.destroy()
})

test('LEND-2: the requests of a tunnel share one connection to the destination, with a secret and without', async (t) => {
  const connections = new Set<Socket>()
  const upstream = await openUpstream(t, (request, response) => {
    connections.add(request.socket)
    response.end('served')
  })
  const { channel, lend, recorded } = await openProxy(t)
  const tls = await openTls(await channel({ ...rule, ...upstream }))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  agent.createConnection = () => tls
  for (const headers of [{}, { 'X-Key': lend().placeholder }, {}]) {
    const asked = httpRequest({ agent, headers: { Host: apiHost, ...headers } }).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    assert.equal(await digestOf(answer), createHash('sha256').update('served').digest('hex'))
  }
  assert.equal(connections.size, 1)
  assert.equal((await recorded(3)).length, 3)
  agent.destroy()
})

test('LEND-2: a placeholder in a long body is found however it is cut', () => {
  const draws = createDraws('placeholder in pieces')
  for (const placeholder of [
    `kwp_${draws.text(32)}`,
    `AKIAKEYW${draws.text(12, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`,
  ]) {
    const data = Buffer.from(`${draws.text(200)}kwp_${draws.text(5)} ${placeholder} ${draws.text(50)}`)
    for (let size = 1; size <= data.length; size++) {
      const scan = createPlaceholderScan()
      const found = Array.from({ length: Math.ceil(data.length / size) }, (_, at) =>
        scan(data.subarray(at * size, (at + 1) * size)),
      )
      assert.ok(found.includes(placeholder), `pieces of ${size}`)
    }
  }
})

const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length
const residentMegabytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

test('SAND-2: thousands of idle connections are refused beyond a number, and starve no other sandbox', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('served'))
  const { channel, proxy } = await openProxy(t, { connections: 32 })
  const [greedy, other] = [await channel({ ...rule, ...upstream }), await channel({ ...rule, ...upstream })]
  assert.equal((await ask(other)).body, 'served')
  const pid = proxy.health().pid ?? 0
  const before = { files: openFiles(pid), megabytes: residentMegabytes(pid) }
  const held = new Set<Socket>()
  t.after(() => {
    for (const socket of held) socket.destroy()
  })
  for (let wave = 0; wave < 50; wave++) {
    await Promise.all(Array.from({ length: 200 }, () => occupy(greedy.socketPath, held)))
  }
  await until(() => held.size <= 32)
  assert.equal((await ask(other)).body, 'served')
  assert.ok(openFiles(pid) - before.files <= 40, `${openFiles(pid)} descriptors, ${before.files} before`)
  const grown = residentMegabytes(pid) - before.megabytes
  assert.ok(grown < 100, `${grown} MB more`)
  for (const socket of held) socket.destroy()
  await until(() =>
    ask(greedy).then(
      ({ body }) => body === 'served',
      () => false,
    ),
  )
})

/** Opens a connection and says nothing; it is held as long as the other side holds it. */
function occupy(socketPath: string, held: Set<Socket>): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => {
      held.add(socket)
      resolve()
    })
    socket.on('error', () => resolve())
    socket.once('close', () => {
      held.delete(socket)
      resolve()
    })
    socket.resume()
  })
}
