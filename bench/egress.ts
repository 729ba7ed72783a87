/**
 * What the way through the egress proxy costs: the time of a request on an open connection and requests a second, direct and
 * through Keyward, without a secret, with one that is exchanged, and with one that the answer repeats. Measured twice: with nothing
 * behind the proxy, so that it alone is measured, and with policy, leases and the audit log on disk, as a server has them; once
 * more from inside a sandbox, when one can be started. Beside it mitmproxy with a small addon, when `mitmdump` is on the path. Then a
 * long download and a long upload, and the memory of the proxy's process meanwhile. Client, proxy, server and destination are
 * processes of their own and share the machine.
 *
 *   node bench/egress.ts [requests] [connections] [megabytes]   (Node 24)
 */
import { readFileSync } from 'node:fs'
import { silentLog, systemClock } from '../server/src/core/index.ts'
import { createAuthority, createProxy } from '../server/src/proxy/index.ts'
import { startDestination } from './support/egress-destination.ts'
import { type Behind, everythingBehind, nothingBehind } from './support/egress-gates.ts'
import { runLoad, runTransfer, type Way } from './support/egress-load.ts'
import { openInside } from './support/egress-sandbox.ts'
import { circumstances, print, rounded } from './support/figures.ts'
import { mitmproxyVersion, startMitmproxy } from './support/mitmproxy.ts'
import { openWorkbench, processorSeconds } from './support/servers.ts'

const [most = 10_000, connections = 16, megabytes = 1024] = process.argv.slice(2).map(Number)
const host = 'api.example.test'
const value = `test-value-${Date.now()}`
const plain = 'words of an answer, '
const mark = '[redacted by Keyward]'
const bytes = megabytes * 1024 * 1024

const bench = openWorkbench()
const authority = createAuthority({ now: () => new Date(), name: 'Destination of a benchmark' })
const destination = await startDestination({ ...authority.leafFor(host), downloadBytes: bytes })
const rule = { host, port: 443, address: `127.0.0.1:${destination.port}`, caPem: authority.certificatePem }
const direct: Way = {
  host,
  ca: authority.certificatePem,
  at: { port: destination.port },
  isProxy: false,
}

type Case = {
  readonly path: string
  readonly wanted: string
  readonly headers?: Readonly<Record<string, string>>
}

type Figures = {
  readonly requestsPerSecond: number
  readonly p50Milliseconds: number
  readonly processorMicroseconds: Readonly<Record<string, number | undefined>>
}
/** By the name of the case. */
type Measured = Readonly<Record<string, Figures>>

/** The rate, the time of one alone, and the processor time a request takes of each process that takes part. */
async function measure(
  way: Way,
  { path, wanted, headers = {} }: Case,
  pids: Readonly<Record<string, number>>,
  requests = most,
): Promise<Figures> {
  const load = { kind: 'requests', way, path, headers, wanted, connections } as const
  const spentOf = (): number[] => Object.values(pids).map(processorSeconds)
  await runLoad({ ...load, alone: 0, requests: Math.min(2000, requests) })
  const before = spentOf()
  const { perSecond, p50Milliseconds } = await runLoad({ ...load, alone: Math.min(1000, requests), requests })
  const total = requests + Math.min(1000, requests)
  const spent = spentOf().map((seconds, at) => rounded(((seconds - (before[at] ?? 0)) * 1e6) / total))
  return {
    requestsPerSecond: rounded(perSecond),
    p50Milliseconds: rounded(p50Milliseconds, 3),
    processorMicroseconds: Object.fromEntries(Object.keys(pids).map((name, at) => [name, spent[at]])),
  }
}

async function withKeyward<T>(
  { gate, agentId }: Behind,
  work: (open: (sandboxId: string) => Promise<Way>, pid: () => number) => Promise<T>,
): Promise<T> {
  const proxy = createProxy({ gate, log: silentLog, clock: systemClock, dataDir: bench.folder })
  await proxy.start()
  try {
    return await work(
      async (sandboxId) => {
        const owner = { sandboxId, agentId, runId: undefined, taskId: undefined }
        const { socketPath, caPem } = await proxy.open({ ...owner, allow: [rule] })
        return { host, ca: caPem, at: { path: socketPath }, isProxy: true }
      },
      () => proxy.health().pid ?? 0,
    )
  } finally {
    await proxy.stop()
  }
}

function casesWith(placeholder: string): Record<string, Case> {
  const headers = { 'X-Key': placeholder }
  return {
    'without a secret': { path: '/', wanted: plain },
    'with a secret exchanged': { path: '/', wanted: plain, headers },
    'with the secret repeated by the answer': { path: '/echo', wanted: mark, headers },
  }
}

