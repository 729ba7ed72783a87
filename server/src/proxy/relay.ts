import { pipeline, Readable, type Transform } from 'node:stream'
import { decodersOf } from './decode.ts'
import type { HttpAnswer, HttpRequest, HttpResponse, WholeAnswer } from './either-http.ts'
import { type RawHeaders, responseHeaders, responseTrailers, valuesOf, wantsTrailers } from './headers.ts'
import type { Refusal } from './messages.ts'
import { type Patterns, redactorOf, redactText } from './redact.ts'
import { count, leftFor, overBudget, type Tally } from './tally.ts'

type Answered = {
  readonly answer: HttpAnswer | WholeAnswer
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
  const decoders = hasBody ? decodersFor(answer) : []
  if (!decoders) return unreadable
  const whole = hasBody && decoders.length === 0 ? withoutValues(answered) : undefined
  // Without anything to take out the length can stay, which clients use to show progress and to notice a cut.
  const lengthKept = !hasBody || (patterns.isEmpty && decoders.length === 0 && whole === undefined)
  const { headers, redactions } = responseHeaders(answer.rawHeaders, {
    decoded: decoders.length > 0,
    lengthKept,
    patterns,
  })
  tally.redactions += redactions
  response.sendDate = false
  const words = answer.statusMessage ?? ''
  const said = patterns.mayStandIn([words]) ? redactText(patterns, words, 'latin1') : words
  if (whole) {
    response.writeHead(status, said, [...headers, 'Content-Length', String(whole.length)])
    // As text, head and body are one piece for Node, written at once; of latin1 each character is one byte.
    response.end(whole.toString('latin1'), 'latin1')
    return undefined
  }
  sendTogether(response)
  response.writeHead(status, said, headers)
  if (answer.isHeadOnly) {
    response.end()
    return undefined
  }
  response.flushHeaders()
  const fixedLength = lengthKept && valuesOf(headers, 'content-length').length > 0
  pour(answered, 'body' in answer ? streamOf(answer) : answer, { decoders, fixedLength })
  return undefined
}

/** What makes the body readable; undefined when nothing does. */
function decodersFor({ rawHeaders }: Answered['answer']): readonly Transform[] | undefined {
  // Messages of gRPC are compressed one by one, inside of the body.
  const isOpaque = valuesOf(rawHeaders, 'grpc-encoding').some((value) => value !== 'identity')
  return isOpaque ? undefined : decodersOf(valuesOf(rawHeaders, 'content-encoding').join(','))
}

/** The body of an answer that is all there, as the client may see it; undefined when it is not, or its leases have not that much left. */
function withoutValues({ answer, patterns, tally }: Answered): Buffer | undefined {
  if (!('body' in answer)) return undefined
  const { body } = answer
  if (body.length > leftFor(tally)) return undefined
  count(tally, 'bytesIn', body.length)
  if (patterns.isEmpty) return body
  const redactor = redactorOf(patterns, () => {
    tally.redactions++
  })
  const [first, last] = [redactor.push(body), redactor.end()]
  return last.length > 0 ? Buffer.concat([first, last]) : first
}

const streamOf = ({ body, ...head }: WholeAnswer): HttpAnswer =>
  Object.assign(Readable.from([body]), head, { rawTrailers: [] })

/**
 * Sends the body as it comes, no faster than the client takes it. By hand, because a pipeline of streams costs as much as the
 * request itself.
 */
function pour(answered: Answered, answer: HttpAnswer, { decoders, fixedLength }: Body): void {
  const { response, patterns, tally } = answered
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
      addTrailers(answered, answer.rawTrailers)
      response.end()
    } catch {
      stop('failed', unwritable.reason)
    }
  })
  source.once('error', () => stop('failed', 'The answer broke off, or could not be decompressed.'))
  // The client has left, which the end of the response tells.
  response.once('error', () => response.destroy())
}

function addTrailers({ request, response, patterns, tally }: Answered, rawTrailers: RawHeaders): void {
  if (rawTrailers.length === 0) return
  if (request.httpVersion !== '2.0' && !wantsTrailers(request.rawHeaders)) return
  const { trailers, redactions } = responseTrailers(rawTrailers, patterns)
  tally.redactions += redactions
  if (trailers.length > 0) response.addTrailers(trailers)
}

/** What is there at once, head and body, goes out in one write: one record of TLS and one packet. */
function sendTogether(response: HttpResponse): void {
  const { socket } = response
  socket?.cork()
  setImmediate(() => socket?.uncork())
}
