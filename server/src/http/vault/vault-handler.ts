import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Log, reasonOf, Secret } from '../../core/index.ts'
import type { Vault, VaultRequest, VaultResponse } from '../../vault/index.ts'
import { methodOf } from './accept-list.ts'

type Needs = { vault: Pick<Vault, 'handle'>; log: Log }
type Refusal = { readonly status: number; readonly error: string }

const prefix = '/v1/'
const largestBodyBytes = 32 * 1024 * 1024
const noQuery: Readonly<Record<string, string>> = {}
const bearer = /^Bearer +(\S+)$/i
const ocspRequestType = 'application/ocsp-request'
const mergePatchType = 'application/merge-patch+json'

/**
 * HashiCorp Vault's HTTP dialect, for requests whose path begins with `/v1/`. On node:http directly and without a schema
 * library: this is the hottest path of the server, and the vault itself checks what is in a body.
 */
export function createVaultHandler(
  needs: Needs,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    answer(needs, request).then(
      (answered) => send(response, answered),
      (error: unknown) => {
        needs.log.error({ reason: reasonOf(error) }, 'a vault request could not be answered')
        send(response, { status: 500, error: 'internal error' })
      },
    )
  }
}

async function answer(
  { vault }: Needs,
  request: IncomingMessage,
): Promise<VaultResponse | Refusal | undefined> {
  const refusal = refusalOf(request)
  if (refusal) {
    request.resume()
    return refusal
  }
  const body = hasBody(request) ? await readBody(request) : undefined
  if (body === 'too large') return { status: 413, error: 'http: request body too large' }
  if (body === 'aborted') return undefined
  const target = targetOf(request)
  if ('error' in target) return target
  const wrapTtl = request.headers['x-vault-wrap-ttl']
  return vault.handle({
    ...target,
    token: tokenOf(request),
    body,
    remoteAddress: request.socket.remoteAddress,
    wrapTtl: typeof wrapTtl === 'string' ? wrapTtl : undefined,
  })
}

/** What the dialect knows and this server does not do is refused: to pass over it would do something else than was asked. */
function refusalOf({ headers, method }: IncomingMessage): Refusal | undefined {
  const namespace = headers['x-vault-namespace']
  if (namespace && namespace !== '/' && namespace !== 'root' && namespace !== 'root/')
    return { status: 400, error: 'namespaces are not supported by this server: leave X-Vault-Namespace out' }
  if (headers['x-vault-wrap-format'] && headers['x-vault-wrap-format'] !== 'uuid')
    return { status: 400, error: 'wrapping tokens in the form of a JWT are not supported by this server' }
  if (method === 'PATCH' && !headers['content-type']?.startsWith(mergePatchType))
    return { status: 415, error: `PATCH requires Content-Type of ${mergePatchType}` }
  return undefined
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
}

function readBody(request: IncomingMessage): Promise<Secret | 'too large' | 'aborted'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      // What comes after is read and dropped, so that the client hears the refusal instead of a broken pipe.
      if (size > largestBodyBytes) chunks.length = 0
      else chunks.push(chunk)
    })
    request.on('end', () => {
      if (size > largestBodyBytes) return resolve('too large')
      resolve(new Secret(jsonOf(request, Buffer.concat(chunks))))
    })
    request.on('error', () => resolve('aborted'))
    request.on('close', () => resolve('aborted'))
  })
}

/** The one body of the dialect that is no JSON: a question about a certificate's revocation (RFC 6960). */
function jsonOf({ headers }: IncomingMessage, body: Buffer): string {
  return headers['content-type'] === ocspRequestType
    ? JSON.stringify({ ocsp_request: body.toString('base64') })
    : body.toString('utf8')
}

function tokenOf({ headers }: IncomingMessage): Secret | undefined {
  const own = headers['x-vault-token']
  if (typeof own === 'string' && own !== '') return new Secret(own)
  const [, token] = bearer.exec(headers.authorization ?? '') ?? []
  return token ? new Secret(token) : undefined
}

function targetOf(request: IncomingMessage): Pick<VaultRequest, 'method' | 'path' | 'query'> | Refusal {
  const url = request.url ?? ''
  const mark = url.indexOf('?')
  const path = pathOf(mark < 0 ? url.slice(prefix.length) : url.slice(prefix.length, mark))
  if (path === undefined) return { status: 400, error: 'the path is not valid' }
  const query = mark < 0 ? noQuery : Object.fromEntries(new URLSearchParams(url.slice(mark + 1)))
  const method = methodFrom(methodOf(request), query)
  if (method === undefined) return { status: 405, error: `the method ${request.method} is not supported` }
  return { method, path: method === 'LIST' && !path.endsWith('/') ? `${path}/` : path, query }
}

function methodFrom(
  method: string,
  query: Readonly<Record<string, string>>,
): VaultRequest['method'] | undefined {
  switch (method) {
    case 'GET':
      return query['list'] === 'true' || query['list'] === '1' ? 'LIST' : 'GET'
    case 'HEAD':
    case 'LIST':
    case 'PUT':
    case 'POST':
    case 'DELETE':
    case 'PATCH':
      return method
    default:
      return undefined
  }
}

/** Decoded, without doubled slashes; undefined for what could mean another place than it says. */
function pathOf(encoded: string): string | undefined {
  let path = encoded
  if (encoded.includes('%')) {
    try {
      path = decodeURIComponent(encoded)
    } catch {
      return undefined
    }
  }
  if (path.includes('//') || path.startsWith('/')) path = path.replace(/\/{2,}/g, '/').replace(/^\//, '')
  return /(?:^|\/)\.\.?(?:\/|$)|\p{Cc}/u.test(path) ? undefined : path
}

function send(response: ServerResponse, answered: VaultResponse | Refusal | undefined): void {
  if (!answered) {
    response.destroy()
    return
  }
  const raw = 'raw' in answered ? answered.raw : undefined
  const text = 'error' in answered ? `${JSON.stringify({ errors: [answered.error] })}\n` : textOf(answered)
  // One array instead of setHeader calls: this is measurable at tens of thousands of requests a second.
  const headers = ['Cache-Control', 'no-store', 'Content-Type', raw?.contentType ?? 'application/json']
  if (answered.status !== 204)
    headers.push('Content-Length', String(raw ? raw.bytes.length : Buffer.byteLength(text)))
  response.writeHead(answered.status, headers)
  response.end(raw?.bytes ?? text)
}

const textOf = ({ body }: VaultResponse): string => body?.reveal() ?? ''