const measureKeyward = (behind: Behind): Promise<Measured> =>
  withKeyward(behind, async (open, pid) => {
    const measured: Record<string, Figures> = {}
    for (const [name, one] of Object.entries(casesWith(behind.placeholder)))
      measured[name] = await measure(await open(name.replaceAll(' ', '-')), one, {
        proxy: pid(),
        server: process.pid,
      })
    return measured
  })

/** The same from a process inside a sandbox, whose bridge is part of the way; words where there can be none. */
async function measureInside(behind: Behind): Promise<unknown> {
  const inside = await openInside(bench)
  if (!inside) return 'no sandbox can be started here: see keyward doctor'
  return withKeyward(behind, async (open) => {
    const way = await open('inside')
    if (!('path' in way.at)) throw new Error('the way out of a sandbox is a socket')
    const load = {
      kind: 'requests',
      way,
      path: '/',
      wanted: plain,
      connections,
      alone: 1000,
      requests: most,
    } as const
    const headers = { 'X-Key': behind.placeholder }
    const answered = await inside({ ...load, headers }, { socketPath: way.at.path, caPem: way.ca })
    return {
      requestsPerSecond: rounded(answered.perSecond),
      p50Milliseconds: rounded(answered.p50Milliseconds, 3),
    }
  })
}

/** Fewer requests, because each takes so much longer. */
async function measureMitmproxy(placeholder: string): Promise<Measured> {
  const job = { host, ...destination, caPem: authority.certificatePem, placeholder, value }
  const { port, pid, caPem } = await startMitmproxy(bench, job)
  const way: Way = { host, ca: caPem, at: { port }, isProxy: true }
  const measured: Record<string, Figures> = {}
  for (const [name, one] of Object.entries(casesWith(placeholder)))
    measured[name] = await measure(way, one, { proxy: pid }, Math.ceil(most / 5))
  return measured
}

/** What the way through costs beside the direct one, and how many times the rate of mitmproxy it has. */
const beside = (direct: Figures, mitmproxy: Measured | undefined, measured: Measured) =>
  Object.fromEntries(
    Object.entries(measured).map(([name, figures]) => {
      const theirs = mitmproxy?.[name]?.requestsPerSecond
      const addedMilliseconds = rounded(figures.p50Milliseconds - direct.p50Milliseconds, 3)
      const timesMitmproxy =
        theirs === undefined ? {} : { timesMitmproxy: rounded(figures.requestsPerSecond / theirs, 1) }
      return [name, { ...figures, addedMilliseconds, ...timesMitmproxy }]
    }),
  )

const residentMegabytes = (pid: number): number =>
  rounded(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)

/** A long body in one direction, with a secret lent: the rate, and the proxy's memory at first and at most. */
const measureTransfer = (kind: 'download' | 'upload', behind: Behind) =>
  withKeyward(behind, async (open, pid) => {
    const way = await open(kind)
    const headers = { 'X-Key': behind.placeholder }
    const lent = { kind: 'requests', way, headers, path: '/', wanted: plain } as const
    await runLoad({ ...lent, alone: 0, requests: 200, connections: 1 })
    const memory = [residentMegabytes(pid())]
    const watch = setInterval(() => memory.push(residentMegabytes(pid())), 50)
    const { seconds } = await runTransfer({ kind, way, headers, bytes }).finally(() => clearInterval(watch))
    return {
      megabytes,
      megabytesPerSecond: rounded(megabytes / seconds),
      proxyMegabytes: { before: memory[0], most: Math.max(...memory) },
    }
  })

const alone = nothingBehind(value)
const whole = await everythingBehind(host, value, bench.folder)
try {
  const begun = circumstances()
  const straight = await measure(direct, { path: '/', wanted: plain }, {})
  const proxyAlone = await measureKeyward(alone)
  const asServed = await measureKeyward(whole)
  const inside = await measureInside(alone)
  const version = mitmproxyVersion()
  const mitmproxy = version === undefined ? undefined : await measureMitmproxy(alone.placeholder)
  print({
    ...begun,
    requests: most,
    connections,
    direct: straight,
    'Keyward, nothing behind the proxy': beside(straight, mitmproxy, proxyAlone),
    'Keyward with policy, leases and audit on disk': beside(straight, mitmproxy, asServed),
    'Keyward from inside a sandbox, with a secret exchanged': inside,
    mitmproxy: mitmproxy
      ? { version, ...beside(straight, undefined, mitmproxy) }
      : 'mitmdump is not on the path: PyPI has it as mitmproxy',
    download: await measureTransfer('download', alone),
    upload: await measureTransfer('upload', alone),
    loadAtTheEnd: circumstances().load,
  })
} finally {
  await whole.close()
  destination.stop()
  await bench.end()
}
