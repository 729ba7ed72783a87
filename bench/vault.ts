/**
 * KV reads and durable writes per second beside OpenBao, one after the other on the same machine: `keyward server --dev` on SQLite
 * and `bao server` with raft storage and a file audit device, both over plain HTTP on loopback, same requests, same client.
 *
 *   node bench/vault.ts [seconds] [connections]   (Node 24)
 *
 * Durability. Writes: both answer after their storage has synced the write to disk. Reads: OpenBao answers once the operating system has the
 * audit line; Keyward by default only when the entry is on disk, which is the stricter promise, and is measured so.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findBao } from '../server/test/support/bao.ts'

const seconds = Number(process.argv[2] ?? 5)
const connections = Number(process.argv[3] ?? 32)
const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
const started: ChildProcess[] = []

type Target = { readonly name: string; readonly port: number; readonly token: string }

const say = (line: string): void => void process.stdout.write(`${line}\n`)

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

function start(command: string, args: readonly string[]): void {
  started.push(spawn(command, args, { stdio: 'ignore', env: { ...process.env, HOME: folder } }))
}

async function call(
  port: number,
  method: string,
  path: string,
  token: string,
  body?: unknown,
): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/v1/${path}`, {
    method,
    headers: { 'X-Vault-Token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

async function untilAnswering(port: number): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const answer = await call(port, 'GET', 'sys/seal-status', '').catch(() => undefined)
    if (answer?.ok) return
    await sleep(100)
  }
  throw new Error(`nothing answers on port ${port}`)
}

async function startKeyward(): Promise<Target> {
  const port = await freePort()
  const token = `bench-${randomBytes(8).toString('hex')}`
  const bin = join(import.meta.dirname, '..', 'server', 'bin', 'keyward.mjs')
  const data = join(folder, 'keyward')
  start(process.execPath, [
    bin,
    'server',
    '--dev',
    `--dev-root-token-id=${token}`,
    `--listen=127.0.0.1:${port}`,
    '--data',
    data,
  ])
  await untilAnswering(port)
  return { name: 'keyward', port, token }
}

async function startBao(path: string): Promise<Target> {
  const [port, cluster] = [await freePort(), await freePort()]
  const raft = mkdtempSync(join(folder, 'raft-'))
  const config = join(folder, 'bao.hcl')
  writeFileSync(
    config,
    `storage "raft" {
  path = "${raft}"
  node_id = "bench"
}
listener "tcp" {
  address = "127.0.0.1:${port}"
  tls_disable = true
}
audit "file" "bench" {
  options {
    file_path = "${join(folder, 'bao-audit.log')}"
  }
}
api_addr = "http://127.0.0.1:${port}"
cluster_addr = "http://127.0.0.1:${cluster}"
`,
  )
  start(path, ['server', `-config=${config}`])
  await untilAnswering(port)
  const made = (await (
    await call(port, 'PUT', 'sys/init', '', { secret_shares: 1, secret_threshold: 1 })
  ).json()) as {
    keys: string[]
    root_token: string
  }
  await call(port, 'PUT', 'sys/unseal', '', { key: made.keys[0] })
  const token = made.root_token
  for (let attempt = 0; attempt < 100; attempt++) {
    const mounted = await call(port, 'POST', 'sys/mounts/secret', token, {
      type: 'kv',
      options: { version: '2' },
    })
    if (mounted.ok) break
    await sleep(200)
  }
  // A new KV 2 mount is being upgraded for a moment and refuses requests meanwhile.
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await call(port, 'POST', 'secret/data/warm', token, { data: { value: 'x' } })).ok) break
    await sleep(200)
  }
  return { name: 'openbao', port, token }
}

/** Keeps `connections` requests under way on raw sockets for the given time, and returns answers per second. */
async function load(target: Target, requestOf: (n: number) => string): Promise<number> {
  let answers = 0
  let failures = 0
  let sent = 0
  const until = performance.now() + seconds * 1000
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(target.port, '127.0.0.1')
      let received = ''
      const next = (): void => {
        received = ''
        if (performance.now() >= until) {
          socket.destroy()
          resolve()
        } else socket.write(requestOf(sent++))
      }
      socket.on('connect', next)
      socket.on('error', reject)
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1')
        const end = received.indexOf('\r\n\r\n')
        const length = /content-length: (\d+)/i.exec(received)
        if (end < 0 || received.length < end + 4 + Number(length?.[1] ?? 0)) return
        if (received.startsWith('HTTP/1.1 200')) answers++
        else failures++
        next()
      })
    })
  await Promise.all(Array.from({ length: connections }, one))
  if (failures > 0) throw new Error(`${target.name}: ${failures} requests failed`)
  return answers / seconds
}

/** The same with `wrk`, which takes less of the machine from the server that is measured. */
function loadWithWrk(target: Target, script: string): Promise<number> {
  const file = join(folder, 'load.lua')
  writeFileSync(file, script)
  const url = `http://127.0.0.1:${target.port}`
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', file, url]
  return new Promise((resolve, reject) => {
    execFile('wrk', args, (error, out) => {
      const rate = /Requests\/sec:\s+([\d.]+)/.exec(out)
      if (error || !rate || out.includes('Non-2xx')) reject(new Error(`${target.name}: ${error ?? out}`))
      else resolve(Number(rate[1]))
    })
  })
}

async function measure(target: Target, wrk: boolean): Promise<{ reads: number; writes: number }> {
  const head = `Host: 127.0.0.1\r\nX-Vault-Token: ${target.token}\r\n`
  const body = JSON.stringify({ data: { value: randomBytes(16).toString('hex') } })
  const write = (path: string): string =>
    `POST /v1/secret/data/${path} HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const read = `GET /v1/secret/data/bench HTTP/1.1\r\n${head}\r\n`
  await call(target.port, 'POST', 'secret/data/bench', target.token, JSON.parse(body))
  const run = randomBytes(4).toString('hex')
  if (!wrk)
    return { reads: await load(target, () => read), writes: await load(target, (n) => write(`${run}/${n}`)) }
  const headers = `{["X-Vault-Token"]="${target.token}"}`
  return {
    reads: await loadWithWrk(target, `wrk.headers = ${headers} wrk.path = "/v1/secret/data/bench"`),
    writes: await loadWithWrk(
      target,
      `local n = 0
function request()
  n = n + 1
  return wrk.format("POST", "/v1/secret/data/${run}/" .. n, ${headers}, '${body}')
end`,
    ),
  }
}

const perSecond = (value: number): string => `${Math.round(value)}/s`

try {
  const bao = await findBao()
  const wrk = spawnSync('wrk', ['-v']).error === undefined
  say(`client   ${wrk ? 'wrk' : 'a small Node client'}, ${connections} connections, ${seconds} s each`)
  const ours = await measure(await startKeyward(), wrk)
  say(`keyward  reads ${perSecond(ours.reads)}  durable writes ${perSecond(ours.writes)}`)
  if ('missing' in bao) say(`openbao  not measured: ${bao.missing}`)
  else {
    const theirs = await measure(await startBao(bao.path), wrk)
    say(`openbao  reads ${perSecond(theirs.reads)}  durable writes ${perSecond(theirs.writes)}`)
    say(
      `ratio    reads ${(ours.reads / theirs.reads).toFixed(1)}  durable writes ${(ours.writes / theirs.writes).toFixed(1)}`,
    )
  }
} finally {
  for (const child of started) child.kill()
  await sleep(500)
  rmSync(folder, { recursive: true, force: true })
}
