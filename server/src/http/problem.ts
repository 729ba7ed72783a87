import { type Code, codes } from '@keyward/contract'
import { AppError } from '../core/index.ts'

/** RFC 9457 problem details, with our stable `code`. The type is a name, not an address: docs/errors has the page. */
export type Problem = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: Code
  readonly detail?: string
  readonly instance: string
}

/** Turns anything thrown into what the caller may see: only an AppError speaks for itself. */
export function problemOf(error: unknown, requestId: string): Problem {
  const known = error instanceof AppError ? error : new AppError(codeOf(error), textOf(error))
  return {
    type: `urn:keyward:error:${known.code}`,
    title: codes[known.code].message,
    status: known.status,
    code: known.code,
    ...(known.detail === undefined ? {} : { detail: known.detail }),
    instance: `urn:keyward:request:${requestId}`,
  }
}

/** The web framework's own refusals: https://fastify.dev/docs/latest/Reference/Errors/ */
function codeOf(error: unknown): Code {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return 'request.too_large'
  if (/^FST_ERR_CTP_|^FST_ERR_BAD_URL|^FST_ERR_VALIDATION/.test(code)) return 'request.invalid'
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  return status >= 400 && status < 500 ? 'request.invalid' : 'server.internal'
}

function textOf(error: unknown): string | undefined {
  return codeOf(error) === 'server.internal' || !(error instanceof Error) ? undefined : error.message
}
