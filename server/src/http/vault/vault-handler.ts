import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Secret } from '../../core/index.ts'
import { methodOf } from './accept-list.ts'
import { type Answered, type Asked, binaryFieldOf, bodyFrom, refusalOf, refused } from './dialect.ts'

type Needs = { answer: (asked: Asked) => Promise<Answered> }

const largestBodyBytes = 32 * 1024 * 1024
const largestSnapshotBytes = 256 * 1024 * 1024

/**
 * The vault's dialect on node:http, for requests whose path begins with `/v1/`: for all that the fast lane leaves to it. Without a
 * schema library, because the vault itself checks what is in a body.
 */
export function createVaultHandler({
  answer,
}: Needs): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    respond(answer, request).then(
      (answered) => (answered ? send(response, answered) : response.destroy()),
      () => response.destroy(),
    )
  }
}

/** Undefined when the client went away. */
async function respond(answer: Needs['answer'], request: IncomingMessage): Promise<Answered | undefined> {
  const method = methodOf(request)
  const { headers, url = '', socket } = request
  const refusal = refusalOf({ headers, method: request.method ?? '' })
  if (refusal) {
    request.resume()
    return refused(refusal)
  }
  const binary = binaryFieldOf(url, headers)
  const body = hasBody(request) ? await readBody(request, binary) : undefined
  if (body === 'too large') return refused({ status: 413, error: 'http: request body too large' })
  if (body === 'aborted') return undefined
  return answer({ method, url, headers, body, remoteAddress: socket.remoteAddress })
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
}

function readBody(
  request: IncomingMessage,
  binaryField: string | undefined,
): Promise<Secret | 'too large' | 'aborted'> {
  const most = binaryField === 'snapshot' ? largestSnapshotBytes : largestBodyBytes
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      // What comes after is read and dropped, so that the client hears the refusal instead of a broken pipe.
      if (size > most) chunks.length = 0
      else chunks.push(chunk)
    })
    request.on('end', () => {
      if (size > most) return resolve('too large')
      resolve(bodyFrom(Buffer.concat(chunks), binaryField))
    })
    request.on('error', () => resolve('aborted'))
    request.on('close', () => resolve('aborted'))
  })
}

function send(response: ServerResponse, { status, text, raw }: Answered): void {
  // One array instead of setHeader calls: this is measurable at tens of thousands of requests a second.
  const headers = ['Cache-Control', 'no-store', 'Content-Type', raw?.contentType ?? 'application/json']
  if (status !== 204) headers.push('Content-Length', String(raw ? raw.bytes.length : Buffer.byteLength(text)))
  response.writeHead(status, headers)
  response.end(raw?.bytes ?? text)
}
