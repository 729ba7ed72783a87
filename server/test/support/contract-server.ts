// A server that speaks the contract and nothing else: what comes in and what goes out is checked against its shapes.
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { api, type InputOf, type Operation, type ResultOf } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../../src/core/index.ts'

export type Call = {
  readonly name: string
  readonly input: Record<string, unknown>
  readonly token: string | undefined
}

export type ContractServer = {
  readonly address: string
  readonly calls: Call[]
  answer<O extends Operation>(operation: O, respond: (input: InputOf<O>) => ResultOf<O>): void
}

type Respond = (input: Record<string, unknown>) => unknown

const operations = Object.values(api).flatMap((noun): Operation[] => Object.values(noun))

export async function openContractServer(t: TestContext): Promise<ContractServer> {
  const responders = new Map<string, Respond>()
  const calls: Call[] = []
  const server = createServer((request, response) => {
    void answered(request, responders, calls).then(
      (result) => send(response, 200, 'application/json', result),
      (error: unknown) => sendProblem(response, error),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    address: `http://127.0.0.1:${port}`,
    calls,
    answer: (operation, respond) => void responders.set(operation.name, respond as Respond),
  }
}

async function answered(
  request: IncomingMessage,
  responders: Map<string, Respond>,
  calls: Call[],
): Promise<unknown> {
  const url = new URL(request.url ?? '/', 'http://local')
  const found = operationAt(request.method ?? 'GET', url.pathname)
  if (!found) throw new AppError('request.not_found', url.pathname)
  const { operation, params } = found
  const body: unknown = JSON.parse((await text(request)) || '{}')
  const input = {
    ...z.strictObject(operation.params).parse(params),
    ...z.strictObject(operation.query).parse(Object.fromEntries(url.searchParams)),
    ...z.strictObject(operation.body).parse(body),
  }
  calls.push({ name: operation.name, input, token: request.headers.authorization?.replace(/^Bearer /, '') })
  const respond = responders.get(operation.name)
  if (!respond) throw new AppError('session.required')
  return operation.result.parse(respond(input))
}

function operationAt(
  method: string,
  path: string,
): { operation: Operation; params: Record<string, string> } | undefined {
  for (const operation of operations) {
    if (operation.method !== method) continue
    const pattern = operation.path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')
    const match = new RegExp(`^/api/v1${pattern}$`).exec(path)
    if (!match) continue
    const params = Object.entries(match.groups ?? {}).map(([name, value]) => [
      name,
      decodeURIComponent(value),
    ])
    return { operation, params: Object.fromEntries(params) }
  }
  return
}

function sendProblem(response: ServerResponse, error: unknown): void {
  const known = error instanceof AppError ? error : new AppError('request.invalid', String(error))
  const { code, status, message, detail } = known
  send(response, status, 'application/problem+json', {
    type: `/errors/${code}`,
    title: message,
    status,
    code,
    detail,
  })
}

function send(response: ServerResponse, status: number, type: string, content: unknown): void {
  assert.equal(response.headersSent, false)
  response.writeHead(status, { 'content-type': type })
  response.end(JSON.stringify(content))
}
