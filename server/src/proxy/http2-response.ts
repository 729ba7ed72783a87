import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { Writable } from 'node:stream'
import type { HttpResponse } from './either-http.ts'
import { valuesOf } from './headers.ts'
import { headersFor2 } from './http2-heads.ts'

/** The answer on a stream. A head without a body goes out alone, with the end of the stream on it. */
export function createHttp2Response(stream: ServerHttp2Stream): HttpResponse {
  let status = 0
  let headers: OutgoingHttpHeaders | undefined
  let trailers: OutgoingHttpHeaders | undefined
  let finish: (() => void) | undefined
  let isLast = false

  const respond = (endStream: boolean): void => {
    if (!headers || stream.headersSent || stream.destroyed || stream.closed) return
    stream.respond(headers, { endStream, waitForTrailers: !endStream })
  }
  const body = new Writable({
    write(chunk, _encoding, done) {
      respond(false)
      if (stream.destroyed || stream.writableEnded) return done(new Error('the stream has ended'))
      stream.write(chunk, done)
    },
    final(done) {
      finish = done
      respond(trailers === undefined)
      stream.end()
      if (stream.closed || stream.destroyed) body.destroy()
    },
    destroy(error, done) {
      if (!stream.closed) stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      done(error)
    },
  })
  // Whoever writes has been told by the stream's end, which is recorded.
  body.on('error', () => {})
  stream.on('wantTrailers', () => {
    try {
      stream.sendTrailers(trailers ?? {})
    } catch {
      // What HTTP/1.1 may say and HTTP/2 may not; an answer without it would pass for whole.
      body.destroy()
    }
  })
  stream.once('finish', () => {
    // The answer is whole. What is left of a refused request is not waited for; others may go on to their end.
    if (isLast && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
    else stream.resume()
  })
  stream.once('close', () => {
    if (finish && stream.rstCode === constants.NGHTTP2_NO_ERROR) finish()
    else body.destroy()
  })
  const own = {
    sendDate: true,
    socket: null,
    writeHead(code: number, _message: string, fields: string[]) {
      status = code
      isLast = valuesOf(fields, 'connection').includes('close')
      headers = { ...headersFor2(fields), ':status': code }
    },
    flushHeaders: () => respond(false),
    writeContinue: () => stream.additionalHeaders({ ':status': 100 }),
    addTrailers(pairs: [string, string][]) {
      trailers = headersFor2(pairs.flat())
    },
  }
  return Object.defineProperties(Object.assign(body, own), {
    statusCode: { get: () => status },
    headersSent: { get: () => headers !== undefined },
  }) as Writable as HttpResponse
}
