import { pipeline, type Readable, type Transform } from 'node:stream'
import { decodersOf } from './decode.ts'
import type { HttpAnswer, HttpRequest, HttpResponse } from './either-http.ts'
import { responseHeaders, responseTrailers, valuesOf, wantsTrailers } from './headers.ts'
import type { Refusal } from './messages.ts'
import { type Patterns, redactorOf, redactText } from './redact.ts'
import { count, overBudget, type Tally } from './tally.ts'

type Answered = {
  readonly answer: HttpAnswer
  readonly response: HttpResponse
  readonly request: HttpRequest
  readonly patterns: Patterns
  readonly tally: Tally
}

type Body = { readonly decoders: readonly Transform[]; readonly fixedLength: boolean }

const unreadable: Refusal = {
  code: 'egress.unreachable',
  reason:
    'The answer is compressed in a way that cannot be searched for secrets, though it was asked for uncompressed.',
}

const unwritable: Refusal = {
  code: 'egress.unreachable',
  reason: 'The destination answered with a status or header that cannot be passed on.',
}

/** Passes the answer on with every known value taken out; returns why not when it cannot be looked through, or not be written. */
export function relay(answered: Answered): Refusal | undefined {
  try {
    return begin(answered)
  } catch {
    // Node writes less than it reads, HTTP/2 less than HTTP/1.1; an error here would end the process, and everybody's connections.
    return unwritable
  }
}

function begin(answered: Answered): Refusal | undefined {
  const { answer, request, response, patterns, tally } = answered
  const status = answer.statusCode ?? 502
  const hasBody = request.method !== 'HEAD' && status !== 204 && status !== 304
  const coding = valuesOf(answer.rawHeaders, 'content-encoding').join(',')
  const decoders = hasBody ? decodersOf(coding) : []
  // Messages of gRPC are compressed one by one, inside of the body.
  const isOpaque = valuesOf(answer.rawHeaders, 'grpc-encoding').some((value) => value !== 'identity')
  if (!decoders || isOpaque) return unreadable
  // Without anything to take out the length can stay, which clients use to show progress and to notice a cut.
  const lengthKept = !hasBody || (patterns.isEmpty && decoders.length === 0)
  const { headers, redactions } = responseHeaders(answer.rawHeaders, {
    decoded: decoders.length > 0,
    lengthKept,
    patterns,
  })
  tally.redactions += redactions
  response.sendDate = false
  sendTogether(response)
  const words = answer.statusMessage ?? ''
  const saysValue = patterns.mayStandIn([words])
  response.writeHead(status, saysValue ? redactText(patterns, words, 'latin1') : words, headers)
  if (answer.isHeadOnly) {
    response.end()
    return undefined
  }
  response.flushHeaders()
  const fixedLength = lengthKept && valuesOf(headers, 'content-length').length > 0
  pour(answered, { decoders, fixedLength })
  return undefined
}

/**
 * Sends the body as it comes, no faster than the client takes it. By hand, because a pipeline of streams costs as much as the
 * request itself.
 */
function pour(answered: Answered, { decoders, fixedLength }: Body): void {
  const { answer, response, patterns, tally } = answered
  const stop = (outcome: Tally['outcome'], reason: string): void => {
    if (tally.reason === null) Object.assign(tally, { outcome, reason })
    response.destroy()
  }
  const redactor = redactorOf(patterns, () => {
    tally.redactions++
  })
  /** Whether the client is ready for more. */
  const send = (out: Buffer): boolean => {
    if (response.destroyed || out.length === 0) return true
    if (!fixedLength || redactor.redactions === 0) return response.write(out)
    stop('failed', 'A value stands in an answer whose length is promised already.')
    return true
  }
  const source: Readable = decoders.at(-1) ?? answer
  // Its errors are those of its last step, which are heard below.
  if (decoders.length > 0) pipeline([answer, ...decoders], () => {})
  answer.on('data', (chunk: Buffer) => {
    if (!count(tally, 'bytesIn', chunk.length)) stop('denied', overBudget.reason)
  })
  source.on('data', (chunk: Buffer) => {
    if (!send(redactor.push(chunk))) source.pause()
  })
  response.on('drain', () => source.resume())
  source.once('end', () => {
    send(redactor.end())
    if (response.destroyed) return
    try {
      addTrailers(answered)
      response.end()
    } catch {
      stop('failed', unwritable.reason)
    }
  })
  source.once('error', () => stop('failed', 'The answer broke off, or could not be decompressed.'))
  // The client has left, which the end of the response tells.
  response.once('error', () => response.destroy())
}

function addTrailers({ answer, request, response, patterns, tally }: Answered): void {
  if (answer.rawTrailers.length === 0) return
  if (request.httpVersion !== '2.0' && !wantsTrailers(request.rawHeaders)) return
  const { trailers, redactions } = responseTrailers(answer.rawTrailers, patterns)
  tally.redactions += redactions
  if (trailers.length > 0) response.addTrailers(trailers)
}

/** What is there at once, head and body, goes out in one write: one record of TLS and one packet. */
function sendTogether(response: HttpResponse): void {
  const { socket } = response
  socket?.cork()
  setImmediate(() => socket?.uncork())
}
