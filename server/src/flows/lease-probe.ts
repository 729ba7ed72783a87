import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import type { Proof } from '@keyward/contract'
import { reasonOf } from '../core/index.ts'
import { type Probe, type ProbedLease, unanswered } from '../lend/index.ts'
import type { Proxy as EgressProxy } from '../proxy/index.ts'

const { request: httpRequest } = process.getBuiltinModule('node:http')
const { connect: connectTls } = process.getBuiltinModule('node:tls')

type Needs = { proxy: Pick<EgressProxy, 'open' | 'close'> }
type Way = { readonly socketPath: string; readonly caPem: string }
type Answer = { readonly at: 'connect' | 'request'; readonly status: number; readonly code: string }

const by = 'egress proxy'
const how = 'a request with its placeholder'
const patienceMs = 20_000
/** Nobody listens there: whatever the proxy would let through goes nowhere, not even to the place that it was lent for. */
const nowhere = '127.0.0.1:9'
const probePrefix = 'probe-'

/** Whether a channel was opened to show that a lease has ended, not for a sandbox. */
export const isProbe = (sandboxId: string): boolean => sandboxId.startsWith(probePrefix)

/**
 * Sends a request with the placeholder of an ended lease through the running proxy, on a channel of its own, as the agent's sandbox
 * would: our own proxy is who must refuse it, because the value itself is still good.
 */
export function createProxyProbe({ proxy }: Needs): Probe {
  return async (lease) => {
    const { leaseId, agentId, runId, taskId, destination } = lease
    const sandboxId = `${probePrefix}${leaseId}`
    const { host, port } = destination
    try {
      const allow = [{ host, port, address: nowhere }]
      const way = await proxy.open({ sandboxId, agentId, runId, taskId, allow })
      try {
        return [proofOf(await ask(way, lease))]
      } finally {
        await proxy.close(sandboxId)
      }
    } catch (error) {
      return [unanswered(by, reasonOf(error), how)]
    }
  }
}

/** Before the tunnel, the agent may be stopped, or policy forbid the host; inside, only what is said of the lease counts. */
const refusals = {
  connect: ['egress.denied'],
  request: ['lease.ended', 'lease.not_found', 'agent.inactive'],
} as const satisfies Record<Answer['at'], readonly string[]>

function proofOf({ at, status, code }: Answer): Proof {
  const answer = `${status} ${code}`
  const told: readonly string[] = refusals[at]
  if (told.includes(code)) return { by, how, answer, result: 'refused', livesUntil: null }
  // It asked the way to the destination: the placeholder was exchanged.
  const passed = at === 'request' && (code === 'egress.unreachable' || status < 300)
  return { by, how, answer, result: passed ? 'accepted' : 'unanswered', livesUntil: null }
}

async function ask(way: Way, lease: ProbedLease): Promise<Answer> {
  const opened = await openTunnel(way, lease)
  return 'status' in opened ? opened : askInside(opened, way, lease)
}

function openTunnel({ socketPath }: Way, { destination }: ProbedLease): Promise<Socket | Answer> {
  const path = authorityOf(destination)
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ socketPath, method: 'CONNECT', path, agent: false, timeout: patienceMs })
    asked.once('error', reject)
    asked.once('timeout', () => asked.destroy(new Error('the proxy does not answer in time')))
    asked.once('connect', (answer, socket, head) => {
      const status = answer.statusCode ?? 0
      if (status === 200) return resolve(socket as Socket)
      // The head of a refusal is followed by its words: `egress.denied: …`.
      socket.unshift(head)
      textOf(socket as Socket).then((text) => resolve({ at: 'connect', status, code: codeIn(text) }), reject)
    })
    asked.end()
  })
}

function askInside(socket: Socket, { caPem }: Way, lease: ProbedLease): Promise<Answer> {
  const { host } = lease.destination
  return new Promise((resolve, reject) => {
    const named = isIP(host) === 0 ? { servername: host } : {}
    const tls = connectTls({ socket, host, ca: caPem, ...named })
    tls.once('error', reject)
    const asked = httpRequest({
      createConnection: () => tls,
      method: lease.destination.methods?.[0] ?? 'GET',
      path: '/',
      headers: {
        Host: authorityOf(lease.destination),
        Authorization: `Bearer ${lease.placeholder}`,
      },
      timeout: patienceMs,
    })
    asked.once('error', reject)
    asked.once('timeout', () => asked.destroy(new Error('the proxy does not answer in time')))
    asked.once('response', (answer: IncomingMessage) => {
      const status = answer.statusCode ?? 0
      textOf(answer).then((text) => resolve({ at: 'request', status, code: codeIn(text) }), reject)
      answer.once('end', () => tls.destroy())
    })
    asked.end()
  })
}

const authorityOf = ({ host, port }: { host: string; port: number }): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

async function textOf(from: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of from) if (text.length < 10_000) text += chunk.toString()
  return text
}

/** Of the proxy's own problem document, or of its plain words; nothing else is repeated. */
const codeIn = (text: string): string =>
  /\b([a-z]+\.[a-z_]+)\b/.exec(text.replace(/^.*"code":/s, ''))?.[1] ?? ''
