import type { RequestOptions } from 'node:http'
import { AppError, type Secret } from '../../../core/index.ts'

const { request: requestHttp } = process.getBuiltinModule('node:http')
const { request: requestHttps } = process.getBuiltinModule('node:https')

/** An address of an identity provider, and the authorities that vouch for it instead of the usual ones. */
export type Endpoint = { readonly url: string; readonly caPem: string }
/** A form to post, or a token to show. */
type Sent = {
  readonly fields?: URLSearchParams
  readonly basic?: { readonly id: string; readonly password: Secret }
  readonly bearer?: Secret
}

const timeoutMilliseconds = 10_000
const longestAnswerBytes = 1024 * 1024

/** Reads a JSON object from an identity provider. Redirects are not followed: a provider says where it is. */
export async function fetchJson(endpoint: Endpoint, sent: Sent = {}): Promise<Record<string, unknown>> {
  const answer = await fetchAnswer(endpoint, sent)
  if ('error' in answer)
    throw unreachable(
      endpointUrl(endpoint.url),
      `it answered with status ${answer.status}${answer.error === '' ? '' : ` (${answer.error})`}`,
    )
  return answer.body
}

/** The same, for an answer whose refusal means something: its code, such as `authorization_pending`. */
export async function fetchAnswer(
  endpoint: Endpoint,
  sent: Sent,
): Promise<{ body: Record<string, unknown> } | { status: number; error: string }> {
  const url = endpointUrl(endpoint.url)
  const { status, text } = await fetchText(url, endpoint.caPem, sent)
  if (status !== 200) return { status, error: errorIn(text) }
  const body = parsedObject(text)
  if (!body) throw unreachable(url, 'it did not answer with a JSON object')
  return { body }
}

export function endpointUrl(written: string): URL {
  const url = URL.canParse(written) ? new URL(written) : undefined
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new AppError('request.invalid', `"${written}" is no address that begins with https:// or http://`)
  return url
}

function fetchText(url: URL, caPem: string, sent: Sent): Promise<{ status: number; text: string }> {
  const options: RequestOptions & { ca?: string } = {
    method: sent.fields ? 'POST' : 'GET',
    headers: headersOf(sent),
    signal: AbortSignal.timeout(timeoutMilliseconds),
    ...(caPem === '' ? {} : { ca: caPem }),
  }
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(unreachable(url, error.message))
    const request = send(url, options, (answer) => {
      const parts: Buffer[] = []
      let size = 0
      answer.on('data', (part: Buffer) => {
        size += part.length
        if (size > longestAnswerBytes) answer.destroy(new Error('its answer is too long'))
        else parts.push(part)
      })
      answer.on('error', fail)
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
      )
    })
    request.on('error', fail)
    request.end(sent.fields?.toString())
  })
}

function headersOf({ fields, basic, bearer }: Sent): Record<string, string> {
  return {
    accept: 'application/json',
    ...(fields ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
    ...(bearer ? { authorization: `Bearer ${bearer.reveal()}` } : {}),
    ...(basic ? { authorization: basicAuthorization(basic) } : {}),
  }
}

/** RFC 6749, 2.3.1: both are form-encoded before they are joined. */
function basicAuthorization({ id, password }: { id: string; password: Secret }): string {
  const pair = `${encodeURIComponent(id)}:${encodeURIComponent(password.reveal())}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

function parsedObject(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : undefined
  } catch {
    // What is no JSON is said to be none by the caller.
    return undefined
  }
}

/** The provider's own code for what is wrong, such as `invalid_grant`; never its free text. */
function errorIn(text: string): string {
  const code = parsedObject(text)?.['error']
  return typeof code === 'string' && /^[a-z_]{1,60}$/.test(code) ? code : ''
}

const unreachable = (url: URL, why: string): AppError =>
  new AppError('request.invalid', `the identity provider at ${url.origin} cannot be used: ${why}`)
