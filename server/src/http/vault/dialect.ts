import { type Log, reasonOf, Secret } from '../../core/index.ts'
import type { Vault, VaultRequest, VaultResponse } from '../../vault/index.ts'

/** A request as either reader of HTTP hands it over. */
export type Asked = {
  readonly method: string
  /** Path and query as they were sent; the path begins with `/v1/`. */
  readonly url: string
  readonly headers: AskedHeaders
  /** The one in the headers, by who has taken it from them already: the same for requests that come with the same headers. */
  readonly token?: Secret | undefined
  readonly body: Secret | undefined
  readonly remoteAddress: string | undefined
}
/** The fields that mean something here, by their names in lower case. */
export type AskedHeaders = { readonly [name in AskedHeader]?: string | string[] | undefined }
export type AskedHeader = (typeof askedHeaders)[number]
export const askedHeaders = [
  'authorization',
  'content-type',
  'x-vault-namespace',
  'x-vault-token',
  'x-vault-wrap-format',
  'x-vault-wrap-ttl',
] as const

export type Refusal = { readonly status: number; readonly error: string }
/** What is sent; `text` may hold values. `raw` comes instead of it. */
export type Answered = {
  readonly status: number
  readonly text: string
  readonly raw?: VaultResponse['raw']
}

type Needs = { vault: Pick<Vault, 'handle'>; log: Log }

/** A page for a person's browser is shown in no frame of another page, loads nothing and tells nobody its address. */
const pageHeaders = [
  'Content-Security-Policy',
  "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options',
  'nosniff',
  'Referrer-Policy',
  'no-referrer',
]

/** Names and values of the fields that an answer of this type needs beside the usual ones. */
export const headersFor = (contentType: string): readonly string[] =>
  contentType.startsWith('text/html') ? pageHeaders : []

const prefix = '/v1/'
/** What a client may write for true in a query. */
const yes: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const noQuery: Readonly<Record<string, string>> = {}
const bearer = /^Bearer +(\S+)$/i
const mergePatchType = 'application/merge-patch+json'

/** Answers requests of HashiCorp Vault's HTTP dialect, whoever has read them. Never rejects. */
export function createDialect({ vault, log }: Needs): (asked: Asked) => Promise<Answered> {
  function failed(error: unknown): Answered {
    log.error({ reason: reasonOf(error) }, 'a vault request could not be answered')
    return refused({ status: 500, error: 'internal error' })
  }

  return (asked) => {
    try {
      const target = refusalOf(asked) ?? targetOf(asked)
      if ('error' in target) return Promise.resolve(refused(target))
      return vault.handle(requestOf(asked, target)).then(answeredBy, failed)
    } catch (error) {
      return Promise.resolve(failed(error))
    }
  }
}

type Target = Pick<VaultRequest, 'method' | 'path' | 'query'>

function requestOf(asked: Asked, { method, path, query }: Target): VaultRequest {
  const wrapTtl = asked.headers['x-vault-wrap-ttl']
  return {
    method,
    path,
    query,
    token: asked.token ?? tokenOf(asked.headers),
    body: jsonOf(asked),
    remoteAddress: asked.remoteAddress,
    wrapTtl: typeof wrapTtl === 'string' ? wrapTtl : undefined,
  }
}

const answeredBy = ({ status, body, raw }: VaultResponse): Answered =>
  raw ? { status, text: '', raw } : { status, text: body?.reveal() ?? '' }

/**
 * Three bodies of the dialect are no JSON: a question about a certificate's revocation (RFC 6960), a snapshot of the storage, and
 * the form with which a browser comes back from an identity provider. The vault gets them as a field of an object; undefined: the
 * body is JSON, as all others are, whatever their type says.
 */
