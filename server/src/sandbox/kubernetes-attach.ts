import { createHash, randomBytes } from 'node:crypto'
import { type RequestOptions, request } from 'node:https'
import { type Duplex, Readable, Writable } from 'node:stream'
import { reasonOf } from '../core/index.ts'
import type { Channel } from './frames.ts'

// The streams of a container over a WebSocket (RFC 6455) as Kubernetes has them: the first byte of each message says which.
// https://kubernetes.io/docs/reference/generated/kubernetes-api/ and the subprotocol v4.channel.k8s.io.

const channels = { stdin: 0, stdout: 1, stderr: 2 } as const
const opcodes = { continuation: 0, binary: 2, close: 8, ping: 9, pong: 10 } as const
const protocol = 'v4.channel.k8s.io'
/** RFC 6455, section 1.3: proves that the other side speaks WebSocket. */
const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
/** More than any message of the API server; a hostile length must not make this process wait for it. */
const longestMessageBytes = 16 * 1024 ** 2

export type Attached = {
  /** Standard output and standard input. */
  channel: Channel
  /** The end of standard error. */
  said(): string
  closed: Promise<void>
}

/** Attaches to a container by the address of its pod's `attach`. Throws when the API server refuses. */
export function attach(options: RequestOptions): Promise<Attached> {
  const key = randomBytes(16).toString('base64')
  const accept = createHash('sha1').update(`${key}${acceptSuffix}`).digest('base64')
  const asked = request({
    ...options,
    headers: {
      ...options.headers,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
      'Sec-WebSocket-Protocol': protocol,
    },
  })
  return new Promise((resolve, reject) => {
    asked.once('error', reject)
    asked.once('response', (response) => {
      response.resume()
      reject(new Error(`the API server answered ${response.statusCode} to attach`))
    })
    asked.once('upgrade', (response, socket, head) => {
      const { headers } = response
      if (headers['sec-websocket-accept'] !== accept || headers['sec-websocket-protocol'] !== protocol) {
        socket.destroy()
        reject(new Error('the API server does not speak the protocol of attach'))
        return
      }
      if (head.length > 0) socket.unshift(head)
      resolve(attachedTo(socket))
    })
    asked.end()
  })
}

function attachedTo(socket: Duplex): Attached {
  let stderr = ''
  const incoming = new Readable({
    read: () => void socket.resume(),
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  const outgoing = new Writable({
    write: (chunk: Buffer, _, done) =>
      void socket.write(
        messageOf(opcodes.binary, Buffer.concat([Buffer.from([channels.stdin]), chunk])),
        done,
      ),
    final: (done) => void socket.end(messageOf(opcodes.close, Buffer.alloc(0)), done),
  })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const finish = () => void incoming.push(null)
  const take = createReader({
    onData(name, part) {
      if (name === channels.stderr) stderr = (stderr + part.toString('utf8')).slice(-4096)
      if (name === channels.stdout && part.length > 0 && !incoming.push(part)) socket.pause()
    },
    onControl(opcode, payload) {
      if (opcode === opcodes.ping) socket.write(messageOf(opcodes.pong, payload))
      if (opcode === opcodes.close) socket.end()
    },
  })
  socket.on('data', (part: Buffer) => {
    try {
      take(part)
    } catch (error) {
      incoming.destroy(new Error(reasonOf(error)))
    }
  })
  socket.on('error', () => undefined)
  socket.once('close', finish)
  return { channel: { incoming, outgoing }, said: () => stderr, closed }
}

/** What a client sends is masked (RFC 6455, section 5.3). */
function messageOf(opcode: number, payload: Buffer): Buffer {
  const { length } = payload
  const mask = randomBytes(4)
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  header[0] = 0x80 | opcode
  header[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (header.length === 4) header.writeUInt16BE(length, 2)
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2)
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))
  return Buffer.concat([header, mask, masked])
}

type Handlers = {
  onData(channel: number, part: Buffer): void
  onControl(opcode: number, payload: Buffer): void
}

/** Takes what comes from the server, part by part. Throws when it is not WebSocket. */
function createReader({ onData, onControl }: Handlers): (part: Buffer) => void {
  let held: Buffer = Buffer.alloc(0)
  let current: number | undefined

  function hear(opcode: number, isLast: boolean, payload: Buffer): void {
    if (opcode >= opcodes.close) {
      onControl(opcode, payload)
      return
    }
    // Only the first frame of a message begins with the channel.
    const channel = current ?? payload[0]
    const content = current === undefined ? payload.subarray(1) : payload
    current = isLast ? undefined : channel
    if (channel !== undefined) onData(channel, content)
  }

  return (part) => {
    held = held.length === 0 ? part : Buffer.concat([held, part])
    for (let frame = frameIn(held); frame; frame = frameIn(held)) {
      held = held.subarray(frame.endBytes)
      hear(frame.opcode, frame.isLast, frame.payload)
    }
  }
}

type Frame = { opcode: number; isLast: boolean; payload: Buffer; endBytes: number }

/** The frame at the beginning, once it is there whole. */
function frameIn(bytes: Buffer): Frame | undefined {
  const [first, second] = bytes
  if (first === undefined || second === undefined) return undefined
  if ((second & 0x80) !== 0) throw new Error('the API server masks what it sends')
  const short = second & 0x7f
  const headerBytes = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < headerBytes) return undefined
  const length =
    short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  if (length > longestMessageBytes) throw new Error('the API server sent too long a message')
  const endBytes = headerBytes + length
  if (bytes.length < endBytes) return undefined
  const payload = bytes.subarray(headerBytes, endBytes)
  return { opcode: first & 0x0f, isLast: (first & 0x80) !== 0, payload, endBytes }
}
