import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { HttpRequest, HttpResponse } from './either-http.ts'
import type { RawHeaders } from './headers.ts'
import { bodyOf } from './http2-body.ts'
import { requestHeadFrom2 } from './http2-heads.ts'
import { createHttp2Response } from './http2-response.ts'
import type { Limits, Refusal } from './messages.ts'

type Needs = {
  readonly limits: Limits
  forward(request: HttpRequest, response: HttpResponse, how: { expectsContinue: boolean }): void
  /** A stream, or the whole connection, that is refused without having been a request. */
  onRefused(refusal: Refusal): void
}

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_FLAG_END_STREAM, NGHTTP2_PROTOCOL_ERROR } =
  constants

/** Requests that one connection may break off before it is ended; a burst of them ends it sooner (rapid reset). */
const resetsAllowed = 1000
const malformed = (what: string): Refusal => ({
  code: 'request.invalid',
  reason: `malformed HTTP/2 (${what})`,
})

/** Serves HTTP/2 (RFC 9113) on a client's TLS connection: each stream is a request like those of HTTP/1.1. */
export function serveHttp2(tls: TLSSocket, { limits, forward, onRefused }: Needs): void {
  const session = openSession(tls, limits)
  session.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') onRefused(malformed(error.code ?? error.name))
    session.destroy()
  })
  const noteReset = countResets(session, onRefused)

  const serve = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    endsWithHead: boolean,
    raw: RawHeaders,
  ): void => {
    const head = requestHeadFrom2(raw, endsWithHead, limits.headerBytes)
    if ('code' in head) {
      onRefused(head)
      stream.close(NGHTTP2_PROTOCOL_ERROR)
      return
    }
    const request = Object.assign(bodyOf(stream, endsWithHead), { ...head, headers, httpVersion: '2.0' })
    // Who has its answer needs not be heard out: what still comes is let go.
    stream.once('finish', () => request.destroy())
    const expectsContinue = headers.expect?.toLowerCase() === '100-continue'
    forward(request, createHttp2Response(stream), { expectsContinue })
  }

  session.on('stream', (stream, headers, flags, rawHeaders) => {
    stream.on('error', () => {
      // What broke it off is told by its code, when it closes.
    })
    stream.once('close', () => {
      if (stream.rstCode === NGHTTP2_CANCEL || stream.rstCode === NGHTTP2_PROTOCOL_ERROR) noteReset()
    })
    serve(stream, headers, (flags & NGHTTP2_FLAG_END_STREAM) !== 0, rawHeaders)
  })
}

function openSession(tls: TLSSocket, limits: Limits): ServerHttp2Session {
  const session = performServerHandshake(tls, {
    settings: {
      enablePush: false,
      enableConnectProtocol: false,
      maxConcurrentStreams: limits.streams,
      maxHeaderListSize: limits.headerBytes,
    },
    maxHeaderListPairs: 256,
    maxSessionMemory: 8,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    maxOutstandingPings: 10,
    streamResetBurst: 200,
    streamResetRate: 33,
  })
  // What passes is not seen by the socket, so the session watches for idleness in its place.
  tls.setTimeout(0)
  session.setTimeout(limits.idleSeconds * 1000, () => session.destroy())
  return session
}

function countResets(session: ServerHttp2Session, onRefused: Needs['onRefused']): () => void {
  let resets = 0
  return () => {
    if (++resets !== resetsAllowed) return
    onRefused({
      code: 'request.invalid',
      reason: `${resetsAllowed} requests of one connection were broken off.`,
    })
    session.goaway(NGHTTP2_ENHANCE_YOUR_CALM)
    session.destroy()
  }
}
