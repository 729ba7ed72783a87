import { unreachableFor } from './refused.ts'

// https://redis.io/docs/latest/develop/reference/protocol-spec/, versions 2 and 3.

const bulks = '$=!'
const aggregates = '*~>%|'
const longestLine = 1024 * 1024
const deepest = 64

type Frame = { left: number; readonly isAttribute: boolean }
type Followed = {
  /** Where in the chunk an answer ends that a command waited for. */
  readonly ends: readonly number[]
  /** How many of the last bytes belong to a part of an answer that has not ended. */
  readonly open: number
}

/** Follows a server's answers through their parts; what is pushed without a question counts as none. */
export function followReplies(): (chunk: Buffer) => Followed {
  let line: Buffer = Buffer.alloc(0)
  let bytes = 0
  let open = 0
  let isPush = false
  const frames: Frame[] = []

  /** One part has ended; true when that ends an answer. */
  const partEnded = (): boolean => {
    for (let frame = frames.at(-1); frame; frame = frames.at(-1)) {
      if (--frame.left > 0) return false
      frames.pop()
      // What an attribute is about comes after it.
      if (frame.isAttribute) return false
    }
    return !isPush
  }
  const begin = (kind: string, size: number): boolean => {
    if (bulks.includes(kind)) {
      if (size < 0) return partEnded()
      bytes = size + 2
      return false
    }
    const count = kind === '%' || kind === '|' ? size * 2 : size
    if (count <= 0 && kind !== '|') return partEnded()
    if (count <= 0) return false
    if (frames.length >= deepest) throw unreachableFor('An answer of the server is nested too deeply.')
    frames.push({ left: count, isAttribute: kind === '|' })
    return false
  }
  const lineEnded = (): boolean => {
    const text = line.toString('latin1', 0, 24)
    const kind = text.slice(0, 1)
    line = Buffer.alloc(0)
    if (frames.length === 0) isPush = kind === '>'
    if ('+-:_#,('.includes(kind) && kind !== '') return partEnded()
    const size = Number(/^.(-?\d{1,15})\r\n$/.exec(text)?.[1] ?? Number.NaN)
    if (!(bulks + aggregates).includes(kind) || !Number.isSafeInteger(size))
      throw unreachableFor('The server does not answer in the protocol of Redis.')
    return begin(kind, size)
  }
  const read = (piece: Buffer): boolean => {
    if (bytes > 0) {
      bytes -= piece.length
      return bytes === 0 && partEnded()
    }
    // The end of a long line says nothing about its kind.
    line = line.length < 32 ? Buffer.concat([line, piece]) : line
    if (open + piece.length > longestLine) throw unreachableFor('A line of the server is too long.')
    return piece.at(-1) === 0x0a && lineEnded()
  }
  /** Up to the end of the part that is being read, if that is here. */
  const cut = (chunk: Buffer, at: number): { piece: Buffer; isWhole: boolean } => {
    const newline = bytes > 0 ? -1 : chunk.indexOf(0x0a, at)
    const end = bytes > 0 ? at + bytes : newline < 0 ? chunk.length + 1 : newline + 1
    return { piece: chunk.subarray(at, end), isWhole: end <= chunk.length }
  }
  return (chunk) => {
    const ends: number[] = []
    for (let at = 0; at < chunk.length; ) {
      const { piece, isWhole } = cut(chunk, at)
      at += piece.length
      if (read(piece)) ends.push(at)
      open = isWhole ? 0 : open + piece.length
    }
    return { ends, open }
  }
}