export function binaryFieldOf(url: string, headers: AskedHeaders): string | undefined {
  if (headers['content-type'] === 'application/ocsp-request') return 'ocsp_request'
  if (url.startsWith('/v1/sys/storage/raft/snapshot')) return 'snapshot'
  const isForm = headers['content-type'] === 'application/x-www-form-urlencoded'
  return isForm && /^\/v1\/auth\/[^?]+\/oidc\/callback(?:\?|$)/.test(url) ? 'form' : undefined
}

export function bodyFrom(bytes: Buffer, binaryField: string | undefined): Secret {
  return new Secret(
    binaryField === undefined
      ? bytes.toString('utf8')
      : JSON.stringify({ [binaryField]: bytes.toString('base64') }),
  )
}

export const refused = ({ status, error }: Refusal): Answered => ({
  status,
  text: `${JSON.stringify({ errors: [error] })}\n`,
})

/** What the dialect knows and this server does not do is refused: to pass over it would do something else than was asked. */
export function refusalOf({ headers, method }: Pick<Asked, 'headers' | 'method'>): Refusal | undefined {
  const namespace = headers['x-vault-namespace']
  if (namespace && namespace !== '/' && namespace !== 'root' && namespace !== 'root/')
    return { status: 400, error: 'namespaces are not supported by this server: leave X-Vault-Namespace out' }
  if (headers['x-vault-wrap-format'] && headers['x-vault-wrap-format'] !== 'uuid')
    return { status: 400, error: 'wrapping tokens in the form of a JWT are not supported by this server' }
  if (method === 'PATCH' && !String(headers['content-type'] ?? '').startsWith(mergePatchType))
    return {
      status: 415,
      error: `PATCH requires Content-Type of ${mergePatchType}, provided ${headers['content-type'] ?? 'none'}`,
    }
  return undefined
}

export function tokenOf(headers: AskedHeaders): Secret | undefined {
  const own = headers['x-vault-token']
  if (typeof own === 'string' && own !== '') return new Secret(own)
  const { authorization } = headers
  const [, token] = (typeof authorization === 'string' && bearer.exec(authorization)) || []
  return token ? new Secret(token) : undefined
}

/** `curl` says that a body is a form unless it is told otherwise: only one that is no JSON is read as a form. */
function jsonOf({ headers, body }: Asked): Secret | undefined {
  const type = headers['content-type']
  if (!body || typeof type !== 'string' || !type.startsWith('application/x-www-form-urlencoded')) return body
  const text = body.reveal()
  if (/^\s*(?:[[{]|$)/.test(text)) return body
  const fields = new URLSearchParams(text)
  const values = [...new Set(fields.keys())].map((name) => {
    const [first, ...others] = fields.getAll(name)
    return [name, others.length > 0 ? [first, ...others] : first]
  })
  return new Secret(JSON.stringify(Object.fromEntries(values)))
}

function targetOf({ method: sent, url }: Asked): Target | Refusal {
  const mark = url.indexOf('?')
  const path = pathOf(mark < 0 ? url.slice(prefix.length) : url.slice(prefix.length, mark))
  if (path === undefined) return { status: 400, error: 'the path is not valid' }
  if (path.includes('.') && /(?:^|\/)\.\.?(?:\/|$)/.test(path))
    return { status: 400, error: 'relative paths not supported' }
  const query = mark < 0 ? noQuery : Object.fromEntries(new URLSearchParams(url.slice(mark + 1)))
  const method = methodFrom(sent, query)
  if (method === undefined) return { status: 405, error: `the method ${sent} is not supported` }
  return { method, path: method === 'LIST' && !path.endsWith('/') ? `${path}/` : path, query }
}

function methodFrom(
  method: string,
  query: Readonly<Record<string, string>>,
): VaultRequest['method'] | undefined {
  switch (method) {
    case 'GET':
      return yes.has(query['list'] ?? '') ? 'LIST' : 'GET'
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

/** Decoded, without doubled slashes; undefined for what cannot be decoded or shown. */
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
  return /\p{Cc}/u.test(path) ? undefined : path
}
