import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Secret } from '../../core/index.ts'
import { methodOf } from './accept-list.ts'
import {
  type Answered,
  type Asked,
  binaryFieldOf,
  bodyFrom,
  headersFor,
  refusalOf,
  refused,
  tokenOf,
} from './dialect.ts'

type Needs = {
  answer: (asked: Asked) => Promise<Answered>
  /** Whether a token is valid now, and may write to the path if one is named. */
  admits: (token: Secret | undefined, path?: string) => Promise<boolean>
}
type Read = Secret | 'too large' | 'not admitted' | 'aborted'

/** What anybody may send; more is read only from who has a valid token. */
const freeBodyBytes = 64 * 1024
/** How much of a refused body is read and dropped, so that the client hears the refusal instead of a broken pipe. */
const droppedBytes = 1024 * 1024
const largestBodyBytes = 32 * 1024 * 1024
const largestSnapshotBytes = 256 * 1024 * 1024

/**
 * The vault's dialect on node:http, for requests whose path begins with `/v1/`: for all that the fast lane leaves to it. Without a
 * schema library, because the vault itself checks what is in a body.
 */
export function createVaultHandler(
  needs: Needs,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    respond(needs, request).then(
      (answered) => (answered ? send(response, answered) : response.destroy()),
      () => response.destroy(),
    )
  }
}

/** Undefined when the client went away. */
async function respond({ answer, admits }: Needs, request: IncomingMessage): Promise<Answered | undefined> {
  const method = methodOf(request)
  const { headers, url = '', socket } = request
  const refusal = refusalOf({ headers, method: request.method ?? '' })
  if (refusal) {
    request.resume()
    return refused(refusal)
  }
  const binary = binaryFieldOf(url, headers)
  // A snapshot may be so large that not everybody with a token may send one.
  const writtenTo = binary === 'snapshot' ? url.slice('/v1/'.length).replace(/\?.*$/, '') : undefined
  const isAdmitted = (): Promise<boolean> => admits(tokenOf(headers), writtenTo)
  const body = hasBody(request) ? await readBody(request, binary, isAdmitted) : undefined
  if (body === 'too large') return refused({ status: 413, error: 'http: request body too large' })
  if (body === 'not admitted') return refused({ status: 403, error: 'permission denied' })
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
  isAdmitted: () => Promise<boolean>,
): Promise<Read> {
  const most = binaryField === 'snapshot' ? largestSnapshotBytes : largestBodyBytes
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    let limit = freeBodyBytes

    async function askForMore(): Promise<void> {
      limit = most
      request.pause()
      if (await isAdmitted().catch(() => false)) return void request.resume()
      resolve('not admitted')
      request.off('data', onData)
      drop(request)
    }

    function onData(chunk: Buffer): void {
      size += chunk.length
      if (size > most) chunks.length = 0
      else chunks.push(chunk)
      if (size > limit && limit < most) void askForMore()
    }

    request.on('data', onData)
    request.on('end', () => resolve(size > most ? 'too large' : bodyFrom(Buffer.concat(chunks), binaryField)))
    request.on('error', () => resolve('aborted'))
    request.on('close', () => resolve('aborted'))
  })
}

/** Reads what a client still sends without keeping it; one that goes on and on is cut off. */
function drop(request: IncomingMessage): void {
  let left = droppedBytes
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) request.socket.destroy()
  })
  request.resume()
}

function send(response: ServerResponse, { status, text, raw }: Answered): void {
  // One array instead of setHeader calls: this is measurable at tens of thousands of requests a second.
  const headers = ['Cache-Control', 'no-store', 'Content-Type', raw?.contentType ?? 'application/json']
  if (raw) headers.push(...headersFor(raw.contentType))
  if (status !== 204) headers.push('Content-Length', String(raw ? raw.bytes.length : Buffer.byteLength(text)))
  response.writeHead(status, headers)
  response.end(raw?.bytes ?? text)
}
