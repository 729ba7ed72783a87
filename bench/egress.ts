/**
 * What the way through the egress proxy costs: the time of a request on an open connection and requests a second, direct and
 * through the proxy, without a secret, with one that is exchanged, and with one that the answer repeats. The gate answers at once, so
 * that only the proxy is measured, not policy and audit log. Then one long answer, and the memory of the proxy's process meanwhile.
 * Client, proxy and destination share the machine.
 *
 *   node bench/egress.ts [requests] [connections] [megabytes]   (Node 24)
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { Secret, silentLog, systemClock } from '../server/src/core/index.ts'
import { createAuthority, createProxy } from '../server/src/proxy/index.ts'
import { circumstances, median, print, rounded } from './support/figures.ts'
import { processorSeconds } from './support/servers.ts'

const [requests = 2000, connections = 16, megabytes = 256] = process.argv.slice(2).map(Number)
const host = 'api.example.test'
const placeholder = `kwp_${'0123456789abcdef'.repeat(2)}`
const value = `test-value-${Date.now()}`
const text = 'words of an answer, '.repeat(50)

const folder = mkdtempSync(join(tmpdir(), 'kwb-'))
const authority = createAuthority({ now: () => new Date(), name: 'Destination of a benchmark' })
const leaf = authority.leafFor(host)
const destination = createServer({ cert: leaf.certificatePem, key: leaf.keyPem }, (request, response) => {
  if (request.url !== '/long')
    return response.end(request.url === '/echo' ? `${text}${request.headers['x-key']}` : text)
  let left = megabytes * 1024 * 1024
  const send = (): void => {
    while (left > 0) {
      left -= text.length
      if (!response.write(text)) return void response.once('drain', send)
    }
    response.end()
  }
  send()
})
await new Promise<void>((resolve) => destination.listen(0, '127.0.0.1', resolve))
const { port } = destination.address() as AddressInfo

const proxy = createProxy({
  gate: {
    admit: async () => ({ allow: true, reason: '' }),
    resolve: async () => ({ value: new Secret(value), leaseId: 'lea_1' }),
    record: async () => undefined,
  },
  log: silentLog,
  clock: systemClock,
  dataDir: folder,
})

type Connect = () => Promise<Duplex>
const secured = (options: { socket?: Duplex; port?: number }, ca: string): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const tls = connectTls({ ...options, host: '127.0.0.1', servername: host, ca }, () => resolve(tls))
    tls.once('error', reject)
  })

/** A tunnel through the proxy, by hand: what a client of a sandbox does. */
const tunnelled = (socketPath: string, ca: string): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const socket = connect(socketPath, () =>
      socket.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`),
    )
    socket.once('error', reject)
    socket.once('data', () => resolve(secured({ socket }, ca)))
  })

function agentOf(open: Connect, maxSockets: number): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets })
  agent.createConnection = (_options, done) => {
    open().then(
      (socket) => done?.(null, socket),
      (error: Error) => done?.(error, undefined as never),
    )
    return undefined
  }
  return agent
}

function ask(
  agent: Agent,
  path: string,
  headers: Record<string, string>,
  onData: (chunk: Buffer) => void = () => {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ agent, path, headers: { Host: host, ...headers } })
    asked.once('error', reject)
    asked.once('response', (answer: IncomingMessage) => {
      answer.on('data', onData)
      answer.once('error', reject)
      answer.once('end', resolve)
    })
    asked.end()
  })
}

type Way = { open: Connect; path: string; headers: Record<string, string> }

async function measure({ open, path, headers }: Way) {
  const alone = agentOf(open, 1)
  for (let i = 0; i < 200; i++) await ask(alone, path, headers)
  const times: number[] = []
  for (let i = 0; i < Math.min(requests, 1000); i++) {
    const begun = performance.now()
    await ask(alone, path, headers)
    times.push(performance.now() - begun)
  }
  alone.destroy()
  const many = agentOf(open, connections)
  let left = requests
  const spent = processorSeconds(proxy.health().pid ?? 0)
  const begun = performance.now()
  const worker = async (): Promise<void> => {
    while (left-- > 0) await ask(many, path, headers)
  }
  await Promise.all(Array.from({ length: connections }, worker))
  const seconds = (performance.now() - begun) / 1000
  many.destroy()
  const proxySeconds = processorSeconds(proxy.health().pid ?? 0) - spent
  return {
    p50Milliseconds: rounded(median(times), 3),
    requestsPerSecond: rounded(requests / seconds),
    proxyMicroseconds: rounded((proxySeconds / requests) * 1e6),
  }
}

const residentMegabytes = (): number =>
  rounded(
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.health().pid}/status`, 'utf8'))?.[1]) / 1024,
  )

try {
  await proxy.start()
  const rule = { host, port: 443, address: `127.0.0.1:${port}`, caPem: authority.certificatePem }
  const owner = { agentId: 'agt_1', runId: undefined, taskId: undefined }
  const opened = async (sandboxId: string): Promise<Connect> => {
    const { socketPath, caPem } = await proxy.open({ sandboxId, ...owner, allow: [rule] })
    return () => tunnelled(socketPath, caPem)
  }
  const direct = () => secured({ port }, authority.certificatePem)
  const key = { 'X-Key': placeholder }
  const ways: Record<string, Way> = {
    direct: { open: direct, path: '/', headers: {} },
    'through the proxy': { open: await opened('plain'), path: '/', headers: {} },
    'with a secret exchanged': { open: await opened('exchange'), path: '/', headers: key },
    'with the secret repeated by the answer': { open: await opened('echo'), path: '/echo', headers: key },
  }
  const measured: Record<string, unknown> = {}
  for (const [name, way] of Object.entries(ways)) measured[name] = await measure(way)

  const memory: number[] = []
  let received = 0
  const begun = performance.now()
  await ask(agentOf(await opened('long'), 1), '/long', key, (chunk) => {
    received += chunk.length
    if (received > (memory.length * megabytes * 1024 * 1024) / 16) memory.push(residentMegabytes())
  })
  const seconds = (performance.now() - begun) / 1000
  print({
    ...circumstances(),
    requests,
    connections,
    ...measured,
    longAnswer: { megabytes, megabytesPerSecond: rounded(megabytes / seconds), proxyMegabytes: memory },
  })
} finally {
  await proxy.stop()
  destination.closeAllConnections()
  destination.close()
  rmSync(folder, { recursive: true, force: true })
}
