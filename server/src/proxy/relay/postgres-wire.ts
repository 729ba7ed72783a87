import type { Duplex } from 'node:stream'
import { take } from './read.ts'
import { invalid } from './refused.ts'

// The messages of PostgreSQL's protocol 3 that a login is made of, as "Frontend/Backend Protocol" of its manual says.

const protocol3 = 3
const cancelCode = 80_877_102
const sslCode = 80_877_103
const gssCode = 80_877_104
/** PostgreSQL's own limit for the first packet. */
const longestStart = 10_000
const longestLogin = 64 * 1024

export type Start =
  | { readonly kind: 'startup'; readonly minor: number; readonly parameters: ReadonlyMap<string, string> }
  | { readonly kind: 'cancel'; readonly key: Buffer }

/** What a client says first. It asks for TLS or GSSAPI before; both are declined, because it is in the same sandbox. */
export async function readStart(client: Duplex): Promise<Start> {
  for (let asked = 0; asked < 3; asked++) {
    const length = (await take(client, 4)).readUInt32BE()
    if (length < 8 || length > longestStart)
      throw invalid(`The first packet has ${length} bytes; it may have ${longestStart}.`)
    const body = await take(client, length - 4)
    const code = body.readUInt32BE()
    if ((code === sslCode || code === gssCode) && length === 8) client.write('N')
    else if (code === cancelCode && length === 16) return { kind: 'cancel', key: body.subarray(4) }
    else if (code >>> 16 === protocol3)
      return { kind: 'startup', minor: code & 0xffff, parameters: parametersIn(body.subarray(4)) }
    else throw invalid('This is not version 3 of the protocol of PostgreSQL.')
  }
  throw invalid('The client asks for encryption again and again.')
}

function parametersIn(bytes: Buffer): Map<string, string> {
  const parts = bytes.toString('utf8').split('\0')
  // Pairs, an empty name, and what stands after the last NUL.
  if (parts.length % 2 !== 0 || parts.at(-1) !== '' || parts.at(-2) !== '')
    throw invalid('The startup packet is malformed.')
  const parameters = new Map<string, string>()
  for (let at = 0; at < parts.length - 2; at += 2) {
    const [name = '', value = ''] = parts.slice(at, at + 2)
    if (name === '' || parameters.has(name))
      throw invalid('A startup parameter has no name, or stands twice.')
    parameters.set(name, value)
  }
  return parameters
}

export type Message = { readonly type: string; readonly body: Buffer }

/** One message of a login; longer ones belong to no login. */
export async function readMessage(stream: Duplex): Promise<Message> {
  const head = await take(stream, 5)
  const length = head.readUInt32BE(1)
  if (length < 4 || length > longestLogin)
    throw invalid('A message of the login has a length that is not valid.')
  return { type: head.toString('latin1', 0, 1), body: await take(stream, length - 4) }
}

export function message(type: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  const head = Buffer.alloc(type.length + 4)
  head.write(type, 'latin1')
  head.writeUInt32BE(body.length + 4, type.length)
  return Buffer.concat([head, body])
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

export function startupMessage(parameters: ReadonlyMap<string, string>): Buffer {
  const pairs = [...parameters].flatMap(([name, value]) => [`${name}\0`, `${value}\0`])
  return message('', int32(protocol3 << 16), ...pairs, '\0')
}

export const sslRequest = message('', int32(sslCode))
export const cancelRequest = (key: Buffer): Buffer => message('', int32(cancelCode), key)
export const askForPassword = message('R', int32(3))
export const signedIn = message('R', int32(0))
export const passwordMessage = (text: string): Buffer => message('p', text, '\0')

/** For a client that wants a newer minor version, or options of one. */
export const negotiateVersion = (options: readonly string[]): Buffer =>
  message('v', int32(0), int32(options.length), ...options.map((name) => `${name}\0`))

export const fatal = (sqlState: string, text: string): Buffer =>
  message('E', 'SFATAL\0', 'VFATAL\0', `C${sqlState}\0`, `M${text}\0`, '\0')

/** The fields of an ErrorResponse by their letter. */
export const errorFields = (body: Buffer): Map<string, string> =>
  new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  )

/** Follows the lengths in a stream of messages; says how many of the last bytes belong to one that has not ended. */
export function followMessages(longestBytes: number): (chunk: Buffer) => number {
  let head: Buffer = Buffer.alloc(0)
  let left = 0
  let open = 0
  const readHead = (part: Buffer): void => {
    head = Buffer.concat([head, part])
    if (head.length < 5) return
    const length = head.readUInt32BE(1)
    if (length < 4 || length > longestBytes) throw invalid('A message has a length that is not valid.')
    left = length - 4
    head = Buffer.alloc(0)
  }
  return (chunk) => {
    open += chunk.length
    for (let at = 0; at < chunk.length; ) {
      const isHead = left === 0
      const part = chunk.subarray(at, at + (isHead ? 5 - head.length : left))
      at += part.length
      if (isHead) readHead(part)
      else left -= part.length
      if (left === 0 && head.length === 0) open = chunk.length - at
    }
    return open
  }
}
