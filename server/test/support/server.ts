// The real `keyward server` as a child process: its own data folder, a random port, its standard streams kept.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { ArgumentsOf, Json, Operation, ResultOf } from '@keyward/contract'
import { cleanUp } from './clean-up.ts'
import { compiledBefore, launcher, type Outcome, runToEnd } from './keyward-command.ts'

export type Reply = {
  readonly status: number
  readonly type: string
  readonly headers: Headers
  /** Parsed JSON, or text. */
  readonly body: unknown
}

type Asked = { body?: unknown; token?: string | null; headers?: Record<string, string> }

export type RunningServer = {
  readonly address: string
  readonly dataDir: string
  /** Of the development server: its root token, which is also its owner. */
  readonly token: string
  readonly pid: number
  /** All that the server has written to standard output and error. */
  output(): string
  /** Any request; the token is sent unless it is null. */
  ask(method: string, path: string, asked?: Asked): Promise<Reply>
  /** An operation of the contract that is expected to succeed. */
  call<O extends Operation>(operation: O, args: ArgumentsOf<O>, token?: string): Promise<ResultOf<O>>
  /** The command line against this server. */
  keyward(args: readonly string[], more?: { env?: Record<string, string>; input?: string }): Promise<Outcome>
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<number>
}

type Options = {
  readonly dataDir?: string
  readonly token?: string
  /** Instead of `--dev --dev-root-token-id`. */
  readonly args?: readonly string[]
  readonly env?: Record<string, string>
  /** A program and its arguments that become the server (`exec`), for example to run it in a namespace. */
  readonly wrap?: readonly string[]
}

export const newRootToken = (): string => `test-root-${randomBytes(9).toString('hex')}`

/** A folder for data or a project, removed after the test. */
export function scratchFolder(t: TestContext, name = 'data'): string {
  const path = mkdtempSync(join(tmpdir(), `keyward-${name}-`))
  cleanUp(t, () => rmSync(path, { recursive: true, force: true }))
  return path
}

const environment = (home: string, env: Record<string, string> = {}): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: home,
  // What is started ahead in one test takes time from another.
  KEYWARD_SANDBOX_POOL: '0',
  ...compiledBefore,
  ...env,
})

/** Runs the command to its end without a server. */
export function keywardCommand(
  home: string,
  args: readonly string[],
  more: { env?: Record<string, string>; input?: string } = {},
): Promise<Outcome> {
  const options = { cwd: home, env: environment(home, more.env) }
  return runToEnd(process.execPath, [launcher, ...args], options, more.input ?? '')
}

/** Starts the server and resolves when it answers; ended after the test by its own process id. */
export async function startServer(t: TestContext, options: Options = {}): Promise<RunningServer> {
  const dataDir = options.dataDir ?? scratchFolder(t)
  const token = options.token ?? newRootToken()
  const home = scratchFolder(t, 'home')
  const own = options.args ?? ['--dev', `--dev-root-token-id=${token}`]
  const line = [process.execPath, launcher, 'server', '--listen', '127.0.0.1:0', '--data', dataDir, ...own]
  const [program = '', ...args] = [...(options.wrap ?? []), ...line]
  const child = spawn(program, args, {
    cwd: home,
    env: environment(home, options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written = collect(child)
  const ended = once(child, 'exit')
  const stop = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    const [code] = await ended
    return code ?? -1
  }
  cleanUp(t, () => stop())
  const address = await announced(child, written)
  const ask = asker(address, token)
  return {
    address,
    dataDir,
    token,
    pid: child.pid ?? 0,
    output: () => written.text,
    ask,
    async call<O extends Operation>(operation: O, given: ArgumentsOf<O>, as = token) {
      const reply = await ask(operation.method, targetOf(operation, given), {
        token: as,
        ...(Object.keys(operation.body).length > 0 ? { body: pick(operation.body, given) } : {}),
      })
      if (reply.status !== 200)
        throw new Error(`${operation.name} answered ${reply.status}: ${JSON.stringify(reply.body)}`)
      return operation.result.parse(reply.body) as ResultOf<O>
    },
    keyward: (words, more = {}) =>
      keywardCommand(home, words, {
        ...more,
        env: { KEYWARD_ADDRESS: address, KEYWARD_TOKEN: token, ...more.env },
      }),
    stop,
  }
}

type Written = { text: string; heard: () => void }

function collect(child: ChildProcess): Written {
  const written: Written = { text: '', heard: () => undefined }
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      written.text += text
      written.heard()
    })
  return written
}

/** The address that the server prints once it listens. */
function announced(child: ChildProcess, written: Written): Promise<string> {
  return new Promise((resolve, reject) => {
    written.heard = () => {
      const address = /listens on (\S+)/.exec(written.text)?.[1]
      if (address) resolve(address)
    }
    child.once('close', (code) => reject(new Error(`the server ended with ${code}: ${written.text}`)))
  })
}

const asker =
  (address: string, own: string) =>
  async (method: string, path: string, { body, token = own, headers = {} }: Asked = {}): Promise<Reply> => {
    const response = await fetch(address + path, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const type = response.headers.get('content-type') ?? ''
    return { status: response.status, type, headers: response.headers, body: parsed(type, text) }
  }

const parsed = (type: string, text: string): unknown =>
  type.includes('json') && text !== '' ? JSON.parse(text) : text

const pick = (shape: object, given: unknown): Record<string, unknown> =>
  Object.fromEntries(Object.entries(given ?? {}).filter(([name]) => name in shape))

function targetOf({ path, params, query }: Operation, given: unknown): string {
  const place = pick(params, given)
  const asked = new URLSearchParams()
  for (const [name, value] of Object.entries(pick(query, given))) asked.set(name, String(value))
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(place[name])))
  return `/api/v1${filled}${asked.size > 0 ? `?${asked}` : ''}`
}

export const codeOf = ({ body }: Reply): string =>
  typeof body === 'object' && body !== null && 'code' in body ? String(body.code) : ''

export const fromJson = (text: string): Json => JSON.parse(text) as Json
