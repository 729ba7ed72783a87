// Requests over HTTPS, straight to a destination or through a proxy that speaks CONNECT, from a process of its own. They are
// written and read by hand, so that little of the machine is taken from what is measured.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { median } from './figures.ts'

/** How a client gets to the destination. */
export type Way = {
  readonly host: string
  readonly ca: string
  /** Where it connects to: the destination itself, or a proxy that it asks for a tunnel. */
  readonly at: { readonly path: string } | { readonly port: number }
  readonly isProxy: boolean
}
export type Load = {
  readonly kind: 'requests'
  readonly way: Way
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Stands in each answer. */
  readonly wanted: string
  /** One after the other on one connection, for the time of each. */
  readonly alone: number
  /** In all, on so many connections at once, for the rate. */
  readonly requests: number
  readonly connections: number
}
export type Transfer = {
  readonly kind: 'download' | 'upload'
  readonly way: Way
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: number
}
export type Answered = {
  readonly p50Milliseconds: number
  readonly perSecond: number
}
export type Transferred = { readonly seconds: number }

export const runLoad = (load: Load): Promise<Answered> => inProcess(load) as Promise<Answered>
export const runTransfer = (transfer: Transfer): Promise<Transferred> =>
  inProcess(transfer) as Promise<Transferred>

/** What a process is given to do the same elsewhere: a file as its only argument, instead of its standard input. */
export const loadProgram = fileURLToPath(import.meta.url)

/** By standard input, because it may hold what passes for a secret. */
async function inProcess(job: Load | Transfer): Promise<unknown> {
  const child = spawn(process.execPath, [loadProgram], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(JSON.stringify(job))
  const answer = await text(child.stdout)
  if (answer === '') throw new Error('the client of the benchmark failed; what it met stands above')
  return JSON.parse(answer)
}

/** The connection to whom the client speaks first, with the tunnel through it when that is a proxy. */
async function reach({ at, isProxy, host }: Way): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', ...at, noDelay: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  if (!isProxy) return socket
  socket.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`)
  const [said] = await new Promise<Buffer[]>((resolve) => socket.once('data', (...data) => resolve(data)))
  if (!said?.toString().startsWith('HTTP/1.1 200')) throw new Error(`no tunnel: ${said}`)
  return socket
}

async function open(way: Way): Promise<TLSSocket> {
  const tls = connectTls({ socket: await reach(way), servername: way.host, ca: way.ca })
  await new Promise((resolve, reject) => tls.once('secureConnect', resolve).once('error', reject))
  return tls
}

const headOf = (
  method: string,
  path: string,
  host: string,
  headers: Readonly<Record<string, string>>,
): string =>
  `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`

/** Whether an answer is there to its end, which its length or its last chunk tells. */
function isWhole(answer: string): boolean {
  const body = answer.indexOf('\r\n\r\n') + 4
  if (body < 4) return false
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(answer.slice(0, body))?.[1]
  return length === undefined ? answer.endsWith('0\r\n\r\n') : answer.length >= body + Number(length)
}

/** Sends one request after the other until `more` says that it was the last. */
async function ask({ way, path, headers, wanted }: Load, more: () => boolean): Promise<number[]> {
  const tls = await open(way)
  const request = headOf('GET', path, way.host, headers)
  const times: number[] = []
  let askedAt = 0
  let answer = ''
  const next = (): void => {
    answer = ''
    askedAt = performance.now()
    if (more()) tls.write(request)
    else tls.end()
  }
  tls.setEncoding('latin1')
  tls.on('data', (chunk: string) => {
    answer += chunk
    if (!isWhole(answer)) return
    if (!answer.startsWith('HTTP/1.1 200') || !answer.includes(wanted))
      return tls.destroy(new Error(`not what was asked for: ${answer.slice(0, 500)}`))
    times.push(performance.now() - askedAt)
    next()
  })
  const ended = new Promise((resolve, reject) => tls.once('close', resolve).once('error', reject))
  next()
  await ended
  return times
}

function atMost(requests: number): () => boolean {
  let left = requests
  return () => left-- > 0
}

async function measure(load: Load): Promise<Answered> {
  const times = await ask(load, atMost(load.alone))
  const more = atMost(load.requests)
  const begun = performance.now()
  await Promise.all(Array.from({ length: load.connections }, () => ask(load, more)))
  const seconds = (performance.now() - begun) / 1000
  return {
    p50Milliseconds: median(times.slice(Math.floor(times.length / 5))),
    perSecond: load.requests / seconds,
  }
}

async function transfer({ kind, way, headers, bytes }: Transfer): Promise<Transferred> {
  const tls = await open(way)
  const begun = performance.now()
  const ended = new Promise((resolve, reject) => tls.once('end', resolve).once('error', reject))
  let received = 0
  let beginning = ''
  tls.on('data', (chunk: Buffer) => {
    received += chunk.length
    if (beginning.length < 500) beginning += chunk.toString('latin1')
  })
  const sized = kind === 'upload' ? { 'Content-Length': String(bytes) } : {}
  const closing = { ...headers, ...sized, Connection: 'close' }
  tls.write(headOf(kind === 'upload' ? 'PUT' : 'GET', `/${kind}`, way.host, closing))
  if (kind === 'upload') await sendBody(tls, bytes)
  await ended
  if (!beginning.startsWith('HTTP/1.1 200') || (kind === 'download' && received < bytes))
    throw new Error(`${kind} broke off after ${received} bytes: ${beginning.slice(0, 300)}`)
  return { seconds: (performance.now() - begun) / 1000 }
}

async function sendBody(tls: TLSSocket, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  for (let left = bytes; left > 0; left -= chunk.length)
    if (!tls.write(chunk.subarray(0, left))) await new Promise((resolve) => tls.once('drain', resolve))
}

if (process.argv[1] === loadProgram) {
  const [, , file] = process.argv
  const order = file === undefined ? await text(process.stdin) : readFileSync(file, 'utf8')
  const job = JSON.parse(order) as Load | Transfer
  const result = job.kind === 'requests' ? await measure(job) : await transfer(job)
  process.stdout.write(JSON.stringify(result))
}
