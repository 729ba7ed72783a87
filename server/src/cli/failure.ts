import { AppError, reasonOf } from '../core/index.ts'
import { printable } from './printable.ts'

/** A problem as the API writes it (RFC 9457), so that a script reads both the same way. */
export type Problem = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail?: string
}

export function problemOf(error: unknown): Problem {
  const { code, status, message, detail } = asAppError(error)
  return {
    type: `urn:keyward:error:${code}`,
    title: message,
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
  }
}

/** `keyward: <what happened>: <where>. <what to do>`, on one line. */
export function failureLine(error: unknown): string {
  const line = printable(wordsOf(asAppError(error)).replace(/\s*\n\s*/g, '; '))
  return `keyward: ${line}${/[.!?)]$/.test(line) ? '' : '.'}`
}

/** What is wrong with a request, its detail says alone; every other code begins with its own words. */
function wordsOf({ code, message, detail }: AppError): string {
  const what = `${message.charAt(0).toLowerCase()}${message.slice(1)}`
  if (detail === undefined) return what
  return code === 'request.invalid' || code === 'request.not_found' ? detail : `${what}: ${detail}`
}

/** What the operating system refuses is expected and keeps its words; anything else is a fault of the program. */
function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (error instanceof Error && 'syscall' in error) return new AppError('request.invalid', systemWords(error))
  return new AppError('server.internal', `${reasonOf(error)}. Set KEYWARD_DEBUG=1 to see where`)
}

/** Node writes "ENOENT: no such file or directory, open '/a'"; the place belongs first. */
function systemWords(error: Error & { path?: unknown }): string {
  const [, code, words] = /^([A-Z0-9]+): (.*?),/.exec(error.message) ?? []
  return typeof error.path === 'string' && words ? `${error.path}: ${words} (${code})` : error.message
}
