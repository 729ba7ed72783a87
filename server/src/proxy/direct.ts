import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import type { AnswerHead } from './answer-head.ts'
import { type AnswerReader, createAnswerReader } from './answer-reader.ts'
import type { HttpAnswer, WholeAnswer } from './either-http.ts'
import { valuesOf } from './headers.ts'
import type { Limits } from './messages.ts'
import { pinned, type Route } from './route.ts'
import type { Outgoing } from './upstream.ts'

/**
 * The connection to the destination that belongs to one tunnel, for requests that are known whole. Node's own client costs more than all
 * else that a request does; it sends what this does not: bodies that are streamed, and requests that come while this is at work.
 */
export type Direct = {
  /** Undefined while another request is under way. */
  send(outgoing: Outgoing, body: Buffer | undefined, heard: Heard): Sent | undefined
  close(): void
}

/** Exactly one of both is called. */
export type Heard = {
  onAnswer(answer: HttpAnswer | WholeAnswer): void
  onError(error: Error): void
}

/** `cancel` ends the connection, unless the answer is there to its end. */
type Sent = { cancel(): void }
type Read = ReturnType<AnswerReader['push']>

type Work = {
  readonly heard: Heard
  readonly reader: AnswerReader
  isAnswered: boolean
  /** Of an answer that was not there whole. */
  stream: Readable | undefined
}

const failed = (code: string, words: string): Error => Object.assign(new Error(words), { code })
const nothing: Buffer = Buffer.alloc(0)

