import { type ArgumentsOf, type Code, codes, type Operation, type ResultOf } from '@keyward/contract'
import { z } from 'zod'
import { AppError, reasonOf, type Secret } from '../core/index.ts'

/** Calls the operations of the contract on one server. */
export type Client = {
  readonly address: string
  call<O extends Operation>(operation: O, args: ArgumentsOf<O>): Promise<ResultOf<O>>
}

type Needs = { address: string; token: Secret | undefined; version: string }

const timeoutMilliseconds = 60_000
const largestAnswerBytes = 64 * 1024 * 1024

export function createClient({ address, token, version }: Needs): Client {
  const headers = {
    accept: 'application/json, application/problem+json',
    'user-agent': `keyward-cli/${version}`,
    ...(token && { authorization: `Bearer ${token.reveal()}` }),
  }
  return {
    address,
    async call(operation, args) {
      const given = fieldsOf(args)
      const body = bodyOf(operation, given)
      const response = await send(new URL(`/api/v1${targetOf(operation, given)}`, address), {
        method: operation.method,
        headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
        ...(body !== undefined && { body }),
        // A redirect would carry the token to wherever it points.
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMilliseconds),
      })
      const content = await readJson(response, address)
      if (!response.ok) throw failureOf(content, response.status, address)
      return resultOf(operation, content)
    },
  }
}

type Given = Readonly<Record<string, unknown>>

const fieldsOf = (args: unknown): Given => (typeof args === 'object' && args !== null ? { ...args } : {})

/** Checked here first: the message can then name the argument, and nothing wrong travels. */
function checked(shape: Readonly<Record<string, z.ZodType>>, given: Given): Given {
  const known = Object.fromEntries(
    Object.keys(shape).flatMap((key) => (key in given ? [[key, given[key]]] : [])),
  )
  const result = z.object(shape).safeParse(known)
  if (result.success) return known
  throw new AppError('request.invalid', issuesOf(result.error))
}

function issuesOf(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map(({ path, message }) => (path.length ? `${path.join('.')}: ${message}` : message))
    .join('; ')
}

function targetOf(operation: Operation, given: Given): string {
  const params = checked(operation.params, given)
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    segmentOf(name, String(params[name])),
  )
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(checked(operation.query, given))) {
    if (value !== undefined) query.set(name, String(value))
  }
  return query.size ? `${path}?${query}` : path
}

/** URL parsing resolves dots even when they are escaped, so an id of dots would address something else. */
function segmentOf(name: string, value: string): string {
  if (['', '.', '..'].includes(value))
    throw new AppError('request.invalid', `${name} is empty or made of dots`)
  return encodeURIComponent(value)
}

function bodyOf(operation: Operation, given: Given): string | undefined {
  if (Object.keys(operation.body).length === 0) return
  return JSON.stringify(checked(operation.body, given))
}

async function send(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    throw unreachable(error, url.origin)
  }
}

function unreachable(error: unknown, address: string): AppError {
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new AppError('server.unreachable', `${address} did not answer within a minute. Look at its log`)
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : reasonOf(cause)
  const todo =
    reason === 'ECONNREFUSED'
      ? 'Start it with "keyward start", or give its address with --address or KEYWARD_ADDRESS'
      : 'Check --address or KEYWARD_ADDRESS, and the certificate (NODE_EXTRA_CA_CERTS names a private authority)'
  return new AppError('server.unreachable', `${address} (${reason}). ${todo}`, { cause: error })
}

async function readJson(response: Response, address: string): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength
      if (size > largestAnswerBytes) break
      chunks.push(chunk)
    }
    if (size > largestAnswerBytes) throw new Error('the answer is larger than 64 MiB')
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) {
      const detail = `${address} answered ${response.status} with something else than JSON, so it is not Keyward. Check --address`
      throw new AppError('server.unreachable', detail)
    }
    throw unreachable(error, address)
  }
}

const problem = z.object({ code: z.string(), title: z.string().optional(), detail: z.string().optional() })

/** What the server said, with what to do where the server cannot know it. */
function failureOf(content: unknown, status: number, address: string): AppError {
  const parsed = problem.safeParse(content)
  if (!parsed.success) {
    return new AppError(
      'server.unreachable',
      `${address} answered ${status} without saying why. Check --address`,
    )
  }
  const { code, title, detail } = parsed.data
  if (!isCode(code)) {
    const words = [title, detail].filter(Boolean).join(': ')
    return new AppError(
      'server.internal',
      `${address} answered ${code} (${status}): ${words}. It is newer than this command`,
    )
  }
  return new AppError(code, [detail, hints[code]].filter(Boolean).join('. ') || undefined)
}

const isCode = (code: string): code is Code => Object.hasOwn(codes, code)

const hints: Partial<Record<Code, string>> = {
  'session.required': 'Run: keyward login',
  'token.invalid': 'Run: keyward login',
}

function resultOf<O extends Operation>(operation: O, content: unknown): ResultOf<O> {
  const parsed = operation.result.safeParse(content)
  // The shape is the operation's own, so what it gives is the operation's result.
  if (parsed.success) return parsed.data as ResultOf<O>
  const detail = `the answer to ${operation.name} is not what this version understands (${issuesOf(parsed.error)}). Use the same version of Keyward on both sides`
  throw new AppError('server.internal', detail)
}

export type Paging = { limit: number; cursor?: string }

const largestPage = 500

/** Every item of a list, page after page. */
export async function* everyItem<Item>(
  readPage: (paging: Paging) => Promise<{ items: Item[]; next: string | null }>,
): AsyncIterable<Item> {
  let paging: Paging | undefined = { limit: largestPage }
  while (paging) {
    const { items, next }: { items: Item[]; next: string | null } = await readPage(paging)
    yield* items
    paging = next === null ? undefined : { limit: largestPage, cursor: next }
  }
}
