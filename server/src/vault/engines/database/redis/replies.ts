/** A reply of Redis' protocol, version 2. An error is a value here: which command it belongs to is known by its place. */
export type Reply = string | number | null | ReplyError | readonly Reply[]
export type ReplyError = { readonly error: string }

type Parsed = { readonly reply: Reply; readonly end: number }

/** Far more than any answer to what is asked here. */
const mostBytes = 16 * 1024 * 1024
const mostDepth = 8

/** https://redis.io/docs/latest/develop/reference/protocol-spec/ */
export function createReplyReader(onReply: (reply: Reply) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    if (rest.length > mostBytes) throw new Error('the answer is too long')
    let at = 0
    for (let parsed = parse(rest, at, 0); parsed; parsed = parse(rest, at, 0)) {
      at = parsed.end
      onReply(parsed.reply)
    }
    rest = rest.subarray(at)
  }
}

/** Undefined: more has to come first. */
function parse(bytes: Buffer, at: number, depth: number): Parsed | undefined {
  const lineEnd = bytes.indexOf('\r\n', at)
  if (lineEnd < 0) return undefined
  const line = bytes.toString('utf8', at + 1, lineEnd)
  const end = lineEnd + 2
  switch (bytes[at]) {
    case 0x2b: // +
      return { reply: line, end }
    case 0x2d: // -
      return { reply: { error: line }, end }
    case 0x3a: // :
      return { reply: Number(line), end }
    case 0x24: // $
      return bulk(bytes, end, lengthOf(line))
    case 0x2a: // *
      return list(bytes, end, lengthOf(line), depth)
    default:
      throw new Error('this is no answer of Redis')
  }
}

function lengthOf(line: string): number {
  const length = Number(line)
  if (!Number.isInteger(length) || length < -1 || length > mostBytes) throw new Error('a length is not valid')
  return length
}

function bulk(bytes: Buffer, start: number, length: number): Parsed | undefined {
  if (length < 0) return { reply: null, end: start }
  const end = start + length + 2
  return bytes.length < end ? undefined : { reply: bytes.toString('utf8', start, end - 2), end }
}

function list(bytes: Buffer, start: number, length: number, depth: number): Parsed | undefined {
  if (length < 0) return { reply: null, end: start }
  if (depth >= mostDepth) throw new Error('the answer is nested too deeply')
  const replies: Reply[] = []
  let end = start
  while (replies.length < length) {
    const parsed = parse(bytes, end, depth + 1)
    if (!parsed) return undefined
    replies.push(parsed.reply)
    end = parsed.end
  }
  return { reply: replies, end }
}

export const isError = (reply: Reply): reply is ReplyError =>
  typeof reply === 'object' && reply !== null && 'error' in reply
