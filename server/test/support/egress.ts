// What the tests of the egress proxy share: a real child process, a real TLS server, and a client that speaks CONNECT by hand.
import { createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { AppError, type Clock, Secret, silentLog } from '../../src/core/index.ts'
import type { EgressRule } from '../../src/proxy/destination.ts'
import type { EgressClaim, EgressRecord, Gate } from '../../src/proxy/gate.ts'
import type { ByteBudget, Limits } from '../../src/proxy/messages.ts'
import { createProxy, type Proxy as EgressProxy } from '../../src/proxy/proxy.ts'
import type { Scope } from '../../src/proxy/sigv4.ts'
import { createAuthority } from '../../src/proxy/x509.ts'
import { cleanUp } from './clean-up.ts'

export const apiHost = 'api.example.test'

/** Timers that keep the test alive while it waits for one. */
export const testClock: Clock = {
  now: () => new Date(),
  after(milliseconds, call) {
    const timer = setTimeout(call, milliseconds)
    return () => clearTimeout(timer)
  },
}

export const newPlaceholder = (): string => `kwp_${randomBytes(16).toString('hex')}`
/** Has characters that every encoding writes differently. */
export const newValue = (): string =>
  `test/${randomBytes(12).toString('base64url')}+"${randomBytes(6).toString('hex')}`

/** An HTTPS server on loopback, with a certificate for `host` from an authority of its own. */
export async function openUpstream(
  t: TestContext,
  handle: RequestListener,
  host = apiHost,
): Promise<{ address: string; caPem: string }> {
  const authority = createAuthority({ now: () => new Date(), name: 'Upstream of a test' })
  const { certificatePem, keyPem } = authority.leafFor(host)
  const server = createServer({ cert: certificatePem, key: keyPem }, handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    server.close()
  })
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, caPem: authority.certificatePem }
}

export type TestGate = Gate & {
  readonly records: EgressRecord[]
  readonly claims: EgressClaim[]
  readonly lookups: string[]
  readonly leases: Map<
    string,
    {
      value: string
      host: string
      ended?: boolean
      prefix?: string
      aws?: Aws
      certificatePem?: string
      bytesLeft?: number
      /** Instead of the one that all have. */
      leaseId?: string
      partOf?: ByteBudget
      expiresAt?: Date
    }
  >
  readonly denied: Set<string>
  readonly names: Map<string, string[]>
  /** Instead of `names`. */
  resolveName?: (host: string) => Promise<string[]>
  failing: boolean
}

type Aws = { readonly accessKeyId: string; readonly sessionToken?: string }

function signingOf(secretKey: string, { date, region, service }: Scope, { accessKeyId, sessionToken }: Aws) {
  const from: Buffer = Buffer.from(`AWS4${secretKey}`)
  const parts = [date, region, service, 'aws4_request']
  const key = parts.reduce((parent, part) => createHmac('sha256', parent).update(part).digest(), from)
  const token = sessionToken === undefined ? undefined : new Secret(sessionToken)
  return { value: new Secret(key.toString('hex')), aws: { accessKeyId, sessionToken: token } }
}

/** A gate as main composes one, with leases in memory. */
export function createTestGate(): TestGate {
  const gate: TestGate = {
    records: [],
    claims: [],
    lookups: [],
    leases: new Map(),
    denied: new Set(),
    names: new Map(),
    failing: false,
    admit: async ({ host }) => ({ allow: !gate.denied.has(host), reason: 'policy of this test' }),
    async resolve(claim) {
      gate.claims.push(claim)
      const lease = gate.leases.get(claim.placeholder)
      if (!lease) throw new AppError('lease.not_found')
      if (lease.host !== claim.host) throw new AppError('egress.denied', 'The lease is for another host.')
      if (lease.ended) throw new AppError('lease.ended')
      const { prefix, bytesLeft, expiresAt, certificatePem, partOf, leaseId = 'lease_1' } = lease
      const own = bytesLeft === undefined ? [] : [{ leaseId, bytesLeft }]
      const budgets = [...own, ...(partOf ? [partOf] : [])]
      const more = { ...(prefix === undefined ? {} : { prefix }), budgets, expiresAt, certificatePem }
      if (lease.aws && claim.signing)
        return { ...signingOf(lease.value, claim.signing, lease.aws), leaseId: 'lease_1' }
      return { value: new Secret(lease.value), leaseId, ...more }
    },
    async record(entry) {
      if (gate.failing) throw new AppError('audit.unavailable')
      gate.records.push(entry)
    },
  }
  return gate
}

export type World = {
  readonly proxy: EgressProxy
  readonly gate: TestGate
  readonly dataDir: string
  /** Opens a channel; every rule is complete. */
  channel(...allow: EgressRule[]): Promise<{ socketPath: string; caPem: string; sandboxId: string }>
  lend(host?: string): { placeholder: string; value: string }
  /** Resolves when so many requests are recorded. */
  recorded(count: number): Promise<EgressRecord[]>
}