export function createDirect(route: Route, limits: Limits): Direct {
  let socket: TLSSocket | undefined
  let work: Work | undefined
  let isSecure = false
  let timeoutMs = 0
  const idleMs = limits.idleSeconds * 1000

  const endAfter = (silentMs: number): void => {
    if (timeoutMs !== silentMs) socket?.setTimeout(silentMs)
    timeoutMs = silentMs
  }

  const drop = (): void => {
    const last = socket
    socket = undefined
    last?.destroy()
  }

  /** Tells whoever waits, once, and has the connection serve nobody any more. */
  const fail = (error: Error): void => {
    const given = work
    work = undefined
    drop()
    if (!given) return
    if (given.isAnswered) given.stream?.destroy(error)
    else {
      given.isAnswered = true
      given.heard.onError(error)
    }
  }

  const finish = ({ reader: { head } }: Work, rest: Buffer): void => {
    work = undefined
    // What nobody asked for must not be taken for the answer to what is asked next.
    if (!head || head.restMs === 0 || rest.length > 0) drop()
    else endAfter(head.restMs)
    if (socket?.isPaused()) socket.resume()
  }

  const streamOf = (given: Work, { statusCode, statusMessage, rawHeaders }: AnswerHead): HttpAnswer => {
    const stream = new Readable({
      read: () => {
        if (given === work) socket?.resume()
      },
      destroy: (error, done) => {
        if (given === work) fail(new Error('the answer is not wanted'))
        done(error)
      },
    })
    const { rawTrailers } = given.reader
    return Object.assign(stream, { statusCode, statusMessage, rawHeaders, rawTrailers })
  }

  const pass = (given: Work, stream: Readable, { parts, rest }: Read): void => {
    // Who was told of the answer may not want it.
    if (given !== work) return
    for (const part of parts) if (!stream.push(part)) socket?.pause()
    if (!given.reader.isOver) return
    finish(given, rest)
    stream.push(null)
  }

  const begin = (given: Work, head: AnswerHead, read: Read): void => {
    given.isAnswered = true
    const { isOver, rawTrailers } = given.reader
    if (isOver && rawTrailers.length === 0) {
      const { statusCode, statusMessage, rawHeaders } = head
      const [only = nothing, ...others] = read.parts
      const body = others.length > 0 ? Buffer.concat(read.parts) : only
      finish(given, read.rest)
      given.heard.onAnswer({ statusCode, statusMessage, rawHeaders, body })
      return
    }
    const stream = streamOf(given, head)
    given.stream = stream
    given.heard.onAnswer(stream)
    pass(given, stream, read)
  }

  const hear = (chunk: Buffer): void => {
    if (!work) {
      drop()
      return
    }
    const { reader, stream } = work
    try {
      const read = reader.push(chunk)
      if (stream) pass(work, stream, read)
      else if (reader.head) begin(work, reader.head, read)
    } catch (error) {
      fail(error instanceof Error ? error : new Error('the answer cannot be read'))
    }
  }

  const ended = (): void => {
    if (work?.stream && work.reader.head?.framing.kind === 'close') {
      const { stream } = work
      finish(work, nothing)
      stream.push(null)
    } else fail(failed('ECONNRESET', 'it hung up'))
  }

  const connect = (): TLSSocket => {
    const { authority, target } = route
    // What Node's own agents pass on; the types of TLS do not know the choice of a family.
    const options: ConnectionOptions & { autoSelectFamily: boolean } = {
      ...route.tls,
      host: isIP(authority.host) === 0 ? authority.host : (target.addresses[0] ?? ''),
      port: target.port,
      lookup: pinned(target.addresses),
      autoSelectFamily: true,
      ALPNProtocols: ['http/1.1'],
    }
    const made = connectTls(options)
    // What is heard of a connection that serves no more concerns nobody.
    const mine = (tell: () => void) => (): void => {
      if (socket === made) tell()
    }
    made.setNoDelay(true)
    made.setKeepAlive(true)
    timeoutMs = 0
    isSecure = false
    const late = setTimeout(
      mine(() => fail(new Error('no connection in time'))),
      limits.connectSeconds * 1000,
    )
    made.once('secureConnect', () => {
      clearTimeout(late)
      isSecure = true
    })
    made.once('close', () => clearTimeout(late))
    made.once(
      'close',
      mine(() => fail(failed('ECONNRESET', 'it hung up'))),
    )
    made.once('end', mine(ended))
    made.on('error', (error) => {
      if (socket === made) fail(error)
    })
    made.on(
      'timeout',
      mine(() => fail(new Error('idle for too long'))),
    )
    made.on('data', (chunk: Buffer) => {
      if (socket === made) hear(chunk)
    })
    return made
  }

  return {
    send(outgoing, body, heard) {
      if (work) return undefined
      const isToHead = outgoing.method === 'HEAD'
      const reader = createAnswerReader({ isToHead, mostHeadBytes: limits.headerBytes, mostRestMs: idleMs })
      const given: Work = { heard, reader, isAnswered: false, stream: undefined }
      const head = headOf(outgoing)
      work = given
      socket ??= connect()
      endAfter(idleMs)
      const write = (to: TLSSocket): void => {
        if (body && body.length > 0) to.write(Buffer.concat([Buffer.from(head, 'latin1'), body]))
        else to.write(head, 'latin1')
      }
      // Nothing is sent before it is known who takes it.
      if (isSecure) write(socket)
      else socket.once('secureConnect', write.bind(undefined, socket))
      return {
        cancel: () => {
          if (given === work) fail(new Error('the client has left'))
        },
      }
    },
    close: drop,
  }
}

/** What would end a line, or the target, early is refused here once more, as Node's own client does. */
const unfitForLine = /[^\t\x20-\x7e\x80-\xff]/
const unfitForTarget = /[^\x21-\xff]/

function headOf({ method, target, headers }: Outgoing): string {
  let lines = ''
  for (let at = 0; at < headers.length; at += 2) {
    const line = `${headers[at]}: ${headers[at + 1]}`
    if (unfitForLine.test(line)) throw failed('ERR_INVALID_CHAR', 'a header that cannot be sent')
    lines += `${line}\r\n`
  }
  if (unfitForTarget.test(target)) throw failed('ERR_UNESCAPED_CHARACTERS', 'a target that cannot be sent')
  const kept = valuesOf(headers, 'connection').length > 0 ? '' : 'Connection: keep-alive\r\n'
  return `${method} ${target} HTTP/1.1\r\n${lines}${kept}\r\n`
}
