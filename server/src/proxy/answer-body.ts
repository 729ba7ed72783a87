import { type AnswerFraming, readFields } from './answer-head.ts'

/** Reads the body of one answer as it comes. */
export type AnswerBody = {
  /** What of the body the chunk holds; `rest` is what follows its end. Throws a code like Node's when it is malformed. */
  push(chunk: Buffer): { readonly parts: readonly Buffer[]; readonly rest: Buffer }
  readonly isOver: boolean
  readonly rawTrailers: readonly string[]
}

const nothing: Buffer = Buffer.alloc(0)
/** A length and what may stand behind it, which means nothing here. */
const chunkLine = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/
const mostLineBytes = 4096

export const malformed = (code: string): Error => Object.assign(new Error('a malformed answer'), { code })

export function answerBody(framing: AnswerFraming, mostTrailerBytes: number): AnswerBody {
  if (framing.kind === 'chunked') return chunkedBody(mostTrailerBytes)
  return sizedBody(
    { none: 0, close: Number.POSITIVE_INFINITY, length: framing.kind === 'length' ? framing.bytes : 0 }[
      framing.kind
    ],
  )
}

function sizedBody(bytes: number): AnswerBody {
  let left = bytes
  return {
    push(chunk) {
      if (chunk.length <= left) {
        left -= chunk.length
        return { parts: chunk.length > 0 ? [chunk] : [], rest: nothing }
      }
      const part = chunk.subarray(0, left)
      const rest = chunk.subarray(left)
      left = 0
      return { parts: part.length > 0 ? [part] : [], rest }
    },
    get isOver() {
      return left === 0
    },
    rawTrailers: [],
  }
}

function chunkedBody(mostTrailerBytes: number): AnswerBody {
  /** Of the chunk that is being read, with the end of its line; 0 where the line of a length is next. */
  let left = 0
  let held = nothing
  let place: 'length' | 'data' | 'trailers' | 'over' = 'length'
  const rawTrailers: string[] = []

  /** The text up to the end of a line, and past it; undefined while that is not there. */
  const lineOf = (data: Buffer, end: string, most: number): { text: string; after: number } | undefined => {
    const at = data.indexOf(end)
    if (at > most || (at < 0 && data.length > most)) throw malformed('HPE_CHUNK_EXTENSIONS_OVERFLOW')
    return at < 0 ? undefined : { text: data.toString('latin1', 0, at), after: at + end.length }
  }

  /** Returns what follows the line, or undefined while it is not whole. */
  const readLength = (data: Buffer): Buffer | undefined => {
    const line = lineOf(data, '\r\n', mostLineBytes)
    if (!line) return undefined
    const [, size] = chunkLine.exec(line.text) ?? []
    if (size === undefined) throw malformed('HPE_INVALID_CHUNK_SIZE')
    const bytes = Number.parseInt(size, 16)
    place = bytes === 0 ? 'trailers' : 'data'
    left = bytes === 0 ? 0 : bytes + 2
    return data.subarray(line.after)
  }

  const readData = (data: Buffer, parts: Buffer[]): Buffer => {
    const body = Math.max(0, Math.min(left - 2, data.length))
    if (body > 0) parts.push(data.subarray(0, body))
    left -= body
    const end = data.subarray(body, body + left)
    if (left > 2 || end.length === 0) return nothing
    // What is there of the two bytes at its end.
    if (end.toString('latin1') !== '\r\n'.slice(2 - left, 2 - left + end.length))
      throw malformed('HPE_STRICT')
    left -= end.length
    if (left === 0) place = 'length'
    return data.subarray(body + end.length)
  }

  const readTrailers = (data: Buffer): Buffer | undefined => {
    if (data.length >= 2 && data.toString('latin1', 0, 2) === '\r\n') {
      place = 'over'
      return data.subarray(2)
    }
    const found = lineOf(data, '\r\n\r\n', mostTrailerBytes)
    if (!found) return undefined
    const fields = readFields(found.text.split('\r\n'), 0)
    if (!fields) throw malformed('HPE_INVALID_HEADER_TOKEN')
    rawTrailers.push(...fields)
    place = 'over'
    return data.subarray(found.after)
  }

  return {
    push(chunk) {
      const parts: Buffer[] = []
      let data = held.length > 0 ? Buffer.concat([held, chunk]) : chunk
      held = nothing
      while (data.length > 0 && place !== 'over') {
        const next: Buffer | undefined =
          place === 'data'
            ? readData(data, parts)
            : place === 'length'
              ? readLength(data)
              : readTrailers(data)
        if (!next) {
          held = data
          return { parts, rest: nothing }
        }
        data = next
      }
      return { parts, rest: data }
    },
    get isOver() {
      return place === 'over'
    },
    rawTrailers,
  }
}
