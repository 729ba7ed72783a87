import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { api, type Code, codes, type LiveEvent, type Operation } from '@keyward/contract'
import { z } from 'zod'

/** What the real server sends, see server/src/http/security-headers.ts. */
const securityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
  "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
const dist = fileURLToPath(new URL('../../dist/', import.meta.url))
const prepare = fileURLToPath(new URL('../../prepare.mjs', import.meta.url))
const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
}

export type Input = Record<string, unknown>
/** Answers one operation: a result, or a refusal by its code. */
export type Handler = (input: Input) => unknown
export type Handlers = Partial<Record<string, Handler>>
export type Call = { name: string; input: Input; headers: IncomingMessage['headers'] }
export type ConsoleServer = {
  origin: string
  calls: Call[]
  /** Replaces how operations are answered, by their names. */
  answer(handlers: Handlers): void
  emit(event: LiveEvent): void
  close(): Promise<void>
}

export class Refusal extends Error {
  readonly code: Code
  readonly detail: string
  constructor(code: Code, detail: string) {
    super(code)
    this.code = code
    this.detail = detail
  }
}

const operations: Operation[] = Object.values(api).flatMap((noun): Operation[] => Object.values(noun))

/**
 * A server that behaves like Keyward towards the console: the built files under the real content security policy, and the
 * contract's operations. Requests and answers are checked against the contract's shapes, so no fixture can drift from it.
 */
export async function startConsoleServer(first: Handlers): Promise<ConsoleServer> {
  execFileSync(process.execPath, [prepare, '--check'])
  let handlers = first
  const calls: Call[] = []
  const listeners = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    serve(request, response, { handlers: () => handlers, calls, listeners }).catch((error: unknown) => {
      response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    calls,
    answer(next) {
      handlers = { ...handlers, ...next }
    },
    emit(event) {
      for (const response of listeners) response.write(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`)
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

type State = { handlers: () => Handlers; calls: Call[]; listeners: Set<ServerResponse> }

async function serve(request: IncomingMessage, response: ServerResponse, state: State): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://console')
  if (url.pathname === '/api/v1/events') return follow(response, state.listeners)
  if (url.pathname.endsWith('/output/stream')) return streamOutput(response, url, state)
  if (url.pathname.startsWith('/api/v1/')) return answerOperation(request, response, url, state)
  return sendFile(response, url.pathname)
}

/** What a task has printed, as the server sends it to who comes late; the stream stays open. */
function streamOutput(response: ServerResponse, url: URL, { handlers }: State): void {
  const { operation, params } = { operation: api.runs.output, params: url.pathname.split('/') }
  try {
    const printed = handlers()[operation.name]?.({ runId: params[4], taskId: params[6], after: 0 })
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    for (const chunk of operation.result.parse(printed).chunks)
      response.write(`event: output\nid: ${chunk.seq}\ndata: ${JSON.stringify(chunk)}\n\n`)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    refuse(response, error)
  }
}

function follow(response: ServerResponse, listeners: Set<ServerResponse>): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write('retry: 1000\n\n')
  listeners.add(response)
  response.on('close', () => listeners.delete(response))
}

async function sendFile(response: ServerResponse, path: string): Promise<void> {
  const wanted = normalize(path).replace(/^\//, '')
  const name = extname(wanted) === '' ? 'index.html' : wanted
  const bytes = await readFile(join(dist, name)).catch(() => undefined)
  if (!bytes) return void response.writeHead(404).end()
  response.writeHead(200, {
    'content-type': types[extname(name)] ?? 'application/octet-stream',
    'content-security-policy': securityPolicy,
    'x-content-type-options': 'nosniff',
    // As the real server does, see server/src/http/console.ts: who comes back has the scripts already.
    'cache-control': name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  })
  response.end(bytes)
}

async function answerOperation(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  state: State,
): Promise<void> {
  const path = url.pathname.slice('/api/v1'.length)
  const found = operations
    .map((operation) => ({ operation, params: paramsOf(operation, request.method, path) }))
    .find(({ params }) => params !== undefined)
  if (!found) return refuse(response, new Refusal('request.not_found', path))
  const { operation, params } = found
  if (operation.method !== 'GET' && request.headers['x-keyward-csrf'] !== '1') {
    return refuse(response, new Refusal('policy.denied', 'the request does not come from the console'))
  }
  const input = {
    ...params,
    ...z.object(operation.query).parse(Object.fromEntries(url.searchParams)),
    ...z.strictObject(operation.body).parse(await bodyOf(request)),
  }
  state.calls.push({ name: operation.name, input, headers: request.headers })
  try {
    const handler = state.handlers()[operation.name]
    if (!handler) throw new Refusal('request.not_found', `the test answers no ${operation.name}`)
    const result = operation.result.parse(await handler(input))
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    refuse(response, error)
  }
}

function paramsOf({ method, path }: Operation, asked: string | undefined, actual: string): Input | undefined {
  if (method !== asked) return undefined
  const pattern = path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')
  const match = new RegExp(`^${pattern}$`).exec(actual)
  if (!match) return undefined
  const groups = Object.entries(match.groups ?? {})
  return Object.fromEntries(groups.map(([name, value]) => [name, decodeURIComponent(value)]))
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  const text = Buffer.concat(chunks).toString()
  return text === '' ? {} : JSON.parse(text)
}

function refuse(response: ServerResponse, { code, detail }: Refusal): void {
  const { status, message } = codes[code]
  response.writeHead(status, { 'content-type': 'application/problem+json' })
  response.end(
    JSON.stringify({ type: `https://keyward.invalid/errors/${code}`, title: message, status, code, detail }),
  )
}
