import { AppError } from '../../core/index.ts'

/** What `@octokit/request` throws. */
type RequestFailure = Error & {
  readonly status: number
  readonly response?: {
    readonly headers: Readonly<Record<string, string | number | undefined>>
    readonly data: unknown
  }
}

/** GitHub: wait a minute at least when it does not say how long. */
const leastPauseSeconds = 60
const longestWords = 300

/**
 * What a failed call means. `changes`: the call would have changed something, so that without an answer nobody knows whether it did.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
export function failureOf(error: unknown, about: { changes: boolean; now: Date }): unknown {
  if (error instanceof AppError || !isRequestFailure(error)) return silenceOf(error, about.changes)
  const { status, response } = error
  if (!response) return silenceOf(error.cause ?? error, about.changes)
  const words = wordsOf(response.data, status)
  if (status === 401) return new AppError('connector.unauthorized', words)
  if (status === 403 || status === 429) {
    const retryAfterSeconds = pauseOf(response, about.now)
    return retryAfterSeconds === undefined
      ? new AppError('connector.unauthorized', words)
      : new AppError('connector.rate_limited', words, { retryAfterSeconds })
  }
  if (status < 500) return new AppError('connector.refused', words)
  return new AppError(about.changes ? 'connector.ambiguous' : 'connector.unavailable', words)
}

const isRequestFailure = (error: unknown): error is RequestFailure =>
  error instanceof Error && 'status' in error && typeof error.status === 'number'

/** How long to wait; undefined when it is no limit that was met but a permission that is missing. */
function pauseOf({ headers, data }: NonNullable<RequestFailure['response']>, now: Date): number | undefined {
  const after = Number(headers['retry-after'])
  if (Number.isFinite(after) && after >= 0) return Math.ceil(after)
  const reset = Number(headers['x-ratelimit-reset'])
  if (Number(headers['x-ratelimit-remaining'] ?? Number.NaN) === 0 && Number.isFinite(reset))
    return Math.max(1, Math.ceil(reset - now.getTime() / 1000))
  return /rate limit/i.test(messageIn(data) ?? '') ? leastPauseSeconds : undefined
}

const messageIn = (data: unknown): string | undefined =>
  typeof data === 'object' && data !== null && 'message' in data && typeof data.message === 'string'
    ? data.message
    : undefined

/** GitHub's own words, in one line; nothing of what was sent. */
function wordsOf(data: unknown, status: number): string {
  const message = (messageIn(data) ?? '').replace(/[^ -~]+/g, ' ').slice(0, longestWords)
  return message === '' ? `GitHub answered ${status}` : `GitHub answered ${status}: ${message}`
}

/** Before a connection stands, nothing can have been done. */
const neverSent: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

function silenceOf(error: unknown, changes: boolean): unknown {
  if (error instanceof AppError) return error
  const code = codeOf(error)
  const words = `GitHub gave no answer${code === undefined ? '' : ` (${code})`}`
  return new AppError(
    changes && !neverSent.has(code) ? 'connector.ambiguous' : 'connector.unavailable',
    words,
  )
}

function codeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string' && /^[A-Z_]+$/.test(at.code)) return at.code
    if (at.name === 'TimeoutError') return 'ETIMEDOUT'
  }
  return undefined
}
