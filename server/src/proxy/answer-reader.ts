import { type AnswerBody, answerBody, malformed } from './answer-body.ts'
import { type AnswerHead, isInterim, readAnswerHead } from './answer-head.ts'

/** Reads one answer as it comes, with what a server says before it. */
export type AnswerReader = {
  /** What of the body the chunk holds; `rest` is what follows the end of the answer. Throws when the answer is malformed. */
  push(chunk: Buffer): ReturnType<AnswerBody['push']>
  /** When it is there whole. */
  readonly head: AnswerHead | undefined
  readonly isOver: boolean
  readonly rawTrailers: readonly string[]
}

type Expected = {
  readonly isToHead: boolean
  /** Of all heads together, and of the trailers. */
  readonly mostHeadBytes: number
  readonly mostRestMs: number
}

const emptyLine = '\r\n\r\n'
const nothing: Buffer = Buffer.alloc(0)

export function createAnswerReader({ isToHead, mostHeadBytes, mostRestMs }: Expected): AnswerReader {
  let bytes = 0
  let held = nothing
  let head: AnswerHead | undefined
  let body: AnswerBody | undefined

  /** Returns what follows the head, or undefined while it is not whole. */
  const readHead = (data: Buffer): Buffer | undefined => {
    const end = data.indexOf(emptyLine)
    if (bytes + (end < 0 ? data.length : end) > mostHeadBytes) throw malformed('HPE_HEADER_OVERFLOW')
    if (end < 0) return undefined
    bytes += end
    const read = readAnswerHead(data.toString('latin1', 0, end), isToHead, mostRestMs)
    // Nobody asked for another protocol.
    if (!read || read.statusCode === 101) throw malformed('HPE_INVALID_HEADER_TOKEN')
    if (!isInterim(read.statusCode)) head = read
    return data.subarray(end + emptyLine.length)
  }

  return {
    push(chunk) {
      if (body) return body.push(chunk)
      let data = held.length > 0 ? Buffer.concat([held, chunk]) : chunk
      while (!head) {
        const next = readHead(data)
        if (!next) {
          held = data
          return { parts: [], rest: nothing }
        }
        data = next
      }
      body = answerBody(head.framing, mostHeadBytes)
      return body.push(data)
    },
    get head() {
      return head
    },
    get isOver() {
      return body?.isOver ?? false
    },
    get rawTrailers() {
      return body?.rawTrailers ?? []
    },
  }
}
