import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Job } from 'kubernetes-types/batch/v1.d.ts'
import { newCertificate } from './certificate.ts'

// The part of the Kubernetes API that the driver uses, on loopback, over TLS. Its "pods" run for real: each is the command
// of the manifest under bubblewrap, with a folder in memory for each mount.

type Running = { job: Job; child: ChildProcess; ended: number | null | undefined }

export type KubernetesServer = {
  env: Record<string, string>
  /** The folder with the account's files. */
  account: string
  jobs: Map<string, Running>
  /** `METHOD path` of each request, in order. */
  requests: string[]
  /** What goes wrong, when set. */
  trouble: { forbidden?: boolean; image?: string; open?: boolean }
  close(): void
}

export async function startKubernetes(folder: string): Promise<KubernetesServer> {
  const { cert, key, ca } = newCertificate('localhost')
  const token = randomBytes(12).toString('hex')
  const account = join(folder, 'account')
  await mkdir(account)
  const files = { token, 'ca.crt': ca, namespace: 'agents' }
  for (const [name, content] of Object.entries(files)) await writeFile(join(account, name), content)
  const jobs: KubernetesServer['jobs'] = new Map()
  const requests: string[] = []
  const trouble: KubernetesServer['trouble'] = {}

  const server = createServer({ cert, key }, (request, response) => {
    requests.push(`${request.method} ${request.url}`)
    answer(request, response).catch(() => response.destroy())
  })
  // The server forgets those that were upgraded.
  const upgraded = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    requests.push(`${request.method} ${request.url}`)
    const name = /\/pods\/pod-([^/]+)\/attach/.exec(request.url ?? '')?.[1] ?? ''
    const one = jobs.get(name)
    if (!one || !isKnown(request)) socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
    else joinStreams(one.child, request, socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0

  const isKnown = ({ headers }: IncomingMessage) =>
    headers.authorization === `Bearer ${token}` && trouble.forbidden !== true

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'https://localhost')
    const say = (status: number, body: object) => {
      response.writeHead(status, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    const failed = (status: number, message: string) =>
      say(status, { kind: 'Status', status: 'Failure', message })
    if (!isKnown(request)) return failed(403, 'jobs.batch is forbidden')
    if (pathname === '/api/v1/namespaces/agents/pods') return say(200, { items: podsOf(searchParams) })
    const match = /^\/apis\/batch\/v1\/namespaces\/agents\/jobs(?:\/(.+))?$/.exec(pathname)
    if (!match) return failed(404, 'no such path')
    const [, name] = match
    if (request.method === 'POST') return create(JSON.parse(await textOf(request)), say)
    if (request.method === 'GET') return say(200, { items: jobsOf(searchParams) })
    const one = jobs.get(name ?? '')
    if (!one) return failed(404, 'not found')
    endPod(one.child)
    jobs.delete(name ?? '')
    say(200, {})
  }

  function create(job: Job, say: (status: number, body: object) => void): void {
    const name = job.metadata?.name ?? ''
    if (jobs.has(name)) {
      say(409, { message: 'already exists' })
      return
    }
    const one: Running = { job, child: startPod(job, trouble.open === true), ended: undefined }
    one.child.once('exit', (code) => {
      one.ended = code
    })
    jobs.set(name, one)
    say(201, job)
  }

  const jobsOf = (search: URLSearchParams) =>
    [...jobs.values()]
      .map(({ job }) => job)
      .filter(({ metadata }) =>
        Object.entries(metadata?.labels ?? {}).some(
          ([key, value]) => `${key}=${value}` === search.get('labelSelector'),
        ),
      )

  function statusOf({ ended }: Running): object {
    if (trouble.image) {
      const waiting = { reason: trouble.image, message: 'no such image' }
      return { phase: 'Pending', containerStatuses: [{ state: { waiting } }] }
    }
    if (ended === undefined) return { phase: 'Running', containerStatuses: [{ state: { running: {} } }] }
    const terminated = { exitCode: ended ?? 137 }
    return { phase: ended === 0 ? 'Succeeded' : 'Failed', containerStatuses: [{ state: { terminated } }] }
  }

  function podsOf(search: URLSearchParams): object[] {
    const name = search.get('labelSelector')?.split('=')[1] ?? ''
    const one = jobs.get(name)
    if (!one) return []
    return [{ metadata: { name: `pod-${name}` }, status: statusOf(one) }]
  }

  return {
    env: {
      KUBERNETES_SERVICE_HOST: 'localhost',
      KUBERNETES_SERVICE_PORT: String(port),
      KEYWARD_SANDBOX_IMAGE: `registry.example/node@sha256:${'a'.repeat(64)}`,
    },
    account,
    jobs,
    requests,
    trouble,
    close() {
      for (const { child } of jobs.values()) endPod(child)
      server.close()
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
    },
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}

/** `open`: as where no network policy is enforced. */
function startPod(job: Job, open: boolean): ChildProcess {
  const pod = job.spec?.template.spec
  const container = pod?.containers[0]
  const user = String(pod?.securityContext?.runAsUser)
  const node = '/opt/keyward/node'
  const mounts = (container?.volumeMounts ?? []).flatMap(({ mountPath }) => ['--tmpfs', mountPath])
  const words = [
    ...[
      '--unshare-all',
      ...(open ? ['--share-net'] : []),
      '--die-with-parent',
      '--as-pid-1',
      '--uid',
      user,
      '--gid',
      user,
    ],
    ...['--clearenv', '--setenv', 'PATH', '/opt/keyward:/usr/bin:/bin', '--ro-bind', '/usr', '/usr'],
    ...['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
    ...[
      '--proc',
      '/proc',
      '--dev',
      '/dev',
      '--ro-bind',
      '/etc/hosts',
      '/etc/hosts',
      ...mounts,
      '--ro-bind',
      process.execPath,
      node,
      '--',
    ],
    ...[...(container?.command ?? []), ...(container?.args ?? [])],
  ]
  // A process group of its own: bubblewrap that is killed while it starts leaves a child that would hold the streams for ever.
  const options = { env: { PATH: process.env['PATH'] }, detached: true } as const
  return spawn('bwrap', words, { ...options, stdio: ['pipe', 'pipe', 'pipe'] })
}

function endPod({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // It has just ended by itself.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** RFC 6455 from the server's side, with `v4.channel.k8s.io`. */
function joinStreams(child: ChildProcess, request: IncomingMessage, socket: Duplex): void {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
  const accept = createHash('sha1').update(key).digest('base64')
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`]
  const chosen = 'Sec-WebSocket-Protocol: v4.channel.k8s.io'
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${[...lines, chosen].join('\r\n')}\r\n\r\n`)
  socket.on('error', () => undefined)
  child.stdin?.on('error', () => undefined)
  const send = (channel: number, payload: Buffer) => {
    const header = Buffer.alloc(11)
    header[0] = 0x82
    header[1] = 127
    header.writeBigUInt64BE(BigInt(payload.length + 1), 2)
    header[10] = channel
    socket.write(Buffer.concat([header, payload]))
  }
  // A ping in between, as a load balancer sends it.
  socket.write(Buffer.from([0x89, 0x00]))
  child.stdout?.on('data', (part: Buffer) => send(1, part))
  child.stderr?.on('data', (part: Buffer) => send(2, part))
  child.once('close', () => socket.end(Buffer.from([0x88, 0x00])))
  let held: Buffer = Buffer.alloc(0)
  socket.on('data', (part: Buffer) => {
    held = Buffer.concat([held, part])
    for (let frame = clientFrame(held); frame; frame = clientFrame(held)) {
      held = held.subarray(frame.end)
      if (frame.opcode === 2 && frame.payload[0] === 0) child.stdin?.write(frame.payload.subarray(1))
    }
  })
  socket.once('close', () => child.stdin?.end())
}

function clientFrame(bytes: Buffer): { opcode: number; payload: Buffer; end: number } | undefined {
  const [first, second] = bytes
  if (bytes.length < 6 || ((second ?? 0) >= 0xfe && bytes.length < 14)) return undefined
  const short = (second ?? 0) & 0x7f
  const at = short === 126 ? 4 : short === 127 ? 10 : 2
  const length =
    short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  const end = at + 4 + length
  if (bytes.length < end) return undefined
  const mask = bytes.subarray(at, at + 4)
  const payload = Buffer.from(bytes.subarray(at + 4, end).map((byte, index) => byte ^ (mask[index % 4] ?? 0)))
  return { opcode: (first ?? 0) & 0x0f, payload, end }
}
