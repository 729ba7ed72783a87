import type { Patterns } from '../redact.ts'

/** Stands for each byte of a value where lengths are part of the protocol. */
const cover = 0x2a

/**
 * Covers known values, byte for byte, in a stream of messages whose lengths are written in front of them. Values are of one line
 * and without NUL, so that none can reach over the border of two messages: what ends a message is never held back.
 */
export type Masker = {
  /** `open`: how many of the last bytes belong to a message that has not ended; of this chunk and of what came before. */
  push(chunk: Buffer, open: number): Buffer
}

export function maskerOf(patterns: Patterns, onMask: () => void): Masker {
  let held: Buffer = Buffer.alloc(0)
  /** So many of the held bytes belong to a value that began before them. */
  let covered = 0
  return {
    push(chunk, open) {
      if (patterns.isEmpty && held.length === 0) return chunk
      const data = Buffer.concat([held, chunk])
      const end = data.length - Math.min(open, patterns.search.begun(data))
      const found = patterns.search.spans(data)
      if (found.length === 0 && covered === 0) {
        held = data.subarray(end)
        return data.subarray(0, end)
      }
      const out = Buffer.from(data)
      out.fill(cover, 0, covered)
      let reach = covered
      for (const { from, to } of found) {
        if (from >= end) break
        out.fill(cover, from, to)
        reach = Math.max(reach, to)
        onMask()
      }
      covered = Math.max(0, reach - end)
      held = data.subarray(end)
      return out.subarray(0, end)
    },
  }
}
