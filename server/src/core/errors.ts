// Its own module: what a thread needs of it must not bring all shapes along.
import { type Code, codes } from '@keyward/contract/errors'

/** An expected failure: safe to show, because `message` comes from the table and `detail` never holds a secret. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: Code
  readonly status: number
  /** What happened, where, and what to do about it, in words for the caller. */
  readonly detail: string | undefined
  /** When the other side wants to be asked again, if it said so. */
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: Code,
    detail?: string,
    options?: ErrorOptions & { retryAfterSeconds?: number | undefined },
  ) {
    super(codes[code].message, options)
    this.retryAfterSeconds = options?.retryAfterSeconds
    this.code = code
    this.status = codes[code].status
    this.detail = detail
  }
}

/** The words of an unknown thrown value, for logs and problem lists. */
export function reasonOf(error: unknown): string {
  if (error instanceof AppError) return error.detail ? `${error.message}: ${error.detail}` : error.message
  return error instanceof Error ? error.message : String(error)
}
