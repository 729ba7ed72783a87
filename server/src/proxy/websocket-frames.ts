/** Frames of WebSocket (RFC 6455), without extensions. */

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** What a connection carries, once framing is taken off. How a message was cut into frames is of no meaning. */
export type Piece =
  | {
      readonly kind: 'data'
      readonly isText: boolean
      readonly bytes: Buffer
      /** The last piece of its message. */
      readonly isEnd: boolean
    }
  | { readonly kind: 'control'; readonly opcode: number; readonly payload: Buffer }
  /** After it nothing more is read. */
  | { readonly kind: 'violation'; readonly closeCode: number; readonly reason: string }

type Violation = Extract<Piece, { kind: 'violation' }>
type Head = { opcode: number; isFinal: boolean; left: number; mask: Buffer | undefined; headBytes: number }
type Frame = Head & { at: number }

const controlBytes = 125
const empty = Buffer.alloc(0)
const violation = (reason: string, closeCode = 1002): Violation => ({ kind: 'violation', closeCode, reason })
const isControl = (opcode: number): boolean => opcode >= opcodes.close

type ReaderNeeds = {
  /** Frames of clients are masked, those of servers are not (5.1). */
  readonly fromClient: boolean
  readonly maxMessageBytes: number
}

/** Reads one direction of a connection. Of a message it holds back nothing, of a control frame at most its 125 bytes. */
export function createFrameReader({ fromClient, maxMessageBytes }: ReaderNeeds) {
  let pending: Buffer = empty
  let frame: Frame | undefined
  let message: { readonly isText: boolean; bytes: number } | undefined

  /** Takes the next frame's head; undefined when more of it must come first. */
  const begin = (data: Buffer): Head | Violation | undefined => {
    const head = headOf(data, fromClient)
    if (!head || 'kind' in head) return head
    const { opcode } = head
    if (isControl(opcode)) return head
    if (opcode === opcodes.continuation && !message) return violation('A message begins with a continuation.')
    if (opcode !== opcodes.continuation && message)
      return violation('A message begins before the end of another.')
    message ??= { isText: opcode === opcodes.text, bytes: 0 }
    message.bytes += head.left
    return message.bytes > maxMessageBytes ? violation('The message is too long.', 1009) : head
  }

  /** The part of the current frame that is there, and how many bytes of `data` it took. */
  const take = (current: Frame, data: Buffer): { piece: Piece | undefined; taken: number } => {
    const bytes = unmasked(current, data.subarray(0, current.left))
    const { opcode } = current
    current.left -= bytes.length
    current.at += bytes.length
    const isOver = current.left === 0
    if (isOver) frame = undefined
    if (isControl(opcode)) return { piece: { kind: 'control', opcode, payload: bytes }, taken: bytes.length }
    const isEnd = isOver && current.isFinal
    const piece: Piece = { kind: 'data', isText: message?.isText ?? false, bytes, isEnd }
    if (isEnd) message = undefined
    return { piece: bytes.length > 0 || isEnd ? piece : undefined, taken: bytes.length }
  }

  /** One piece further; undefined when more must come first. */
  const step = (): Piece | 'nothing' | undefined => {
    if (!frame) {
      const head = begin(pending)
      if (!head || 'kind' in head) return head
      frame = { ...head, at: 0 }
      pending = pending.subarray(head.headBytes)
    }
    const isWhole = pending.length >= frame.left
    if (!isWhole && (isControl(frame.opcode) || pending.length === 0)) return undefined
    const { piece, taken } = take(frame, pending)
    pending = pending.subarray(taken)
    return piece ?? 'nothing'
  }

  return function* read(chunk: Buffer): Generator<Piece> {
    pending = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk
    for (let piece = step(); piece !== undefined; piece = step()) {
      if (piece === 'nothing') continue
      yield piece
      if (piece.kind === 'violation') return
    }
  }
}

function headOf(data: Buffer, fromClient: boolean): Head | Violation | undefined {
  const [first = 0, second = 0] = data
  if (data.length < 2) return undefined
  const opcode = first & 0x0f
  const isMasked = (second & 0x80) !== 0
  const wrong = headProblem(first, second, isMasked === fromClient)
  if (wrong !== undefined) return violation(wrong)
  const short = second & 0x7f
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
  const headBytes = 2 + lengthBytes + (isMasked ? 4 : 0)
  if (data.length < headBytes) return undefined
  const left = lengthOf(data, short)
  if (left === undefined) return violation('A length is not written in its shortest form.')
  const mask = isMasked ? Buffer.from(data.subarray(headBytes - 4, headBytes)) : undefined
  return { opcode, isFinal: (first & 0x80) !== 0, left, mask, headBytes }
}

function headProblem(first: number, second: number, isMaskRight: boolean): string | undefined {
  const opcode = first & 0x0f
  if ((first & 0x70) !== 0) return 'A reserved bit is set, though no extension was agreed on.'
  if (!(Object.values(opcodes) as number[]).includes(opcode)) return 'A frame has a reserved opcode.'
  if (!isMaskRight) return 'Frames must be masked by clients, and not by servers.'
  if (!isControl(opcode)) return undefined
  return (first & 0x80) === 0 || (second & 0x7f) > controlBytes
    ? 'A control frame is fragmented or too long.'
    : undefined
}

/** Undefined when a shorter way of writing it was not used, or it is beyond what a number holds exactly. */
function lengthOf(data: Buffer, short: number): number | undefined {
  if (short < 126) return short
  if (short === 126) {
    const length = data.readUInt16BE(2)
    return length < 126 ? undefined : length
  }
  const length = data.readBigUInt64BE(2)
  return length < 65_536n || length > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(length)
}

function unmasked({ mask, at }: Frame, bytes: Buffer): Buffer {
  const plain = Buffer.from(bytes)
  if (mask) for (let i = 0; i < plain.length; i++) plain[i] = (plain[i] ?? 0) ^ (mask[(at + i) & 3] ?? 0)
  return plain
}

type FrameParts = {
  readonly opcode: number
  readonly isFinal: boolean
  readonly payload: Buffer
  /** Four random bytes, for what a client sends. */
  readonly mask: Buffer | undefined
}

export function frameOf({ opcode, isFinal, payload, mask }: FrameParts): Buffer {
  const { length } = payload
  const short = length < 126 ? length : length < 65_536 ? 126 : 127
  const extended = Buffer.alloc(short === 126 ? 2 : short === 127 ? 8 : 0)
  if (short === 126) extended.writeUInt16BE(length)
  if (short === 127) extended.writeBigUInt64BE(BigInt(length))
  const head = Buffer.from([(isFinal ? 0x80 : 0) | opcode, (mask ? 0x80 : 0) | short])
  if (!mask) return Buffer.concat([head, extended, payload])
  const masked = unmasked({ mask, at: 0, opcode, isFinal, left: length, headBytes: 0 }, payload)
  return Buffer.concat([head, extended, mask, masked])
}

/** Why the payload of a close frame is none (5.5.1, 7.4); undefined when it is one. */
export function closeProblem(payload: Buffer): string | undefined {
  if (payload.length === 0) return undefined
  if (payload.length === 1) return 'A close frame has half a code.'
  const code = payload.readUInt16BE(0)
  const isDefined = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014)
  return isDefined || (code >= 3000 && code <= 4999) ? undefined : 'A close frame has a reserved code.'
}

export function closePayload(code: number, reason: string): Buffer {
  const text = Buffer.from(reason).subarray(0, controlBytes - 2)
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return Buffer.concat([head, text])
}
