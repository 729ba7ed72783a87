import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock, Secret } from '../../core/index.ts'
import { type Answered, type Asked, binaryFieldOf, bodyFrom, headersFor, tokenOf } from './dialect.ts'
import { type HeadFields, parseFields, parseRequestLine } from './request-head.ts'

const { STATUS_CODES } = process.getBuiltinModule('node:http')

export type FastLane = {
  /** Takes a connection that has said nothing yet. */
  accept(socket: Socket): void
  /** Ends the connections that are still here. */
  closeAll(): void
}

type Needs = {
  answer: (asked: Asked) => Promise<Answered>
  /** Whether a request for this host may be answered here; others go on. */
  knowsHost: (host: string) => boolean
  /** Takes over a connection with the bytes that it has not yet dealt with, for good. */
  handOver: (socket: Socket, bytes: Buffer) => void
  clock: Pick<Clock, 'now'>
  /** In milliseconds, as the complete server keeps them. */
  limits: Pick<Server, 'headersTimeout' | 'keepAliveTimeout' | 'requestTimeout'>
}

const endOfHead = '\r\n\r\n'
const longestHeadBytes = 8 * 1024
/** A request with its body; and what a client may have sent ahead of its answers. */
const longestRequestBytes = 64 * 1024
/** Into how many packets a body may fall: each is put together with what came before. */
const mostPieces = 8
const jsonType = 'application/json'
const requestTimeout = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

/**
 * Answers the vault's requests without Node's HTTP server, as long as each arrives whole and in a strict, plain form. At the first
 * byte that is anything else the connection goes to the complete server and never comes back (docs/decisions/0022).
 */
export function createFastLane(needs: Needs): FastLane {
  const open = new Set<Socket>()
  const responseHead = createResponseHead(needs)
  return {
    accept(socket) {
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      serve(socket, { ...needs, responseHead })
    },
    closeAll() {
      for (const socket of open) socket.destroy()
    },
  }
}

/** One request after the other, each answered before the next is read. */
function serve(socket: Socket, needs: Needs & { responseHead: ResponseHead }): void {
  const read = createRequestReader(needs, socket.remoteAddress)
  /** What has come and is not dealt with: a request that is not whole yet, or those behind the one in work. */
  let pending: Buffer | undefined
  let partialSince = 0
  let pieces = 0
  let busy = false
  let answered = false
  let ended = false
  const { limits } = needs
  const now = (): number => needs.clock.now().getTime()

  function consume(chunk: Buffer): void {
    const request = read(chunk)
    if (request === 'partial') awaitRest(chunk)
    else if (request) {
      pending = request.rest
      partialSince = 0
      pieces = 0
      busy = true
      needs.answer(request.asked).then(send, fail)
    } else if (ended) socket.end()
    else leave(chunk)
  }

  function awaitRest(chunk: Buffer): void {
    if (ended) socket.end()
    else if (++pieces > mostPieces) leave(chunk)
    else {
      pending = chunk
      partialSince ||= now()
    }
  }

  function send(answer: Answered): void {
    if (socket.destroyed) return
    const flushed = write(answer)
    if (!answered) socket.setTimeout(limits.keepAliveTimeout)
    answered = true
    // Else the client does not read what it is sent, and is read no further itself.
    if (flushed) next()
  }

  const fail = (): void => void socket.destroy()

  function write({ status, text, raw }: Answered): boolean {
    if (raw) {
      socket.write(needs.responseHead(status, raw.bytes.length, raw.contentType), 'latin1')
      return socket.write(raw.bytes)
    }
    const bytes = Buffer.byteLength(text)
    const whole = needs.responseHead(status, bytes) + text
    return socket.write(whole, bytes === text.length ? 'latin1' : 'utf8')
  }

  function next(): void {
    busy = false
    const chunk = pending
    pending = undefined
    // What has come already is dealt with before more is read: each answer would else let in more than it dealt with.
    if (socket.isPaused() && (chunk?.length ?? 0) <= longestRequestBytes) socket.resume()
    if (chunk) consume(chunk)
    else if (ended) socket.end()
  }

  function onData(chunk: Buffer): void {
    const together = pending ? Buffer.concat([pending, chunk]) : chunk
    if (busy) {
      pending = together
      if (together.length > longestRequestBytes) socket.pause()
    } else if (pending && now() - partialSince > limits.requestTimeout) onTimeout()
    else {
      pending = undefined
      consume(together)
    }
  }

  function onDrain(): void {
    if (busy) next()
  }

  function onEnd(): void {
    ended = true
    if (!busy) socket.end()
  }

  function onTimeout(): void {
    if (busy) return
    if (pending || !answered) socket.write(requestTimeout)
    socket.destroy()
  }

  function leave(bytes: Buffer): void {
    for (const [event, listener] of listeners) socket.off(event, listener)
    socket.setTimeout(0)
    if (socket.isPaused()) socket.resume()
    needs.handOver(socket, bytes)
  }

  // A connection that breaks is closed, and that is all there is to it.
  const onError = (): void => undefined
  const listeners = [
    ['data', onData],
    ['end', onEnd],
    ['drain', onDrain],
    ['timeout', onTimeout],
    ['error', onError],
  ] as const
  for (const [event, listener] of listeners) socket.on(event, listener)
  socket.setTimeout(limits.headersTimeout)
}