export async function openProxy(
  t: TestContext,
  limits: Partial<Limits> = {},
  dataDir = mkdtempSync(join(tmpdir(), 'kwt-')),
  clock = testClock,
): Promise<World> {
  const gate = createTestGate()
  const proxy = proxyFor(() => gate, { limits, dataDir, clock })
  cleanUp(t, async () => {
    await proxy.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  await proxy.start()
  return worldOf(gate, proxy, dataDir, () => undefined)
}

/**
 * For a file of tests that differ in nothing but what they ask: one proxy, and for each test a gate, leases and records of its
 * own. A test closes its channels, which ends what it left open and waits for the records of it, before the next one begins.
 */
export function shareProxy(): (t: TestContext) => Promise<World> {
  const dataDir = mkdtempSync(join(tmpdir(), 'kwt-'))
  let gate = createTestGate()
  const proxy = proxyFor(() => gate, { limits: {}, dataDir, clock: testClock })
  const started = proxy.start()
  after(async () => {
    await proxy.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  return async (t) => {
    await started
    gate = createTestGate()
    const opened: string[] = []
    cleanUp(t, async () => {
      for (const sandboxId of opened) await proxy.close(sandboxId)
    })
    return worldOf(gate, proxy, dataDir, (sandboxId) => opened.push(sandboxId))
  }
}

type Settings = { limits: Partial<Limits>; dataDir: string; clock: Clock }

function proxyFor(gate: () => TestGate, settings: Settings): EgressProxy {
  return createProxy({
    gate: {
      admit: (question) => gate().admit(question),
      resolve: (claim) => gate().resolve(claim),
      record: (entry) => gate().record(entry),
    },
    log: silentLog,
    ...settings,
    lookup: async (host) => {
      const { lookups, resolveName, names } = gate()
      lookups.push(host)
      return resolveName ? resolveName(host) : (names.get(host) ?? [])
    },
  })
}

const worldOf = (
  gate: TestGate,
  proxy: EgressProxy,
  dataDir: string,
  onOpened: (sandboxId: string) => void,
): World => ({
  proxy,
  gate,
  dataDir,
  async channel(...allow) {
    const sandboxId = `sbx_${randomBytes(6).toString('hex')}`
    const owner = { sandboxId, agentId: 'agt_1', runId: 'run_1', taskId: 'task_1' }
    onOpened(sandboxId)
    return { sandboxId, ...(await proxy.open({ ...owner, allow })) }
  },
  lend(host = apiHost) {
    const lease = { placeholder: newPlaceholder(), value: newValue() }
    gate.leases.set(lease.placeholder, { value: lease.value, host })
    return lease
  },
  async recorded(count) {
    await until(() => gate.records.length >= count)
    return gate.records
  },
})

/** Waits for something that happens in another process; the test runner's own time limit ends a wait in vain. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10))
}

const readSocket = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.once('close', () => resolve(text))
  })

/** Sends bytes to the proxy and reads until it closes. */
export function talk(socketPath: string, text: string): Promise<string> {
  const socket = connect(socketPath, () => socket.write(text))
  return readSocket(socket)
}

/** CONNECTs; gives the status line when the proxy refuses. */
export function openTunnel(socketPath: string, authority: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ socketPath, method: 'CONNECT', path: authority, agent: false })
    asked.once('error', reject)
    asked.once('connect', (answer, socket, head) => {
      if (answer.statusCode === 200) return resolve(socket)
      let body = head.toString()
      socket.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      socket.once('close', () => reject(new Error(`${answer.statusCode} ${body.trim()}`)))
    })
    asked.end()
  })
}

type Way = {
  socketPath: string
  caPem: string
  host?: string
  port?: number
  serverName?: string
  alpn?: string[]
}

/** The client's end of TLS inside a tunnel. */
export async function openTls({
  socketPath,
  caPem,
  host = apiHost,
  port = 443,
  serverName,
  alpn,
}: Way): Promise<Socket> {
  const socket = await openTunnel(socketPath, `${host}:${port}`)
  // A server name that differs from the tunnel's is the point of some tests: the certificate is still the tunnel's.
  const checked = serverName === undefined ? {} : { checkServerIdentity: () => undefined }
  return new Promise((resolve, reject) => {
    const tls = tlsConnect(
      {
        socket,
        servername: serverName ?? host,
        ca: caPem,
        ...checked,
        ...(alpn ? { ALPNProtocols: alpn } : {}),
      },
      () => resolve(tls),
    )
    tls.once('error', reject)
  })
}

/** Sends raw bytes inside a tunnel and reads until the end. */
export async function talkInside(way: Way, text: string): Promise<string> {
  const tls = await openTls(way)
  const answer = readSocket(tls)
  tls.write(text)
  return answer
}

export type Answer = {
  readonly status: number
  readonly statusText: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: string
}

type Asked = { method?: string; path?: string; headers?: Record<string, string>; body?: string | Buffer }

/** One request through a tunnel of its own, parsed by Node. */
export async function ask(
  way: Way,
  { method = 'GET', path = '/', headers = {}, body }: Asked = {},
): Promise<Answer> {
  const { host = apiHost, port = 443 } = way
  const tls = await openTls(way)
  return new Promise((resolve, reject) => {
    const named = port === 443 ? host : `${host}:${port}`
    const asked = httpRequest({
      createConnection: () => tls,
      method,
      path,
      headers: { Host: named, ...headers },
    })
    asked.once('error', reject)
    asked.once('response', (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.once('error', reject)
      answer.once('end', () => {
        tls.destroy()
        resolve({
          status: answer.statusCode ?? 0,
          statusText: answer.statusMessage ?? '',
          headers: answer.headers,
          rawHeaders: answer.rawHeaders,
          body: Buffer.concat(chunks).toString(),
        })
      })
    })
    asked.end(body)
  })
}

/** The whole of a request's body. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** What runs inside a sandbox in front of its socket: a TCP port on loopback. */
export async function relayTo(t: TestContext, socketPath: string): Promise<string> {
  const relay = createNetServer((client) => {
    const proxy = connect(socketPath)
    client.on('error', () => proxy.destroy())
    proxy.on('error', () => client.destroy())
    client.pipe(proxy).pipe(client)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  t.after(() => relay.close())
  return `http://127.0.0.1:${(relay.address() as AddressInfo).port}`
}
