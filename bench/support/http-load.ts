// HTTP load on one server: `wrk` when it is there, which takes little of the machine from what is measured, else a small client
// in a process of its own. Every answer must be 200.
import { execFile, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

export type Load = {
  readonly port: number
  readonly token: string
  /** Below the server; to one that ends in `/` a number is added, so that each request writes another secret. */
  readonly path: string
  /** JSON to POST; without one it is a GET. */
  readonly body?: string | undefined
  readonly connections: number
  readonly seconds: number
}

export type Answered = {
  readonly requests: number
  readonly perSecond: number
  /** Of 100 answers, 99 came within this time. */
  readonly p99Milliseconds: number
}

export const hasWrk = (): boolean => spawnSync('wrk', ['-v']).error === undefined

export function runLoad(load: Load, wrk: boolean, folder: string): Promise<Answered> {
  return wrk ? withWrk(load, folder) : withClient(load)
}

async function withWrk(load: Load, folder: string): Promise<Answered> {
  const script = join(folder, 'load.lua')
  const headers = `{["X-Vault-Token"]="${load.token}",["Content-Type"]="application/json"}`
  writeFileSync(
    script,
    load.body === undefined
      ? `wrk.headers = ${headers} wrk.path = "${load.path}"`
      : `local n = 0
function request()
  n = n + 1
  return wrk.format("POST", "${load.path}"${isFolder(load.path) ? ' .. n' : ''}, ${headers}, '${load.body}')
end`,
  )
  const url = `http://127.0.0.1:${load.port}`
  const out = await output('wrk', [
    '--latency',
    '-t1',
    `-c${load.connections}`,
    `-d${load.seconds}s`,
    '-s',
    script,
    url,
  ])
  const requests = /(\d+) requests in/.exec(out)?.[1]
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(out)?.[1]
  const [, p99, unit = ''] = /99%\s+([\d.]+)(us|ms|s)/.exec(out) ?? []
  if (!requests || !rate || !p99 || /Non-2xx|Socket errors/.test(out))
    throw new Error(`the load failed: ${out}`)
  const p99Milliseconds = Number(p99) * (millisecondsOf[unit] ?? Number.NaN)
  return { requests: Number(requests), perSecond: Number(rate), p99Milliseconds }
}

const millisecondsOf: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 }

const isFolder = (path: string): boolean => path.endsWith('/')

const withClient = async (load: Load): Promise<Answered> =>
  JSON.parse(
    await output(process.execPath, [fileURLToPath(import.meta.url)], JSON.stringify(load)),
  ) as Answered

/** `input` goes to standard input: it holds a token, which is no argument's business. */
const output = (command: string, args: readonly string[], input = ''): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = execFile(command, args, (error, out) => (error ? reject(error) : resolve(out)))
    child.stdin?.end(input)
  })

/** Keeps the connections busy, each with one request at a time. */
async function client({ port, token, path, body, connections, seconds }: Load): Promise<Answered> {
  const head = `HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${token}\r\n`
  const sized = `Content-Type: application/json\r\nContent-Length: ${body?.length ?? 0}\r\n`
  let sent = 0
  const latencies: number[] = []
  const request = (): string =>
    body === undefined
      ? `GET ${path} ${head}\r\n`
      : `POST ${path}${isFolder(path) ? ++sent : ''} ${head}${sized}\r\n${body}`
  const until = performance.now() + seconds * 1000
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      let received = ''
      let askedAt = 0
      const next = (): void => {
        received = ''
        askedAt = performance.now()
        if (performance.now() < until) socket.write(request())
        else socket.end(resolve)
      }
      socket.on('connect', next)
      socket.on('error', reject)
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1')
        const end = received.indexOf('\r\n\r\n')
        const length = /content-length: (\d+)/i.exec(received)
        if (end < 0 || received.length < end + 4 + Number(length?.[1] ?? 0)) return
        if (!received.startsWith('HTTP/1.1 200')) return socket.destroy(new Error(received.slice(0, 200)))
        latencies.push(performance.now() - askedAt)
        next()
      })
    })
  await Promise.all(Array.from({ length: connections }, one))
  const requests = latencies.length
  latencies.sort((a, b) => a - b)
  return {
    requests,
    perSecond: requests / seconds,
    p99Milliseconds: latencies[Math.floor(requests * 0.99)] ?? Number.NaN,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(JSON.stringify(await client(JSON.parse(await text(process.stdin)) as Load)))
