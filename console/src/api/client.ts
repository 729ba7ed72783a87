import type { ArgumentsOf, Operation, ResultOf } from '@keyward/contract'

/** RFC 9457, as the server renders every expected failure. `status` 0: the server could not be reached. */
export type Problem = {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
}

/** A refused or failed call. Its message is fit to show to a person. */
class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.title)
    this.problem = problem
  }
}

const unreachable: Problem = {
  status: 0,
  code: 'server.unreachable',
  title: 'The Keyward server cannot be reached',
  detail: 'Check that it is running (keyward status), then try again.',
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem
  return {
    status: 500,
    code: 'console.failed',
    title: 'The console stumbled',
    detail: error instanceof Error ? error.message : 'Reload the page; if it happens again, report it.',
  }
}

/** Calls one operation of the contract and returns its result, or throws an `ApiError`. */
export async function call<O extends Operation>(
  operation: O,
  args: ArgumentsOf<O>,
  signal?: AbortSignal,
): Promise<ResultOf<O>> {
  const { address, body } = requestOf(operation, args as Record<string, unknown>)
  const response = await send(address, {
    method: operation.method,
    credentials: 'same-origin',
    cache: 'no-store',
    headers: headersOf(operation.method, body),
    ...(body === undefined ? {} : { body }),
    ...(signal ? { signal } : {}),
  })
  if (!response.ok) throw new ApiError(await readProblem(response))
  return (await response.json()) as ResultOf<O>
}

/** Splits the arguments by the operation's declaration: `{places}` of the path, query, body. */
export function requestOf(
  operation: Pick<Operation, 'path' | 'query' | 'body'>,
  args: Record<string, unknown>,
): { address: string; body: string | undefined } {
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(args[name])),
  )
  const query = new URLSearchParams()
  for (const name of Object.keys(operation.query)) {
    if (args[name] !== undefined) query.set(name, String(args[name]))
  }
  const fields = Object.keys(operation.body)
  const body = Object.fromEntries(
    fields.filter((name) => args[name] !== undefined).map((name) => [name, args[name]]),
  )
  const search = query.size > 0 ? `?${query}` : ''
  return { address: `/api/v1${path}${search}`, body: fields.length > 0 ? JSON.stringify(body) : undefined }
}

function headersOf(method: string, body: string | undefined): Record<string, string> {
  return {
    accept: 'application/json, application/problem+json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(method === 'GET' ? {} : { 'x-keyward-csrf': '1' }),
  }
}

async function send(address: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(address, init)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(unreachable)
  }
}

async function readProblem(response: Response): Promise<Problem> {
  const fallback = `The server answered ${response.status} without saying why.`
  const told: unknown = await response.json().catch(() => undefined)
  const text = (name: string): string | undefined => {
    const value: unknown = told && typeof told === 'object' ? Reflect.get(told, name) : undefined
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  return {
    status: response.status,
    code: text('code') ?? 'server.internal',
    title: text('title') ?? 'Something went wrong inside Keyward',
    detail: text('detail') ?? (text('title') ? '' : fallback),
  }
}
