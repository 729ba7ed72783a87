import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import type { RawHeaders } from './headers.ts'

/** What HTTP/1.1 and HTTP/2 have in common: as Node writes the former, the latter is made to look like it. */

/** A request of the client. `rawHeaders` tells by `Host`, `Content-Length` and `Transfer-Encoding` where it goes and ends. */
export type HttpRequest = Readable &
  Pick<IncomingMessage, 'method' | 'url' | 'headers' | 'httpVersion'> & { readonly rawHeaders: RawHeaders }

/** The answer to it, as it is written. */
export type HttpResponse = Writable &
  Pick<ServerResponse, 'statusCode' | 'headersSent' | 'sendDate' | 'flushHeaders' | 'writeContinue'> & {
    readonly socket: Writable | null
    writeHead(status: number, statusMessage: string, headers: string[]): unknown
    /** Pairs of a name and a value. */
    addTrailers(trailers: [name: string, value: string][]): void
  }

type AnswerHead = {
  readonly statusCode?: number | undefined
  readonly statusMessage?: string | undefined
  readonly rawHeaders: RawHeaders
  /** It ended with its head: nothing follows, not even an empty body. */
  readonly isHeadOnly?: boolean
}

/** The destination's answer. `rawTrailers` are there when the body has ended. */
export type HttpAnswer = Readable & AnswerHead & { readonly rawTrailers: RawHeaders }

/** An answer that was there to its end at once, without trailers. */
export type WholeAnswer = AnswerHead & { readonly body: Buffer }