type Read = { readonly asked: Asked; readonly rest: Buffer | undefined }

/** Reads the request at the start of a chunk; 'partial' when its body is still to come, undefined for what is none of ours. */
function createRequestReader({ knowsHost }: Pick<Needs, 'knowsHost'>, remoteAddress: string | undefined) {
  /** A client's requests differ in little but the first line, so the fields of the last head are kept. */
  let lastText = ''
  let lastFields: HeadFields | undefined
  let lastToken: Secret | undefined

  function fieldsOf(text: string, chunk: Buffer, from: number, to: number): HeadFields | undefined {
    if (lastFields && lastText.length === to - from && text.startsWith(lastText, from)) return lastFields
    // A copy: a part of `text` would keep the whole of it, with its body, in memory.
    lastText = chunk.toString('latin1', from, to)
    lastFields = parseFields(lastText)
    if (lastFields && !knowsHost(lastFields.host)) lastFields = undefined
    lastToken = lastFields && tokenOf(lastFields.headers)
    return lastFields
  }

  return (chunk: Buffer): Read | 'partial' | undefined => {
    const text = chunk.toString('latin1', 0, longestHeadBytes)
    const line = parseRequestLine(text)
    const headEnd = line ? text.indexOf(endOfHead, line.end) : -1
    if (!line || headEnd < 0) return undefined
    const fields = fieldsOf(text, chunk, line.end, headEnd)
    const bodyAt = headEnd + endOfHead.length
    const end = bodyAt + (fields?.bodyBytes ?? 0)
    if (!fields || end > longestRequestBytes) return undefined
    if (end > chunk.length) return 'partial'
    const body =
      end > bodyAt
        ? bodyFrom(chunk.subarray(bodyAt, end), binaryFieldOf(line.url, fields.headers))
        : undefined
    return {
      asked: {
        method: line.method,
        url: line.url,
        headers: fields.headers,
        token: lastToken,
        body,
        remoteAddress,
      },
      rest: end < chunk.length ? chunk.subarray(end) : undefined,
    }
  }
}

/** Names and values by turns, each pair a line. */
function fieldLines(fields: readonly string[]): string {
  let lines = ''
  for (let i = 0; i < fields.length; i += 2) lines += `${fields[i]}: ${fields[i + 1]}\r\n`
  return lines
}

type ResponseHead = (status: number, bodyBytes: number, contentType?: string) => string

/** The same fields that Node's server sends, with its date of one second's precision. */
function createResponseHead({ clock, limits }: Pick<Needs, 'clock' | 'limits'>): ResponseHead {
  const keepAlive = `timeout=${Math.floor(limits.keepAliveTimeout / 1000)}`
  let second = 0
  let tail = ''
  const jsonHeads = new Map<number, string>()

  function headOf(status: number, contentType: string): string {
    const more = fieldLines(headersFor(contentType))
    const reason = STATUS_CODES[status] ?? 'Unknown'
    return `HTTP/1.1 ${status} ${reason}\r\nCache-Control: no-store\r\nContent-Type: ${contentType}\r\n${more}`
  }

  function jsonHeadOf(status: number): string {
    const known = jsonHeads.get(status) ?? headOf(status, jsonType)
    jsonHeads.set(status, known)
    return known
  }

  return (status, bodyBytes, contentType = jsonType) => {
    const time = clock.now()
    const current = Math.floor(time.getTime() / 1000)
    if (current !== second) {
      second = current
      tail = `Date: ${time.toUTCString()}\r\nConnection: keep-alive\r\nKeep-Alive: ${keepAlive}\r\n\r\n`
    }
    const length = status === 204 ? '' : `Content-Length: ${bodyBytes}\r\n`
    const head = contentType === jsonType ? jsonHeadOf(status) : headOf(status, contentType)
    return `${head}${length}${tail}`
  }
}
