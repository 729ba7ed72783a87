// The servers that benchmarks measure: each in a process of its own, in a temporary folder, on loopback.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export type Target = {
  readonly name: string
  readonly port: number
  readonly token: string
  readonly pid: number
}

export type Workbench = {
  readonly folder: string
  start(command: string, args: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess
  end(): Promise<void>
}

const repository = join(import.meta.dirname, '..', '..')

/**
 * The launcher of the package as it would be published, built and put into the bench's folder: what people run. It is smaller and
 * starts sooner than the sources.
 */
export function packageLauncher({ folder }: Pick<Workbench, 'folder'>): string {
  const server = join(repository, 'server')
  execFileSync(process.execPath, [join(server, 'build.ts')], { stdio: ['ignore', 'ignore', 'inherit'] })
  const home = join(folder, 'package')
  for (const name of ['bin', 'dist', 'package.json'])
    cpSync(join(server, name), join(home, name), { recursive: true })
  symlinkSync(join(repository, 'node_modules'), join(home, 'node_modules'))
  return join(home, 'bin', 'keyward.mjs')
}

/** A temporary folder and the processes started for it; `end` ends and removes all of it. */
export function openWorkbench(): Workbench {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
  const started: ChildProcess[] = []
  return {
    folder,
    start(command, args, env = {}) {
      const child = spawn(command, args, { stdio: 'ignore', env: { ...process.env, ...env } })
      started.push(child)
      return child
    },
    async end() {
      for (const child of started) await ended(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Asks a process to end and waits until it has. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise((resolve) => {
    child.once('exit', resolve)
    child.kill()
  })
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

type Place = { readonly launcher: string; readonly data: string; readonly env?: Record<string, string> }

/** `keyward server --dev`: SQLite, every write on disk before it is answered. */
export async function startKeyward(bench: Workbench, name: string, place: Place): Promise<Target> {
  const port = await freePort()
  const token = `bench-${randomBytes(8).toString('hex')}`
  const listen = `--listen=127.0.0.1:${port}`
  const args = ['server', '--dev', `--dev-root-token-id=${token}`, listen, '--data', place.data]
  const child = bench.start(process.execPath, [place.launcher, ...args], place.env)
  await untilAnswering(port)
  return { name, port, token, pid: child.pid ?? 0 }
}

/** `bao server` as its documentation sets up one node: raft storage, a file audit device, one key share. */
export async function startBao(bench: Workbench, bao: string): Promise<Target> {
  const [port, cluster] = [await freePort(), await freePort()]
  const config = join(bench.folder, 'bao.hcl')
  writeFileSync(config, baoConfig(mkdtempSync(join(bench.folder, 'raft-')), bench.folder, port, cluster))
  const child = bench.start(bao, ['server', `-config=${config}`], { HOME: bench.folder })
  await untilAnswering(port)
  const init = await call(port, 'PUT', 'sys/init', '', { secret_shares: 1, secret_threshold: 1 })
  const made = (await init.json()) as { keys: string[]; root_token: string }
  await call(port, 'PUT', 'sys/unseal', '', { key: made.keys[0] })
  const token = made.root_token
  const mount = { type: 'kv', options: { version: '2' } }
  await untilDone(() => call(port, 'POST', 'sys/mounts/secret', token, mount))
  // A new KV 2 mount is being upgraded for a moment and refuses requests meanwhile.
  await untilDone(() => call(port, 'POST', 'secret/data/warm', token, { data: { value: 'x' } }))
  return { name: 'openbao', port, token, pid: child.pid ?? 0 }
}

const baoConfig = (raft: string, folder: string, port: number, cluster: number): string => `storage "raft" {
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
`

export function call(
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

const untilAnswering = (port: number): Promise<void> =>
  untilDone(() => call(port, 'GET', 'sys/seal-status', ''))

async function untilDone(ask: () => Promise<Response>): Promise<void> {
  for (let attempt = 0; attempt < 1500; attempt++) {
    const answer = await ask().catch(() => undefined)
    if (answer?.ok) return
    await sleep(20)
  }
  throw new Error('a server did not become ready')
}

/** Processor time that a process has used, in seconds (Linux; 0 elsewhere). */
export function processorSeconds(pid: number): number {
  const ticksPerSecond = 100
  const fields =
    readProc(pid, 'stat')
      ?.replace(/^.*\) /, '')
      .split(' ') ?? []
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond
}

/** Resident memory: all of it, and with what several processes share divided among them (Linux; 0 elsewhere). */
export function residentMegabytes(pid: number): { rss: number; pss: number } {
  const text = readProc(pid, 'smaps_rollup') ?? ''
  const of = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024
  return { rss: of('Rss'), pss: of('Pss') }
}

/** The processes that a process has started. */
export function childrenOf(pid: number): number[] {
  const listed = readProc(pid, `task/${pid}/children`) ?? ''
  return listed.split(' ').filter(Boolean).map(Number)
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return undefined
  }
}
