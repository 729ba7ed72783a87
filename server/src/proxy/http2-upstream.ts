import type { ClientRequest } from 'node:http'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { Writable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { HttpAnswer } from './either-http.ts'
import { framingOf, valuesOf } from './headers.ts'
import { bodyOf } from './http2-body.ts'
import { headersFor2 } from './http2-heads.ts'
import type { Limits } from './messages.ts'
import { dial, secure } from './relay/dial.ts'
import type { Route } from './route.ts'
import { type Outgoing, sendTo } from './upstream.ts'

/** A request on its way to the destination: its body is written to it, `response` brings the answer. */
export type Sending = Writable & { once(event: 'response', hear: (answer: HttpAnswer) => void): unknown }

/** Sends the requests of one tunnel: by HTTP/2 where the destination speaks it, else by HTTP/1.1. */
export type Sender = { send(outgoing: Outgoing): Sending; close(): void }

type Connected =
  | { readonly kind: 'http2'; readonly session: ClientHttp2Session }
  /** `socket` serves the first request; others open their own. */
  | { readonly kind: 'http1'; socket: TLSSocket | undefined }

/** One of two ways of sending, which is known when the connection is there. */
type Started = {
  readonly body: Writable
  onAnswer(hear: (answer: HttpAnswer) => void): void
  cancel(): void
}

export function createSender(route: Route, limits: Limits): Sender {
  let connecting: Promise<Connected> | undefined

  const connected = (): Promise<Connected> => {
    const begun: Promise<Connected> = connectTo(route, limits)
    const forget = (): void => {
      if (connecting === begun) connecting = undefined
    }
    begun.then((made) => {
      if (made.kind === 'http2') made.session.once('close', forget).once('goaway', forget)
    }, forget)
    return begun
  }

  const start = async (outgoing: Outgoing, isWanted: () => boolean): Promise<Started> => {
    connecting ??= connected()
    const made = await connecting
    // A lease may have ended while the connection was made.
    if (!isWanted()) throw new Error('it was given up')
    if (made.kind === 'http2') return overHttp2(made.session, outgoing)
    const { socket } = made
    made.socket = undefined
    if (!socket || socket.destroyed) return overHttp1(sendTo(route, outgoing, limits))
    const { method, target: path, headers } = outgoing
    const maxHeaderSize = limits.headerBytes
    return overHttp1(httpsRequest({ createConnection: () => socket, method, path, headers, maxHeaderSize }))
  }

  return {
    send(outgoing) {
      const sending: Sending = sendingOf(start(outgoing, () => !sending.destroyed))
      return sending
    },
    close() {
      connecting?.then(
        (made) => (made.kind === 'http2' ? made.session.destroy() : made.socket?.destroy()),
        () => {
          // There is nothing to close; who sent has been told.
        },
      )
    },
  }
}

async function connectTo(route: Route, limits: Limits): Promise<Connected> {
  const tls = { ...route.tls, ALPNProtocols: ['h2', 'http/1.1'] }
  const socket = await secure(await dial(route, limits), { ...route, tls }, limits)
  if (socket.alpnProtocol !== 'h2') return { kind: 'http1', socket }
  const session = connect(`https://${route.authority.host}`, {
    createConnection: () => socket,
    settings: { enablePush: false, maxHeaderListSize: limits.headerBytes },
    maxHeaderListPairs: 256,
    maxSessionMemory: 8,
  })
  session.on('error', () => session.destroy())
  session.setTimeout(limits.idleSeconds * 1000, () => session.destroy())
  return { kind: 'http2', session }
}

function overHttp1(request: ClientRequest): Started {
  return {
    body: request,
    onAnswer: (hear) => request.once('response', hear),
    cancel: () => request.destroy(),
  }
}

function overHttp2(session: ClientHttp2Session, { method, target, headers }: Outgoing): Started {
  const [authority = ''] = valuesOf(headers, 'host')
  const head = { ':method': method, ':scheme': 'https', ':authority': authority, ':path': target }
  const endStream = framingOf(headers).kind === 'none'
  const stream = session.request({ ...headersFor2(headers), ...head }, { endStream })
  return {
    body: stream,
    onAnswer: (hear) => stream.once('response', (_, flags, raw) => hear(answerOf(stream, flags, raw))),
    cancel: () => stream.close(constants.NGHTTP2_CANCEL),
  }
}

function answerOf(stream: ClientHttp2Stream, flags: number, raw: readonly string[]): HttpAnswer {
  const rawTrailers: string[] = []
  stream.once('trailers', (_headers, _flags, fields) => rawTrailers.push(...fields))
  const isHeadOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
  // The only pseudo header of an answer stands in front of all others (RFC 9113, 8.3.2).
  const [, status = '502', ...rawHeaders] = raw
  return Object.assign(bodyOf(stream, isHeadOnly), {
    statusCode: Number(status),
    statusMessage: '',
    rawHeaders,
    rawTrailers,
    isHeadOnly,
  })
}

/** What the request is written to is there only when the connection is. */
function sendingOf(starting: Promise<Started>): Sending {
  let started: Started | undefined
  let isAnswered = false
  const sending = new Writable({
    // What is written is not all: the answer is waited for.
    autoDestroy: false,
    construct: (done) => void starting.then(begin).then(() => done(), done),
    write: (chunk, _encoding, done) => void started?.body.write(chunk, done),
    final: (done) => void started?.body.end(() => done()),
    destroy(error, done) {
      started?.cancel()
      done(error)
    },
  })
  const begin = (made: Started): void => {
    started = made
    made.body.on('error', (error) => sending.destroy(error))
    made.body.once('close', () => {
      if (!isAnswered) sending.destroy(new Error('it ended the request without an answer'))
    })
    made.onAnswer((answer) => {
      isAnswered = true
      sending.emit('response', answer)
    })
    if (sending.destroyed) made.cancel()
  }
  return sending
}
