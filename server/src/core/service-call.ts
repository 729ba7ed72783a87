import type { LookupFunction } from 'node:net'
import { reasonOf } from './errors.ts'

export type ServiceAnswer = {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}
export type ServiceCall = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Certificates of authorities to trust instead of the usual ones, PEM. */
  readonly caPem?: string | undefined
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Finds the address of its name, and may refuse it; not asked about an address that the URL gives itself. */
  readonly lookup?: LookupFunction | undefined
  readonly signal?: AbortSignal | undefined
}

const timeoutMilliseconds = 10_000
const longestAnswer = 1024 * 1024

/** One request to a service that somebody configured; redirects are not followed. Throws in words that hold nothing of what was sent. */
export async function callService({
  url,
  headers,
  body,
  caPem,
  method = 'POST',
  lookup,
  signal,
}: ServiceCall): Promise<ServiceAnswer> {
  const { protocol, host } = new URL(url)
  // Loaded by who needs it: the command line does not, and starts sooner.
  const { request } = protocol === 'https:' ? await import('node:https') : await import('node:http')
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(new Error(`${host} cannot be reached: ${reasonOf(error)}`))
    const outgoing = request(
      url,
      {
        method,
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
        timeout: timeoutMilliseconds,
        ...(caPem === undefined ? {} : { ca: caPem }),
        ...(lookup === undefined ? {} : { lookup }),
        ...(signal === undefined ? {} : { signal }),
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (part: string) => {
          text += part
          if (text.length > longestAnswer) outgoing.destroy(new Error('its answer is too long'))
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers }))
        answer.on('error', fail)
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error('it does not answer in time')))
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}
