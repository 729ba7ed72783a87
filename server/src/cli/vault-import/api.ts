import { AppError, reasonOf, type Secret } from '../../core/index.ts'

/** One vault, whose it may be: HashiCorp's, OpenBao or this one. */
export type VaultApi = {
  readonly address: string
  /** The `data` of what it answers; undefined when there is nothing (404). */
  read(path: string, query?: Readonly<Record<string, string>>): Promise<Fields | undefined>
  /** Names below a path; none when there is nothing. */
  list(path: string): Promise<string[]>
  write(path: string, body: unknown): Promise<void>
  remove(path: string): Promise<void>
}
export type Fields = Readonly<Record<string, unknown>>

type Needs = {
  readonly address: string
  readonly token: Secret
  readonly namespace?: string | undefined
}
type Answer = { readonly status: number; readonly body: Fields }

const timeoutMilliseconds = 60_000

export function createVaultApi({ address, token, namespace }: Needs): VaultApi {
  const headers = {
    'x-vault-token': token.reveal(),
    'x-vault-request': 'true',
    ...(namespace ? { 'x-vault-namespace': namespace } : {}),
  }

  async function ask(method: string, path: string, query = '', body?: unknown): Promise<Answer> {
    if (!isPlain(path)) throw new AppError('request.invalid', 'a name in it would lead out of its folder')
    const url = new URL(`/v1/${path.split('/').map(encodeURIComponent).join('/')}${query}`, address)
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    try {
      // A redirect would carry the token to wherever it points.
      const init = {
        method,
        headers,
        ...sent,
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMilliseconds),
      }
      const response = await fetch(url, init as RequestInit)
      return { status: response.status, body: jsonFrom(await response.text()) }
    } catch (error) {
      if (error instanceof AppError) throw error
      const cause = error instanceof Error && error.cause ? error.cause : error
      throw new AppError('server.unreachable', `${address} (${reasonOf(cause)})`, { cause: error })
    }
  }

  function refused({ status, body }: Answer, what: string): AppError {
    const errors = Array.isArray(body['errors']) ? body['errors'].map(String) : []
    const words = errors.join('; ').slice(0, 300) || 'no reason given'
    return new AppError(
      status === 403 ? 'policy.denied' : 'request.invalid',
      `${address} answered ${status} to ${what}: ${words}`,
    )
  }

  return {
    address,
    async read(path, query = {}) {
      const search = new URLSearchParams(query)
      const answer = await ask('GET', path, search.size > 0 ? `?${search}` : '')
      if (answer.status === 404) return undefined
      if (answer.status !== 200) throw refused(answer, path)
      return fieldsOf(answer.body['data'])
    },
    async list(path) {
      const answer = await ask('GET', path, '?list=true')
      if (answer.status === 404) return []
      if (answer.status !== 200) throw refused(answer, path)
      const keys = fieldsOf(answer.body['data'])['keys']
      return Array.isArray(keys) ? keys.map(String) : []
    },
    async write(path, body) {
      const answer = await ask('POST', path, '', body)
      if (answer.status >= 300) throw refused(answer, path)
    },
    async remove(path) {
      const answer = await ask('DELETE', path)
      if (answer.status >= 300 && answer.status !== 404) throw refused(answer, path)
    },
  }
}

/** Names come from the other vault, whoever that is. Some would be taken for a way to another place, in either vault. */
export const isPlain = (path: string): boolean => {
  const segments = path.replace(/\/$/, '').split('/')
  return segments.every((segment) => !['', '.', '..'].includes(segment))
}

export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}

function jsonFrom(text: string): Fields {
  try {
    return fieldsOf(JSON.parse(text || '{}'))
  } catch {
    // The parser's own words would quote what may be a value.
    throw new AppError(
      'server.unreachable',
      'the address answered something else than JSON, so it is no vault',
    )
  }
}
