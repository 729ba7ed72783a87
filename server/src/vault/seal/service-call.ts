import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { reasonOf } from '../../core/index.ts'

export type ServiceAnswer = { readonly status: number; readonly text: string }
export type ServiceCall = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Certificates of authorities to trust instead of the usual ones, PEM. */
  readonly caPem?: string | undefined
  readonly method?: 'GET' | 'POST'
}

const timeoutMilliseconds = 10_000
const longestAnswer = 1024 * 1024

/** One request to the service that keeps a key. Throws in words that hold nothing of what was sent. */
export function callService({
  url,
  headers,
  body,
  caPem,
  method = 'POST',
}: ServiceCall): Promise<ServiceAnswer> {
  const { protocol, host } = new URL(url)
  const send = protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(new Error(`${host} cannot be reached: ${reasonOf(error)}`))
    const outgoing = send(
      url,
      {
        method,
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
        timeout: timeoutMilliseconds,
        ...(caPem === undefined ? {} : { ca: caPem }),
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (part: string) => {
          text += part
          if (text.length > longestAnswer) outgoing.destroy(new Error('its answer is too long'))
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
        answer.on('error', fail)
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error('it does not answer in time')))
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}
